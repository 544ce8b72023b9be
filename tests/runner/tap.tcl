# TAP report, version 14: one test point per test, with a YAML block at failures.

namespace eval tap {}

# Write CASES (lists of UNIT STATE NAME MS LINE TEXT) to PATH.
proc tap::write {path cases} {
    set channel [open $path w]
    fconfigure $channel -encoding utf-8
    puts $channel "TAP version 14\n1..[llength $cases]"
    set number 0
    foreach case $cases {
        point $channel [incr number] {*}$case
    }
    close $channel
}

# In a description, and in the reason of a directive, # and \ are escaped.
proc tap::escape {text} {
    string map {\\ \\\\ # \\#} [lindex [split $text \n] 0]
}

proc tap::point {channel number unit state name ms line text} {
    set description "$number - [escape "$unit: $name"]"
    switch -- $state {
        ok { puts $channel "ok $description" }
        skip - ignore { puts $channel "ok $description # SKIP [escape $text]" }
        quarantined { puts $channel "not ok $description # TODO [escape $text]" }
        flaky { puts $channel "[expr {$report::flaky_ok ? "ok" : "not ok"}] $description" }
        default { puts $channel "not ok $description" }
    }
    if {$state in {err error timeout flaky quarantined}} {
        puts $channel "  ---\n  state: $state\n  at: [report::place $unit $line]\n  ms: $ms\n  text: |"
        foreach part [split $text \n] {
            puts $channel "    $part"
        }
        puts $channel "  ..."
    }
}
