# The replication stream as a raw socket sees it.

namespace eval replstream {
    variable buffer
    array set buffer {}
    variable wait_ms 1000
}

# Become a replica of the innermost server by SYNC, and swallow the snapshot. The
# ping period is made long, so that only commands follow. Returns the channel.
proc attach_to_replication_stream {} {
    r config set repl-ping-replica-period 3600
    attach_to_replication_stream_on_connection [raw_socket [srv host] [srv port]]
}

proc attach_to_replication_stream_on_connection {channel} {
    wire::adopt $channel
    wire_raw $channel "SYNC\r\n"
    wire_payload $channel $resp::patience_ms
    # What came behind the snapshot is the stream's.
    set replstream::buffer($channel) $wire::buffer($channel)
    unset wire::buffer($channel)
    return $channel
}

# Take one whole command off BUFFER; returns 1 and sets WORDS, or returns 0.
proc replstream::take {buffer_name words_name} {
    upvar 1 $buffer_name buffer $words_name words
    set buffer [string trimleft $buffer \n]
    if {![regexp -indices {^\*(\d+)\r\n} $buffer head count]} {
        if {[string length $buffer] && [string index $buffer 0] ne "*"} {
            set end [string first \r\n $buffer]
            if {$end < 0} {
                return 0
            }
            set words [split [string range $buffer 0 $end-1]]
            set buffer [string range $buffer $end+2 end]
            return 1
        }
        return 0
    }
    set at [expr {[lindex $head 1] + 1}]
    set list {}
    for {set i [string range $buffer {*}$count]} {$i > 0} {incr i -1} {
        set end [string first \r\n $buffer $at]
        if {$end < 0} {
            return 0
        }
        set size [string range $buffer $at+1 $end-1]
        set from [expr {$end + 2}]
        if {[string length $buffer] < $from + $size + 2} {
            return 0
        }
        lappend list [string range $buffer $from [expr {$from + $size - 1}]]
        set at [expr {$from + $size + 2}]
    }
    set words $list
    set buffer [string range $buffer $at end]
    return 1
}

# The next command as a list of words, the first in lower case; empty after 1 s.
proc read_from_replication_stream {channel} {
    set end [expr {[clock milliseconds] + $replstream::wait_ms * $::slow_factor}]
    while 1 {
        if {[replstream::take replstream::buffer($channel) words]} {
            return [lreplace $words 0 0 [string tolower [lindex $words 0]]]
        }
        set chunk [read $channel]
        if {$chunk ne ""} {
            append replstream::buffer($channel) $chunk
            continue
        }
        if {[eof $channel] || [clock milliseconds] > $end} {
            return ""
        }
        after 2
    }
}

# The next commands glob PATTERNS, one by one.
proc assert_replication_stream {channel patterns} {
    set seen {}
    foreach pattern $patterns {
        set words [read_from_replication_stream $channel]
        lappend seen $words
        if {![string match $pattern $words]} {
            expect::failed "Expected '[diff::short $words]' to match '$pattern' as command\
                [llength $seen] of the replication stream" "  read so far:\n    [join $seen "\n    "]"
        }
    }
}

proc close_replication_stream {channel} {
    close $channel
    unset -nocomplain replstream::buffer($channel)
    r config set repl-ping-replica-period 10
    return ""
}

# Close what a failed test left open: a server waits for its replicas at the end.
proc replstream::close_all {} {
    variable buffer
    foreach channel [array names buffer] {
        catch {close $channel}
    }
    array unset buffer
}
