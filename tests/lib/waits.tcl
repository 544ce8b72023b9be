# Waiting for a condition. Budgets are wall-clock time: TRIES x DELAY x the slow
# factor, but never fewer than TRIES polls, and more when the machine is overloaded.

namespace eval waits {
    # The most a load of runnable processes per core may stretch a budget.
    variable max_stretch 6
    variable cores 0
    # A single command, without others inside, that only looks.
    variable harmless {(?x)^\s*(?:
        (?: llength | string | lindex | lrange | lsort | dict | expr | s | srv | count_log_lines ) \y
        | (?: r | R\s+\d+ | r\s+-\d+ ) \s+ (?: get | type | ttl | pttl | exists | dbsize | strlen | llen
            | lrange | scard | smembers | zcard | zrange | zscore | hlen | hget | hgetall | xlen | object
            | info | config\s+get | role | mget | memory\s+usage ) \y
    ) [^\[\]]* $}
}

# Is a wait of MS milliseconds, begun at START, over?
proc waits::over {start ms} {
    set waited [expr {[clock milliseconds] - $start}]
    set budget [expr {$ms * $::slow_factor}]
    expr {$waited >= $budget && $waited >= $budget * [stretch]}
}

# How many runnable processes there are per core, between 1 and `max_stretch`.
proc waits::stretch {} {
    variable max_stretch
    variable cores
    if {[catch {
        if {$cores == 0} {
            set cores [regexp -all -line {^processor\s*:} [catalog::read_file /proc/cpuinfo]]
        }
        set load [lindex [split [catalog::read_file /proc/loadavg]] 0]
        set stretch [expr {max(1.0, min($max_stretch, $load / $cores))}]
    }]} {
        return 1.0
    }
    return $stretch
}

# The values of the commands and variables inside an expression, for a failure
# message. With CAREFUL only commands that can neither block nor change anything.
proc waits::values {level expression {careful 0}} {
    variable harmless
    set text ""
    foreach command [commands $expression] {
        if {$careful && ![regexp $harmless $command]} {
            continue
        }
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
        if {$polls >= $tries && [waits::over $start [expr {$tries * $delay}]]} {
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
