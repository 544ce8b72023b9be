# What tests of scripts need.

# The words of a script's error without what tells which script it was.
proc script_error {args} {
    if {![catch {{*}$args} message]} {
        error "no error but: $message"
    }
    regsub { script: [0-9a-f]{40}, on } $message { on } message
    return $message
}

# The bytes of a reply to one request of a connection of its own that speaks this protocol.
proc raw_eval {protocol args} {
    set channel [raw_socket [srv host] [srv port]]
    fconfigure $channel -translation binary
    puts -nonewline $channel "HELLO $protocol\r\n"
    set request "*[llength $args]\r\n"
    foreach word $args {
        append request "\$[string length $word]\r\n$word\r\n"
    }
    puts -nonewline $channel $request
    puts -nonewline $channel "*2\r\n\$4\r\nECHO\r\n\$8\r\nthe-end!\r\nQUIT\r\n"
    flush $channel
    set all [read $channel]
    close $channel
    set end [string first "\$8\r\nthe-end!\r\n" $all]
    # What HELLO says ends with an empty list of modules.
    set start [string first "modules\r\n*0\r\n" $all]
    return [string range $all [expr {$start + 13}] [expr {$end - 1}]]
}

# A script that runs until it is killed, of a client of its own, once others are told that the server is busy.
proc busy_client {args} {
    set client [valkey_deferring_client]
    $client {*}$args
    wait_for_condition 100 20 {
        [catch {r ping} message] == 1 && [string match "BUSY*" $message]
    } else {
        fail "the script is not busy"
    }
    return $client
}
