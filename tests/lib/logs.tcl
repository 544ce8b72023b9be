# Server logs: marks, excerpts for failure reports, and the line-number procs.
# The harness only reads logs; it never writes into them.

namespace eval logs {
    variable crash_words {
        {BUG REPORT START} {AddressSanitizer} {runtime error:} {LeakSanitizer}
        {thread '.*' panicked at}
    }
}

# Lengths of the logs of all live servers: a dict of file to size.
proc logs::marks {} {
    set marks {}
    foreach {pid server} [servers::live] {
        foreach name {stdout stderr} {
            set path [dict get $server $name]
            dict set marks $path [expr {[file exists $path] ? [file size $path] : 0}]
        }
    }
    return $marks
}

proc logs::from {path offset} {
    if {[catch {open $path rb} channel]} {
        return ""
    }
    seek $channel $offset
    set text [read $channel]
    close $channel
    return $text
}

# What the servers logged since MARKS, for a failure report.
proc logs::excerpts {marks whole} {
    set text ""
    foreach {pid server} [servers::all] {
        foreach name {stdout stderr} {
            set path [dict get $server $name]
            set offset [expr {!$whole && [dict exists $marks $path] ? [dict get $marks $path] : 0}]
            if {![file exists $path] || [file size $path] <= $offset} {
                continue
            }
            set lines [split [string trimright [from $path $offset]] \n]
            if {!$whole} {
                set lines [lrange $lines end-39 end]
            }
            if {[llength $lines]} {
                append text "\n  $name of the server with pid $pid, port [dict get $server port]:"
                append text "\n    [join [lmap line $lines {diff::short $line 300}] "\n    "]"
            }
        }
    }
    return $text
}

# The lines of a file from LINE on (0 is the first).
proc logs::lines {path line} {
    lrange [split [from $path 0] \n] $line end
}

proc logs::stdout_of {level} {
    if {[string match */* $level]} {
        return $level
    }
    return [srv $level stdout]
}

# Number of lines in a server's log.
proc count_log_lines {level} {
    regexp -all \n [logs::from [logs::stdout_of $level] 0]
}

# Number of lines of a file that match a basic regular expression.
proc count_message_lines {file pattern} {
    set count 0
    foreach line [logs::lines $file 0] {
        incr count [regexp -- $pattern $line]
    }
    return $count
}

proc count_log_message {level pattern} {
    count_message_lines [logs::stdout_of $level] $pattern
}

proc verify_log_message {level pattern from_line} {
    foreach line [logs::lines [logs::stdout_of $level] $from_line] {
        if {[string match $pattern $line]} {
            return
        }
    }
    expect::failed "log message of '$pattern' not found"
}

proc verify_no_log_message {level pattern from_line} {
    foreach line [logs::lines [logs::stdout_of $level] $from_line] {
        if {[string match $pattern $line]} {
            expect::failed "log message of '$pattern' found: $line"
        }
    }
}

# Wait until a line from FROM_LINE on globs one of PATTERNS; returns the line and
# its number. The budget is wall-clock.
proc wait_for_log_messages {level patterns from_line tries delay} {
    set path [logs::stdout_of $level]
    set start [clock milliseconds]
    set pause [expr {min($delay, 5)}]
    set polls 0
    while 1 {
        set number $from_line
        foreach line [logs::lines $path $from_line] {
            incr number
            foreach pattern $patterns {
                if {[string match $pattern $line]} {
                    return [list $line $number]
                }
            }
        }
        if {[incr polls] >= $tries && [waits::over $start [expr {$tries * $delay}]]} {
            break
        }
        after $pause
        set pause [expr {min($delay, $pause * 2)}]
    }
    expect::failed "log message of '$patterns' not found in $path after line $from_line in\
        [expr {[clock milliseconds] - $start}] ms. Last lines:\n[join [lrange [logs::lines $path 0] end-5 end] \n]"
}

# Does a whole log file glob a pattern?
proc log_file_matches {path pattern} {
    string match $pattern [logs::from $path 0]
}

# The end of a server's log now, to be given to `wait_for_log`.
proc log_mark {{level 0}} {
    set path [srv $level stdout]
    list $path [file size $path]
}

# Wait until a line behind MARK globs PATTERN; returns the line.
proc wait_for_log {mark pattern {ms 5000}} {
    lassign $mark path offset
    set start [clock milliseconds]
    while 1 {
        foreach line [split [logs::from $path $offset] \n] {
            if {[string match $pattern $line]} {
                return $line
            }
        }
        if {[waits::over $start $ms]} {
            expect::failed "no log line matching '$pattern' within $ms ms"
        }
        after 10
    }
}

proc write_log_line {level text} {
    set channel [open [srv $level stdout] a]
    puts $channel "### $text"
    close $channel
}

# The crash report in a log, from its start to the end of the file.
proc crashlog_from_file {path} {
    set text [logs::from $path 0]
    set at [string first "BUG REPORT START" $text]
    if {$at < 0} {
        return ""
    }
    return [string range $text [string last \n $text $at]+1 end]
}

# The part of a crash report worth reading at once: up to the registers.
proc logs::crash_report {text} {
    set at [string first "------ REGISTERS" $text]
    if {$at > 0} {
        set text [string range $text 0 $at-1]
    }
    return [diff::short [string trimright $text] 6000]
}

# Sanitizer reports in a file.
proc sanitizer_errors_from_file {path} {
    set text [logs::from $path 0]
    return [expr {[regexp {Sanitizer|runtime error} $text] ? $text : ""}]
}
