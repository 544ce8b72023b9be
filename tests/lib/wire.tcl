# Raw connections for tests of the wire: what was sent and received, byte for byte,
# with a deadline on every read. A test can play a replica (`wire_open`) or a primary
# (`wire_listen`, `wire_accept`).

namespace eval wire {
    variable buffer
    array set buffer {}
    variable listeners {}
    variable accepted
    array set accepted {}
    variable wait_ms 5000
    variable proxies {}
    # An RDB without keys; a checksum of zeros means that there is none.
    variable empty_rdb "REDIS0011\xff[string repeat \x00 8]"
}

proc wire_open {host port} {
    wire::adopt [raw_socket $host $port]
}

proc wire::adopt {channel} {
    variable buffer
    fconfigure $channel -translation binary -buffering none -blocking 0
    set buffer($channel) ""
    return $channel
}

# Listen on a port of this unit's; returns LISTENER PORT.
proc wire_listen {} {
    set port [ports::next]
    set listener [run_listen wire::on_accept $port]
    lappend wire::listeners $listener
    set wire::accepted($port) {}
    return [list $listener $port]
}

proc wire::on_accept {channel address port} {
    variable accepted
    set own [lindex [fconfigure $channel -sockname] 2]
    lappend accepted($own) [adopt $channel]
}

# The next connection made to the port of a listener.
proc wire_accept {port {ms 5000}} {
    set start [clock milliseconds]
    while {![llength $wire::accepted($port)]} {
        if {[waits::over $start $ms]} {
            expect::failed "no connection to port $port within $ms ms"
        }
        update
        after 2
    }
    set wire::accepted($port) [lassign $wire::accepted($port) channel]
    return $channel
}

# Read what there is; returns 0 when the peer has closed.
proc wire::fill {channel} {
    variable buffer
    if {[catch {read $channel} chunk]} {
        return 0
    }
    append buffer($channel) $chunk
    expr {$chunk ne "" || ![eof $channel]}
}

# Wait until the expression SCRIPT holds for the buffer of CHANNEL.
proc wire::await {channel ms what script} {
    variable buffer
    set start [clock milliseconds]
    while 1 {
        if {[uplevel 1 [list expr $script]]} {
            return
        }
        if {![fill $channel]} {
            if {[uplevel 1 [list expr $script]]} {
                return
            }
            expect::failed "connection closed while waiting for $what" "  got so far: '[diff::short $buffer($channel) 300]'"
        }
        if {[uplevel 1 [list expr $script]]} {
            return
        }
        if {[waits::over $start $ms]} {
            expect::failed "no $what within $ms ms" "  got so far: '[diff::short $buffer($channel) 300]'"
        }
        after 1
    }
}

proc wire_raw {channel bytes} {
    resp::note_written $bytes
    wire::write $channel $bytes
}

proc wire::write {channel bytes} {
    puts -nonewline $channel $bytes
    flush $channel
    set start [clock milliseconds]
    while {[chan pending output $channel] > 0} {
        if {[waits::over $start $resp::patience_ms]} {
            expect::failed "the peer does not read: [chan pending output $channel] bytes are left after\
                [expr {$resp::patience_ms / 1000}] s"
        }
        # What is left is written by the event loop.
        update
        after 1
    }
}

proc wire_send {channel args} {
    wire::write $channel [resp::encode $args]
}

# One line without its end.
proc wire_line {channel {ms 5000}} {
    wire::await $channel $ms "line" {[string first \n $wire::buffer($channel)] >= 0}
    set end [string first \n $wire::buffer($channel)]
    set line [string range $wire::buffer($channel) 0 $end-1]
    set wire::buffer($channel) [string range $wire::buffer($channel) $end+1 end]
    return [string trimright $line \r]
}

# The next line that is not empty: keepalives are swallowed.
proc wire_reply {channel {ms 5000}} {
    while {[set line [wire_line $channel $ms]] eq ""} {}
    return $line
}

# Send a command and return its one-line reply.
proc wire_call {channel args} {
    wire_send $channel {*}$args
    wire_reply $channel
}

proc wire_bytes {channel count {ms 5000}} {
    wire::await $channel $ms "$count bytes" {[string length $wire::buffer($channel)] >= $count}
    set bytes [string range $wire::buffer($channel) 0 $count-1]
    set wire::buffer($channel) [string range $wire::buffer($channel) $count end]
    return $bytes
}

# The next request of a peer as the bytes it sent: an array of bulk strings or an
# inline line. Keepalive newlines before it are dropped.
proc wire_request {channel {ms 5000}} {
    while {[set line [wire_line $channel $ms]] eq ""} {}
    if {![regexp {^\*(\d+)$} $line - count]} {
        return $line\r\n
    }
    set bytes $line\r\n
    for {} {$count > 0} {incr count -1} {
        set size [wire_line $channel $ms]
        append bytes $size\r\n [wire_bytes $channel [expr {[string range $size 1 end] + 2}] $ms]
    }
    return $bytes
}

# The bytes of a request as words.
proc wire_words {bytes} {
    if {[string index $bytes 0] ne "*"} {
        return [string trimright $bytes \r\n]
    }
    set words {}
    replstream::take bytes words
    return $words
}

# The next command of a replication stream that is neither SELECT nor PING.
proc wire_write {channel {ms 5000}} {
    while 1 {
        set words [wire_words [wire_request $channel $ms]]
        if {[string tolower [lindex $words 0]] ni {select ping}} {
            return $words
        }
    }
}

# A snapshot: header and content. Returns a dict of kind (disk, eof), mark, rdb.
proc wire_payload {channel {ms 10000}} {
    set header [wire_reply $channel $ms]
    if {[regexp {^\$(\d+)$} $header - size]} {
        return [dict create kind disk mark "" rdb [wire_bytes $channel $size $ms]]
    }
    if {![regexp {^\$EOF:(.{40})$} $header - mark]} {
        expect::failed "Expected a payload header, got '$header'"
    }
    wire::await $channel $ms "end mark" {[string first $mark $wire::buffer($channel)] >= 0}
    set at [string first $mark $wire::buffer($channel)]
    set rdb [wire_bytes $channel $at]
    wire_bytes $channel 40
    return [dict create kind eof mark $mark rdb $rdb]
}

# A snapshot behind a FULLRESYNC line.
proc wire_payload_after_fullresync {channel} {
    assert_match +FULLRESYNC* [wire_reply $channel]
    wire_payload $channel
}

# Does nothing arrive for MS milliseconds? (The time is what is being tested.)
proc wire_silent {channel ms} {
    set end [expr {[clock milliseconds] + $ms}]
    while {[clock milliseconds] < $end} {
        if {$wire::buffer($channel) ne "" || ![wire::fill $channel]} {
            return 0
        }
        after 5
    }
    return [expr {$wire::buffer($channel) eq ""}]
}

# Wait until the peer closes; what it sent before is dropped.
proc wire_closed {channel {ms 5000}} {
    set start [clock milliseconds]
    while {[wire::fill $channel]} {
        if {[waits::over $start $ms]} {
            expect::failed "the peer did not close within $ms ms" "  it sent: '[diff::short $wire::buffer($channel) 300]'"
        }
        after 2
    }
    return 1
}

proc wire_close {channel} {
    catch {close $channel}
    unset -nocomplain wire::buffer($channel)
    return ""
}

# Everything a test opened: a server waits for its replicas at the end.
proc wire_close_all {} {
    foreach channel [array names wire::buffer] {
        wire_close $channel
    }
    foreach listener $wire::listeners {
        catch {close $listener}
    }
    set wire::listeners {}
    array unset wire::accepted
    foreach proxy $wire::proxies {
        catch {load::stop [dict get $proxy pid]}
    }
    set wire::proxies {}
    return ""
}

# A replica played by the test: PING and REPLCONF done, ready for PSYNC.
proc wire_replica {host port args} {
    set channel [wire_open $host $port]
    assert_equal +PONG [wire_call $channel PING]
    if {[llength $args]} {
        assert_equal +OK [wire_call $channel REPLCONF {*}$args]
    }
    return $channel
}

# A proxy in a process of its own that keeps what passes. Returns a dict with `port`.
proc start_wire_proxy {host port} {
    set own [ports::next]
    set dir [file join $unit::dir proxy.$own]
    file mkdir $dir
    set pid [load::start wire-proxy $own $host $port $dir]
    wait_for_condition 100 20 {[file exists $dir/ready]} else {
        fail "the proxy did not start"
    }
    set proxy [dict create port $own dir $dir pid $pid]
    lappend wire::proxies $proxy
    return $proxy
}

# The bytes of connection N (0 is the first) of a proxy: `in` towards the server,
# `out` from it.
proc proxied {proxy n direction} {
    set path [dict get $proxy dir]/$n.$direction
    expr {[file exists $path] ? [logs::from $path 0] : ""}
}

proc proxied_count {proxy} {
    llength [glob -nocomplain -directory [dict get $proxy dir] *.in]
}
