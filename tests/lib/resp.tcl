# The RESP2/RESP3 client: `set c [valkey HOST PORT ?DEFER? ?TLS?]`, then
# `$c COMMAND ARGS...` sends a command and returns its reply.
#
# Error replies raise a Tcl error with the text behind the `-`. Null is the empty
# string, arrays, sets and pushes are lists, maps are flat dicts, booleans 1/0,
# verbatim strings lose their 4-byte prefix. An error inside an array raises after
# the array was read to its end.

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
}
namespace eval valkey {}

proc valkey {{server 127.0.0.1} {port 6379} {defer 0} {tls 0} {tlsoptions {}} {readraw 0}} {
    set id [incr resp::next]
    resp::init $id $server $port $defer $readraw
    interp alias {} ::valkey::client$id {} resp::dispatch $id
    return ::valkey::client$id
}

proc resp::init {id host port defer readraw} {
    variable state
    array set state [list $id,host $host $id,port $port $id,deferred $defer $id,blocking 1 \
        $id,readraw $readraw $id,reconnect 0 $id,attributes {} $id,sent {} $id,callbacks {} $id,fd ""]
    connect $id
}

proc resp::connect {id} {
    variable state
    set fd [socket $state($id,host) $state($id,port)]
    fconfigure $fd -translation binary -buffering full -buffersize 65536
    set state($id,fd) $fd
    set words [resp::credentials $state($id,host) $state($id,port)]
    if {[llength $words]} {
        puts -nonewline $fd [encode [concat AUTH $words]]
        flush $fd
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
    set channel [socket $host $port]
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
    set buffer "*[llength $words]\r\n"
    foreach word $words {
        append buffer "$[string length $word]\r\n" $word "\r\n"
    }
    return $buffer
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
    if {$fd eq "" || [catch {gets $fd line} n] || $n < 0 || ($n == 0 && [eof $fd])} {
        io_error $id
    }
    if {[string index $line end] eq "\r"} {
        return [string range $line 0 end-1]
    }
    return $line
}

proc resp::bytes {id count} {
    variable state
    set fd $state($id,fd)
    if {[catch {::read $fd $count} data] || [string length $data] != $count
            || [catch {::read $fd 2}]} {
        io_error $id
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
    if {$state($id,fd) eq ""} {
        connect $id
    }
    puts -nonewline $state($id,fd) $buffer
}

proc resp::method_flush {id} {
    variable state
    if {[catch {flush $state($id,fd)} message]} {
        lost $id
        error "I/O error: $message"
    }
}

proc resp::method_rawread {id {count -1}} {
    variable state
    flush $state($id,fd)
    if {$count < 0} {
        return [::read $state($id,fd)]
    }
    return [::read $state($id,fd) $count]
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

proc resp::method_channel {id} {
    variable state
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
