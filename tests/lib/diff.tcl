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
    if {[regexp {^[\x20-\x5b\x5d-\x7e]*$} $value]} {
        return $value
    }
    variable escapes
    if {![info exists escapes]} {
        for {set code 0} {$code < 256} {incr code} {
            set escapes([format %c $code]) [expr {$code == 92 ? "\\\\" : $code >= 32 && $code < 127
                ? [format %c $code] : [format {\x%02x} $code]}]
        }
    }
    set result ""
    foreach char [split $value ""] {
        if {[info exists escapes($char)]} {
            append result $escapes($char)
        } else {
            append result [format {\u%04x} [scan $char %c]]
        }
    }
    return $result
}

# A text for the difference of two values; empty for short plain ones, which the
# assertion's first line shows well enough. NAMES says what the two are called.
proc diff::show {one other {names {expected actual}}} {
    if {[string length $one] + [string length $other] < 80} {
        return ""
    }
    if {[string first \n $one] >= 0 && [string first \n $other] >= 0} {
        return [rows line $names [split $one \n] [split $other \n]]
    }
    if {![catch {llength $one} n] && ![catch {llength $other} m] && $n > 1 && $m > 1
            && [regexp {^[\x20-\x7e]*$} $one$other]} {
        return [rows element $names $one $other]
    }
    return [bytes $names $one $other]
}

# Element by element: the first ten positions that differ.
proc diff::rows {word names one other} {
    lassign $names left right
    set text "  $left has [llength $one] ${word}s, $right has [llength $other]"
    set shown 0
    set count [expr {max([llength $one], [llength $other])}]
    for {set i 0} {$i < $count && $shown < 10} {incr i} {
        set a [element $one $i]
        set b [element $other $i]
        if {$a ne $b} {
            append text "\n  $word $i: $left [short $a 120], $right [short $b 120]"
            incr shown
        }
    }
    return $text
}

proc diff::element {list i} {
    expr {$i < [llength $list] ? "'[lindex $list $i]'" : "(none)"}
}

# Lengths, and a window around the first difference.
proc diff::bytes {names one other} {
    lassign $names left right
    set at 0
    set end [expr {min([string length $one], [string length $other])}]
    while {$at < $end && [string index $one $at] eq [string index $other $at]} {
        incr at
    }
    set from [expr {max(0, $at - 16)}]
    set text "  lengths: $left [string length $one], $right [string length $other]; first difference at $at"
    foreach {word value} [list $left $one $right $other] {
        set window [string range $value $from $at+15]
        binary scan [encoding convertto iso8859-1 $window] H* hex
        append text "\n  [format %-8s $word] from $from: [regsub -all {..} $hex {& }] [printable $window]"
    }
    return $text
}
