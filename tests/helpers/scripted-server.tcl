# A fake server that follows a script: PORT CMD REPLY CMD REPLY ...
# It accepts one connection; each request must start with CMD and is answered with
# REPLY (raw, CRLF added). It gives up after 5 seconds.

set script [lassign $argv port]

after 5000 {
    puts "Timeout"
    exit 1
}

# One request off a channel in blocking mode: its words joined by blanks.
proc request {channel} {
    gets $channel head
    if {![regexp {^\*(\d+)} $head - count]} {
        return [string trimright $head \r]
    }
    set words {}
    for {} {$count > 0} {incr count -1} {
        gets $channel size
        lappend words [read $channel [string range [string trimright $size \r] 1 end]]
        read $channel 2
    }
    return [join $words]
}

proc accept {channel address port} {
    fconfigure $channel -translation binary -buffering none
    foreach {command reply} $::script {
        set got [request $channel]
        if {[eof $channel]} {
            puts "Connection closed"
            exit 1
        }
        if {![string match -nocase $command* $got]} {
            puts "Expected '$command', got '$got'"
            exit 1
        }
        puts -nonewline $channel $reply\r\n
    }
    close $channel
    exit 0
}

socket -server accept -myaddr 127.0.0.1 $port
vwait forever
