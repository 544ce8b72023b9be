# JUnit XML report: one testsuite per unit, one testcase per test.

namespace eval junit {}

proc junit::escape {text} {
    regsub -all {[^\x09\x0a\x20-\ud7ff\ue000-\ufffd]} $text ? text
    string map {& &amp; < &lt; > &gt; \" &quot; \n &#10;} $text
}

# Write CASES (lists of UNIT STATE NAME MS LINE TEXT) to PATH.
proc junit::write {path cases} {
    set suites {}
    foreach case $cases {
        dict lappend suites [lindex $case 0] $case
    }
    set channel [open $path w]
    fconfigure $channel -encoding utf-8
    puts $channel {<?xml version="1.0" encoding="UTF-8"?>}
    puts $channel <testsuites>
    dict for {unit list} $suites {
        set failures 0
        set errors 0
        set skipped 0
        set total 0
        foreach case $list {
            incr total [lindex $case 3]
            switch -- [lindex $case 1] {
                ok {}
                flaky { incr failures [expr {!$report::flaky_ok}] }
                err { incr failures }
                error - timeout { incr errors }
                default { incr skipped }
            }
        }
        puts $channel "  <testsuite name=\"[escape $unit]\" tests=\"[llength $list]\" failures=\"$failures\"\
            errors=\"$errors\" skipped=\"$skipped\" time=\"[seconds $total]\">"
        foreach case $list {
            write_case $channel {*}$case
        }
        puts $channel "  </testsuite>"
    }
    puts $channel </testsuites>
    close $channel
}

proc junit::seconds {ms} {
    format %.3f [expr {$ms / 1000.0}]
}

proc junit::write_case {channel unit state name ms line text} {
    puts -nonewline $channel "    <testcase classname=\"[escape $unit]\" name=\"[escape $name]\"\
        file=\"[escape [catalog::shown $unit]]\" line=\"$line\" time=\"[seconds $ms]\""
    set first [escape [lindex [split $text \n] 0]]
    switch -- $state {
        ok { puts $channel "/>" }
        flaky {
            set element [expr {$report::flaky_ok ? "system-out" : "failure"}]
            puts $channel "><$element>flaky: [escape $text]</$element></testcase>"
        }
        err { puts $channel "><failure message=\"$first\">[escape $text]</failure></testcase>" }
        error { puts $channel "><error message=\"$first\">[escape $text]</error></testcase>" }
        timeout { puts $channel "><error type=\"timeout\" message=\"$first\">[escape $text]</error></testcase>" }
        default { puts $channel "><skipped message=\"$first\"/></testcase>" }
    }
}
