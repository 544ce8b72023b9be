# Waiting for a condition. Budgets are wall-clock time: TRIES x DELAY x the slow
# factor, but never fewer than TRIES polls.

namespace eval waits {}

# The values of the commands inside an expression, for a failure message.
proc waits::values {level expression} {
    set text ""
    foreach command [commands $expression] {
        if {[catch {uplevel #$level [list subst "\[$command\]"]} value]} {
            set value "error: $value"
        }
        append text "\n  \[$command\] = '[diff::short $value 200]'"
    }
    foreach {- name} [regexp -all -inline {\$([A-Za-z_][A-Za-z_0-9:]*)(?![A-Za-z_0-9:(])} $expression] {
        if {![catch {uplevel #$level [list set $name]} value]} {
            append text "\n  \$$name = '[diff::short $value 200]'"
        }
    }
    return $text
}

# The outermost bracketed commands of an expression.
proc waits::commands {expression} {
    set result {}
    set depth 0
    for {set i 0} {$i < [string length $expression]} {incr i} {
        switch -- [string index $expression $i] {
            "\\" { incr i }
            "\[" {
                if {[incr depth] == 1} {
                    set from [expr {$i + 1}]
                }
            }
            "\]" {
                if {[incr depth -1] == 0} {
                    lappend result [string range $expression $from $i-1]
                }
            }
        }
    }
    return $result
}

# Poll until EXPRESSION holds; CODE runs when it never did. An error CODE raises
# is told how long was waited and what the last values were.
proc wait_for_condition {tries delay expression _else_ code} {
    set start [clock milliseconds]
    set budget [expr {$tries * $delay * $::slow_factor}]
    set pause [expr {min($delay, 5)}]
    set polls 0
    while 1 {
        incr polls
        set status [catch {uplevel 1 [list expr $expression]} value options]
        if {$status} {
            return -options $options $value
        }
        if {$value} {
            return
        }
        if {$polls >= $tries && [clock milliseconds] - $start >= $budget} {
            break
        }
        after $pause
        set pause [expr {min($delay, $pause * 2)}]
    }
    set note [format "\n  waited %.1f s in %d polls for: %s" \
        [expr {([clock milliseconds] - $start) / 1000.0}] $polls [string trim $expression]]
    append note [waits::values [expr {[info level] - 1}] $expression]
    set status [catch {uplevel 1 $code} value options]
    if {$status == 1} {
        return -code error -errorcode [dict get $options -errorcode] \
            -errorinfo [dict get $options -errorinfo] $value$note
    }
    return -code $status $value
}

# Wait up to MS milliseconds for EXPRESSION to hold.
proc eventually {ms expression} {
    uplevel 1 [list wait_for_condition 2 [expr {max(1, $ms / 2)}] $expression else {
        fail "condition never held"
    }]
}
