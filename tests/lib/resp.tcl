# The RESP2/RESP3 client: `set c [valkey HOST PORT ?DEFER? ?TLS?]`, then
# `$c COMMAND ARGS...` sends a command and returns its reply.
#
# Error replies raise a Tcl error with the text behind the `-`. Null is the empty
# string, arrays, sets and pushes are lists, maps are flat dicts, booleans 1/0,
# verbatim strings lose their 4-byte prefix. An error inside an array raises after
# the array was read to its end.
#
# A reply that does not come within `patience_ms` raises as well: connections do not
# block, and waiting goes through the event loop.

namespace eval resp {
    variable next 0
    # Per client ID: fd host port deferred blocking readraw reconnect attributes
    # sent (the last commands) callbacks.
    variable state
    array set state {}
    variable latest {}
    variable methods {
        read write flush rawread readraw deferred blocking attributes channel
        reconnect close
    }
    # Deepest nesting of arrays accepted from a server.
    variable max_depth 200
    # How long a reply may take: far above what any command of a test takes on a busy
    # machine, far below the deadline of a test. `reply_within` changes it for a test.
    variable default_patience_ms 20000
    variable patience_ms $default_patience_ms
    # Set by the event a client waits for.
    variable woken
    array set woken {}
    # With --events: which words were sent. Keys are the command, then `first` (in the
    # place of a subcommand) or `more`, then the word.
    variable recording 0
    variable words_sent {}
    # Words that may be an option or a subcommand: data are mostly not.
    variable option_pattern {^[a-z][a-z_-]{0,23}$|^[=~*$]$}
    # How many arguments, at either end of a command, are looked at.
    variable looked_at 30
    # How much output may wait in the process before a writer waits for its peer.
    variable output_bytes_max 1048576
}
namespace eval valkey {}

proc valkey {{server 127.0.0.1} {port 6379} {defer 0} {tls ""} {tlsoptions {}} {readraw 0}} {
    set id [incr resp::next]
    resp::init $id $server $port $defer $readraw [expr {$tls eq "" ? $::tls : $tls}]
    interp alias {} ::valkey::client$id {} resp::dispatch $id
    return ::valkey::client$id
}

proc resp::init {id host port defer readraw tls} {
    variable state
    array set state [list $id,host $host $id,port $port $id,deferred $defer $id,blocking 1 \
        $id,readraw $readraw $id,tls $tls $id,reconnect 0 $id,attributes {} $id,sent {} $id,callbacks {} $id,fd ""]
    connect $id
}

proc resp::connect {id} {
    variable state
    set open [expr {$state($id,tls) ? "tls_socket" : "socket"}]
    set fd [$open $state($id,host) $state($id,port)]
    fconfigure $fd -translation binary -buffering full -buffersize 65536 -blocking 0
    set state($id,fd) $fd
    set words [resp::credentials $state($id,host) $state($id,port)]
    if {[llength $words]} {
        transmit $id [encode [concat AUTH $words]]
        set raw $state($id,readraw)
        set state($id,readraw) 0
        read_reply $id
        set state($id,readraw) $raw
    }
}

# The words of AUTH behind the command's name, for the external server only; empty
# when no user and no password were given.
proc resp::credentials {host port} {
    if {!$::external || ($::user eq "" && $::pass eq "") || $host ne $::host || $port != $::port} {
        return {}
    }
    concat [expr {$::user eq "" ? {} : [list $::user]}] [list $::pass]
}

# A plain connection, logged in like the clients are, for bytes of the test's own.
proc raw_socket {host port} {
    set channel [run_socket $host $port]
    set words [resp::credentials $host $port]
    if {[llength $words]} {
        fconfigure $channel -translation binary -buffering none -blocking 1
        puts -nonewline $channel [resp::encode [concat AUTH $words]]
        gets $channel line
        if {![string match +OK* $line]} {
            error "[string range [string trimright $line] 1 end] (see --user and --pass)"
        }
    }
    return $channel
}

# Log CLIENT in again, where that is needed: RESET has logged it out.
proc authenticate {client} {
    set words [resp::credentials $::host $::port]
    if {[llength $words]} {
        {*}$client auth {*}$words
    }
}

# The wire form of a command.
proc resp::encode {words} {
    if {$resp::recording} {
        note_sent $words
    }
    set buffer "*[llength $words]\r\n"
    foreach word $words {
        append buffer "$[string length $word]\r\n" $word "\r\n"
    }
    return $buffer
}

proc resp::note_sent {words} {
    variable words_sent
    variable option_pattern
    variable looked_at
    set words [lassign $words command]
    set command [string tolower $command]
    if {![regexp $option_pattern $command]} {
        return
    }
    if {[llength $words] > 2 * $looked_at} {
        set words [concat [lrange $words 0 $looked_at-1] [lrange $words end-[expr {$looked_at - 1}] end]]
    }
    dict set words_sent $command - - 1
    set place first
    foreach word $words {
        set word [string tolower $word]
        if {[regexp $option_pattern $word]} {
            dict set words_sent $command $place $word 1
        }
        set place more
    }
}

# The same for bytes that a test writes itself, when they are inline commands.
proc resp::note_written {bytes} {
    if {$resp::recording && [string length $bytes] < 1000} {
        foreach line [split $bytes \n] {
            if {[regexp {^[A-Za-z]+(?: [\w=~*$-]+)*\r?$} $line]} {
                note_sent [split [string trimright $line \r]]
            }
        }
    }
}

proc resp::dispatch {id args} {
    variable state
    variable methods
    variable latest
    set name [lindex $args 0]
    if {$name in $methods} {
        return [method_$name $id {*}[lrange $args 1 end]]
    }
    set callback ""
    if {!$state($id,blocking)} {
        set callback [lindex $args end]
        set args [lrange $args 0 end-1]
    }
    lappend state($id,sent) $args
    if {[llength $state($id,sent)] > 40} {
        set state($id,sent) [lrange $state($id,sent) end-9 end]
    }
    set latest $id
    set words [encode $args]
    if {$state($id,blocking) && !$state($id,deferred) && $state($id,reconnect)} {
        # Once more on a new connection when this one turns out to be broken.
        if {![catch {transmit $id $words; read_reply $id} value options]
                || ![string match "I/O error*" $value]} {
            return -options $options $value
        }
    }
    transmit $id $words
    if {!$state($id,blocking)} {
        lappend state($id,callbacks) $callback
        fileevent $state($id,fd) readable [list resp::readable $id]
        return
    }
    if {$state($id,deferred)} {
        return
    }
    return [read_reply $id]
}

# Write and flush. A connection known to be closed is opened anew.
proc resp::transmit {id buffer} {
    variable state
    if {$state($id,fd) eq ""} {
        connect $id
    }
    set fd $state($id,fd)
    if {[catch {puts -nonewline $fd $buffer; flush $fd} message]} {
        lost $id
        error "I/O error: $message"
    }
    drain $id 0
}

# Wait until no more than COUNT bytes of output are left in this process.
proc resp::drain {id count} {
    variable state
    while {$state($id,fd) ne "" && [chan pending output $state($id,fd)] > $count} {
        await $id writable
        if {$state($id,fd) ne "" && [catch {flush $state($id,fd)} message]} {
            lost $id
            error "I/O error: $message"
        }
    }
}

# Wait until the connection is readable or writable, but not for ever.
proc resp::await {id what} {
    variable state
    variable woken
    variable patience_ms
    set fd $state($id,fd)
    set before [fileevent $fd $what]
    set start [clock milliseconds]
    set woken($id) ""
    fileevent $fd $what [list set ::resp::woken($id) event]
    while {$woken($id) ne "event"} {
        set timer [after 1000 [list set ::resp::woken($id) time]]
        vwait ::resp::woken($id)
        after cancel $timer
        # A callback may have closed the client meanwhile.
        if {![info exists state($id,fd)] || $state($id,fd) ne $fd} {
            error "I/O error: the connection was closed"
        }
        if {$woken($id) eq "time" && $patience_ms > 0 && [waits::over $start $patience_ms]} {
            give_up $id $what
        }
    }
    fileevent $fd $what $before
}

# Nothing came. The connection is of no use any more: a late reply would be taken for
# that to another command.
proc resp::give_up {id what} {
    variable state
    variable patience_ms
    variable latest $id
    set place "$state($id,host) port $state($id,port)"
    dict for {pid server} $servers::running {
        if {[dict get $server port] == $state($id,port)} {
            append place ", pid $pid, process state [lindex [reaper::stat $pid] 0]"
        }
    }
    set command [diff::short [diff::printable [lindex $state($id,sent) end]] 200]
    lost $id
    error "no answer within [expr {$patience_ms / 1000}] s: the server at $place [expr {$what eq "readable"
        ? "sent no (whole) reply; the last command was: $command"
        : "does not read; the last command was: $command"}]"
}

# The replies of the running test may take up to SECONDS.
proc reply_within {seconds} {
    set resp::patience_ms [expr {$seconds * 1000}]
}

# Forget a broken connection.
proc resp::lost {id} {
    variable state
    catch {close $state($id,fd)}
    set state($id,fd) ""
}

proc resp::io_error {id} {
    lost $id
    error "I/O error reading reply"
}

# One line without its CRLF.
proc resp::line {id} {
    variable state
    set fd $state($id,fd)
    if {$fd eq ""} {
        io_error $id
    }
    while {![catch {gets $fd line} n] && $n < 0 && [fblocked $fd]} {
        await $id readable
    }
    if {$n < 0 || ![string is integer $n] || ($n == 0 && [eof $fd])} {
        io_error $id
    }
    if {[string index $line end] eq "\r"} {
        return [string range $line 0 end-1]
    }
    return $line
}

proc resp::bytes {id count} {
    set data [read_bytes $id [expr {$count + 2}]]
    if {[string length $data] != $count + 2} {
        io_error $id
    }
    return [string range $data 0 end-2]
}

# COUNT bytes, or all up to the end when that is negative; fewer at the connection's end.
proc resp::read_bytes {id count} {
    variable state
    set fd $state($id,fd)
    set data ""
    while {$fd ne "" && ($count < 0 || [string length $data] < $count)} {
        set wanted [expr {$count < 0 ? {} : $count - [string length $data]}]
        if {[catch {::read $fd {*}$wanted} chunk]} {
            break
        }
        append data $chunk
        if {[eof $fd]} {
            break
        }
        if {[fblocked $fd]} {
            await $id readable
        }
    }
    return $data
}

# Read one whole reply, raising error replies.
proc resp::read_reply {id} {
    variable state
    if {$state($id,readraw)} {
        return [line $id]
    }
    set problem ""
    set state($id,attributes) {}
    set value [parse $id 0 problem]
    if {$problem ne ""} {
        return -code error [string range $problem 1 end]
    }
    return $value
}

# Read one reply. The first error found is left in PROBLEM behind a dash.
proc resp::parse {id depth problem_name} {
    upvar 1 $problem_name problem
    variable state
    variable max_depth
    while 1 {
        set line [line $id]
        set rest [string range $line 1 end]
        switch -- [string index $line 0] {
            ":" - "(" - "+" - "," { return $rest }
            "$" {
                if {$rest < 0} { return "" }
                return [bytes $id $rest]
            }
            "*" - "~" - ">" - "%" {
                if {$rest < 0} { return "" }
                if {$depth >= $max_depth} {
                    lost $id
                    error "Bad protocol, replies are nested too deeply"
                }
                set count [expr {[string index $line 0] eq "%" ? 2 * $rest : $rest}]
                set list {}
                for {set i 0} {$i < $count} {incr i} {
                    lappend list [parse $id [expr {$depth + 1}] problem]
                }
                return $list
            }
            "-" {
                if {$problem eq ""} { set problem $line }
                return $rest
            }
            "!" {
                set text [bytes $id $rest]
                if {$problem eq ""} { set problem -$text }
                return $text
            }
            "_" { return "" }
            "#" { return [expr {$rest eq "t"}] }
            "=" { return [string range [bytes $id $rest] 4 end] }
            "|" {
                set attributes {}
                for {set i 0} {$i < 2 * $rest} {incr i} {
                    lappend attributes [parse $id [expr {$depth + 1}] problem]
                }
                set state($id,attributes) $attributes
            }
            default {
                if {$line eq ""} {
                    lost $id
                    error "Bad protocol, an empty line as reply"
                }
                lost $id
                error "Bad protocol, '[string index $line 0]' as reply type byte"
            }
        }
    }
}

# A reply for a client in callback mode: CALLBACK CLIENT reply|err|eof VALUE.
proc resp::readable {id} {
    variable state
    while {$state($id,fd) ne ""} {
        set kind reply
        if {[catch {read_reply $id} value]} {
            set kind [expr {$state($id,fd) eq "" ? "eof" : "err"}]
        }
        set state($id,callbacks) [lassign $state($id,callbacks) callback]
        if {$callback ne ""} {
            uplevel #0 [list {*}$callback ::valkey::client$id $kind $value]
        }
        if {![info exists state($id,fd)] || $state($id,fd) eq ""
                || [chan pending input $state($id,fd)] == 0} {
            return
        }
    }
}

proc resp::method_read {id} {
    read_reply $id
}

proc resp::method_write {id buffer} {
    variable state
    variable latest $id
    lappend state($id,sent) [list (raw) $buffer]
    note_written $buffer
    if {$state($id,fd) eq ""} {
        connect $id
    }
    variable output_bytes_max
    puts -nonewline $state($id,fd) $buffer
    drain $id $output_bytes_max
}

proc resp::method_flush {id} {
    transmit $id ""
}

proc resp::method_rawread {id {count -1}} {
    transmit $id ""
    read_bytes $id $count
}

proc resp::method_readraw {id on} {
    variable state
    set state($id,readraw) $on
}

proc resp::method_deferred {id on} {
    variable state
    set state($id,deferred) $on
}

proc resp::method_blocking {id on} {
    variable state
    set state($id,blocking) $on
    if {$on && $state($id,fd) ne ""} {
        fileevent $state($id,fd) readable {}
    }
}

proc resp::method_reconnect {id on} {
    variable state
    set state($id,reconnect) $on
}

proc resp::method_attributes {id} {
    variable state
    return $state($id,attributes)
}

# For what a test does with the channel itself, which expects it to block.
proc resp::method_channel {id} {
    variable state
    fconfigure $state($id,fd) -blocking 1
    return $state($id,fd)
}

proc resp::method_close {id} {
    variable state
    catch {close $state($id,fd)}
    array unset state $id,*
    catch {interp alias {} ::valkey::client$id {}}
    return ""
}

# The last COUNT commands sent on the client that was used last.
proc resp::recent {count} {
    variable state
    variable latest
    if {$latest eq "" || ![info exists state($latest,sent)]} {
        return {}
    }
    return [lmap words [lrange $state($latest,sent) end-[expr {$count - 1}] end] {
        diff::short [diff::printable [join [lmap word [lrange $words 0 9] {diff::short $word 60}]]] 200
    }]
}

# The wire form of a command, for `write`.
proc format_command {args} {
    resp::encode $args
}
proc formatCommand {args} {
    resp::encode $args
}
