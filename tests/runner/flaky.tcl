# The memory of flaky tests: a file that stays from run to run, with a line for each time
# a test failed and then passed. Columns, with tabs between: time, unit, test, server
# (ours or peer), seed, load of the machine, first line of the failure.

namespace eval flaky {
    variable path ""
    variable context {}
}

# LOG is a file, or empty for the usual one.
proc flaky::configure {log peer seed} {
    variable path $log
    variable context [list [expr {$peer ? "peer" : "ours"}] $seed]
    if {$path eq ""} {
        set path [file join $::harness::tests_dir tmp flaky.tsv]
    }
}

# The lines on one test, oldest first, each a list of columns.
proc flaky::history {unit name} {
    variable path
    if {![file exists $path]} {
        return {}
    }
    set result {}
    foreach line [split [catalog::read_file $path] \n] {
        set columns [split $line \t]
        if {[lindex $columns 1] eq $unit && [lindex $columns 2] eq $name} {
            lappend result $columns
        }
    }
    return $result
}

# Note the flaky ones among CASES. What the harness tries itself on is not worth a memory,
# unless it names a file.
proc flaky::note {cases named} {
    variable path
    variable context
    set load [lindex [split [catalog::read_file /proc/loadavg]] 0]
    set lines {}
    foreach case $cases {
        lassign $case unit state name ms line text
        if {$state eq "flaky" && ($named || ![string match *selftest/* $unit])} {
            lappend lines [join [lmap column [list [clock format [clock seconds] -format %Y-%m-%dT%H:%M:%S] \
                $unit $name {*}$context $load [lindex [split $text \n] 0]] {string map {\t " " \n " "} $column}] \t]
        }
    }
    if {[llength $lines]} {
        set channel [open $path a]
        puts $channel [join $lines \n]
        close $channel
    }
}

# What is known about a test, for the report: empty when nothing is.
proc flaky::told {unit name} {
    set before [history $unit $name]
    if {![llength $before]} {
        return "  never flaky before"
    }
    set last [lmap columns [lrange $before end-4 end] {
        lassign $columns when - - server seed load text
        return -level 0 "    $when, $server, seed $seed, load $load: $text"
    }]
    return "  flaky [llength $before] times before; last:\n[join $last \n]"
}
