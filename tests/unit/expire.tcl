# Expiry: EXPIRE, PEXPIRE, EXPIREAT, PEXPIREAT with their conditions, TTL and its kin, PERSIST, what
# becomes of keys whose time has come, and what replicas and subscribers see of it.

start_server {tags {"expire"}} {
    test {EXPIRE, TTL, PTTL, EXPIRETIME and PERSIST} {
        r set x foo
        assert_equal -1 [r ttl x]
        assert_equal 1 [r expire x 100]
        assert_range [r ttl x] 98 100
        assert_range [r pttl x] 98000 100000
        set now [clock seconds]
        assert_range [r expiretime x] [expr {$now + 97}] [expr {$now + 101}]
        assert_range [r pexpiretime x] [expr {($now + 97) * 1000}] [expr {($now + 101) * 1000}]
        assert_equal 1 [r persist x]
        assert_equal 0 [r persist x]
        assert_equal {-1 -1 -1 -1} [list [r ttl x] [r pttl x] [r expiretime x] [r pexpiretime x]]
    }

    test {a missing key has no time} {
        assert_equal {-2 -2 -2 -2} [list [r ttl no] [r pttl no] [r expiretime no] [r pexpiretime no]]
        assert_equal {0 0 0} [list [r expire no 10] [r pexpireat no 10] [r persist no]]
    }

    test {absolute times come back as they were given} {
        r set x foo
        r expireat x 33177117420
        assert_equal {33177117420 33177117420000} [list [r expiretime x] [r pexpiretime x]]
        r pexpireat x 33177117420499
        assert_equal {33177117420 33177117420499} [list [r expiretime x] [r pexpiretime x]]
        r pexpireat x 33177117420500
        r expiretime x
    } {33177117421}

    test {a key is gone when its time has come} {
        r set x foo px 20
        r rpush l a
        r pexpire l 20
        eventually 2000 {[r exists x l] == 0}
        assert_equal {{} -2 none 0} [list [r get x] [r ttl x] [r type l] [r llen l]]
    }

    test {a time that has passed deletes at once} {
        foreach {command time} {expire 0 expire -1 pexpire -100 expireat 1 pexpireat -5} {
            r set x foo
            assert_equal 1 [r $command x $time] $command
            assert_equal 0 [r exists x] $command
        }
    }

    test {writing over a key takes its time away, changing it does not} {
        r set x 1 ex 100
        r incr x
        r append x 0
        assert_range [r ttl x] 98 100
        r set x 1
        assert_equal -1 [r ttl x]
        r set x 1 ex 100
        r set x 2 keepttl
        assert_range [r ttl x] 98 100
        r getset x 3
        r ttl x
    } {-1}

    test {times that are none} {
        r set x foo
        foreach command {expire pexpire expireat pexpireat} {
            assert_error {ERR value is not an integer or out of range} {r $command x a}
            assert_error {ERR value is not an integer or out of range} {r $command x 1.5}
            assert_error {ERR value is not an integer or out of range} {r $command x 9223372036854775808}
        }
        assert_error {ERR invalid expire time in 'expire' command} {r expire x 9223372036854775807}
        assert_error {ERR invalid expire time in 'expire' command} {r expire x 9223372036854775}
        assert_error {ERR invalid expire time in 'expire' command} {r expire x -9223372036854775808}
        assert_error {ERR invalid expire time in 'pexpire' command} {r pexpire x 9223372036854775807}
        assert_error {ERR invalid expire time in 'expireat' command} {r expireat x 9223372036854775807}
        r ttl x
    } {-1}

    test {SET and its kin refuse times that are none} {
        foreach value {0 -1 9223372036854775807} {
            assert_error {ERR invalid expire time in 'set' command} {r set x foo ex $value}
            assert_error {ERR invalid expire time in 'setex' command} {r setex x $value foo}
        }
        r set x foo
        assert_error {ERR invalid expire time in 'getex' command} {r getex x ex 0}
        assert_error {ERR syntax error} {r set x foo ex 1 px 1}
    }
}

start_server {tags {"expire"}} {
    test {NX: only a key that never expires} {
        r set x foo
        assert_equal {1 0} [list [r expire x 100 nx] [r expire x 200 NX]]
        assert_range [r ttl x] 98 100
    }

    test {XX: only a key that expires} {
        r set x foo
        assert_equal 0 [r expire x 100 xx]
        r expire x 100
        assert_equal 1 [r expire x 200 xx]
        assert_range [r ttl x] 198 200
    }

    test {GT: only to a later time; never is the latest of all} {
        r set x foo
        assert_equal 0 [r expire x 100 gt]
        r expire x 100
        assert_equal {0 1} [list [r expire x 50 gt] [r expire x 200 gt]]
        assert_range [r ttl x] 198 200
        r pexpireat x 33177117420000
        assert_equal 0 [r pexpireat x 33177117420000 gt]
    }

    test {GT and LT refuse the time that it has} {
        r set x foo
        r pexpireat x 33177117420000
        assert_equal {0 0} [list [r pexpireat x 33177117420000 gt] [r pexpireat x 33177117420000 lt]]
    }

    test {LT: only to an earlier time} {
        r set x foo
        assert_equal 1 [r expire x 100 lt]
        assert_equal {0 1} [list [r expire x 200 lt] [r expire x 50 lt]]
        assert_range [r ttl x] 48 50
        assert_equal 1 [r expire x -1 lt]
        r exists x
    } {0}

    test {all four commands take all four conditions} {
        set now [clock seconds]
        foreach {command near far unit} [list expire 100 200 1 pexpire 100000 200000 1000 \
            expireat [expr {$now + 100}] [expr {$now + 200}] 1 \
            pexpireat [expr {($now + 100) * 1000}] [expr {($now + 200) * 1000}] 1000] {
            r set k v
            # At one moment: a millisecond later `near` would be another time.
            r multi
            foreach {when condition} [list $far xx $far gt $far lt $near nx $near lt $near gt $far gt $near xx] {
                r $command k $when $condition
            }
            assert_equal {0 0 1 0 1 0 1 1} [r exec] $command
            assert_range [r pttl k] 50000 100000
            r persist k
            assert_equal 1 [r $command k $near nx] $command
        }
    }

    test {conditions together} {
        r set x foo
        assert_equal {0 0} [list [r expire x 100 xx gt] [r expire x 100 xx lt]]
        r expire x 100
        assert_equal {1 1 1} [list [r expire x 200 xx gt] [r expire x 150 lt xx] [r expire x 160 gt gt]]
        foreach pair {{nx xx} {nx gt} {lt nx}} {
            assert_error {ERR NX and XX, GT or LT options at the same time are not compatible} {
                r expire x 1 {*}$pair
            }
        }
        assert_error {ERR GT and LT options at the same time are not compatible} {r expire x 1 gt lt}
        assert_error {ERR Unsupported option AB} {r expire x 1 AB}
        assert_error {ERR Unsupported option AB} {r expire x 1 XX AB}
        assert_error {ERR wrong number of arguments for 'expire' command} {r expire x}
    }
}

start_server {tags {"expire"}} {
    test {the active cycle deletes keys nobody asks for} {
        r flushall
        r config resetstat
        for {set i 0} {$i < 500} {incr i} {
            r set key:$i v px 20
        }
        r set stays v ex 1000
        eventually 5000 {[r dbsize] == 1}
        assert_equal 500 [s expired_keys]
    }

    test {the active cycle empties other databases too} {
        r select 5
        r psetex a 20 v
        r select 9
        r psetex b 20 v
        eventually 5000 {![string match {*db5:*} [r info keyspace]]}
    } {} {singledb:skip}

    test {what the active cycle deletes is propagated one by one} {
        r flushall
        r debug set-active-expire 0
        set repl [attach_to_replication_stream]
        foreach key {a b c} { r set $key v px 1 }
        after 5
        r debug set-active-expire 1
        eventually 5000 {[r dbsize] == 0}
        r set last v
        assert_replication_stream $repl {
            {select *} {set a v *} {set b v *} {set c v *} {unlink ?} {unlink ?} {unlink ?} {set last v}
        }
        close_replication_stream $repl
    } {} {needs:debug needs:repl}
    # What nobody reads goes by itself only where the cycle still finds it. In a transaction, so
    # that all of it happens before the time comes; `left` keys stay.
    proc goes_by_itself {left commands} {
        r flushall
        r config resetstat
        r set stays v ex 1000
        r set too v
        r multi
        foreach command $commands {
            r {*}$command
        }
        set replies [r exec]
        wait_for_condition 500 10 {[r dbsize] == $left} else { fail "[r dbsize] keys are left of: $commands" }
        assert_morethan [s expired_keys] 0
        return $replies
    }

    test {a key that has been renamed goes by itself} {
        goes_by_itself 2 {{set k v px 30} {rename k l}}
        goes_by_itself 2 {{set k v px 30} {renamenx k l}}
        goes_by_itself 2 {{rpush k v} {pexpire k 30} {rename k l} {rename l m} {rename m k}}
        # With another name in its place, and with its place taken.
        goes_by_itself 3 {{set k v px 30} {rename k l} {set k new}}
        goes_by_itself 1 {{set k v px 30} {rename k stays}}
        assert_equal v [r get too]
        # The time goes along, and what had it before loses its own.
        goes_by_itself 3 {{set k v px 30} {set l w} {set x v px 30} {rename l k}}
        assert_equal {w -1} [list [r get k] [r pttl k]]
        goes_by_itself 3 {{set k v px 30} {rename k l} {persist l} {set x v px 30}}
    }

    test {a key that has been copied goes by itself, and so does its copy} {
        goes_by_itself 2 {{set k v px 30} {copy k l}}
        assert_equal 2 [s expired_keys]
        goes_by_itself 3 {{set k v px 30} {copy k l} {persist k}}
        assert_equal v [r get k]
        goes_by_itself 1 {{set k v px 30} {copy k stays replace}}
        goes_by_itself 3 {{set k v} {set l w px 30} {copy k l replace} {del k} {set x v px 30}}
        assert_equal v [r get l]
    }

    test {a key that has been moved or copied to another database, or swapped with it, goes by itself} {
        foreach commands {
            {{set k v px 30} {move k 10}}
            {{set k v px 30} {copy k l db 10} {rename k m}}
            {{set k v px 30} {swapdb 9 10} {swapdb 10 11}}
        } {
            r select 9
            r flushall
            r config resetstat
            r multi
            foreach command $commands {
                r {*}$command
            }
            r exec
            foreach db {9 10 11} {
                r select $db
                wait_for_condition 500 10 {[r dbsize] == 0} else { fail "[r dbsize] keys are left in $db of: $commands" }
            }
            assert_morethan [s expired_keys] 0
        }
        r select 9
    } {OK} {singledb:skip}

    test {a key that has been restored goes by itself} {
        if {[r command info restore] eq {{}}} {
            skip "no RESTORE yet"
        }
        r set k v
        set payload [r dump k]
        goes_by_itself 2 [list [list restore l 30 $payload]]
        goes_by_itself 1 [list [list restore stays 30 $payload replace]]
    }

    test {nothing expires while writes are paused} {
        r flushall
        r config resetstat
        set c [valkey_client]
        set id [$c client id]
        # At once: a busy machine must not let the key expire before the pause.
        r multi
        r set k v px 50
        r client pause 100000 write
        r exec
        # Long enough for the active cycle to come by.
        eventually 5000 {[regexp { idle=[1-9]} [r client list id $id]]}
        assert_equal {0 1 0} [list [r exists k] [r dbsize] [s expired_keys]]
        r client unpause
        eventually 2000 {[r dbsize] == 0}
        $c close
    } {} {slow}

    test {nothing expires from the pause on, also within one pipeline} {
        r flushall
        r debug set-active-expire 0
        r set k v px 1
        after 5
        set c [valkey_deferring_client]
        $c write "CLIENT PAUSE 100000 WRITE\r\nGET k\r\nDBSIZE\r\n"
        $c flush
        assert_equal {OK {} 1} [list [$c read] [$c read] [$c read]]
        r client unpause
        r debug set-active-expire 1
        eventually 5000 {[r dbsize] == 0}
        $c close
    } {} {needs:debug external:skip}

    test {avg_ttl and expires are told per database} {
        r flushall
        r select 0
        r set a 1 ex 100
        r set b 1
        eventually 2000 {[regexp {db0:keys=2,expires=1,avg_ttl=[1-9]\d*} [r info keyspace]]}
    } {} {singledb:skip}
}

start_server {tags {"expire needs:debug"}} {
    r debug set-active-expire 0

    test {an expired key that is still there counts in DBSIZE but nowhere else} {
        r set x foo px 1
        after 5
        assert_equal {} [r keys *]
        assert_equal 1 [r dbsize]
        r config resetstat
        assert_equal 0 [r exists x]
        assert_equal 0 [r dbsize]
        assert_equal {0 1 1} [list [s keyspace_hits] [s keyspace_misses] [s expired_keys]]
    }

    test {RANDOMKEY passes over expired keys} {
        for {set i 0} {$i < 20} {incr i} {
            r set key:$i v px 1
        }
        r set stays v
        after 5
        for {set i 0} {$i < 20} {incr i} {
            assert_equal stays [r randomkey]
        }
    }

    test {MEMORY USAGE measures an expired key} {
        r flushall
        r set x foo px 1
        after 5
        assert_morethan [r memory usage x] 0
        r dbsize
    } {1}
}

start_server {tags {"expire needs:repl needs:debug cluster:skip"}} {
    r debug set-active-expire 0

    test {relative times are propagated as absolute ones, with the options as given} {
        set repl [attach_to_replication_stream]
        r set k v
        r expire k 100
        r pexpire k 200000 XX
        r expireat k 33177117420 gt
        r pexpireat k 33177117420001
        r PEXPIREAT k 33177117420002 xx
        r expire k 100 gt
        r set k v ex 100
        r setex k 100 v
        r psetex k 100000 v
        r getex k ex 100
        r getex k persist
        r persist k
        r expire k 100
        r persist k
        assert_replication_stream $repl {
            {select *} {set k v} {pexpireat k *} {pexpireat k * XX} {pexpireat k 33177117420000 gt}
            {pexpireat k 33177117420001} {pexpireat k 33177117420002 xx}
            {set k v PXAT *} {set k v PXAT *} {set k v PXAT *} {pexpireat k *} {persist k}
            {pexpireat k *} {persist k}
        }
        close_replication_stream $repl
    }

    test {a time that has passed is propagated as a deletion} {
        foreach {lazy command} {yes unlink no del} {
            r config set lazyfree-lazy-expire $lazy
            set repl [attach_to_replication_stream]
            r set k v
            r expire k -1
            r set k v
            r set k v exat 1
            r set last v
            assert_replication_stream $repl [list {select *} {set k v} [list $command k] {set k v} \
                [list $command k] {set last v}]
            close_replication_stream $repl
        }
        r config set lazyfree-lazy-expire yes
    } {OK}

    test {an expired key that is come across is propagated as a deletion, before the command} {
        set repl [attach_to_replication_stream]
        r set k v px 1
        after 5
        r get k
        r set k v px 1
        after 5
        r del k
        r set k v px 1
        r set other v
        after 5
        r rename other k
        r set e v px 1
        after 5
        r set e w
        r set e v px 1
        after 5
        r sunionstore e none
        r set e v px 1
        after 5
        r set e w xx
        assert_replication_stream $repl {
            {select *} {set k v PXAT *} {unlink k} {set k v PXAT *} {unlink k}
            {set k v PXAT *} {set other v} multi {unlink k} {rename other k} exec
            {set e v PXAT *} multi {unlink e} {set e w} exec
            {set e v PXAT *} {sunionstore e none} {set e v PXAT *} {unlink e}
        }
        close_replication_stream $repl
    }

    test {the end of a key is told before the miss} {
        r flushall
        r config set notify-keyspace-events EAm
        set rd [valkey_deferring_client]
        psubscribe $rd {__keyevent@*}
        r set k v px 1
        after 5
        r exists k k
        foreach event {set expire expired keymiss keymiss} {
            assert_equal [list pmessage __keyevent@* __keyevent@${::dbnum}__:$event k] [$rd read]
        }
        $rd close
        r config set notify-keyspace-events ""
    } {OK}

    test {the end of a key is told before what takes its place} {
        r flushall
        r sadd s x
        r zadd z 1 x
        r config set notify-keyspace-events EAmn
        set rd [valkey_deferring_client]
        psubscribe $rd {__keyevent@*}
        foreach {command events} {
            {set k v} {expired k new k set k}
            {getset k v} {expired k keymiss k new k set k}
            {set k v get} {expired k keymiss k new k set k}
            {set k v pxat 1} {expired k}
            {set k v xx} {expired k}
            {append k v} {expired k new k append k}
            {copy s k} {expired k new k copy_to k}
            {sunionstore k s} {expired k new k sunionstore k}
            {sunionstore k k} {expired k keymiss k}
            {sunionstore k no} {keymiss no del k}
            {zunionstore k 1 z} {expired k new k zunionstore k}
            {zunionstore k 1 k} {expired k keymiss k}
            {zunionstore k 1 no} {keymiss no del k}
            {zrangestore k no 0 -1} {keymiss no del k}
        } {
            r del k
            r set k v px 1
            after 5
            told_events $rd
            r {*}$command
            assert_equal $events [told_events $rd] $command
        }
        $rd close
        r config set notify-keyspace-events ""
    } {OK}

    test {expired, expire, persist and del are told as events} {
        r flushall
        r config set notify-keyspace-events EA
        set rd [valkey_deferring_client]
        psubscribe $rd {__keyevent@*}
        r set k v
        r expire k 100
        r persist k
        r expire k -1
        r set k v px 1
        after 5
        r get k
        foreach event {set expire persist del set expire expired} {
            assert_equal [list pmessage __keyevent@* __keyevent@${::dbnum}__:$event k] [$rd read]
        }
        $rd close
        r config set notify-keyspace-events ""
    } {OK}
}
