# SORT and SORT_RO: numbers and texts, BY and GET, LIMIT, STORE, sources, refusals, events, propagation.

# Makes KEY a value of TYPE with ELEMENTS.
proc make_source {type key elements} {
    r del $key
    switch $type {
        list {r rpush $key {*}$elements}
        set {r sadd $key {*}$elements}
        "large set" {
            r sadd $key [string repeat x 70] {*}$elements
            r srem $key [string repeat x 70]
        }
        zset {
            set score 0
            foreach element $elements { r zadd $key [incr score -1] $element }
        }
    }
}

start_server {tags {"sort"}} {
    foreach type {list set {large set} zset} {
        test "SORT of a $type: numbers, texts, directions, limits" {
            make_source $type k {3 10 -1 2.5 1e3 0x20}
            assert_equal {-1 2.5 3 10 0x20 1e3} [r sort k]
            assert_equal {1e3 0x20 10 3 2.5 -1} [r sort k desc]
            assert_equal {-1 0x20 10 1e3 2.5 3} [r sort k alpha]
            assert_equal {3 2.5 1e3 10 0x20 -1} [r sort k alpha desc]
            assert_equal {3 10} [r sort k limit 2 2]
            assert_equal {-1 2.5} [r sort k limit -5 2]
            assert_equal {0x20 1e3} [r sort k limit 4 9223372036854775807]
            assert_equal {1e3} [r sort_ro k desc limit 0 1]
            assert_equal {{} {}} [list [r sort k limit 6 1] [r sort k limit 0 0]]
            assert_equal 6 [llength [r sort k limit 0 -1]]
        }

        test "SORT of a $type: BY and GET" {
            make_source $type k {1 2 3 4}
            r mset w_1 30 w_2 20 w_3 10 a1b x
            r del w_4 h_1 h_2
            r hset h_1 f 2 g y
            r hset h_2 f 1
            assert_equal {4 3 2 1} [r sort k by w_*]
            assert_equal {1 2 3 4} [r sort k by w_* desc]
            assert_equal {1 2 3 4} [r sort k by h_*->f desc by w_*]
            assert_equal {3 4 2 1} [r sort k by h_*->f]
            assert_equal {4 {} 3 {} 2 {} 1 x} [r sort k by w_* get # get a*b]
            assert_equal {y {} {} {}} [r sort k get h_*->g]
            assert_equal {{} {} {}} [r sort k limit 0 1 get w_1 get h_* get w_*->f]
            assert_equal {4 3 2 1} [r sort k by w_* alpha]
            assert_equal {3 4} [r sort k by h_*->f alpha desc limit 1 2 get # by w_* limit 2 -1]
        }
    }

    test {SORT BY nosort takes a list and a sorted set as they are, either way} {
        make_source list k {5 1 4 2}
        assert_equal {5 1 4 2} [r sort k by nosort]
        assert_equal {2 4 1 5} [r sort k by nosort desc]
        assert_equal {4 1} [r sort k by nosort desc limit 1 2]
        assert_equal {1 4} [r sort k by nosort limit 1 2]
        r del k
        r zadd k 1 c 2 a 3 b
        assert_equal {c a b} [r sort k by nosort]
        assert_equal {b a} [r sort k by nosort desc limit 0 2]
        assert_equal {a b} [r sort k by nosort limit 1 10]
        # What is said once holds.
        assert_equal {c a b} [r sort k by nosort by w_*]
        make_source set k {x b a}
        assert_equal {a b x} [lsort [r sort k by nosort]]
        assert_equal 2 [llength [r sort k by nosort limit 1 5]]
    }

    test {SORT stores a set that is not to be sorted in an order of its own} {
        make_source set k {x b a 7}
        r sort k by nosort store d
        assert_equal {7 a b x} [r lrange d 0 -1]
        r sort k by nosort desc limit 0 2 store d
        r lrange d 0 -1
    } {x b}

    test {SORT tells equal numbers apart by their texts} {
        r del k
        r rpush k 01 1 +1 1.0
        assert_equal {+1 01 1 1.0} [r sort k]
        assert_equal {1.0 1 01 +1} [r sort k desc]
        r sort k by nokey_* limit 1 2
    } {01 1}

    test {SORT ALPHA compares up to a NUL, and all of it when it stores} {
        r del k
        r rpush k "b\x00z" "b\x00a" b a
        assert_equal [list a "b\x00z" "b\x00a" b] [r sort k alpha]
        r sort k alpha store d
        assert_equal [list a b "b\x00a" "b\x00z"] [r lrange d 0 -1]
    }

    test {SORT takes what strtod takes} {
        r del k
        r rpush k "" " 1" 2. .5 inf -inf "3\x00x"
        assert_equal [list -inf "" .5 " 1" 2. "3\x00x" inf] [r sort k]
        foreach bad {x nan "1 " 1e 0x -} {
            r del k
            r rpush k 1 $bad
            assert_error {ERR One or more scores can't be converted into double} {r sort k}
        }
    }

    test {SORT refuses a number too large for that request alone} {
        r del k
        r rpush k 1e400 1.5
        assert_error {ERR One or more scores can't be converted into double} {r sort k}
        r lpop k
        r sort k
    } {1.5} {peer:skip}

    test {SORT STORE makes a list, or deletes the key} {
        r del k d
        r rpush k 3 1 2
        r set d x
        assert_equal 3 [r sort k store d]
        assert_equal {1 2 3} [r lrange d 0 -1]
        assert_equal 6 [r sort k get # get nokey_* store d]
        assert_equal {1 {} 2 {} 3 {}} [r lrange d 0 -1]
        assert_equal 3 [r sort k store k]
        assert_equal {1 2 3} [r lrange k 0 -1]
        assert_equal 0 [r sort k limit 5 1 store d]
        assert_equal 0 [r exists d]
        r set d x
        assert_equal 0 [r sort nokey store d]
        r exists d
    } {0}

    test {SORT of a large list is stored as one} {
        r del k d
        set numbers {}
        for {set i 0} {$i < 3000} {incr i} { lappend numbers [expr {($i * 7919) % 3001}] }
        r rpush k {*}$numbers
        assert_equal [lsort -integer $numbers] [r sort k]
        assert_equal 3000 [r sort k desc store d]
        assert_encoding quicklist d
        assert_equal [lsort -integer -decreasing $numbers] [r lrange d 0 -1]
        assert_equal [lrange [lsort -integer $numbers] 1500 1502] [r sort k limit 1500 3]
    }

    test {SORT refuses, and changes nothing} {
        r del k
        r rpush k a
        r set s v
        assert_error {WRONGTYPE*} {r sort s}
        assert_error {ERR syntax error} {r sort s foo}
        foreach options {by get store limit {limit 1} {asc 1}} {
            assert_error {ERR syntax error} {r sort k {*}$options}
        }
        assert_error {ERR syntax error} {r sort_ro k store s}
        assert_error {ERR value is not an integer or out of range} {r sort s limit x 1}
        assert_error {ERR value is not an integer or out of range} {r sort k limit 1 1.5 foo}
        assert_error {ERR One or more scores can't be converted into double} {r sort k store s}
        assert_equal v [r get s]
        assert_equal {} [r sort nokey]
    }

    test {SORT tells of what it stores} {
        r del k d
        r rpush k 1
        r config set notify-keyspace-events EAn
        set events [valkey_deferring_client]
        psubscribe $events *
        r sort k
        r sort k store d
        r sort k limit 1 1 store d
        r sort k limit 1 1 store d
        set told [told_events $events]
        $events close
        r config set notify-keyspace-events ""
        set told
    } {new d sortstore d del d}

    test {SORT STORE serves clients that wait} {
        r del k d
        r rpush k 2 1
        set waiting [valkey_deferring_client]
        $waiting blpop d 0
        wait_for_blocked_client
        r sort k store d
        assert_equal {d 1} [$waiting read]
        $waiting close
        r lrange d 0 -1
    } {2}

    test {SORT STORE is propagated as it came} {
        r del k d
        r rpush k 2 1
        set repl [attach_to_replication_stream]
        r sort k
        r sort k alpha STORE d
        r sort k limit 9 9 store d
        r sort k limit 9 9 store d
        r set last v
        assert_replication_stream $repl {
            {select *}
            {sort k alpha STORE d}
            {sort k limit 9 9 store d}
            {set last v}
        }
        close_replication_stream $repl
    } {} {needs:repl}

    test {SORT finds no expired weights, and deletes what it stores over} {
        r debug set-active-expire 0
        r del k w_1 w_2
        r rpush k 1 2
        set repl [attach_to_replication_stream]
        r set w_1 9 px 1
        r set d v px 1
        after 5
        assert_equal {{} {}} [r sort k by w_* get w_*]
        r sort k store d
        assert_equal {1 2} [r lrange d 0 -1]
        assert_replication_stream $repl {
            {select *} {set w_1 *} {set d *} {unlink w_1}
            {multi} {unlink d} {sort k store d} {exec}
        }
        close_replication_stream $repl
        r debug set-active-expire 1
    } {OK} {needs:debug needs:repl}
}
