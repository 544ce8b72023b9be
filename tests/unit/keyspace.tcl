# Keys without regard to their type: DEL, UNLINK, EXISTS, TYPE, TOUCH, RENAME, KEYS,
# RANDOMKEY, DBSIZE, MOVE, SWAPDB, COPY, FLUSHDB, and keyspace events.

start_server {tags {"keyspace"}} {
    test {DEL against a single item} {
        r set x foo
        assert_equal foo [r get x]
        assert_equal 1 [r del x]
        r get x
    } {}

    test {DEL and UNLINK count the keys that were there} {
        foreach command {del unlink} {
            r set 1{t} a
            r rpush 2{t} b
            r hset 3{t} f v
            assert_equal 3 [r $command 1{t} 2{t} 3{t} 4{t}]
            assert_equal 0 [r $command 1{t}]
            assert_equal {{} 0} [list [r get 1{t}] [r exists 1{t} 2{t} 3{t}]]
        }
    }

    test {KEYS with patterns} {
        r flushdb
        foreach key {key_x key_y key_z foo_a foo_b foo_c} {
            r set $key hello
        }
        assert_equal {foo_a foo_b foo_c} [lsort [r keys foo*]]
        assert_equal {foo_a foo_b foo_c key_x key_y key_z} [lsort [r keys *]]
        assert_equal {foo_a foo_b} [lsort [r keys {*_[a-b]}]]
        assert_equal {foo_c} [r keys {foo_[^ab]}]
        assert_equal {key_x key_y key_z} [lsort [r keys key_?]]
        assert_equal {foo_a} [r keys foo_\\a]
        assert_equal {} [r keys FOO*]
        assert_equal {} [r keys nothing*]
        assert_equal 6 [r dbsize]
    }

    # Each star with something behind it takes the reference a level deeper, and it goes down 1000.
    test {more than a thousand stars that nest match nothing, to KEYS, SCAN and PSUBSCRIBE} {
        r flushall
        set text [string repeat a 5000]
        r set $text 1
        set subscriber [valkey_deferring_client]
        foreach {item stars found} {
            *? 1000 1 *? 1001 0 **a 1000 1 **a 1001 0 a* 1001 1 a* 1002 0 * 5000 1 {[*a]} 5000 1
        } {
            set pattern [string repeat $item $stars]
            assert_equal $found [llength [r keys $pattern]] "$item $stars"
            assert_equal $found [llength [lindex [r scan 0 match $pattern count 100] 1]] "$item $stars"
            psubscribe $subscriber [list $pattern]
            assert_equal $found [r publish $text message] "$item $stars"
            if {$found} { $subscriber read }
            punsubscribe $subscriber [list $pattern]
        }
        $subscriber close
    }

    test {a pathological pattern is answered at once} {
        r set [string repeat a 50] 1
        assert_equal {} [r keys [string repeat a* 40]b]
        r del [string repeat a 50]
    } {1}

    test {DEL all keys} {
        foreach key [r keys *] {
            r del $key
        }
        r dbsize
    } {0}

    test {TYPE of every type and of nothing} {
        r set s 1
        r rpush l 1
        r sadd u 1
        r zadd z 1 a
        r hset h f v
        foreach {key type} {s string l list u set z zset h hash none none} {
            assert_equal $type [r type $key]
        }
    }

    test {EXISTS and TOUCH count repeated keys} {
        r set s 1
        assert_equal 1 [r exists s]
        assert_equal 2 [r exists s s none]
        assert_equal 2 [r touch s s none]
    } {} {cluster:skip}

    test {a value may be empty, a key too} {
        r set emptykey {}
        assert_equal {} [r get emptykey]
        assert_equal 1 [r exists emptykey]
        r set "" named-nothing
        assert_equal named-nothing [r get ""]
        r del emptykey
        r del ""
    } {1}

    test {commands on the wrong type are refused} {
        r set s 1
        r del l
        r rpush l 1
        foreach command {{get l} {lpush s x} {sadd s x} {zadd s 1 x} {hset s f v} {incr l}} {
            assert_error {WRONGTYPE Operation against a key holding the wrong kind of value} {r {*}$command}
        }
        assert_equal {1 1} [list [r get s] [r llen l]]
    }
}

start_server {tags {"keyspace"}} {
    test {RENAME moves the value and its expiry} {
        r set old{t} hello ex 100
        assert_equal OK [r rename old{t} new{t}]
        assert_equal {0 hello} [list [r exists old{t}] [r get new{t}]]
        assert_range [r ttl new{t}] 90 100
    }

    test {RENAME replaces the target, without its expiry} {
        r set a{t} a
        r set b{t} b ex 100
        r rename a{t} b{t}
        assert_equal {a -1} [list [r get b{t}] [r ttl b{t}]]
    }

    test {RENAME of a missing key, and onto itself} {
        assert_error {ERR no such key} {r rename none{t} x{t}}
        r set a{t} a
        assert_equal OK [r rename a{t} a{t}]
        assert_error {ERR no such key} {r rename none{t} none{t}}
    }

    test {RENAMENX refuses an existing target} {
        r mset a{t} a b{t} b
        assert_equal 0 [r renamenx a{t} b{t}]
        assert_equal 0 [r renamenx a{t} a{t}]
        assert_equal 1 [r renamenx a{t} c{t}]
        assert_equal {{} b a} [r mget a{t} b{t} c{t}]
    }

    test {RANDOMKEY: one of the keys, nothing when there is none} {
        r flushdb
        assert_equal {} [r randomkey]
        r set foo x
        r set bar y
        set seen {}
        for {set i 0} {$i < 100} {incr i} {
            dict set seen [r randomkey] 1
        }
        assert_equal {bar foo} [lsort [dict keys $seen]]
    }

    test {COPY: another key, REPLACE, expiry, independence} {
        r flushdb
        r rpush src{t} a b
        r expire src{t} 100
        assert_equal 1 [r copy src{t} dst{t}]
        assert_equal 0 [r copy src{t} dst{t}]
        r rpush dst{t} c
        assert_equal {2 3} [list [r llen src{t}] [r llen dst{t}]]
        assert_range [r ttl dst{t}] 90 100
        assert_equal 1 [r copy src{t} dst{t} replace]
        assert_equal {a b} [r lrange dst{t} 0 -1]
        assert_equal 0 [r copy none{t} dst{t}]
        assert_error {ERR source and destination objects are the same} {r copy src{t} src{t}}
        assert_error {ERR syntax error} {r copy src{t} dst{t} nonsense}
    }

    test {strings stay as they are held, wherever they go} {
        r flushall
        r set raw{t} a
        r append raw{t} b
        r set int{t} 123456
        r set embstr{t} ab
        r set long{t} [string repeat x 1000]
        foreach {key encoding} {raw{t} raw int{t} int embstr{t} embstr long{t} raw} {
            set value [r get $key]
            r copy $key copy{t} replace
            assert_encoding $encoding copy{t}
            assert_encoding $encoding $key
            r rename $key new{t}
            assert_encoding $encoding new{t}
            r move new{t} 10
            r select 10
            assert_encoding $encoding new{t}
            r append new{t} more
            assert_equal [list ${value}more] [list [r getdel new{t}]]
            r select 9
            assert_equal $value [r get copy{t}]
        }
    } {} {needs:debug singledb:skip}

    test {COPY keeps the data of every type} {
        r flushdb
        foreach type {string list set zset hash} {
            switch -- $type {
                string { r set src{t} value }
                list { r rpush src{t} a b c }
                set { r sadd src{t} a b c }
                zset { r zadd src{t} 1 a 2 b }
                hash { r hset src{t} f v g w }
            }
            r copy src{t} dst{t}
            assert_equal [debug_digest_value src{t}] [debug_digest_value dst{t}] $type
            r del src{t} dst{t}
        }
    } {} {needs:debug}
}

start_server {tags {"keyspace singledb:skip"}} {
    test {SELECT: separate databases, range} {
        r set x nine
        r select 10
        assert_equal {} [r get x]
        r set x ten
        r select 9
        assert_equal nine [r get x]
        assert_error {ERR DB index is out of range} {r select 16}
        assert_error {ERR DB index is out of range} {r select -1}
        assert_error {*not an integer*} {r select x}
    }

    test {MOVE between databases} {
        assert_equal 0 [r move x 10]
        r set y 1 ex 100
        assert_equal 1 [r move y 10]
        assert_equal 0 [r exists y]
        r select 10
        assert_equal 1 [r get y]
        assert_range [r ttl y] 90 100
        r select 9
        assert_error {ERR source and destination objects are the same} {r move x 9}
        assert_error {ERR DB index is out of range} {r move x 99}
        assert_error {*not an integer*} {r move x not}
    }

    test {COPY to another database} {
        r set x nine
        assert_equal 1 [r copy x z db 10]
        r select 10
        assert_equal nine [r get z]
        r select 9
    } {OK}

    test {SWAPDB exchanges two databases} {
        r set x nine
        r select 10
        r set x ten
        r select 9
        r swapdb 9 10
        assert_equal ten [r get x]
        r swapdb 9 10
        assert_equal nine [r get x]
        assert_error {ERR invalid first DB index} {r swapdb x 1}
        assert_error {ERR DB index is out of range} {r swapdb 0 99}
    }

    test {FLUSHDB empties one database, FLUSHALL all} {
        r select 10
        r set x ten
        r select 9
        r set x nine
        r flushdb
        assert_equal 0 [r dbsize]
        r select 10
        assert_morethan [r dbsize] 0
        r select 9
        r flushall async
        r select 10
        assert_equal 0 [r dbsize]
        assert_error {ERR syntax error} {r flushall nonsense}
        r select 9
    } {OK}
}

start_server {tags {"keyspace"}} {
    test {keyspace events tell the key and the event} {
        r config set notify-keyspace-events KEA
        set db $::dbnum
        set rd [valkey_deferring_client]
        psubscribe $rd {__key*}
        r set a{t} 1
        r rename a{t} b{t}
        r del b{t}
        foreach {channel message} [list \
            __keyspace@${db}__:a{t} set __keyevent@${db}__:set {a{t}} \
            __keyspace@${db}__:a{t} rename_from __keyevent@${db}__:rename_from {a{t}} \
            __keyspace@${db}__:b{t} rename_to __keyevent@${db}__:rename_to {b{t}} \
            __keyspace@${db}__:b{t} del __keyevent@${db}__:del {b{t}}] {
            assert_equal [list pmessage __key* $channel [lindex $message 0]] [$rd read]
        }
        $rd close
    }
}

start_server {tags {"keyspace"}} {
    test {DEL, UNLINK and RENAME are propagated as they are} {
        set repl [attach_to_replication_stream]
        r set t1 1
        r rename t1 t2
        r unlink t2 none
        r del none
        r set last 1
        assert_replication_stream $repl {
            {select *} {set t1 1} {rename t1 t2} {unlink t2 none} {set last 1}
        }
        close_replication_stream $repl
    } {} {needs:repl cluster:skip}
}

start_server {tags {"keyspace"}} {
    test {COPY, MOVE and RENAMENX are propagated as they are, and only when they did something} {
        set repl [attach_to_replication_stream]
        r rpush src a b
        r copy src dst
        r copy src dst
        r COPY src dst REPLACE
        r copy src dst db 10
        r copy none dst
        r renamenx src dst
        r renamenx src other
        r move other 10
        r move other 10
        r del none
        r unlink none
        assert_replication_stream $repl {
            {select 9} {rpush src a b} {copy src dst} {copy src dst REPLACE} {copy src dst db 10}
            {renamenx src other} {move other 10}
        }
        close_replication_stream $repl
    } {} {needs:repl singledb:skip}

    test {flushes are propagated even when nothing was there, SWAPDB always} {
        r flushall
        set repl [attach_to_replication_stream]
        r flushdb
        r flushdb async
        r flushall sync
        r swapdb 0 0
        r swapdb 0 1
        assert_replication_stream $repl {
            {select 9} flushdb {flushdb async} {flushall sync} {swapdb 0 0} {swapdb 0 1}
        }
        close_replication_stream $repl
    } {} {needs:repl singledb:skip}

    test {events of a new key, of a copy and of a move} {
        r flushall
        r config set notify-keyspace-events EAn
        set rd [valkey_deferring_client]
        psubscribe $rd {__keyevent@*}
        r set a 1
        r copy a b
        r copy a b replace
        r move a 10
        r select 10
        r del a
        r select 9
        foreach {event key} {
            9__:new a 9__:set a 9__:new b 9__:copy_to b 9__:new b 9__:copy_to b
            10__:new a 9__:move_from a 10__:move_to a 10__:del a
        } {
            assert_equal [list pmessage __keyevent@* __keyevent@$event $key] [$rd read]
        }
        $rd close
        r config set notify-keyspace-events ""
    } {OK} {singledb:skip}

    test {a missing key is told as keymiss by reads, not by writes and not by OBJECT} {
        r flushall
        r config set notify-keyspace-events Em
        set rd [valkey_deferring_client]
        psubscribe $rd {__keyevent@*}
        r del none
        r expire none 1
        r object encoding none
        r move none 10
        foreach command {exists touch type ttl get} {
            r $command $command
            assert_equal [list pmessage __keyevent@* __keyevent@9__:keymiss $command] [$rd read]
        }
        $rd close
        r config set notify-keyspace-events ""
    } {OK} {singledb:skip}

    test {FLUSHDB and SWAPDB break the WATCH of keys that are concerned} {
        r flushall
        r set x 1
        set other [valkey_client]
        $other select 9
        foreach command {{flushdb} {flushall} {swapdb 9 10} {swapdb 10 9}} {
            r set x 1
            r watch x
            $other {*}$command
            r multi
            r ping
            assert_equal {} [r exec] $command
        }
        r watch none
        $other flushall
        r multi
        r ping
        assert_equal PONG [r exec]
        $other close
    } {} {singledb:skip}

    test {RENAME, COPY and MOVE are changes where a key goes from and to} {
        r flushall
        set here [valkey_client]
        set there [valkey_client]
        $here select 9
        $there select 10
        foreach {command source target} {
            {rename src dst} {} PONG {copy src dst db 10} PONG {} {copy src dst} PONG PONG {move src 10} {} {}
        } {
            r flushall
            r rpush src x
            $here watch src
            $there watch src dst
            r {*}$command
            foreach client [list $here $there] outcome [list $source $target] {
                $client multi
                $client ping
                assert_equal $outcome [$client exec] $command
            }
        }
        r flushall
        set rd [valkey_deferring_client]
        $rd select 10
        $rd read
        foreach {command from} {{copy src dst db 10} dst {move src 10} src} {
            $rd blpop dst src 0
            wait_for_blocked_client
            r rpush src x
            r {*}$command
            assert_equal [list $from x] [$rd read]
            r del src
        }
        r config set notify-keyspace-events EA
        set events [valkey_deferring_client]
        psubscribe $events {__keyevent@10__* __keyevent@end}
        r rpush src x
        r copy src dst db 10
        assert_equal {copy_to dst} [told_events $events]
        r config set notify-keyspace-events ""
        foreach client [list $here $there $rd $events] {
            $client close
        }
    } {} {singledb:skip}

    test {what is freed in the background is counted} {
        r flushall
        set members {}
        for {set i 0} {$i < 200} {incr i} {
            lappend members member:$i
        }
        set options [r config get lazyfree-lazy-*]
        foreach {option value freed command} {
            user-del no 0 {del big} user-del no 1 {unlink big} user-del yes 1 {del big}
            server-del no 0 {set big v} server-del yes 1 {set big v} server-del no 0 {rename src big}
            server-del yes 1 {rename src big}
            expire no 0 {expire big -1} expire yes 1 {expire big -1}
            user-flush no 0 {flushall} user-flush yes 2 {flushall} user-flush no 2 {flushdb async} user-flush yes 0 {flushdb sync}
        } {
            r config set lazyfree-lazy-$option $value
            r set src v
            r sadd big {*}$members
            # What was freed before is not counted any more.
            eventually 5000 {[s lazyfree_pending_objects] == 0}
            r config resetstat
            r {*}$command
            eventually 5000 {[s lazyfree_pending_objects] == 0}
            assert_equal $freed [s lazyfreed_objects] "$option $value: $command"
            r del big
        }
        r config set {*}$options
    } {OK} {needs:config-resetstat cluster:skip}

    test {SWAPDB wakes the clients blocked on a key that has come} {
        r flushall
        set rd [valkey_deferring_client]
        $rd select 10
        $rd read
        $rd blpop list 0
        wait_for_blocked_client
        r rpush list x
        r swapdb 9 10
        assert_equal {list x} [$rd read]
        $rd blpop list 0
        wait_for_blocked_client
        r rpush list y
        r swapdb 10 9
        assert_equal {list y} [$rd read]
        $rd close
    } {} {singledb:skip}
}
