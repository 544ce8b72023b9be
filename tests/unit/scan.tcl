# SCAN, SSCAN, HSCAN and ZSCAN: cursors, options, and the guarantee that what is there all the time is
# seen at least once.

# All elements that a walk by `command` (a list, the cursor going behind it) shows, in order.
proc walk {command args} {
    set cursor 0
    set seen {}
    while 1 {
        lassign [r {*}$command $cursor {*}$args] cursor elements
        lappend seen {*}$elements
        if {$cursor == 0} {
            return $seen
        }
    }
}

start_server {tags {"scan"}} {
    test {SCAN sees every key} {
        r flushdb
        populate 1000
        assert_equal 1000 [llength [lsort -unique [walk scan]]]
        assert_equal 1000 [llength [lsort -unique [walk scan COUNT 5]]]
        assert_equal 1000 [llength [lsort -unique [walk scan count 100000]]]
    }

    test {SCAN MATCH} {
        r flushdb
        populate 1000
        assert_equal 100 [llength [lsort -unique [walk scan match "key:1??"]]]
        assert_equal {} [walk scan match nothing*]
        assert_equal {key:7} [lsort -unique [walk scan match key:7]]
    }

    test {COUNT bounds a step, whatever MATCH leaves of it} {
        r flushdb
        populate 1000
        set steps 0
        set cursor 0
        while 1 {
            set cursor [lindex [r scan $cursor match nothing count 10] 0]
            incr steps
            if {$cursor == 0} break
        }
        assert_range $steps 30 1000
    }

    test {SCAN TYPE} {
        r flushdb
        populate 100
        for {set i 0} {$i < 20} {incr i} {
            r rpush list:$i x
            r zadd zset:$i 1 x
        }
        assert_equal 100 [llength [lsort -unique [walk scan type string]]]
        assert_equal 20 [llength [lsort -unique [walk scan type LIST]]]
        assert_equal 11 [llength [lsort -unique [walk scan match zset:1* type zset]]]
        assert_equal {} [walk scan type hash]
        assert_error {ERR unknown type name 'nonsense'} {r scan 0 type nonsense}
    }

    test {cursors and options that are none} {
        foreach cursor {x -1 1x 18446744073709551616} {
            assert_error {ERR invalid cursor} {r scan $cursor}
            assert_error {ERR invalid cursor} {r sscan none $cursor}
            assert_error {ERR invalid cursor} {r hscan none $cursor}
            assert_error {ERR invalid cursor} {r zscan none $cursor}
        }
        assert_error {ERR syntax error} {r scan 0 count}
        assert_error {ERR syntax error} {r scan 0 count 0}
        assert_error {ERR syntax error} {r scan 0 count -1}
        assert_error {ERR value is not an integer or out of range} {r scan 0 count x}
        assert_error {ERR syntax error} {r scan 0 nonsense}
        assert_error {ERR syntax error} {r scan 0 match}
        assert_error {ERR NOVALUES option can only be used in HSCAN} {r scan 0 novalues}
        assert_error {ERR NOSCORES option can only be used in ZSCAN} {r scan 0 noscores}
        assert_equal 0 [lindex [r scan 18446744073709551615] 0]
        # What stands behind a zero byte is not seen.
        assert_equal {0 {}} [r sscan none "1\x00"]
    }

    test {a missing key is empty, options unread; the wrong type is refused} {
        r flushdb
        foreach command {sscan hscan zscan} {
            assert_equal {0 {}} [r $command none 0]
            assert_equal {0 {}} [r $command none 0 nonsense]
            r set string x
            assert_error {WRONGTYPE*} {r $command string 0}
        }
    }

    test {SCAN deletes the expired keys it would have shown} {
        r flushdb
        r debug set-active-expire 0
        r set e1 v px 1
        r set e2 v px 1
        r rpush stays x
        after 5
        assert_equal {0 stays} [r scan 0 type list]
        assert_equal 3 [r dbsize]
        assert_equal {0 {}} [r scan 0 match e1]
        assert_equal 2 [r dbsize]
        assert_equal {0 stays} [r scan 0]
        r debug set-active-expire 1
        r dbsize
    } {1} {needs:debug}

    foreach {encoding count} {listpack 30 hashtable 1000} {
        test "HSCAN of a $encoding" {
            r del hash
            for {set i 0} {$i < $count} {incr i} {
                r hset hash field:$i value:$i
            }
            assert_encoding $encoding hash
            set pairs [dict create {*}[walk {hscan hash}]]
            assert_equal $count [dict size $pairs]
            dict for {field value} $pairs {
                assert_equal value:[lindex [split $field :] 1] $value
            }
            assert_equal $count [llength [lsort -unique [walk {hscan hash} novalues]]]
            assert_equal {field:7 value:7} [lrange [walk {hscan hash} match field:7] 0 1]
            assert_equal {field:7} [lsort -unique [walk {hscan hash} match field:7 NOVALUES count 20]]
            assert_error {ERR syntax error} {r hscan hash 0 type string}
            assert_error {ERR NOSCORES*} {r hscan hash 0 noscores}
        }
    }

    foreach {encoding count prefix} {intset 100 "" listpack 100 m: hashtable 1000 m: hashtable 1000 ""} {
        test "SSCAN of a $encoding with $count members '$prefix'" {
            r del set
            for {set i 0} {$i < $count} {incr i} {
                r sadd set $prefix$i
            }
            assert_encoding $encoding set
            assert_equal $count [llength [lsort -unique [walk {sscan set}]]]
            assert_equal ${prefix}7 [lsort -unique [walk {sscan set} match ${prefix}7]]
            assert_error {ERR NOVALUES*} {r sscan set 0 novalues}
        }
    }

    foreach {encoding count} {listpack 30 skiplist 1000} {
        test "ZSCAN of a $encoding" {
            r del zset
            for {set i 0} {$i < $count} {incr i} {
                r zadd zset $i.5 member:$i
            }
            assert_encoding $encoding zset
            set pairs [dict create {*}[walk {zscan zset}]]
            assert_equal $count [dict size $pairs]
            dict for {member score} $pairs {
                assert_equal [lindex [split $member :] 1].5 $score
            }
            assert_equal $count [llength [lsort -unique [walk {zscan zset} noscores]]]
            assert_equal {0 {}} [r zscan zset 0 match nobody count 100000]
            assert_equal {0 {}} [r zscan zset 0 count 100000 match nobody]
            set one [lindex [r zrange zset 0 0] 0]
            assert_equal [list 0 [list $one [r zscore zset $one]]] [r zscan zset 0 match $one count 100000]
            assert_error {ERR NOVALUES*} {r zscan zset 0 novalues}
        }
    }

    test {ZSCAN scores are strings of the shortest form, in both protocols} {
        r del zset
        r zadd zset 1 a 1.5 b inf c -inf d 1e20 e
        set expected {d -inf a 1 b 1.5 e 1e+20 c inf}
        assert_equal [list 0 $expected] [r zscan zset 0]
        r hello 3
        assert_equal [list 0 $expected] [r zscan zset 0]
        r hello 2
        # Members of a skip list come with all the digits.
        set most [config_get_set zset-max-listpack-entries 0]
        r del zset
        r zadd zset 0.1 a
        assert_equal {0 {a 0.10000000000000001}} [r zscan zset 0]
        r config set zset-max-listpack-entries $most
    } {*} {external:skip}

    test {packed values are shown whole, whatever the cursor and COUNT} {
        r del hash
        r hset hash a 1 b 2
        assert_equal {0 {a 1 b 2}} [r hscan hash 5 count 1]
    }

    test {keys that are there all the time are seen while others come and go} {
        r flushdb
        populate 100 stays:
        set cursor 0
        set seen {}
        set n 0
        while 1 {
            lassign [r scan $cursor count 5] cursor keys
            lappend seen {*}$keys
            for {set i 0} {$i < 20} {incr i} {
                r set comes:[incr n] v
            }
            for {set i 0} {$i < 15} {incr i} {
                r del comes:[expr {$n - 18 + $i}]
            }
            if {$cursor == 0} break
        }
        assert_equal 100 [llength [lsort -unique [lsearch -all -inline $seen stays:*]]]
    }

    test {a table that shrinks amid a walk hides nothing} {
        r del set
        for {set i 0} {$i < 5000} {incr i} {
            r sadd set m:$i
        }
        set cursor 0
        set seen {}
        set first 1
        while 1 {
            lassign [r sscan set $cursor count 20] cursor members
            lappend seen {*}$members
            if {$first} {
                for {set i 50} {$i < 5000} {incr i} {
                    r srem set m:$i
                }
                set first 0
            }
            if {$cursor == 0} break
        }
        for {set i 0} {$i < 50} {incr i} {
            assert {"m:$i" in $seen}
        }
    }

    test {the propagated side of SCAN are the expired keys} {
        r flushall
        r debug set-active-expire 0
        set repl [attach_to_replication_stream]
        r set e v px 1
        after 5
        r scan 0
        r set last v
        assert_replication_stream $repl {{select *} {set e v PXAT *} {unlink e} {set last v}}
        close_replication_stream $repl
        r debug set-active-expire 1
    } {OK} {needs:debug needs:repl cluster:skip}

    # They have nothing to do with each other, unless a transaction came across them.
    foreach command {scan randomkey} {
        test "expired keys that $command comes across are propagated one by one" {
            r flushall
            r debug set-active-expire 0
            set ask [list $command]
            if {$command eq "scan"} { lappend ask 0 }
            set repl [attach_to_replication_stream]
            r mset a v b v c v
            foreach key {a b c} { r pexpire $key 1 }
            after 5
            r {*}$ask
            assert_equal 0 [r dbsize]
            r mset a v b v c v
            foreach key {a b c} { r pexpire $key 1 }
            after 5
            r multi
            r {*}$ask
            r exec
            r set last v
            set seen {}
            while {[lindex $seen end] ne {set last v}} { lappend seen [read_from_replication_stream $repl] }
            close_replication_stream $repl
            r debug set-active-expire 1
            set told [lmap words $seen {lindex $words 0}]
            set told [lsearch -all -inline -regexp $told {mset|unlink|multi|exec}]
            assert_equal {mset unlink unlink unlink mset multi unlink unlink unlink exec} $told
        } {} {needs:debug needs:repl cluster:skip}
    }
}
