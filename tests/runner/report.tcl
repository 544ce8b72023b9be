# Console report. Everything arrives as events from the scheduler; this file only
# counts and prints. The last line of a run is always `P passed, F failed, S skipped`.

namespace eval report {
    variable counts {passed 0 failed 0 skipped 0}
    variable cases {}
    variable failures {}
    variable units {}
    variable level 1
    variable colour 0
    variable warnings {}
}

proc report::configure {options} {
    variable level
    variable colour
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
    set code [dict get {ok 32 err 31 error 31 timeout 31 skip 33 ignore 33 done 36 ready 36} $state]
    return "\x1b\[${code}m$text\x1b\[0m"
}

proc report::warn {text} {
    variable warnings
    lappend warnings $text
    say "\[[paint skip warning]\]: $text"
}

# A test ended. STATE: ok err error timeout skip ignore.
proc report::case_end {unit state name ms line text} {
    variable counts
    variable cases
    variable failures
    lappend cases [list $unit $state $name $ms $line $text]
    switch -- $state {
        ok {
            dict incr counts passed
            say "\[[paint ok ok]\]: $name ($ms ms)" 1
        }
        skip {
            dict incr counts skipped
            say "\[[paint skip skip]\]: $name" 1
        }
        ignore {
            dict incr counts skipped
            say "\[[paint ignore ignore]\]: $name: $text" 1
        }
        default {
            dict incr counts failed
            set word [expr {$state eq "timeout" ? "timeout" : "err"}]
            set headline "\[[paint $state $word]\]: $name in [place $unit $line]"
            lappend failures [list $headline $text]
            say $headline
            say $text
        }
    }
}

proc report::place {unit line} {
    set place [catalog::shown $unit]
    return [expr {$line > 0 ? "$place:$line" : $place}]
}

# A block of COUNT tests was left out by its tags.
proc report::block_ignored {unit count reason} {
    variable counts
    variable cases
    dict incr counts skipped $count
    lappend cases {*}[lrepeat $count [list $unit ignore "(in a block)" 0 0 $reason]]
    say "\[[paint ignore ignore]\]: $reason ($count tests)" 1
}

proc report::unit_end {unit seconds index total} {
    variable units
    lappend units [list $unit $seconds]
    say "\[$index/$total [paint done done]\]: $unit ($seconds seconds)"
}

# The end of the run: failures, slowest, last line.
proc report::finish {longest} {
    variable counts
    variable cases
    variable failures
    variable units
    say "\n                   The End\n" 1
    say "Execution time of different units:" 1
    foreach unit $units {
        say "  [lindex $unit 1] seconds - [lindex $unit 0]" 1
    }
    if {[llength $failures]} {
        say "\n!!! WARNING The following tests failed:\n"
        foreach failure $failures {
            say "*** [lindex $failure 0]"
            say "[lindex $failure 1]\n"
        }
    }
    if {$longest > 0} {
        say "\nSlowest tests:" 1
        foreach case [lrange [lsort -integer -decreasing -index 3 $cases] 0 $longest-1] {
            if {[lindex $case 3] >= 10} {
                say "  [lindex $case 3] ms - [lindex $case 0]: [lindex $case 2]" 1
            }
        }
    }
    if {![llength $failures] && [dict get $counts passed]} {
        say "\n\\o/ All tests passed without errors!\n"
    }
    dict with counts {
        puts stdout "$passed passed, $failed failed, $skipped skipped"
    }
    flush stdout
}
