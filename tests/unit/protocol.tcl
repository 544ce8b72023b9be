# The wire protocol: inline and multibulk requests, malformed input, limits, RESP3.

# Send raw bytes on a new connection and return the first reply line, or
# `closed` when the server hangs up without one.
proc protocol_answer {bytes} {
    set channel [raw_socket [srv host] [srv port]]
    fconfigure $channel -translation binary
    puts -nonewline $channel $bytes
    flush $channel
    set n [gets $channel line]
    close $channel
    return [expr {$n < 0 ? "closed" : [string trimright $line \r]}]
}

start_server {tags {"protocol network"}} {
    test {an empty query is ignored} {
        reconnect
        r write "\r\n"
        r flush
        assert_equal PONG [r ping]
    }

    test {a multibulk of zero or negative length is ignored} {
        r write "*0\r\n*-10\r\nPING\r\n"
        r flush
        assert_equal PONG [r read]
    }

    test {inline requests: words, quotes, escapes} {
        assert_equal +PONG [protocol_answer "PING\r\n"]
        assert_equal +PONG [protocol_answer "ping\n"]
        assert_equal {$3} [protocol_answer "PING \"a b\"\r\n"]
        assert_equal {$4} [protocol_answer "  PING  'it\\'s'  \r\n"]
        assert_equal {$1} [protocol_answer "PING \"\\x41\"\r\n"]
        assert_equal {$3} [protocol_answer "\x0b PING a\x0bb\r\n"]
        assert_equal {$2} [protocol_answer "PING a\x0c\r\n"]
        assert_equal {-ERR Protocol error: unbalanced quotes in request} [protocol_answer "PING \"a\r\n"]
        assert_equal {-ERR Protocol error: unbalanced quotes in request} [protocol_answer "PING \"a\"b\r\n"]
    }

    # What a line of words comes to, byte by byte: the word as it is written, and the bytes that it stands for in hexadecimal.
    foreach {kind words} {
        {in double quotes} {
            {"\x41"} 41  {"\x4a\x4B\xfF\x00"} {4a 4b ff 00}  {"\x0d\x0a"} {0d 0a}  {"\x22\x5c"} {22 5c}
            {"\n\r\t\b\a"} {0a 0d 09 08 07}  {"\\\""} {5c 22}  {""} {}  {"a'b"} {61 27 62}
            {"\q\0\v\e"} {71 30 76 65}  {"\X41"} {58 34 31}
            {"\x4"} {78 34}  {"\x"} 78  {"\x4g"} {78 34 67}  {"\xg1"} {78 67 31}
        }
        {in single quotes} {
            {'\''} 27  {'it\'s'} {69 74 27 73}  {'\n\x41'} {5c 6e 5c 78 34 31}  {'a"b'} {61 22 62}  {''} {}
            {'a\\b'} {61 5c 5c 62}
        }
        {without quotes} {
            {\n\x41} {5c 6e 5c 78 34 31}  {a"b"} {61 62}  {a"b c"} {61 62 20 63}  {a'\''} {61 27}  {a\b} {61 5c 62}
        }
    } {
        test "inline requests: escapes $kind" {
            foreach {word bytes} $words {
                set channel [wire_open [srv host] [srv port]]
                wire_raw $channel "ECHO $word\r\nPING\r\n"
                assert_equal "\$[llength $bytes]" [wire_reply $channel] $word
                assert_equal [join $bytes ""] [binary encode hex [wire_bytes $channel [llength $bytes]]] $word
                wire_bytes $channel 2
                assert_equal +PONG [wire_reply $channel]
            }
            wire_close_all
        }
    }

    test {inline requests: quotes that do not balance end the connection} {
        foreach line {{ECHO "a} {ECHO 'a} {ECHO "a"b} {ECHO 'a'b} {ECHO "a\"} {ECHO 'a\'} {ECHO a"b c"d} {ECHO \"a} {"} {'} {ECHO "x"y"}} {
            set channel [wire_open [srv host] [srv port]]
            # What stands in front of it is answered, what stands behind it is not.
            wire_raw $channel "PING\r\n$line\r\nPING\r\n"
            assert_equal +PONG [wire_reply $channel]
            assert_equal {-ERR Protocol error: unbalanced quotes in request} [wire_reply $channel] $line
            assert [wire_closed $channel]
        }
        wire_close_all
    }

    test {malformed lengths are refused} {
        foreach {bytes error} {
            "*3000000000\r\n"            "invalid multibulk length"
            "*abc\r\n"                   "invalid multibulk length"
            "*1\r\n$-10\r\n"             "invalid bulk length"
            "*1\r\n$2000000000\r\n"      "invalid bulk length"
            "*1\r\n\$blabla\r\n"         "invalid bulk length"
            "*1\r\nfoo\r\n"              "expected '$', got 'f'"
        } {
            assert_equal "-ERR Protocol error: $error" [protocol_answer [subst -nocommands -novariables $bytes]] $bytes
        }
    }

    test {a line that never ends is refused} {
        assert_equal "-ERR Protocol error: too big inline request" [protocol_answer [string repeat A 70000]]
        assert_equal "-ERR Protocol error: too big mbulk count string" [protocol_answer "*[string repeat 1 70000]"]
        assert_equal "-ERR Protocol error: too big bulk count string" [protocol_answer "*1\r\n$[string repeat 1 70000]"]
    }

    test {the connection is closed after a protocol error} {
        set channel [raw_socket [srv host] [srv port]]
        fconfigure $channel -translation binary
        puts -nonewline $channel "*1\r\nfoo\r\nPING\r\n"
        flush $channel
        assert_match {-ERR Protocol error*} [gets $channel]
        assert_equal {} [gets $channel]
        assert_equal 1 [eof $channel]
        close $channel
    }

    test {wrong number of arguments and unknown commands} {
        assert_error {ERR wrong number of arguments for 'get' command} {r get}
        assert_error {ERR wrong number of arguments for 'get' command} {r get a b}
        assert_error {ERR unknown command 'foo', with args beginning with: 'bar' 'x y' } {r foo bar "x y"}
        assert_error {ERR unknown subcommand 'nope'. Try CONFIG HELP.} {r config nope}
    }

    test {a request may arrive in pieces} {
        set channel [raw_socket [srv host] [srv port]]
        fconfigure $channel -translation binary -buffering none
        foreach piece [split "*2\r\n\$4\r\nECHO\r\n\$5\r\nhello\r\n" ""] {
            puts -nonewline $channel $piece
        }
        assert_equal "\$5\r" [gets $channel]
        assert_equal "hello\r" [gets $channel]
        close $channel
    }

    test {requests may arrive together, replies come in order} {
        set rd [valkey_deferring_client]
        set batch ""
        for {set i 0} {$i < 1000} {incr i} {
            append batch [format_command echo $i]
        }
        $rd write $batch
        $rd flush
        for {set i 0} {$i < 1000} {incr i} {
            assert_equal $i [$rd read]
        }
        $rd close
    }

    test {values are binary safe} {
        set value "\x00\r\n\xff\x80*\$\r\n"
        r set bin $value
        assert_equal $value [r get bin]
        assert_equal [string length $value] [r strlen bin]
    }

    test {null, empty and nested replies differ on the wire} {
        r del none
        r set empty ""
        r readraw 1
        r get none
    } {$-1}

    test {an empty string is a bulk of length 0} {
        r set empty ""
        r readraw 1
        assert_equal {$0} [r get empty]
        assert_equal {} [r read]
        assert_equal *0 [r lrange none 0 -1]
        r readraw 0
    } {*}

    test {RESP3: types on the wire} {
        foreach {type line} {
            string {$11} integer :12345 double ,3.141 null _ array *3 set ~3 map %3
            bignum (1234567999999999999999999999999999999 true #t false #f verbatim =29 attrib |1
        } {
            reconnect
            r hello 3
            r readraw 1
            assert_equal $line [r debug protocol $type] $type
        }
        reconnect
    } {*} {needs:debug}

    test {HELLO switches between the protocols} {
        assert_equal 2 [dict get [r hello] proto]
        assert_equal 3 [dict get [r hello 3] proto]
        r readraw 1
        assert_equal _ [r get none]
        r readraw 0
        assert_equal 2 [dict get [r hello 2] proto]
        assert_error {NOPROTO unsupported protocol version} {r hello 4}
        assert_error {ERR Protocol version is not an integer or out of range} {r hello x}
    }

    test {HELLO names Redis to those who have asked for that} {
        assert_equal {valkey 8.0.1} [lmap field {server version} {dict get [r hello] $field}]
        set old [config_get_set extended-redis-compatibility yes]
        assert_equal {redis 7.2.4} [lmap field {server version} {dict get [r hello] $field}]
        r config set extended-redis-compatibility $old
    } {OK}

    test {RESET gives up what the connection was used for} {
        set c [valkey_deferring_client]
        foreach command {
            {hello 3} {client setname me} {client no-touch on} {client no-evict on} {client tracking on} {watch k} {multi} {ping}
        } {
            $c {*}$command
            $c read
        }
        $c reset
        assert_equal RESET [$c read]
        $c client info
        assert_match {* name= * flags=N * multi=-1 watch=0 * redir=-1 resp=2 *} [$c read]
        subscribe $c {news}
        $c reset
        assert_equal RESET [$c read]
        assert_equal 0 [r publish news x]
        # Outside of a transaction, with nothing that could break one.
        $c watch k
        $c read
        r set k v
        $c reset
        $c read
        $c multi
        $c exec
        assert_equal {OK {}} [list [$c read] [$c read]]
        $c close
        r del k
    } {1} {needs:reset external:skip}

    test {RESET goes back to RESP2 and database 0} {
        r hello 3
        assert_equal RESET [r reset]
        authenticate r
        assert_match {*resp=2*} [r client info]
        assert_match {*db=0*} [r client info]
        reconnect
    } {*} {singledb:skip needs:reset}

    test {a big argument is taken and given back} {
        set big [string repeat abcdefghij 400000]
        r set big $big
        assert_equal [string length $big] [r strlen big]
        assert_equal 1 [expr {[r get big] eq $big}]
        r del big
    } {1}
}

start_server {tags {"protocol external:skip"} overrides {proto-max-bulk-len 1048576}} {
    test {proto-max-bulk-len bounds an argument} {
        assert_equal {-ERR Protocol error: invalid bulk length} [protocol_answer "*2\r\n\$4\r\nECHO\r\n\$1048577\r\n"]
        r set fits [string repeat x 1048576]
        assert_equal 1048576 [r strlen fits]
        assert_error {ERR string exceeds maximum allowed size*} {r append fits y}
    }

    test {proto-max-bulk-len counts at once, also for connections that are there} {
        set before [valkey_client]
        $before ping
        r config set proto-max-bulk-len 2097152
        $before set fits [string repeat x 2097152]
        assert_equal 2097152 [$before strlen fits]
        r config set proto-max-bulk-len 1048576
        # The announcement alone: a server that has hung up takes no more.
        $before write "*2\r\n\$4\r\nECHO\r\n\$1048577\r\n"
        $before flush
        assert_error {*Protocol error: invalid bulk length*} {$before read}
        assert_equal 2097152 [r strlen fits]
        $before close
    }
}

start_server {tags {"protocol external:skip"}} {
    test {before AUTH only small requests are read} {
        r config set requirepass secret
        assert_equal {-ERR Protocol error: unauthenticated multibulk length} [protocol_answer "*11\r\n"]
        assert_equal {-ERR Protocol error: unauthenticated bulk length} [protocol_answer "*1\r\n\$16385\r\n"]
        assert_match {-NOAUTH*} [protocol_answer "PING\r\n"]
        r config set requirepass ""
    } {OK}
}

# Sends BEFORE pings, a pop that waits and BYTES at once; returns the client when it waits.
proc protocol_wait {before bytes} {
    set rd [valkey_deferring_client]
    $rd write "[string repeat "PING\r\n" $before]BLPOP queue 0\r\n$bytes"
    $rd flush
    for {set i 0} {$i < $before} {incr i} {
        assert_equal PONG [$rd read]
    }
    wait_for_blocked_client
    return $rd
}

start_server {tags {"protocol network"}} {
    test {a pipeline goes on behind a command that has waited, wherever in it that stands} {
        foreach before {0 1 63 127 255 511 1023 2047 4095} {
            set rd [protocol_wait $before "PING\r\nECHO behind\r\n"]
            r rpush queue x
            assert_equal {queue x} [$rd read]
            assert_equal PONG [$rd read] "$before before"
            assert_equal behind [$rd read]
            $rd close
        }
    }

    test {what is wrong behind a command that waits is found when that is over} {
        foreach before {0 511} {
            set rd [protocol_wait $before "PING\r\n*1\r\nfoo\r\n"]
            r rpush queue x
            assert_equal {queue x} [$rd read]
            assert_equal PONG [$rd read]
            assert_error {*Protocol error: expected '$', got 'f'} {$rd read}
            $rd close
        }
    }
}

start_server {tags {"protocol network needs:debug"} overrides {enable-debug-command yes io-threads 1}} {
    test {a long pipeline leaves others their turn} {
        set rd [valkey_deferring_client]
        set other [valkey_deferring_client]
        set pipeline [string repeat "INCR counter\r\n" 60000]
        $rd write "CLIENT REPLY OFF\r\nDEBUG SLEEP 0.3\r\n"
        $rd flush
        $other get counter
        $rd write $pipeline
        $rd flush
        assert_lessthan [$other read] 10000
        $rd close
        $other close
    }
}

start_server {tags {"protocol network external:skip"}} {
    test {requests of HTTP end the connection, whatever came before} {
        foreach request {"POST / HTTP/1.1\r\n" "Host: somewhere\r\n" "*1\r\n\$4\r\npost\r\n" "PING\r\nPOST /\r\nPING\r\n"} {
            set c [wire_open [srv 0 host] [srv 0 port]]
            wire_raw $c $request
            assert {[wire_closed $c]}
        }
        assert_equal 1 [count_log_message 0 "Possible SECURITY ATTACK detected"]
        assert_equal PONG [r ping]
    }
}

start_server {tags {"protocol network external:skip"} overrides {loglevel verbose}} {
    test {the log tells of protocol errors, with what was not understood} {
        foreach {bytes reason shown} {
            {*1\r\nfo\x01o\r\nPING} {expected $ but got something else}   {fo.o..PING}
            {*x\r\n}               {invalid mbulk count}                 {\*x..}
            {*1\r\n$-3\r\n}        {invalid bulk length}                 {$-3..}
            {PING "a\r\n}          {unbalanced quotes in inline request} {PING "a..}
        } {
            set mark [log_mark]
            protocol_answer [subst -nocommands -novariables $bytes]
            wait_for_log $mark "*- Protocol error ($reason) from client: id=* addr=127.0.0.1:* flags=N *. Query buffer during protocol error: '$shown'"
        }
        set mark [log_mark]
        protocol_answer "*1\r\n![string repeat a 64][string repeat b 64]\r\n"
        wait_for_log $mark "*'![string repeat a 63]' (... more 3 bytes ...) '[string repeat b 62]..'"
    }
}
