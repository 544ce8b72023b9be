# Processes by pid: alive, paused, children. /proc is read where there is one.

# Does the server of this dict still run?
proc is_alive {pid} {
    if {[string is integer -strict $pid]} {
        return [reaper::alive $pid]
    }
    reaper::alive [dict get $pid pid]
}

proc process_is_alive {pid} {
    reaper::alive $pid
}

proc proc_exists {pid} {
    reaper::alive $pid
}

proc process_is_paused {pid} {
    expr {[lindex [reaper::stat $pid] 0] in {T t}}
}

# Stop a process with SIGSTOP and wait until it is.
proc pause_process {pid} {
    reaper::signal STOP $pid
    wait_for_condition 50 100 {[process_is_paused $pid]} else {
        fail "process $pid didn't stop"
    }
}

proc resume_process {pid} {
    reaper::signal CONT $pid
    wait_for_condition 50 100 {![process_is_paused $pid]} else {
        fail "process $pid didn't go on"
    }
}

# The pid of a server's child (a save or rewrite), which may be about to be forked.
proc get_child_pid {level} {
    set pid [srv $level pid]
    wait_for_condition 500 10 {[set child [child_of $pid]] ne ""} else {
        fail "failed to get child pid of $pid"
    }
    return $child
}

# Let the snapshot of a server's child stand still as soon as EXPRESSION holds, so that what
# lasts as long as the child does stays until the test has seen it. Returns the child's pid,
# for `resume_process`. The child goes on by small steps until then, as it may have a part in
# what is waited for; `rdb-key-save-delay` must let it live for some tenths of a second, not
# for the whole test.
proc hold_child {level {expression 1}} {
    set child [get_child_pid $level]
    set start [clock milliseconds]
    while 1 {
        pause_process $child
        for {set i 0} {$i < 10} {incr i} {
            if {[uplevel 1 [list expr $expression]]} {
                return $child
            }
            after 3
        }
        if {[waits::over $start 10000]} {
            fail "never, while there was a child: $expression[waits::values [expr {[info level] - 1}] $expression]"
        }
        resume_process $child
        after 5
    }
}

# The pid of a process whose parent that is and that has not ended, or nothing.
proc child_of {pid} {
    foreach dir [glob -nocomplain -directory /proc {[0-9]*}] {
        set child [file tail $dir]
        set fields [reaper::stat $child]
        if {[lindex $fields 1] eq $pid && [lindex $fields 0] ni {Z X x}} {
            return $child
        }
    }
}
