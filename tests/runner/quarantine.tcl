# Tests known to fail: a file of `UNIT<tab>TEST<tab>ISSUE<tab>EXPIRY-DATE` lines, with
# # for comments. A listed failure does not fail the run. An entry that has expired, or
# whose test ran and never failed, does: the list must not outlive its reasons.

namespace eval quarantine {
    # By unit and test: the issue, the date, how often it ran and failed.
    variable entries {}
}

# Read PATH. A bad line raises {HARNESS USAGE}.
proc quarantine::load {path} {
    variable entries {}
    if {[catch {catalog::read_file $path} text]} {
        options::fail "--quarantine: $text"
    }
    set number 0
    foreach line [split $text \n] {
        incr number
        if {[regexp {^\s*(#|$)} $line]} {
            continue
        }
        set fields [split [string trimright $line \r] \t]
        lassign $fields unit test issue expiry
        if {[llength $fields] != 4 || $test eq "" || $issue eq ""} {
            options::fail "--quarantine: $path:$number: not `UNIT<tab>TEST<tab>ISSUE<tab>EXPIRY-DATE`"
        }
        if {[catch {clock scan $expiry -format %Y-%m-%d} time]
                || [clock format $time -format %Y-%m-%d] ne $expiry} {
            options::fail "--quarantine: $path:$number: '$expiry' is no date like 2030-12-31"
        }
        set found [catalog::match $unit]
        if {[llength $found] != 1} {
            options::fail "--quarantine: $path:$number: no such unit: $unit (see --list-tests)"
        }
        dict set entries [list [lindex $found 0] $test] \
            [dict create issue $issue expiry $expiry line $number]
    }
}

# The issue a failure of this test is excused by; empty when it is not.
proc quarantine::issue {unit test} {
    variable entries
    if {![dict exists $entries [list $unit $test]]} {
        return ""
    }
    dict with entries [list $unit $test] {
        if {$expiry < [clock format [clock seconds] -format %Y-%m-%d]} {
            return ""
        }
        return "$issue (until $expiry)"
    }
}

# What is wrong with the entries after the results CASES, as a flat list
# UNIT TEST PROBLEM. Tests that did not run say nothing.
proc quarantine::problems {cases} {
    variable entries
    set states {}
    foreach case $cases {
        lassign $case unit state name
        dict lappend states [list $unit $name] $state
    }
    set problems {}
    set today [clock format [clock seconds] -format %Y-%m-%d]
    dict for {key entry} $entries {
        set seen [expr {[dict exists $states $key] ? [dict get $states $key] : {}}]
        if {$seen eq {} || [lsearch -regexp $seen {^(skip|ignore)$}] >= 0} {
            continue
        }
        if {[dict get $entry expiry] < $today} {
            lappend problems {*}$key "the quarantine entry in line [dict get $entry line] has\
                expired on [dict get $entry expiry] ([dict get $entry issue])"
        } elseif {[lsearch -not -exact $seen ok] < 0} {
            lappend problems {*}$key "the test has passed: its quarantine entry in line\
                [dict get $entry line] ([dict get $entry issue]) has to go"
        }
    }
    return $problems
}
