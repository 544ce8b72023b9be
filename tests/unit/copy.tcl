# COPY of large values, which takes several turns: the copy, its place, the stream, and what happens meanwhile.

# A key of 30000 members, or of a list of so many nodes that it is large.
proc make_large {key type} {
    r del $key
    for {set i 0} {$i < 30000} {incr i 1000} {
        set words {}
        for {set j $i} {$j < $i + 1000} {incr j} {
            switch $type {
                set {lappend words member:$j}
                hash {lappend words field:$j value:$j}
                zset {lappend words [expr {$j % 100}] member:$j}
                list {lappend words [string repeat x 300]:$j}
            }
        }
        r [dict get {set sadd hash hset zset zadd list rpush} $type] $key {*}$words
    }
}

start_server {tags {"keyspace"}} {
    foreach type {set hash zset list} {
        test "COPY of a large $type" {
            make_large k $type
            r del d
            r pexpire k 1000000
            assert_equal 1 [r copy k d]
            assert_equal [debug_digest_value k] [debug_digest_value d]
            assert_equal [r object encoding k] [r object encoding d]
            assert_range [r pttl d] 1 1000000
        } {} {needs:debug}

        test "COPY of a large $type to where something is" {
            make_large k $type
            r set d old
            assert_equal 0 [r copy k d]
            assert_equal old [r get d]
            assert_equal 1 [r copy k d replace]
            assert_equal [debug_digest_value k] [debug_digest_value d]
        } {} {needs:debug}

        test "COPY of a large $type in a transaction" {
            make_large k $type
            r del d
            r multi
            r copy k d
            r del k
            assert_equal {1 1} [r exec]
            assert_equal $type [r type d]
        }
    }

    foreach {change length} {
        {append %s y} 100001
        {setrange %s 5 yy} 100000
        {setrange %s 200000 y} 200001
        {setbit %s 9 1} 100000
        {bitfield %s set u8 0 7} 100000
        {set %s y} 1
        {getdel %s} 0
        {getset %s y} 1
    } {
        test "a long string and its copy change apart: $change" {
            set text [string repeat x 100000]
            foreach changed {k d} kept {d k} {
                r set k $text
                r del d
                assert_equal 1 [r copy k d]
                r {*}[format $change $changed]
                assert_equal $text [r get $kept]
                assert_equal $length [r strlen $changed]
            }
        }
    }

    test {a long string is copied to itself by way of others} {
        set text [string repeat x 100000]
        r set k $text
        r copy k d
        r bitop not d k
        r bitop or k k d
        assert_equal [string repeat \xff 100000] [r get k]
        assert_equal [string repeat \x87 100000] [r get d]
        r copy d k replace
        r append k y
        assert_equal [string repeat \x87 100000] [r get d]
    }

    test {COPY of a large value goes to the stream as it came, and is one change} {
        make_large k set
        r del d
        set repl [attach_to_replication_stream]
        set before [s rdb_changes_since_last_save]
        r copy k d
        assert_equal 1 [expr {[s rdb_changes_since_last_save] - $before}]
        r copy k d
        r set end 1
        assert_replication_stream $repl {{select *} {copy k d} {set end 1}}
        close_replication_stream $repl
    } {} {needs:repl}

    test {COPY of a large value is followed by commands of the same pipeline} {
        make_large k zset
        r del d
        set other [valkey_deferring_client]
        $other copy k d
        $other zcard d
        $other zadd d 1 new
        $other zcard d
        assert_equal {1 30000 1 30001} [list [$other read] [$other read] [$other read] [$other read]]
        $other close
        r zcard k
    } {30000}

    test {COPY of a large value that others change sees the value of one moment} {
        make_large k set
        r del d
        set other [valkey_deferring_client]
        for {set i 0} {$i < 20} {incr i} {
            $other copy k d replace
            $other flush
            # Two changes at once: a copy has both or none.
            r multi
            r sadd k a:$i
            r sadd k b:$i
            r exec
            assert_equal 1 [$other read]
            assert_equal [r sismember d a:$i] [r sismember d b:$i]
        }
        $other close
    }
}
