# How uses of keys are counted and remembered (OBJECT FREQ, OBJECT IDLETIME): once per look at a key, by whoever looks, and
# what is left of it when the policy changes.

# With these every use counts one, and no time takes any away. Integers of a server without a limit may be shared.
start_server {tags {"maxmemory external:skip"} overrides {maxmemory-policy allkeys-lfu lfu-log-factor 0 lfu-decay-time 0 maxmemory 1gb}} {
    # How often `args` uses each of `keys`.
    proc uses {keys args} {
        foreach key $keys { set before($key) [r object freq $key] }
        r {*}$args
        lmap key $keys { expr {[r object freq $key] - $before($key)} }
    }

    test {a new key has a head start, and each use counts one} {
        r flushall
        r set k v
        assert_equal 5 [r object freq k]
        foreach {command count} {
            {get k} 1 {mget k k} 2 {set k w} 1 {append k x} 1 {getset k v} 2 {setrange k 0 y} 1 {touch k} 1
            {exists k} 0 {type k} 0 {ttl k} 0 {object encoding k} 0 {memory usage k} 0 {scan 0} 0 {keys *} 0
            {expire k 100} 1 {persist k} 1 {setnx k v} 1 {set k v nx} 1 {set k v xx get} 2
        } {
            assert_equal $count [uses k {*}$command] $command
        }
    }

    # What is there under k and k2, the command, and how often it uses the two.
    foreach {family setup cases} {
        keys {set KEY v} {
            {renamenx k k2} {1 1} {copy k k2} {1 1} {copy k3 k2} {0 0}
        }
        lists {rpush KEY a b c d e f g h i j k l m n o} {
            {lpushx k x} {1 0} {lpush k x} {1 0} {lpop k} {1 0} {lmpop 2 none k left} {1 0} {blpop k 0} {1 0}
            {blmpop 0 1 k right} {1 0} {lmove k k2 left left} {1 1} {rpoplpush k k} {2 0} {blmove k k2 left left 0} {2 1}
            {linsert k before b x} {1 0} {lrem k 0 nope} {1 0} {ltrim k 0 100} {1 0} {lrange k 0 -1} {1 0}
        }
        hashes {hset KEY f 1 g 2} {
            {hset k f 2} {1 0} {hincrby k f 5} {1 0} {hincrby k new 5} {1 0} {hincrbyfloat k f 1.5} {1 0} {hdel k nope} {1 0}
            {hget k f} {1 0} {hsetnx k f 1} {1 0} {hrandfield k 5} {1 0}
        }
        sets {sadd KEY a b c d e} {
            {sadd k x} {1 0} {spop k} {1 0} {spop k 2} {1 0} {smove k k2 a} {1 1} {smove k k2 nope} {1 1} {smove k k a} {2 0}
            {smove none k a} {1 0} {sinter k k2} {1 1} {srandmember k -2} {1 0}
        }
        sorted-sets {zadd KEY 1 a 2 b 3 c 4 d 5 e 6 f 7 g 8 h 9 i 10 j} {
            {zadd k 5 a} {1 0} {zadd k xx 7 a} {1 0} {zadd k nx 7 a} {1 0} {zincrby k 1 a} {1 0} {zpopmin k} {1 0} {zpopmax k 2} {1 0}
            {zmpop 1 k min} {1 0} {bzpopmin k 0} {2 0} {bzmpop 0 1 k min} {2 0} {zrem k nope} {1 0} {zrange k 0 -1} {1 0}
        }
        streams {xadd KEY 1-1 f v} {
            {xadd k 2-1 f v} {1 0} {xadd k nomkstream 3-1 f v} {1 0} {xgroup create k g 0} {1 0} {xgroup create k2 g 0} {0 1}
            {xreadgroup group g c streams k k2 > >} {2 2} {xreadgroup group g c streams k 0} {2 0} {xack k g 1-1} {1 0}
            {xclaim k g c2 0 2-1} {1 0} {xautoclaim k g c3 0 0} {1 0} {xread streams k 0} {2 0} {xdel k 9-9} {1 0}
            {xpending k g} {1 0} {xinfo stream k} {1 0}
        }
    } {
        test "a command uses a key as often as it looks for it: $family" {
            r flushall
            foreach key {k k2} { r {*}[string map [list KEY $key] $setup] }
            foreach {command counts} $cases {
                assert_equal $counts [uses {k k2} {*}$command] $command
            }
        }
    }

    test {NO-TOUCH concerns nobody but the client that said so} {
        r flushall
        r rpush dst x
        set quiet [valkey_client]
        $quiet client no-touch on
        set waiting [valkey_deferring_client]
        $waiting blmove src dst left left 0
        wait_for_blocked_client
        set before [r object freq dst]
        # Whom it serves has not said so: a look at each of the two lists.
        $quiet rpush src a
        assert_equal a [$waiting read]
        assert_equal 1 [expr {[r object freq dst] - $before}]
        # Nor does one that has said so get served as if it had not.
        set also [valkey_deferring_client]
        $also client no-touch on
        assert_equal OK [$also read]
        $also blmove src dst left left 0
        wait_for_blocked_client
        set before [r object freq dst]
        r rpush src b
        assert_equal b [$also read]
        assert_equal $before [r object freq dst]
        # In a transaction all of its reads stay untold, but for TOUCH.
        foreach {command count} {{lrange dst 0 -1} 0 {lpush dst y} 0 {touch dst} 1} {
            set before [r object freq dst]
            $quiet multi
            $quiet {*}$command
            $quiet exec
            assert_equal $count [expr {[r object freq dst] - $before}] $command
        }
        # Between others' requests it leaves nothing behind.
        assert_equal 1 [uses dst lrange dst 0 -1]
        foreach c [list $quiet $waiting $also] { $c close }
    }

    test {a replica counts by itself what its primary writes, whatever its clients said of theirs} {
        r flushall
        start_server {overrides {maxmemory-policy allkeys-lfu lfu-log-factor 0 lfu-decay-time 0 maxmemory 1gb}} {
            r config set replica-read-only yes
            r replicaof [srv -1 host] [srv -1 port]
            wait_for_sync r
            R 1 rpush l a
            wait_for_ofs_sync [srv client] [srv -1 client]
            set before [r object freq l]
            set quiet [valkey_client]
            $quiet client no-touch on
            $quiet lrange l 0 -1
            R 1 rpush l b
            wait_for_ofs_sync [srv client] [srv -1 client]
            assert_equal 1 [expr {[r object freq l] - $before}]
            $quiet close
        }
    } {} {needs:repl}
}

start_server {tags {"maxmemory external:skip"} overrides {lfu-log-factor 0 lfu-decay-time 0}} {
    # The clock of uses is 24 bits, which one kind of policies reads as seconds and the other as minutes and a count.
    test {what is left of a key's past when the policy changes} {
        r flushall
        set clock [s lru_clock]
        r set k abc
        assert_error {ERR An LFU maxmemory policy is not selected*} {r object freq k}
        # The second may just have passed.
        r config set maxmemory-policy allkeys-lfu
        assert_error {ERR An LFU maxmemory policy is selected*} {r object idletime k}
        set count [r object freq k]
        assert {$count - ($clock & 255) in {0 1 2 -255 -254}}
        r get k
        assert_equal [expr {min($count + 1, 255)}] [r object freq k]
        r set new abc
        assert_equal 5 [r object freq new]
        # And back: what had a count has been idle for a time that means nothing, until it is used.
        r config set maxmemory-policy volatile-lru
        assert_morethan [r object idletime new] 1000
        r get new
        assert_lessthan [r object idletime new] 3
        # Time takes away from a count that was none: the clock of seconds was no minute of late.
        r config set lfu-decay-time 1
        r config set maxmemory-policy volatile-lfu
        assert_equal 0 [r object freq new]
        r get new
        assert_equal 1 [r object freq new]
    }

    # The reference shares small integers among keys, with one count and one clock for all of them.
    test {a small integer is used for itself} {
        r flushall
        r config set maxmemory-policy allkeys-lfu
        r set a 5
        r set b 5
        assert_equal {5 5} [list [r object freq a] [r object freq b]]
        r get a
        assert_equal {6 5} [list [r object freq a] [r object freq b]]
        r config set maxmemory-policy noeviction
        r set c 6
        assert_lessthan [r object idletime c] 3
    } {} {peer:skip}
}
