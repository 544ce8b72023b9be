# Sets: members, random members, moving, combining, encodings, events, propagation.

# Makes KEY a set of MEMBERS in the encoding asked for. A set of integers is an intset, another one a listpack; a long
# member, taken away again, makes a table.
proc make_set {encoding key members} {
    r del $key
    if {$encoding eq "hashtable"} {
        r sadd $key [string repeat x 65] {*}$members
        r srem $key [string repeat x 65]
    } elseif {$encoding eq "listpack"} {
        r sadd $key x {*}$members
        r srem $key x
    } else {
        r sadd $key {*}$members
    }
    assert_encoding $encoding $key
}

start_server {tags {"set"}} {
    foreach encoding {intset listpack hashtable} {
        test "SADD, SCARD, SISMEMBER, SMISMEMBER, SMEMBERS, SREM - $encoding" {
            make_set $encoding s {1 2 3}
            assert_equal 0 [r sadd s 2]
            assert_equal 2 [r sadd s 2 4 5 4]
            assert_equal 5 [r scard s]
            assert_equal {1 0 0} [list [r sismember s 5] [r sismember s 6] [r sismember s a]]
            assert_equal {1 0 1 0} [r smismember s 1 6 3 a]
            assert_equal {1 2 3 4 5} [lsort [r smembers s]]
            assert_equal {0 1 2} [list [r srem s 9 a] [r srem s 1] [r srem s 2 3 1]]
            assert_equal {4 5} [lsort [r smembers s]]
            assert_encoding $encoding s
            assert_equal 2 [r srem s 4 5]
            assert_equal 0 [r exists s]
        } {} {needs:debug}

        test "SMOVE - $encoding" {
            make_set $encoding a{t} {1 2 3}
            make_set $encoding b{t} {2 7}
            assert_equal {1 1 0} [list [r smove a{t} b{t} 1] [r smove a{t} b{t} 2] [r smove a{t} b{t} 9]]
            assert_equal {3 {1 2 7}} [list [r smembers a{t}] [lsort [r smembers b{t}]]]
            assert_equal 1 [r smove a{t} c{t} 3]
            assert_equal {0 3} [list [r exists a{t}] [r smembers c{t}]]
            assert_equal {1 0} [list [r smove c{t} c{t} 3] [r smove c{t} c{t} 4]]
            r del c{t}
        } {1} {needs:debug}

        test "SPOP - $encoding" {
            make_set $encoding s {1 2 3 4 5 6 7 8}
            set seen [list [r spop s]]
            lappend seen {*}[r spop s 0] {*}[r spop s 2] {*}[r spop s 1]
            assert_equal 4 [llength [lsort -unique $seen]]
            assert_equal 4 [r scard s]
            lappend seen {*}[r spop s 100]
            assert_equal {1 2 3 4 5 6 7 8} [lsort $seen]
            assert_equal 0 [r exists s]
            assert_equal {{} {}} [list [r spop s] [r spop s 3]]
        } {} {needs:debug}

        # So often that a member which is not seen has no chance.
        test "SPOP and SRANDMEMBER give each member its chance - $encoding" {
            set members [make_set $encoding all {1 2 3 4 5 6 7 8}]
            set members [lsort [r smembers all]]
            foreach command {{spop s} {spop s 3} {spop s 7} {srandmember s} {srandmember s 4} {srandmember s -1}} {
                set taken {}
                set left {}
                for {set i 0} {$i < 250} {incr i} {
                    r copy all s replace
                    lappend taken {*}[r {*}$command]
                    lappend left {*}[r smembers s]
                }
                assert_equal $members [lsort -unique $taken] $command
                assert_equal $members [lsort -unique $left] $command
            }
        } {} {needs:debug}

        test "SRANDMEMBER - $encoding" {
            make_set $encoding s {1 2 3 4 5 6 7 8 9 10}
            assert_equal {} [r srandmember s 0]
            assert_equal [lsort {1 2 3 4 5 6 7 8 9 10}] [lsort [r srandmember s 10]]
            assert_equal [lsort {1 2 3 4 5 6 7 8 9 10}] [lsort [r srandmember s 1000]]
            for {set count 1} {$count < 10} {incr count} {
                set members [r srandmember s $count]
                assert_equal $count [llength [lsort -unique $members]]
                assert_equal $count [llength $members]
                assert_equal [expr {$count * 10}] [llength [r srandmember s -[expr {$count * 10}]]]
            }
            # Every member comes at last, one by one, in samples and with repetition.
            foreach arguments {{} {3} {-5}} {
                set seen {}
                for {set i 0} {$i < 1000 && [dict size $seen] < 10} {incr i} {
                    foreach member [r srandmember s {*}$arguments] {
                        dict set seen $member 1
                    }
                }
                assert_equal 10 [dict size $seen]
            }
            r scard s
        } {10} {needs:debug}
    }

    test {SRANDMEMBER of a large set} {
        r del s
        r sadd s {*}[lmap i [lrepeat 2000 0] {randstring 20 20 alpha}]
        set size [r scard s]
        foreach count [list 1 10 [expr {$size / 4}] [expr {$size / 2}] [expr {$size - 1}] $size] {
            assert_equal $count [llength [lsort -unique [r srandmember s $count]]]
        }
        assert_equal 5000 [llength [r srandmember s -5000]]
    }

    test {SPOP and SRANDMEMBER refuse bad counts} {
        r del s nope
        r sadd s a
        foreach count {-1 x 1.5 99999999999999999999} {
            assert_error {ERR value is out of range, must be positive} {r spop s $count}
        }
        assert_error {ERR value is out of range, must be positive} {r spop nope -1}
        assert_error {ERR value is not an integer or out of range} {r srandmember s x}
        assert_error {ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807} {
            r srandmember s -9223372036854775808
        }
        assert_error {ERR syntax error} {r spop s 1 2}
        assert_error {ERR syntax error} {r srandmember s 1 2}
        list [r srandmember nope] [r srandmember nope 3] [r srandmember nope -3]
    } {{} {} {}}

    test {every set command refuses other types} {
        r del str{t} s{t} d{t}
        r set str{t} x
        r sadd s{t} a
        foreach command {
            {sadd str{t} a} {srem str{t} a} {sismember str{t} a} {smismember str{t} a} {scard str{t}} {smembers str{t}}
            {spop str{t}} {spop str{t} 0} {srandmember str{t}} {srandmember str{t} 0} {smove str{t} s{t} a}
            {smove s{t} str{t} a} {smove s{t} str{t} nope} {sinter str{t} s{t}} {sinter nope{t} str{t}}
            {sinter s{t} nope{t} str{t}} {sunion s{t} str{t}} {sdiff s{t} str{t}} {sdiff nope{t} str{t}}
            {sintercard 2 nope{t} str{t}} {sinterstore d{t} nope{t} str{t}} {sunionstore d{t} s{t} str{t}}
            {sdiffstore d{t} s{t} str{t}}
        } {
            assert_error {WRONGTYPE*} {r {*}$command}
        }
        assert_equal 0 [r smove nope{t} str{t} a]
        list [r smembers s{t}] [r get str{t}] [r exists d{t}]
    } {a x 0}

    test {wrong number of arguments} {
        foreach name {sadd srem sismember smove sinterstore sunionstore sdiffstore sintercard sinter smembers spop scard} {
            assert_error "ERR wrong number of arguments for '$name' command" {r $name}
        }
        assert_error {ERR wrong number of arguments for 'sadd' command} {r sadd s}
        assert_error {ERR wrong number of arguments for 'smismember' command} {r smismember s}
    }

    test {RESP3 has sets} {
        r del s{t} nope{t}
        r sadd s{t} 1
        r hello 3
        r readraw 1
        set seen {}
        foreach command {
            {smembers s{t}} {sinter s{t} s{t}} {sunion s{t}} {sdiff s{t}} {srandmember s{t} 1} {srandmember s{t} -1} {spop s{t} 1}
        } {
            lappend seen [r {*}$command]
            r read
            r read
        }
        foreach command {
            {smembers nope{t}} {sinter s{t} nope{t}} {sunion nope{t}} {sdiff nope{t} s{t}} {srandmember nope{t} 1}
            {spop nope{t} 1} {spop nope{t}} {srandmember nope{t}} {sismember nope{t} 1}
        } {
            lappend seen [r {*}$command]
        }
        r readraw 0
        r hello 2
        assert_equal {~1 ~1 ~1 ~1 *1 *1 ~1 ~0 ~0 ~0 ~0 *0 ~0 _ _ :0} $seen
    }

    foreach encoding {intset listpack hashtable} {
        foreach other {intset listpack hashtable} {
            test "SINTER, SUNION, SDIFF and their STORE forms - $encoding with $other" {
                make_set $encoding a{t} {1 2 3 4 5 6}
                make_set $other b{t} {4 5 6 7}
                make_set $encoding c{t} {1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 5}
                foreach {name keys result} {
                    sinter {a{t}} {1 2 3 4 5 6} sinter {a{t} b{t}} {4 5 6} sinter {b{t} a{t} c{t}} {4 5 6}
                    sinter {a{t} nope{t}} {} sinter {nope{t} a{t}} {} sinter {a{t} a{t}} {1 2 3 4 5 6}
                    sunion {a{t}} {1 2 3 4 5 6} sunion {a{t} b{t}} {1 2 3 4 5 6 7} sunion {nope{t} b{t}} {4 5 6 7}
                    sunion {nope{t}} {} sdiff {a{t} b{t}} {1 2 3} sdiff {b{t} a{t}} 7 sdiff {a{t} nope{t}} {1 2 3 4 5 6}
                    sdiff {nope{t} a{t}} {} sdiff {a{t} a{t}} {} sdiff {a{t} b{t} c{t}} {}
                    sdiff {c{t} a{t} b{t}} {8 9 10 11 12 13 14 15} sdiff {c{t} b{t} b{t} nope{t}} {1 2 3 8 9 10 11 12 13 14 15}
                } {
                    assert_equal $result [lsort -integer [r $name {*}$keys]]
                    r set d{t} string
                    assert_equal [llength $result] [r ${name}store d{t} {*}$keys]
                    assert_equal $result [lsort -integer [r smembers d{t}]]
                    if {$result ne ""} {
                        assert_encoding intset d{t}
                    }
                }
            } {} {needs:debug}
        }
    }

    test {SUNION of integers is in ascending order} {
        r del a{t} b{t}
        r sadd a{t} 5 9
        r sadd b{t} 7 -3 9
        list [r sunion a{t} b{t}] [r sunion b{t} nope{t} a{t}]
    } {{-3 5 7 9} {-3 5 7 9}}

    test {a STORE form may overwrite one of its sources} {
        r del a{t} b{t}
        r sadd a{t} 1 2 3
        r sadd b{t} 2 3 4
        r expire a{t} 100
        assert_equal 4 [r sunionstore a{t} a{t} b{t}]
        assert_equal {{1 2 3 4} -1} [list [lsort [r smembers a{t}]] [r ttl a{t}]]
        assert_equal 1 [r sdiffstore b{t} a{t} b{t}]
        assert_equal 1 [r smembers b{t}]
        assert_equal 0 [r sinterstore a{t} a{t} nope{t}]
        r exists a{t}
    } {0}

    test {SINTERCARD} {
        r del a{t} b{t} nope{t}
        r sadd a{t} 1 2 3 4 x
        r sadd b{t} 2 3 4 5 x
        assert_equal {5 4 0} [list [r sintercard 1 a{t}] [r sintercard 2 a{t} b{t}] [r sintercard 2 a{t} nope{t}]]
        assert_equal {4 1 3 4} [lmap limit {0 1 3 10} {r sintercard 2 a{t} b{t} LIMIT $limit}]
        assert_equal 2 [r sintercard 2 a{t} b{t} limit 1 limit 2]
        foreach {arguments message} {
            {0 a{t}} {ERR numkeys should be greater than 0}
            {-1 a{t}} {ERR numkeys should be greater than 0}
            {x a{t}} {ERR numkeys should be greater than 0}
            {2 a{t}} {ERR Number of keys can't be greater than number of args}
            {1 a{t} limit -1} {ERR LIMIT can't be negative}
            {1 a{t} limit x} {ERR LIMIT can't be negative}
            {1 a{t} limit} {ERR syntax error}
            {1 a{t} b{t}} {ERR syntax error}
        } {
            assert_error $message {r sintercard {*}$arguments}
        }
    }

    test {combining random sets agrees with the obvious way} {
        for {set round 0} {$round < 30} {incr round} {
            set models {}
            for {set n 0} {$n < 3} {incr n} {
                set model {}
                for {set i [randomInt 300]} {$i >= 0} {incr i -1} {
                    dict set model [expr {$round % 3 ? [randomInt 300] : "m[randomInt 300]"}] 1
                }
                r del s$n{t}
                r sadd s$n{t} {*}[dict keys $model]
                lappend models $model
            }
            lassign $models a b c
            set keys {s0{t} s1{t} s2{t}}
            assert_equal [lsort [dict keys [dict merge $a $b $c]]] [lsort [r sunion {*}$keys]]
            set common {}
            set rest {}
            foreach member [dict keys $a] {
                if {[dict exists $b $member] && [dict exists $c $member]} {lappend common $member}
                if {![dict exists $b $member] && ![dict exists $c $member]} {lappend rest $member}
            }
            assert_equal [lsort $common] [lsort [r sinter {*}$keys]]
            assert_equal [llength $common] [r sintercard 3 {*}$keys]
            assert_equal [lsort $rest] [lsort [r sdiff {*}$keys]]
        }
    }

    test {a set changes its encoding with what it holds} {
        r config set set-max-intset-entries 16
        r config set set-max-listpack-entries 8
        r config set set-max-listpack-value 20
        foreach {members encoding} [list \
            {1} intset {-9223372036854775808 9223372036854775807} intset {9223372036854775808} listpack \
            {007} listpack {a} listpack {1 a} listpack [list [string repeat a 20]] listpack \
            [list [string repeat a 21]] hashtable {1 2 3 4 5 6 7 8} intset {a b c d e f g h} listpack \
            {a b c d e f g h i} hashtable {1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16} intset \
            {1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17} hashtable
        ] {
            r del s
            foreach member $members {
                r sadd s $member
            }
            assert_encoding $encoding s
            r del s
            r sadd s {*}$members
            assert_encoding $encoding s
        }
        # An intset that meets another member becomes a listpack if it is small enough for one.
        r del s
        r sadd s 1 2 3 4 5 6 7
        r sadd s a
        assert_encoding listpack s
        r srem s a
        assert_encoding listpack s
        r sadd s 8 9
        assert_encoding hashtable s
        r del s
        r sadd s 1 2 3 4 5 6 7 8
        r sadd s a
        assert_encoding hashtable s
        r config set set-max-intset-entries 512
        r config set set-max-listpack-entries 128
        r config set set-max-listpack-value 64
    } {OK} {needs:debug}

    test {an intset that meets text looks at the length of its numbers at both ends} {
        set before [config_get_set set-max-listpack-value 5]
        foreach {numbers encoding} {
            {-1234 7} listpack {7 12345} listpack {-12345 7} hashtable {7 123456} hashtable {-12345 123456} hashtable
        } {
            r del s
            r sadd s {*}$numbers
            assert_encoding intset s
            r sadd s x
            assert_encoding $encoding s
            assert_equal [lsort [list {*}$numbers x]] [lsort [r smembers s]]
        }
        r config set set-max-listpack-value $before
    } {OK} {needs:debug}

    # Beyond 65534 a listpack's header no longer says how many elements it has.
    test {a listpack of more elements than its header can tell} {
        set before [config_get_set set-max-intset-entries 100000]
        r config set set-max-listpack-entries 100000
        r del s
        set members {}
        for {set i 0} {$i < 65533} {incr i} { lappend members $i }
        r sadd s {*}$members
        assert_encoding intset s
        foreach {member count} {a 65534 b 65535 c 65536 d 65537} {
            r sadd s $member
            assert_encoding listpack s
            assert_equal [list $count $count] [list [r scard s] [llength [r smembers s]]]
        }
        r debug reload
        assert_encoding listpack s
        assert_equal 65537 [r scard s]
        foreach {member count} {d 65536 b 65535 a 65534 c 65533} {
            r srem s $member
            assert_equal [list $count $count] [list [r scard s] [llength [r smembers s]]]
        }
        r config set set-max-intset-entries $before
        r config set set-max-listpack-entries 128
    } {OK} {needs:debug needs:save}

    test {an intset that gets wider keeps its order, at both ends} {
        foreach {first wider} {
            {-3 2 5} -40000 {-3 2 5} 40000 {-3 2 5} -9223372036854775808 {-40000 1 40000} 5000000000
            {-40000 1 40000} -5000000000 {2} -32769 {-2} 32768
        } {
            r del s
            r sadd s {*}$first
            assert_equal 1 [r sadd s $wider]
            assert_encoding intset s
            set sorted [lsort -integer [list {*}$first $wider]]
            # An intset is shown as it is kept.
            assert_equal $sorted [r smembers s]
            assert_equal [lrepeat [llength $sorted] 1] [r smismember s {*}$sorted]
            assert_equal 0 [r sadd s {*}$sorted]
            foreach member $sorted { assert_equal 1 [r srem s $member] $member }
            assert_equal 0 [r exists s]
        }
    } {} {needs:debug}

    test {a table of which little stays after SPOP becomes a listpack} {
        r del s
        for {set i 0} {$i < 600} {incr i} {
            r sadd s $i
        }
        assert_encoding hashtable s
        assert_equal 100 [llength [r spop s 100]]
        assert_encoding hashtable s
        assert_equal 495 [llength [lsort -unique [r spop s 495]]]
        assert_encoding listpack s
        r scard s
    } {5} {needs:debug}

    test {sets survive DEBUG RELOAD in every encoding} {
        foreach encoding {intset listpack hashtable} {
            make_set $encoding $encoding {1 2 3 100000 -70000}
        }
        r debug reload
        foreach encoding {intset listpack hashtable} {
            assert_equal {-70000 1 2 3 100000} [lsort -integer [r smembers $encoding]]
        }
        list [r object encoding intset] [r object encoding listpack]
    } {intset listpack} {needs:debug needs:save}

    test {set commands raise keyspace events} {
        r flushall
        r config set notify-keyspace-events Esg
        set rd [valkey_deferring_client]
        psubscribe $rd {__keyevent@*}
        r sadd s{t} a b c d
        r sadd s{t} a
        r srem s{t} a
        r srem s{t} a
        r smove s{t} d{t} b
        r spop d{t}
        r spop s{t} 5
        r sadd a{t} 1 2
        r sadd b{t} 2 3
        r sinterstore x{t} a{t} b{t}
        r sunionstore x{t} a{t} b{t}
        r sdiffstore x{t} a{t} b{t}
        r sinterstore x{t} a{t} nope{t}
        r sinterstore x{t} a{t} nope{t}
        r smove b{t} a{t} 2
        r smove b{t} a{t} 3
        foreach {event key} {
            sadd s srem s srem s sadd d spop d del d spop s del s sadd a sadd b
            sinterstore x sunionstore x sdiffstore x del x srem b srem b del b sadd a
        } {
            assert_match "*__:$event $key{t}" [$rd read]
        }
        $rd close
        r config set notify-keyspace-events ""
    } {OK}

    test {set commands are propagated as they came, SPOP as its choice} {
        r flushall
        r config set lazyfree-lazy-server-del yes
        set repl [attach_to_replication_stream]
        r sadd s{t} a b c
        r sadd s{t} a
        r srem s{t} a nope
        r srem s{t} nope
        r smove s{t} d{t} b
        set rest [r smembers s{t}]
        r spop s{t}
        r sadd s{t} 1 2 3
        r spop s{t} 0
        r spop s{t} 3
        r config set lazyfree-lazy-server-del no
        r sadd s{t} 1 2 3
        r spop s{t} 10
        r sadd s{t} 1 2 3
        r spop s{t} 2
        r sunionstore x{t} s{t} d{t}
        r sdiffstore x{t} x{t} x{t}
        r sinterstore x{t} s{t} nope{t}
        r srandmember s{t}
        r set end{t} 1
        assert_replication_stream $repl [list {select *} {sadd s{t} a b c} {srem s{t} a nope} {smove s{t} d{t} b} \
            "srem s{t} $rest" {sadd s{t} 1 2 3} {unlink s{t}} {sadd s{t} 1 2 3} {del s{t}} {sadd s{t} 1 2 3} \
            {srem s{t} [123] [123]} {sunionstore x{t} s{t} d{t}} {sdiffstore x{t} x{t} x{t}} {set end{t} 1}]
        close_replication_stream $repl
        r config set lazyfree-lazy-server-del yes
    } {OK} {needs:repl}

    test {SPOP is propagated as the removal of what it gave, whether few are taken or few stay} {
        foreach member {x 1} {
            r del s
            for {set i 0} {$i < 60} {incr i} { r sadd s $member$i }
            set repl [attach_to_replication_stream]
            foreach count {1 5 50} {
                set popped [r spop s $count]
                assert_equal $count [llength $popped]
                set command [read_from_replication_stream $repl]
                if {[lindex $command 0] eq "select"} { set command [read_from_replication_stream $repl] }
                assert_equal {srem s} [lrange $command 0 1]
                assert_equal [lsort $popped] [lsort [lrange $command 2 end]] $count
                foreach gone $popped { assert_equal 0 [r sismember s $gone] }
            }
            close_replication_stream $repl
            assert_equal 4 [r scard s]
        }
    } {} {needs:repl}

    test {a large SPOP is propagated in one transaction} {
        r del s
        set members {}
        for {set i 0} {$i < 3000} {incr i} {
            lappend members m$i
        }
        r sadd s {*}$members
        set repl [attach_to_replication_stream]
        r spop s 2000
        assert_replication_stream $repl {multi {select *} {srem s m*} {srem s m*} exec}
        close_replication_stream $repl
        r scard s
    } {1000} {needs:repl}

    test {a difference that was subtracted keeps the encoding it had on the way} {
        r config set set-max-listpack-entries 6
        r del first second third d
        r sadd first a b c d e f g
        r sadd second x y z
        r sadd third g
        # Looking seven members up in three sets would be more work than taking five away.
        assert_equal 6 [r sdiffstore d first second third third]
        set subtracted [r object encoding d]
        assert_equal 6 [r sdiffstore d first third none none none]
        set looked_up [r object encoding d]
        r config set set-max-listpack-entries 128
        list $subtracted $looked_up
    } {hashtable listpack}
}
