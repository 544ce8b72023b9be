# Writes to a replica that allows them: a key whose time is over, and whose DEL has not come yet, is gone for a write as it
# is for a read. Nothing of it reaches the replica's own replicas.

source tests/helpers/dual-channel.tcl

start_server {tags {"repl external:skip needs:debug"} overrides {save "" repl-diskless-sync-delay 0 repl-ping-replica-period 3600}} {
    set p [srv client]
    start_server {overrides {save "" repl-diskless-sync-delay 0 replica-read-only no}} {
        set r [srv client]
        $p debug set-active-expire 0
        $r replicaof {*}[at -1]
        wait_for_sync $r

        # Has the primary write `key` by `args`, and its time be over.
        proc dead {key args} {
            upvar p p r r
            $p del $key
            $p {*}$args
            $p pexpire $key 1
            wait_for_ofs_sync $r $p
            wait_for_condition 100 10 {[$r exists $key] == 0} else { fail "$key is still there" }
        }

        # Empties both.
        proc start_anew {} {
            upvar p p r r
            $p flushall
            wait_for_ofs_sync $r $p
        }

        # What the key held, the write and its reply, the read behind it and its reply.
        foreach {family cases} {
            strings {
                {set k 5} {incr k} 1 {get k} 1
                {set k 5} {decrby k 3} -3 {get k} -3
                {set k 5} {incrbyfloat k 1.5} 1.5 {get k} 1.5
                {set k 5} {setnx k 9} 1 {get k} 9
                {set k 5} {set k 9} OK {pttl k} -1
                {set k 5} {set k 9 keepttl} OK {pttl k} -1
                {set k 5} {set k 9 nx} OK {get k} 9
                {set k 5} {set k 9 xx} {} {exists k} 0
                {rpush k 5} {set k 9 get} {} {get k} 9
                {set k 5} {getset k 9} {} {get k} 9
                {set k 5} {getdel k} {} {exists k} 0
                {set k 5} {mset k 9} OK {pttl k} -1
                {set k 5} {msetnx k 9} 1 {get k} 9
                {set k 5} {append k x} 1 {get k} x
                {set k 55} {setrange k 1 x} 2 {get k} "\0x"
            }
            keys {
                {set k 5} {expire k 100} 0 {exists k} 0
                {set k 5} {persist k} 0 {exists k} 0
                {set k 5} {del k} 1 {exists k} 0
                {set k 5} {unlink k} 1 {exists k} 0
            }
            lists {
                {rpush k a} {lpush k b} 1 {lrange k 0 -1} b
                {rpush k a} {rpushx k b} 0 {exists k} 0
                {rpush k a} {lpop k} {} {exists k} 0
                {rpush k a} {rpop k 2} {} {exists k} 0
                {rpush k a} {linsert k before a b} 0 {exists k} 0
                {rpush k a} {lrem k 0 a} 0 {exists k} 0
                {rpush k a} {ltrim k 0 0} OK {exists k} 0
                {rpush k a} {lmpop 1 k left} {} {exists k} 0
                {rpush k a} {blpop k 0.01} {} {exists k} 0
                {set k 5} {rpush k b} 1 {lrange k 0 -1} b
            }
            hashes {
                {hset k f 1} {hset k g 1} 1 {hlen k} 1
                {hset k f 1} {hsetnx k f 2} 1 {hget k f} 2
                {hset k f 1} {hincrby k f 5} 5 {hget k f} 5
                {hset k f 1} {hincrbyfloat k f 5} 5 {hget k f} 5
                {hset k f 1} {hdel k f} 0 {exists k} 0
            }
            sets {
                {sadd k a b} {sadd k a} 1 {scard k} 1
                {sadd k a b} {srem k a} 0 {exists k} 0
                {sadd k a b} {spop k} {} {exists k} 0
                {sadd k a b} {spop k 5} {} {exists k} 0
            }
            sorted-sets {
                {zadd k 1 a 2 b} {zadd k 5 a} 1 {zcard k} 1
                {zadd k 1 a 2 b} {zadd k xx 5 a} 0 {exists k} 0
                {zadd k 1 a 2 b} {zincrby k 5 a} 5 {zcard k} 1
                {zadd k 1 a 2 b} {zrem k a} 0 {exists k} 0
                {zadd k 1 a 2 b} {zpopmin k} {} {exists k} 0
                {zadd k 1 a 2 b} {zmpop 1 k max} {} {exists k} 0
                {zadd k 1 a 2 b} {bzpopmax k 0.01} {} {exists k} 0
                {zadd k 1 a 2 b} {zremrangebyrank k 0 -1} 0 {exists k} 0
                {zadd k 1 a 2 b} {zremrangebyscore k 0 9} 0 {exists k} 0
            }
            streams {
                {xadd k 5-1 f v} {xadd k 1-1 f v} 1-1 {xlen k} 1
                {xadd k 5-1 f v} {xadd k nomkstream 6-1 f v} {} {exists k} 0
                {xadd k 5-1 f v} {xdel k 5-1} 0 {exists k} 0
                {xadd k 5-1 f v} {xtrim k maxlen 0} 0 {exists k} 0
                {xadd k 5-1 f v} {xgroup create k g 0 mkstream} OK {xlen k} 0
            }
        } {
            test "a write to an expired key starts afresh: $family" {
                start_anew
                foreach {held write reply read after} $cases {
                    dead k {*}$held
                    assert_equal $reply [$r {*}$write] $write
                    assert_equal $after [$r {*}$read] "$read after $write"
                }
            }
        }

        test {what needs a key does not find an expired one} {
            start_anew
            foreach {held write error} {
                {set k 5} {rename k to} {ERR no such key}
                {set k 5} {renamenx k to} {ERR no such key}
                {rpush k a} {lset k 0 b} {ERR no such key}
                {xadd k 1-1 f v} {xsetid k 9-9} {ERR no such key}
                {xadd k 1-1 f v} {xgroup create k g 0} {ERR The XGROUP subcommand requires the key to exist*}
            } {
                dead k {*}$held
                assert_error $error {$r {*}$write}
                assert_equal 0 [$r exists k to]
            }
        }

        test {nothing of an expired key is carried elsewhere} {
            start_anew
            $r rpush livelist p
            $r sadd liveset m
            $r zadd livezset 3 c
            foreach {held write reply} {
                {set k 5} {move k 1} 0
                {set k 5} {copy k to} 0
                {rpush k a} {lmove k to left left} {}
                {rpush k a} {rpoplpush k to} {}
                {rpush k a} {rpoplpush k k} {}
                {rpush k a} {blmove k to left left 0.01} {}
                {sadd k a} {smove k to a} 0
                {sadd k a} {sunionstore to k} 0
                {sadd k a} {sinterstore to k liveset} 0
                {zadd k 1 a} {zunionstore to 1 k} 0
                {zadd k 1 a} {zrangestore to k 0 -1} 0
            } {
                dead k {*}$held
                assert_equal $reply [$r {*}$write] $write
                assert_equal 0 [$r exists k to]
            }
            # And nothing stands in the way where an expired key was, nor lends its time.
            foreach {held write reply} {
                {set k 5} {renamenx from k} 1
                {set k 5} {copy from k} 1
                {rpush k a} {lmove livelist k left left} p
                {sadd k a b} {smove liveset k m} 1
                {sadd k a b} {sunionstore k from} 1
                {zadd k 1 a} {zrangestore k livezset 0 -1} 1
            } {
                dead k {*}$held
                $r del from
                if {[lindex $write 0] eq "sunionstore"} { $r sadd from 1 } else { $r set from 1 }
                assert_equal $reply [$r {*}$write] $write
                assert_equal -1 [$r pttl k] $write
            }
        }

        test {the end of an expired key that a client of the replica writes to is told and counted} {
            start_anew
            dead k set k 5
            dead l rpush l a
            dead gone set gone 5
            $r config set notify-keyspace-events KEAn
            set told [valkey_deferring_client]
            psubscribe $told __keyevent@*
            set expired [s expired_keys]
            assert_equal 1 [$r incr k]
            assert_equal {} [$r lpop l]
            # A client that deletes it has deleted it.
            assert_equal 1 [$r del gone]
            assert_equal {expired k new k incrby k expired l del gone} [told_events $told]
            assert_equal 2 [expr {[s expired_keys] - $expired}]
            $told close
            $r config set notify-keyspace-events ""
        }

        test {a replica's own replicas hear nothing of what its clients write} {
            start_anew
            dead k set k 5
            dead l rpush l a
            set stream [attach_to_replication_stream]
            assert_equal 1 [$r incr k]
            assert_equal {} [$r lpop l]
            $r set own 1 px 1
            $p set end 1
            assert_replication_stream $stream {{set end 1}}
            close_replication_stream $stream
        }

        test {whoever a replica's client gave a time goes by itself, wherever it is; what the primary gave one stays} {
            start_anew
            $p sadd theirs a
            $p pexpire theirs 100000
            wait_for_ofs_sync $r $p
            # Read, changed, but given no time.
            $r sunionstore union theirs
            $r sadd theirs b
            assert_equal 0 [s slave_expires_tracked_keys]
            $r set own 1 px 200
            $r set other 1 px 200
            $r copy own copied db 1
            $r rename own renamed
            $r move other 2
            wait_for_condition 100 50 {[$r dbsize] == 2 && ![string match *db1:* [$r info keyspace]] && ![string match *db2:* [$r info keyspace]]} else {
                fail "still there: [$r info keyspace]"
            }
            assert_equal {theirs union} [lsort [$r keys *]]
        }
    }
}
