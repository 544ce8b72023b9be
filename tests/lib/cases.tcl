# `test` and what belongs to it: selection, states, run_solo, the failure report.

namespace eval cases {
    variable only {}
    variable skip {}
    # Does a procedure of the unit hold tests? Then a block may hold more than it shows.
    variable hidden_tests 0
    variable started 0
    variable in_solo 0
    # What a test said that happens to a server: {} (nothing), end, or crash.
    variable expected {}
    variable marks {}
    variable soft_failures {}
    variable place 0
    # How often each name was run.
    variable seen {}
}

proc cases::configure {options} {
    variable only [dict get $options only]
    variable skip [dict get $options skiptest]
    variable hidden_tests [catalog::procs_hold_tests $unit::text]
}

# Does NAME equal one of the words, or match a regexp behind a leading slash?
proc cases::named {name words} {
    foreach word $words {
        if {$word eq $name || ([string index $word 0] eq "/"
                && [regexp -- [string range $word 1 end] $name])} {
            return 1
        }
    }
    return 0
}

# Is this test not chosen by --only and --skiptest?
proc cases::left_out {name} {
    variable only
    variable skip
    expr {([llength $only] && ![named $name $only]) || [named $name $skip]}
}

# Is none of the tests in a block's CODE chosen? The block then needs no servers.
proc cases::block_left_out {code} {
    variable only
    variable hidden_tests
    if {$hidden_tests || (![llength $only] && $unit::alone eq "")} {
        return 0
    }
    set tests [catalog::cases $code]
    foreach {line name} $tests {
        if {[catalog::may_be_named $name [expr {$unit::alone eq "" ? $only : ""}] $unit::alone]} {
            return 0
        }
    }
    return [expr {[llength $tests] > 0}]
}

# Run BODY as a test in the caller's scope. It passes when it does not raise and,
# if OKPATTERN is given, its value equals or globs it.
proc test {name body {okpattern undefined} {tags {}}} {
    if {$unit::solo ne "" && !$cases::in_solo} {
        return
    }
    # Of a test that runs alone the others say nothing.
    if {$unit::alone ne "" && $name ne $unit::alone} {
        return
    }
    set line [catalog::line_of $unit::text $body]
    if {[catch {tags::push $tags} message]} {
        cases::report error $name 0 $line $message
        return
    }
    set reason [tags::reason [tags::current]]
    set deadline [tags::deadline [tags::current]]
    tags::pop
    if {$reason ne ""} {
        cases::report ignore $name 0 $line $reason
        return
    }
    if {[cases::left_out $name]} {
        cases::report skip $name 0 $line ""
        return
    }
    cases::enter $name $line $deadline
    set status [catch {uplevel 1 $body} value options]
    if {$status != 1 && $okpattern ne "undefined"
            && $okpattern ne $value && ![string match $okpattern $value]} {
        set status [catch {
            expect::failed "Expected '[diff::short $value]' to equal or match '[diff::short $okpattern]'" \
                [diff::show $okpattern $value]
        } value options]
    }
    cases::leave $name $line $status $value $options
}

proc cases::enter {name line deadline} {
    variable expected {}
    set resp::patience_ms $resp::default_patience_ms
    variable soft_failures {}
    variable marks
    set ::cur_test "$name in [catalog::shown $unit::name]"
    variable seen
    # The test's own seed: what it draws does not depend on other tests.
    seed "$name/[dict get [dict incr seen $name] $name]"
    set marks [logs::marks]
    channel::send begin $name $deadline $line
    variable started [clock milliseconds]
}

# Seed the random numbers for a test, or for what lies outside of tests.
proc cases::seed {what} {
    set words "$::seed/$unit::name/$unit::round/$what"
    expr {srand([zlib crc32 [encoding convertto utf-8 $words]] % 2147483646 + 1)}
}

proc cases::leave {name line status value options} {
    variable started
    variable expected
    variable soft_failures
    set ms [expr {[clock milliseconds] - $started}]
    set state ok
    set text ""
    if {$status == 1} {
        set errorcode [dict get $options -errorcode]
        if {[lrange $errorcode 0 1] eq {HARNESS SKIP}} {
            report ignore $name $ms $line $value
            return
        }
        set state [expr {[string match "assertion:*" $value] ? "err" : "error"}]
        set text $value
        set line [error_line $line $options]
        if {$line > 0} {
            append text "\n  at [catalog::shown $unit::name]:$line: [source_line $line]"
        }
        if {$state eq "error"} {
            append text "\n  Tcl stack:\n    [string map {\n "\n    "} [trim_stack [dict get $options -errorinfo]]]"
        }
    }
    if {$state eq "ok" && [llength $soft_failures]} {
        set state err
        set text [join $soft_failures \n]
    }
    set crash [servers::crash_since $cases::marks $expected]
    if {$crash ne ""} {
        set state error
        set text [string trimleft "$text\n$crash"]
    }
    if {$state ne "ok"} {
        append text [context]
    }
    report $state $name $ms $line $text
    if {$state ne "ok"} {
        if {$::stop_on_failure} {
            wait_for_enter "Test stopped"
        }
        replstream::close_all
        servers::after_failure
    }
}

# The line of the unit an error in a test body came from; START is the body's first
# line. The stack names a line for each nested piece of code (loops, branches) that
# lies in the body itself: what is behind the last procedure.
proc cases::error_line {start options} {
    set stack [dict get $options -errorinfo]
    set end [string first "\n    invoked from within\n\"uplevel 1 \$body\"" $stack]
    if {$start == 0 || $end < 0} {
        return $start
    }
    set stack [string range $stack 0 $end-1]
    set procedure [string last "\n    (procedure \"" $stack]
    if {$procedure >= 0} {
        set stack [string range $stack $procedure+1 end]
    }
    set line $start
    foreach {- relative} [regexp -all -inline -line {^    \(".*" .*line (\d+)\)$} $stack] {
        incr line [expr {$relative - 1}]
    }
    # A branch may begin lines below its command: look for the command's text.
    set lines [split $unit::text \n]
    if {[regexp {(?:while executing|invoked from within)\n"([^\n]*)} $stack - command]} {
        set command [string trim [regsub {(?:\.\.\.)?"?$} $command ""]]
        for {set i 0} {$i < 40 && $command ne ""} {incr i} {
            if {[string first $command [lindex $lines [expr {$line + $i - 1}]]] >= 0} {
                return [expr {$line + $i}]
            }
        }
    }
    return $line
}

# The part of a Tcl stack that lies in the test.
proc cases::trim_stack {stack} {
    set at [string first "\n    invoked from within\n\"uplevel 1 \$body\"" $stack]
    if {$at > 0} {
        set stack [string range $stack 0 $at-1]
    }
    return [diff::short $stack 2000]
}

proc cases::source_line {line} {
    diff::short [string trim [lindex [split $unit::text \n] $line-1]] 200
}

# What else helps to understand a failure: the last commands, the servers' logs.
proc cases::context {} {
    variable marks
    set text ""
    set history [resp::recent 10]
    if {[llength $history]} {
        append text "\n  last commands:\n    [join $history "\n    "]"
    }
    append text [logs::excerpts $marks $::dump_logs]
    return $text
}

# Where an error outside of tests came from: the innermost block that knows wins.
proc cases::remember_place {code options} {
    variable place
    set start [catalog::line_of $unit::text $code]
    if {$place == 0 && $start > 0
            && [regexp {\("uplevel" body line (\d+)\)\s+invoked from within\s+"uplevel #\$level \$code"} \
                [dict get $options -errorinfo] - line]} {
        set place [expr {$start + $line - 1}]
    } elseif {$place == 0} {
        set place $start
    }
}

# Report an error outside of tests.
proc cases::setup_failed {message options} {
    variable place
    set line $place
    set place 0
    if {$line == 0} {
        foreach {- file number} [regexp -all -inline {file "([^"]*)" line (\d+)} [dict get $options -errorinfo]] {
            if {[file normalize $file] eq [file normalize $unit::path]} {
                set line $number
            }
        }
    }
    set text "$message\n  Tcl stack:\n    [string map {\n "\n    "} [diff::short [dict get $options -errorinfo] 3000]]"
    append text [context]
    report error "(setup of $unit::name line $line)" 0 $line $text
}

proc cases::report {state name ms line text} {
    channel::send case $state [plain $name] $ms $line [plain $text]
}

# TEXT without control characters that would upset a terminal.
proc cases::plain {text} {
    if {![regexp {[\x00-\x08\x0b-\x1f\x7f]} $text]} {
        return $text
    }
    join [lmap line [split $text \n] {
        expr {[regexp {[\x00-\x08\x0b-\x1f\x7f]} $line] ? [diff::printable $line] : $line}
    }] \n
}

# Count the tests of a block that is left out.
proc cases::ignore_block {code reason} {
    set count [catalog::count_cases $code]
    # What is left out around a test that runs alone is no result.
    if {$unit::alone ne "" && [block_left_out $code]} {
        return
    }
    if {($unit::solo eq "" || $cases::in_solo) && $count > 0} {
        channel::send ignored $count $reason
    }
}

# End the running test as skipped.
proc skip {reason} {
    throw {HARNESS SKIP} $reason
}

# End the running test as failed.
proc fail {message} {
    expect::failed $message
}

# The running test crashes a server on purpose.
proc expect_crash {} {
    set cases::expected crash
}

# The running test ends a server on purpose (`shutdown`, a signal). What brings servers
# down for a test (`restart_server`, `kill_server`) need not be announced.
proc expect_end {} {
    set cases::expected end
}

# Code that wants the machine for itself: it runs after all units, in a process of
# its own, where the file is read again without its tests. Inside a server block,
# with one client or with loops it runs in place.
proc run_solo {name code} {
    set inline [expr {[llength $::servers] || $::clients == 1 || $unit::round > 1
        || [dict get $unit::options loop] || [dict get $unit::options loops] > 1}]
    if {$unit::solo eq "" && !$inline} {
        channel::send solo $name
        return
    }
    if {$unit::solo eq "" || $unit::solo eq $name} {
        incr cases::in_solo
        set status [catch {uplevel 1 $code} value options]
        incr cases::in_solo -1
        if {$status == 1} {
            return -options $options $value
        }
    }
}

# Ask the person at the terminal to press Enter.
proc wait_for_enter {why} {
    if {[catch {open /dev/tty r+} tty]} {
        return
    }
    puts $tty "$why. Press Enter to go on."
    flush $tty
    gets $tty
    close $tty
}
