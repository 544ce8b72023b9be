# Console report. Everything arrives as events from the scheduler; this file only
# counts and prints. The last line of a run is always `P passed, F failed, S skipped`.

namespace eval report {
    # The results by unit, solo body, round, name and order among those of this name.
    variable cases {}
    variable seen {}
    variable flaky_ok 0
    variable units {}
    variable level 1
    variable colour 0
    variable warnings {}
}

proc report::configure {options} {
    variable level
    variable colour
    variable flaky_ok [dict get $options flaky_ok]
    set level [expr {[dict get $options quiet] ? 0 : 1 + [dict get $options verbose]}]
    set colour [expr {[info exists ::env(RUNTEST_TTY)] && $::env(RUNTEST_TTY)
        && [info exists ::env(TERM)] && [string match *xterm* $::env(TERM)]}]
    fconfigure stdout -encoding utf-8 -buffering line
}

# Print a line at verbosity LEVEL (0 always, 1 unless --quiet, 2 with --verbose).
proc report::say {text {at 0}} {
    variable level
    if {$level >= $at} {
        puts stdout $text
    }
}

proc report::paint {state text} {
    variable colour
    if {!$colour} {
        return $text
    }
    set code [dict get {ok 32 err 31 error 31 timeout 31 flaky 33 quarantined 33 skip 33 ignore 33
        done 36 ready 36} $state]
    return "\x1b\[${code}m$text\x1b\[0m"
}

proc report::warn {text} {
    variable warnings
    lappend warnings $text
    say "\[[paint skip warning]\]: $text"
}

# A test ended. STATE: ok err error timeout skip ignore. JOB tells the unit and which
# run of it this is; of a test that runs again the results are joined.
proc report::case_end {job state name ms line text} {
    variable cases
    variable seen
    set unit [dict get $job unit]
    set run [run_of $job]
    set attempt [dict get $job attempt]
    if {[dict get $job alone] ne ""} {
        append name " (alone)"
    }
    set issue [expr {[failed $state] ? [quarantine::issue $unit $name] : ""}]
    if {$issue ne ""} {
        set state quarantined
        set text "$issue\n$text"
    }
    # Tests of one name are told apart by their order.
    set nth [dict get [dict incr seen [list $run $attempt $name]] [list $run $attempt $name]]
    set key [list {*}$run $name $nth]
    events::write case unit $unit name $name state $state ms $ms line $line attempt $attempt text $text
    print $unit $state $name $ms $line $text
    set case [list $unit $state $name $ms $line $text]
    if {[dict exists $cases $key]} {
        set case [join_results [dict get $cases $key] $case]
    }
    dict set cases $key $case
    return $state
}

# What tells the runs of a unit apart, whichever attempt it is.
proc report::run_of {job} {
    lmap key {unit solo alone round} {dict get $job $key}
}

proc report::failed {state} {
    expr {$state in {err error timeout}}
}

# What a test is that gave the result OLD and then NEW: flaky when they differ.
proc report::join_results {old new} {
    foreach {one other} [list $old $new $new $old] {
        if {[failed [lindex $one 1]] && [lindex $other 1] eq "ok"} {
            return [lreplace $one 1 1 flaky]
        }
    }
    return $old
}

# Is this the name of what failed outside of tests?
proc report::outside {name} {
    regexp {^\((setup|teardown) of } $name
}

# The run JOB of a unit was not its first, and it came to its end without a failure
# outside of tests: those it had before have recovered.
proc report::recovered {job} {
    variable cases
    set run [run_of $job]
    dict for {key case} $cases {
        if {[lrange $key 0 3] eq $run && [failed [lindex $case 1]]
                && [outside [lindex $case 2]]} {
            dict set cases $key [lreplace $case 1 1 flaky]
        }
    }
}

proc report::print {unit state name ms line text} {
    set label [paint $state $state]
    switch -- $state {
        ok { say "\[$label\]: $name ($ms ms)" 1 }
        skip { say "\[$label\]: $name" 1 }
        ignore { say "\[$label\]: $name: $text" 1 }
        quarantined { say "\[$label\]: $name: [lindex [split $text \n] 0]" }
        default {
            say [headline $unit $state $name $line]
            say $text
        }
    }
}

proc report::headline {unit state name line} {
    set word [expr {$state eq "error" ? "err" : $state}]
    return "\[[paint $state $word]\]: $name in [place $unit $line]"
}

proc report::place {unit line} {
    set place [catalog::shown $unit]
    return [expr {$line > 0 ? "$place:$line" : $place}]
}

# A block of COUNT tests was left out by its tags.
proc report::block_ignored {job count reason} {
    variable cases
    if {[dict get $job alone] ne ""} {
        return
    }
    say "\[[paint ignore ignore]\]: $reason ($count tests)" 1
    # The same block is left out again when its unit runs again.
    if {[dict get $job attempt] == 1} {
        for {set i 0} {$i < $count} {incr i} {
            dict set cases [list ignored [dict size $cases]] \
                [list [dict get $job unit] ignore "(in a block)" 0 0 $reason]
        }
    }
}

proc report::unit_end {unit seconds index total} {
    variable units
    lappend units [list $unit $seconds]
    events::write unit-end unit $unit seconds $seconds
    say "\[$index/$total [paint done done]\]: $unit ($seconds seconds)"
}

# All results, as lists of UNIT STATE NAME MS LINE TEXT.
proc report::results {} {
    variable cases
    dict values $cases
}

# A dict of passed, failed, skipped, and among these flaky and quarantined.
proc report::counts {} {
    variable flaky_ok
    set counts {passed 0 failed 0 skipped 0 flaky 0 quarantined 0}
    foreach case [results] {
        switch -- [lindex $case 1] {
            ok { dict incr counts passed }
            err - error - timeout { dict incr counts failed }
            flaky {
                dict incr counts flaky
                dict incr counts [expr {$flaky_ok ? "passed" : "failed"}]
            }
            quarantined {
                dict incr counts quarantined
                dict incr counts skipped
            }
            default { dict incr counts skipped }
        }
    }
    return $counts
}

# One of the lists at the end: the cases in STATES under a TITLE.
proc report::list_cases {title states with_text} {
    set chosen [lmap case [results] {
        if {[lindex $case 1] ni $states} { continue }
        set case
    }]
    if {[llength $chosen]} {
        say "\n$title\n"
        foreach case $chosen {
            lassign $case unit state name ms line text
            say "*** [headline $unit $state $name $line]"
            if {$state eq "flaky"} {
                say [flaky::told $unit $name]
            }
            say [expr {$with_text ? "$text\n" : "  [lindex [split $text \n] 0]"}]
        }
    }
}

# The end of the run: failures, slowest, last line.
proc report::finish {longest} {
    variable units
    set counts [counts]
    say "\n                   The End\n" 1
    say "Execution time of different units:" 1
    foreach unit $units {
        say "  [lindex $unit 1] seconds - [lindex $unit 0]" 1
    }
    list_cases "Quarantined tests that failed:" quarantined 0
    list_cases "Flaky tests, which failed once and passed once:" flaky 1
    list_cases "!!! WARNING The following tests failed:" {err error timeout} 1
    if {$longest > 0} {
        say "\nSlowest tests:" 1
        foreach case [lrange [lsort -integer -decreasing -index 3 [results]] 0 $longest-1] {
            if {[lindex $case 3] >= 10} {
                say "  [lindex $case 3] ms - [lindex $case 0]: [lindex $case 2]" 1
            }
        }
    }
    if {![dict get $counts failed] && [dict get $counts passed]} {
        say "\n\\o/ All tests passed without errors!\n"
    }
    events::write end {*}$counts
    last_line {*}[dict values [dict filter $counts key passed failed skipped]]
}

# What every run ends with, whatever happened.
proc report::last_line {passed failed skipped} {
    puts stdout "$passed passed, $failed failed, $skipped skipped"
    flush stdout
}
