# Publish and subscribe: channels, patterns, shard channels, counting, RESP2 and RESP3.

start_server {tags {"pubsub network"}} {
    test {confirmations count channels and patterns together, shard channels apart} {
        set c [valkey_deferring_client]
        $c subscribe a b
        assert_equal {subscribe a 1} [$c read]
        assert_equal {subscribe b 2} [$c read]
        $c psubscribe p*
        assert_equal {psubscribe p* 3} [$c read]
        $c ssubscribe s
        assert_equal {ssubscribe s 1} [$c read]
        $c subscribe a
        assert_equal {subscribe a 3} [$c read]
        assert_equal 1 [r publish a once]
        assert_equal {message a once} [$c read]
        $c unsubscribe a nosuch
        assert_equal {unsubscribe a 2} [$c read]
        assert_equal {unsubscribe nosuch 2} [$c read]
        $c close
    }

    test {messages reach subscribers, by channel and by pattern} {
        set c [valkey_deferring_client]
        set d [valkey_deferring_client]
        subscribe $c {news}
        psubscribe $d {n?ws *s}
        assert_equal 3 [r publish news hello]
        assert_equal {message news hello} [$c read]
        set got [lsort [list [$d read] [$d read]]]
        assert_equal {{pmessage *s news hello} {pmessage n?ws news hello}} $got
        assert_equal 0 [r publish other hello]
        assert_equal 0 [r spublish news hello]
        $c close
        $d close
    }

    test {who listens to a channel and to patterns hears of the channel first} {
        set c [valkey_deferring_client]
        psubscribe $c {n*}
        subscribe $c {news}
        psubscribe $c {*s}
        foreach message {1 2} {
            assert_equal 3 [r publish news $message]
        }
        foreach message {1 2} {
            assert_equal "message news $message" [$c read]
            assert_equal [list "pmessage *s news $message" "pmessage n* news $message"] [lsort [list [$c read] [$c read]]]
        }
        $c close
    }

    test {the empty channel is below no pattern, be it nothing but stars} {
        set c [valkey_deferring_client]
        psubscribe $c {* **}
        assert_equal 0 [r publish {} hello]
        assert_equal 2 [r publish x hello]
        $c close
        r set {} v
        assert_equal {{} {{}}} [list [r keys **] [r keys *]]
        r del {}
    }

    test {shard channels have subscribers of their own} {
        set c [valkey_deferring_client]
        ssubscribe $c {orders}
        assert_equal 1 [r spublish orders one]
        assert_equal 0 [r publish orders two]
        assert_equal {smessage orders one} [$c read]
        assert_equal orders [r pubsub shardchannels]
        assert_equal {1 0} [list [s pubsubshard_channels] [s pubsub_channels]]
        assert_equal {orders 1 none 0} [r pubsub shardnumsub orders none]
        $c close
    } {} {cluster:skip}

    test {SUNSUBSCRIBE: of the named, of all, of none} {
        set c [valkey_deferring_client]
        ssubscribe $c {a b c}
        assert_equal {2} [sunsubscribe $c {b}]
        assert_equal 0 [r spublish b x]
        $c sunsubscribe
        assert_equal {{sunsubscribe 0} {sunsubscribe 1}} [lsort [lmap _ {1 2} {lreplace [$c read] 1 1}]]
        $c sunsubscribe
        assert_error {NOSUB 'sunsubscribe' command executed not in subscribed mode} {$c read}
        ssubscribe $c {d}
        $c sunsubscribe nosuch
        assert_equal {sunsubscribe nosuch 1} [$c read]
        assert_equal 0 [sunsubscribe $c {d}]
        assert_equal {} [r pubsub shardchannels]
        $c close
    }

    test {PUBSUB HELP names its subcommands} {
        set help [r pubsub help]
        foreach name {CHANNELS NUMPAT NUMSUB SHARDCHANNELS SHARDNUMSUB HELP} {
            assert {[lsearch -glob $help $name*] > 0} $name
        }
    }

    test {UNSUBSCRIBE without names gives up all, and needs a subscription} {
        set c [valkey_deferring_client]
        subscribe $c {a b}
        $c unsubscribe
        assert_equal {0 1} [lsort [list [lindex [$c read] 2] [lindex [$c read] 2]]]
        $c unsubscribe
        assert_error {NOSUB 'unsubscribe' command executed not in subscribed mode} {$c read}
        $c punsubscribe
        assert_error {NOSUB 'punsubscribe' *} {$c read}
        $c subscribe a
        assert_equal {subscribe a 1} [$c read]
        $c punsubscribe
        assert_equal {punsubscribe {} 1} [$c read]
        $c close
    }

    test {PUBSUB counts} {
        set c [valkey_deferring_client]
        set d [valkey_deferring_client]
        subscribe $c {one two}
        subscribe $d {two}
        psubscribe $d {p1 p2}
        wait_for_condition 50 100 {[r pubsub channels] ne ""} else {fail "no channels"}
        assert_equal {one two} [lsort [r pubsub channels]]
        assert_equal two [r pubsub channels tw*]
        assert_equal {one 1 two 2 three 0} [r pubsub numsub one two three]
        assert_equal 2 [r pubsub numpat]
        assert_equal 2 [s pubsub_channels]
        assert_equal 2 [s pubsub_patterns]
        assert_equal 0 [s pubsubshard_channels]
        assert_equal 2 [s pubsub_clients]
        $c close
        $d close
        wait_for_condition 50 100 {[s pubsub_clients] == 0} else {fail "subscriptions outlive their clients"}
        assert_equal {} [r pubsub channels]
    } {} {external:skip}

    test {a RESP2 subscriber may do little else} {
        set c [valkey_client]
        $c subscribe ch
        assert_error {ERR Can't execute 'get': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context} {$c get k}
        assert_equal {pong {}} [$c ping]
        assert_equal {pong x} [$c ping x]
        $c unsubscribe ch
        assert_equal {} [$c get k]
        $c close
    }

    test {a RESP3 subscriber may do anything, its own messages come after the reply} {
        set c [valkey_deferring_client]
        $c hello 3
        $c read
        $c subscribe me
        assert_equal {subscribe me 1} [$c read]
        $c set k v
        assert_equal OK [$c read]
        $c ping
        assert_equal PONG [$c read]
        $c publish me hi
        assert_equal {1 {message me hi}} [lsort [list [$c read] [$c read]]]
        $c close
    }

    test {SUBSCRIBE works in a transaction} {
        set c [valkey_client]
        $c multi
        $c subscribe ch
        assert_equal {{subscribe ch 1}} [$c exec]
        assert_equal 1 [r publish ch hello]
        assert_equal {message ch hello} [$c read]
        $c close
    }

    test {PUBLISH in a transaction reaches subscribers when it runs} {
        set c [valkey_deferring_client]
        subscribe $c {tx}
        r multi
        r publish tx one
        r publish tx two
        assert_equal {1 1} [r exec]
        assert_equal {message tx one} [$c read]
        assert_equal {message tx two} [$c read]
        $c close
    }

    test {PUBLISH is propagated to replicas} {
        set repl [attach_to_replication_stream]
        r publish ch message
        r set k v
        assert_replication_stream $repl {{select *} {publish ch message} {set k v}}
        close_replication_stream $repl
    } {} {needs:repl}
}
