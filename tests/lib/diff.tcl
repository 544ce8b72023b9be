# Showing values and the difference between two of them.

namespace eval diff {
    variable limit 400
}

# VALUE cut to LIMIT characters.
proc diff::short {value {limit 400}} {
    set length [string length $value]
    if {$length <= $limit} {
        return $value
    }
    return "[string range $value 0 $limit-1]... ($length characters)"
}

# VALUE with everything that is not printable ASCII escaped.
proc diff::printable {value} {
    set result ""
    foreach char [split $value ""] {
        scan $char %c code
        if {$char eq "\\"} {
            append result {\\}
        } elseif {$code >= 32 && $code < 127} {
            append result $char
        } elseif {$code < 256} {
            append result [format {\x%02x} $code]
        } else {
            append result [format {\u%04x} $code]
        }
    }
    return $result
}

# A text for the difference of EXPECTED and ACTUAL; empty for short plain values,
# which the assertion's first line shows well enough.
proc diff::show {expected actual} {
    if {[string length $expected] + [string length $actual] < 80} {
        return ""
    }
    if {[string first \n $expected] >= 0 && [string first \n $actual] >= 0} {
        return [rows line [split $expected \n] [split $actual \n]]
    }
    if {![catch {llength $expected} n] && ![catch {llength $actual} m] && $n > 1 && $m > 1
            && [regexp {^[\x20-\x7e]*$} $expected$actual]} {
        return [rows element $expected $actual]
    }
    return [bytes $expected $actual]
}

# Element by element: the first ten positions that differ.
proc diff::rows {word expected actual} {
    set text "  [llength $expected] ${word}s expected, [llength $actual] actual"
    set shown 0
    set count [expr {max([llength $expected], [llength $actual])}]
    for {set i 0} {$i < $count && $shown < 10} {incr i} {
        set left [expr {$i < [llength $expected] ? "'[short [lindex $expected $i] 120]'" : "(none)"}]
        set right [expr {$i < [llength $actual] ? "'[short [lindex $actual $i] 120]'" : "(none)"}]
        if {[lindex $expected $i] ne [lindex $actual $i] || $left eq "(none)" || $right eq "(none)"} {
            append text "\n  $word $i: expected $left, actual $right"
            incr shown
        }
    }
    return $text
}

# Lengths, and a window around the first difference.
proc diff::bytes {expected actual} {
    set at 0
    set end [expr {min([string length $expected], [string length $actual])}]
    while {$at < $end && [string index $expected $at] eq [string index $actual $at]} {
        incr at
    }
    set from [expr {max(0, $at - 16)}]
    set text "  lengths [string length $expected] expected, [string length $actual] actual; first difference at $at"
    foreach {word value} [list expected $expected actual $actual] {
        set window [string range $value $from $at+15]
        binary scan [encoding convertto iso8859-1 $window] H* hex
        append text "\n  [format %-8s $word] from $from: [regsub -all {..} $hex {& }] [printable $window]"
    }
    return $text
}
