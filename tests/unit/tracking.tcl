# CLIENT TRACKING: client-side caching, by remembered keys and by prefixes, in RESP3 and through a second connection.

# Two connections: `cache` tracks in RESP3, the block's own client changes keys.
proc invalidated {c} {
    set message [$c read]
    assert_equal invalidate [lindex $message 0]
    return [lindex $message 1]
}

proc cache_open {args} {
    set c [valkey_client]
    $c hello 3
    $c client tracking on {*}$args
    return $c
}

# No message is waiting: the answer to the next PING comes first.
proc assert_quiet {c} {
    assert_equal PONG [$c ping]
}

start_server {tags {"tracking network external:skip"}} {
    test {a read key is told of once when it changes} {
        set c [cache_open]
        r set key 1
        assert_quiet $c
        $c get key
        r set key 2
        assert_equal key [invalidated $c]
        r set key 3
        assert_quiet $c
        assert_equal 0 [s tracking_total_keys]
        $c close
    }

    test {a key that is not there counts, and every command that reads} {
        set c [cache_open]
        $c get missing
        r lpush missing a
        assert_equal missing [invalidated $c]
        $c mget a b
        $c lrange missing 0 -1
        assert_equal 3 [s tracking_total_keys]
        assert_equal 3 [s tracking_total_items]
        r mset a 1 b 2
        assert_equal a [invalidated $c]
        assert_equal b [invalidated $c]
        r lpop missing
        assert_equal missing [invalidated $c]
        $c get a
        r rename a z
        assert_equal a [invalidated $c]
        $c exists z
        r copy b z replace
        assert_equal z [invalidated $c]
        $c ttl z
        r expire z 100
        assert_equal z [invalidated $c]
        $c close
    }

    test {keys count by name, whatever their database} {
        set c [cache_open]
        $c get key
        r select 10
        r set key 1
        assert_equal key [invalidated $c]
        r del key
        r select 9
        $c close
    } {} {singledb:skip}

    test {expiry on access and in the background} {
        set c [cache_open]
        r set key 1 px 1
        $c get key
        r debug set-active-expire 0
        after 10
        r set key 1 px 1
        assert_equal key [invalidated $c]
        after 10
        $c strlen key
        r debug set-active-expire 1
        r set other 1 px 1000
        $c get other
        assert_equal other [invalidated $c]
        $c close
    } {} {needs:debug}

    test {emptying the databases makes every key stale} {
        set c [cache_open]
        $c get key
        r flushdb
        assert_equal {} [invalidated $c]
        r flushall
        assert_equal {} [invalidated $c]
        assert_equal 0 [s tracking_total_keys]
        $c close
    }

    test {a client hears of its own changes behind their reply, unless NOLOOP} {
        set c [cache_open]
        $c get key
        assert_equal OK [$c set key 1]
        assert_equal key [invalidated $c]
        $c get key
        $c multi
        $c set key 2
        $c get key
        assert_equal {OK 2} [$c exec]
        assert_equal key [invalidated $c]
        $c client tracking off
        $c client tracking on noloop
        $c get key
        $c set key 3
        assert_quiet $c
        $c get key
        r set key 4
        assert_equal key [invalidated $c]
        $c close
    }

    test {OPTIN: only what follows CLIENT CACHING YES} {
        set c [cache_open optin]
        $c get key
        r set key 1
        assert_quiet $c
        $c client caching yes
        $c get key
        $c get other
        r mset key 2 other 2
        assert_equal key [invalidated $c]
        assert_quiet $c
        $c client caching yes
        $c multi
        $c get key
        $c get other
        $c exec
        r mset key 3 other 3
        assert_equal {key other} [lsort [list [invalidated $c] [invalidated $c]]]
        assert_quiet $c
        assert_error {ERR CLIENT CACHING NO is only valid*} {$c client caching no}
        $c close
    }

    test {OPTOUT: all but what follows CLIENT CACHING NO} {
        set c [cache_open optout]
        $c client caching no
        $c get key
        r set key 1
        assert_quiet $c
        $c get key
        r set key 2
        assert_equal key [invalidated $c]
        assert_error {ERR CLIENT CACHING YES is only valid*} {$c client caching yes}
        assert_error {ERR syntax error} {$c client caching maybe}
        $c close
    }

    test {BCAST: all changes below the prefixes, without having read anything} {
        set c [cache_open bcast prefix user: prefix post:]
        r mset user:1 a other b
        assert_equal user:1 [invalidated $c]
        r mset user:3 a user:2 b
        assert_equal {user:2 user:3} [invalidated $c]
        r multi
        r set post:1 a
        r incr post:n
        r exec
        assert_equal {post:1 post:n} [invalidated $c]
        $c set user:1 b
        assert_equal user:1 [invalidated $c]
        assert_quiet $c
        assert_equal 2 [s tracking_total_prefixes]
        assert_equal 0 [s tracking_total_keys]
        $c client tracking on bcast prefix x
        assert_equal 3 [s tracking_total_prefixes]
        $c close
        wait_for_condition 50 20 {[s tracking_total_prefixes] == 0 && [s tracking_clients] == 0} else {
            fail "prefixes are left of a client that has gone"
        }
    }

    test {BCAST: a key that is the prefix itself is below it, one that is shorter is not} {
        set c [cache_open bcast prefix user: prefix \x00]
        r set user 1
        r set user: 1
        assert_equal user: [invalidated $c]
        r set \x00 1
        assert_equal \x00 [invalidated $c]
        r mset "" 1 User:1 1 auser:1 1
        assert_quiet $c
        $c close
    }

    test {NOLOOP: who comes across the end of a key hears of it in BCAST mode only} {
        r debug set-active-expire 0
        foreach {mode told} {{} 0 bcast 1} {
            set c [cache_open {*}$mode noloop]
            r set key v px 500
            if {$told} {
                assert_equal key [invalidated $c]
            }
            assert_equal v [$c get key]
            r debug sleep 0.51
            assert_equal {} [$c get key]
            if {$told} {
                assert_equal key [invalidated $c]
            }
            assert_quiet $c
            $c close
        }
        r debug set-active-expire 1
    } {OK} {needs:debug}

    test {BCAST NOLOOP: only what others change} {
        set c [cache_open bcast noloop]
        $c set mine 1
        assert_quiet $c
        r set theirs 1
        assert_equal theirs [invalidated $c]
        $c close
    }

    test {a RESP2 client has another connection listen} {
        set listener [valkey_deferring_client]
        $listener client id
        set id [$listener read]
        set c [valkey_client]
        $c client tracking on redirect $id
        assert_equal $id [$c client getredir]
        $listener subscribe __redis__:invalidate
        $listener read
        $c get key
        r set key 1
        assert_equal {message __redis__:invalidate key} [$listener read]
        $c get key
        r flushall
        assert_equal {message __redis__:invalidate {}} [$listener read]
        assert_match "*flags=t *redir=$id *" [$c client info]
        $listener close
        wait_for_condition 50 20 {[llength [split [string trim [r client list]] \n]] == 2} else {
            fail "the listener stays"
        }
        $c hello 3
        $c get key
        r set key 2
        assert_equal [list tracking-redir-broken $id] [$c read]
        assert_match {*flags=tR *} [$c client info]
        assert_match {*broken_redirect*} [$c client trackinginfo]
        $c close
    }

    test {TRACKINGINFO in RESP3: a set of flags, an array of prefixes} {
        set c [wire_open [srv host] [srv port]]
        wire_raw $c "hello 3 setname cache\r\n"
        while {[wire_line $c] ne "*0"} {}
        wire_raw $c "client tracking on bcast prefix p\r\n"
        assert_equal +OK [wire_line $c]
        wire_raw $c "client trackinginfo\r\n"
        set lines {}
        for {set i 0} {$i < 16} {incr i} {
            lappend lines [wire_line $c]
        }
        assert_equal {%3 {$5} flags ~2 {$2} on {$5} bcast {$8} redirect :0 {$8} prefixes *1 {$1} p} $lines
        wire_close_all
    }

    test {TRACKINGINFO, GETREDIR and RESET} {
        set c [valkey_client]
        assert_equal {flags off redirect -1 prefixes {}} [$c client trackinginfo]
        $c client tracking on bcast prefix b prefix a noloop
        assert_equal {flags {on bcast noloop} redirect 0 prefixes {a b}} [$c client trackinginfo]
        assert_match {*flags=tB *redir=0 *} [$c client info]
        assert_equal 1 [s tracking_clients]
        $c client tracking off
        $c client tracking on optin
        $c client caching yes
        assert_equal {flags {on optin caching-yes} redirect 0 prefixes {}} [$c client trackinginfo]
        $c reset
        assert_equal -1 [$c client getredir]
        assert_equal 0 [s tracking_clients]
        $c close
    }

    test {options that do not go together} {
        assert_error {ERR PREFIX option requires BCAST*} {r client tracking on prefix a}
        assert_error {ERR OPTIN and OPTOUT are not compatible with BCAST} {r client tracking on bcast optin}
        assert_error {ERR You can't specify both*} {r client tracking on optin optout}
        assert_error {ERR The client ID you want redirect to does not exist} {r client tracking on redirect 999999}
        assert_error {ERR Prefix 'a' overlaps with another provided prefix 'ab'*} {r client tracking on bcast prefix a prefix ab}
        r client tracking on bcast prefix a
        assert_error {ERR Prefix 'ab' overlaps with an existing prefix 'a'*} {r client tracking on bcast prefix ab}
        assert_error {ERR You can't switch BCAST mode*} {r client tracking on}
        r client tracking off
        r client tracking on optin
        assert_error {ERR You can't switch OPTIN/OPTOUT mode*} {r client tracking on optout}
        r client tracking off
        assert_error {ERR CLIENT CACHING can be called only*} {r client caching yes}
    }

    test {a full table lets keys go and tells} {
        set c [cache_open]
        for {set i 0} {$i < 10} {incr i} {$c get a$i}
        r config set tracking-table-max-keys 3
        wait_for_condition 50 20 {[s tracking_total_keys] == 3} else {
            fail "the table does not shrink"
        }
        for {set i 0} {$i < 7} {incr i} {
            assert_match a? [invalidated $c]
        }
        $c close
        r config set tracking-table-max-keys 1000000
    }

    test {a served blocked client's change is told} {
        set c [cache_open]
        $c lrange list 0 -1
        set waiting [valkey_deferring_client]
        $waiting blpop list 0
        wait_for_blocked_client
        r rpush list x
        assert_equal list [invalidated $c]
        assert_equal {list x} [$waiting read]
        $waiting close
        $c close
    }

    test {an evicted key is told of} {
        r flushall
        set c [cache_open bcast]
        r config set maxmemory-policy allkeys-random
        r set key 1
        assert_equal key [invalidated $c]
        r config set maxmemory 1
        assert_error {OOM*} {r set other 1}
        assert_equal key [invalidated $c]
        r config set maxmemory 0
        $c close
    } {} {needs:config-maxmemory}
}
