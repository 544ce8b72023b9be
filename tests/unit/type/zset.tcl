# Sorted sets in both encodings: adding, looking up, ranges, removing, popping, combining, blocking.

# Runs each {COMMAND REPLY} and compares the bytes of the reply in RESP3.
proc check_resp3 {pairs} {
    set c [valkey_deferring_client]
    $c hello 3
    $c read
    foreach {command reply} $pairs {
        set reply [string map {| \r\n} $reply]
        $c {*}$command
        assert_equal $reply [$c rawread [string length $reply]] $command
    }
    $c close
}

start_server {tags {"zset"}} {
    foreach {encoding entries} {listpack 128 skiplist 0} {
        r config set zset-max-listpack-entries $entries
        r config set zset-max-listpack-value 64

        # Makes z anew from scores and members.
        proc make {key args} {
            r del $key
            r zadd $key {*}$args
        }

        test "the tests use $encoding" {
            make z 1 a
            assert_encoding $encoding z
        } {} {needs:debug}

        test "ZADD counts new members, with CH changed ones too ($encoding)" {
            r del z
            assert_equal {2 1 0} [list [r zadd z 1 a 2 b] [r zadd z 3 a 1 c] [r zadd z 9 a]]
            assert_equal {1 0 2} [list [r zadd z ch 8 a 2 b] [r zadd z ch 8 a] [r zadd z ch 7 a 1 d]]
            r zrange z 0 -1 withscores
        } {c 1 d 1 b 2 a 7}

        test "ZADD NX, XX, GT, LT ($encoding)" {
            make z 10 a 20 b
            assert_equal 1 [r zadd z nx 1 a 30 c]
            assert_equal 0 [r zadd z xx 11 a 1 d]
            assert_equal 2 [r zadd z xx ch gt 5 a 25 b 35 c 1 d]
            assert_equal 3 [r zadd z lt ch 12 a 24 b 30 c 1 d]
            assert_equal 1 [r zadd z gt ch 13 a 2 b]
            assert_equal 1 [r zadd z gt 40 e]
            r zrange z 0 -1 withscores
        } {d 1 a 13 b 24 c 30 e 40}

        test "ZADD INCR and ZINCRBY ($encoding)" {
            make z 10 a
            assert_equal {11.5 5 3} [list [r zadd z incr 1.5 a] [r zadd z incr 5 b] [r zincrby z -2 b]]
            assert_equal {{} {}} [list [r zadd z lt incr 0 a] [r zadd z gt incr 0 a]]
            assert_equal {{} {} {} {} 12} [list [r zadd z nx incr 1 a] [r zadd z xx incr 1 none] \
                [r zadd z gt incr -1 a] [r zadd z lt incr 1 a] [r zadd z gt incr 0.5 a]]
            assert_error {ERR INCR option supports a single increment-element pair} {r zadd z incr 1 a 2 b}
            r zadd z inf a
            assert_error {ERR resulting score is not a number (NaN)} {r zincrby z -inf a}
            # What is called as an option of ZADD is one here too, and leaves no member.
            foreach option {nx XX gt lt Ch incr} {
                assert_error {ERR syntax error} {r zincrby z $option a}
            }
            r zscore z a
        } {inf}

        test "scores print as the shortest text that reads back ($encoding)" {
            foreach {score text} {
                0 0 -0 0 1 1 +1 1 .5 0.5 5. 5 1e5 100000 0x10 16 0.1 0.1 -1.5e-9 -1.5e-9 inf inf -inf -inf
                +Infinity inf 1e17 100000000000000000 1e20 1e+20 3.0000000000000001 3
                0.30000000000000004 0.30000000000000004 9007199254740993 9007199254740992
                1.7976931348623157e308 1.7976931348623157e+308 5e-324 5e-324
            } {
                r zadd s $score x
                assert_equal $text [r zscore s x] $score
            }
            r del s
        } {1}

        # The reference keeps and shows it in skip lists, and shows it where it has just been computed.
        test "zero has no sign, stored or computed ($encoding)" {
            make z -0 a
            assert_equal {0 0 0} [list [r zscore z a] [r zincrby z -0 b] [r zadd z incr -0 b]]
            assert_equal {0 0} [list [r zadd z ch 0 a] [r zadd z ch -0 a]]
            assert_equal {a 0 b 0} [r zrange z 0 -1 withscores]
            foreach command {
                {zunion 1 z weights -1 withscores} {zinter 2 z z weights -1 -1 withscores}
                {zrandmember z -1 withscores} {zpopmax z}
            } {
                assert_match {[ab] 0*} [r {*}$command] $command
            }
            make z 0 a -0 b
            r zunionstore u 1 z weights -1
            assert_equal [debug_digest_value z] [debug_digest_value u]
            r debug reload
            assert_equal [debug_digest_value z] [debug_digest_value u]
            list [r zrange u 0 -1 withscores] [r zmpop 1 u min]
        } {{a 0 b 0} {u {{a 0}}}} {needs:debug peer:skip}

        test "ZSCORE, ZMSCORE, ZCARD, ZRANK, ZREVRANK ($encoding)" {
            make z 10 a 20 b 20 c
            assert_equal {10 {} 3 0} [list [r zscore z a] [r zscore z none] [r zcard z] [r zcard none]]
            assert_equal {20 {} 10} [r zmscore z c none a]
            assert_equal {{} {}} [r zmscore none a b]
            assert_equal {0 1 2 {}} [list [r zrank z a] [r zrank z b] [r zrank z c] [r zrank z none]]
            assert_equal {2 1 0 {}} [list [r zrevrank z a] [r zrevrank z b] [r zrevrank z c] [r zrevrank none a]]
            assert_equal {{1 20} {2 10} {}} [list [r zrank z b withscore] [r zrevrank z a withscore] [r zrank z none withscore]]
            assert_error {ERR syntax error} {r zrank z a withscores}
            assert_error {ERR wrong number of arguments for 'zrank' command} {r zrank z a withscore x}
        }

        test "ZRANGE and ZREVRANGE by rank ($encoding)" {
            make z 1 a 2 b 3 c 4 d
            foreach {start stop members} {
                0 -1 {a b c d}  0 0 a  1 2 {b c}  -2 -1 {c d}  -100 1 {a b}  2 100 {c d}  3 2 {}  4 5 {}  -1 -2 {}
                0 -100 {}
            } {
                assert_equal $members [r zrange z $start $stop] "$start $stop"
            }
            assert_equal {d c b a} [r zrevrange z 0 -1]
            assert_equal {c 3 b 2} [r zrevrange z 1 2 withscores]
            assert_equal {d 4} [r zrange z 0 0 rev withscores]
            assert_equal {} [r zrange none 0 -1]
        }

        test "ranges by score ($encoding)" {
            make z -inf a 1 b 2 c 3 d 4 e +inf f
            foreach {min max members} {
                -inf 2 {a b c}  0 3 {b c d}  3 6 {d e}  4 inf {e f}  (-inf (2 b  (0 (3 {b c}  (3 6 e  (4 +inf f
                2 1 {}  (1 (1 {}  1 (1 {}  5 6 {}  -inf -inf a  inf inf f
            } {
                assert_equal $members [r zrangebyscore z $min $max] "$min $max"
                assert_equal $members [r zrange z $min $max byscore]
                assert_equal [llength $members] [r zcount z $min $max]
                assert_equal [lreverse $members] [r zrevrangebyscore z $max $min]
                assert_equal [lreverse $members] [r zrange z $max $min byscore rev]
            }
            assert_equal {c 2 d 3} [r zrangebyscore z 1 4 withscores limit 1 2]
            assert_equal {e 4} [r zrevrangebyscore z inf 0 limit 1 1 withscores]
            assert_equal {d e f} [r zrangebyscore z 1 inf limit 2 -1]
            assert_equal {{} {}} [list [r zrangebyscore z 1 4 limit 0 0] [r zrangebyscore z 1 4 limit 10 1]]
            # A negative offset: nothing of a small set, from the end of a large one.
            set wanted [expr {$encoding eq "listpack" ? "{} {} {}" : "{d e} b {}"}]
            assert_equal $wanted [list [r zrangebyscore z 1 4 limit -2 5] \
                [r zrevrangebyscore z 4 1 limit -1 5] [r zrangebyscore z 1 4 limit -9 5]]
        }

        test "ranges by member ($encoding)" {
            make z 0 a 0 b 0 c 0 d 0 e
            foreach {min max members} {
                - [c {a b c}  - (c {a b}  [aaa (d {b c}  (b + {c d e}  - + {a b c d e}  + - {}  [c [c c  (c [c {}
                [x + {}  - [0 {}
            } {
                assert_equal $members [r zrangebylex z $min $max] "$min $max"
                assert_equal $members [r zrange z $min $max bylex]
                assert_equal [llength $members] [r zlexcount z $min $max]
                assert_equal [lreverse $members] [r zrevrangebylex z $max $min]
                assert_equal [lreverse $members] [r zrange z $max $min bylex rev]
            }
            assert_equal {b c} [r zrangebylex z - + limit 1 2]
            assert_equal {d c b a} [r zrange z + - bylex rev limit 1 -1]
        }

        # The members are in no order then. What is asked here has one answer, however the set is searched.
        test "lexical ranges over members of different scores ($encoding)" {
            make z 1 c 2 a
            foreach {min max} {- + \[a + - \[c} { assert_equal {c a} [r zrangebylex z $min $max] "$min $max" }
            # The first member is above the range, or the last one below it: then nothing is.
            foreach {min max} {\[b + - \[b (a (c + - \[c \[a} {
                assert_equal {} [r zrangebylex z $min $max] "$min $max"
                assert_equal {} [r zrange z $min $max bylex] "$min $max"
                assert_equal {} [r zrevrangebylex z $max $min] "$min $max"
                assert_equal {} [r zrange z $max $min bylex rev] "$min $max"
                assert_equal 0 [r zlexcount z $min $max] "$min $max"
                assert_equal 0 [r zrangestore d z $min $max bylex] "$min $max"
            }
            # From an edge of the range on, until a member is beyond the other one.
            make z 1 a 2 c 3 b
            assert_equal {a} [r zrangebylex z - \[b]
            assert_equal {a} [r zrange z - (c bylex]
            assert_equal {b c a} [r zrevrangebylex z \[c -]
            assert_equal {c b} [r zrangebylex z \[b +]
            assert_equal {b c} [r zrange z + (a bylex rev]
            assert_equal {c} [r zrangebylex z \[b + limit 0 1]
            assert_equal {b} [r zrangebylex z \[b + limit 1 5]
            assert_equal {c} [r zrevrangebylex z + (a limit 1 1]
            # LIMIT skips without looking, so that what is behind a gap can be seen.
            assert_equal {b} [r zrangebylex z - \[b limit 2 5]
            assert_equal {} [r zrangebylex z - \[b limit 1 5]
            assert_equal {} [r zrangebylex z - \[b limit 3 5]
            assert_equal 1 [r zrangestore d z - \[b bylex limit 2 5]
            assert_equal {b 3} [r zrange d 0 -1 withscores]
            assert_equal 1 [r zremrangebylex z - \[b]
            assert_equal {c b} [r zrange z 0 -1]
            make z 1 c 2 a
            assert_equal 0 [r zremrangebylex z - \[b]
            # A skip list removes both or none, as chance has it.
            if {$encoding eq "listpack"} { assert_equal 0 [r zremrangebylex z \[b +] }
            r zrange z 0 -1
        } {c a}

        test "ZRANGESTORE ($encoding)" {
            make z{t} 1 a 2 b 3 c 4 d
            r set d{t} x ex 100
            assert_equal 2 [r zrangestore d{t} z{t} 1 2]
            assert_equal {b 2 c 3} [r zrange d{t} 0 -1 withscores]
            assert_equal -1 [r ttl d{t}]
            assert_equal 1 [r zrangestore d{t} z{t} (3 inf byscore limit 0 1]
            assert_equal 4 [r zrangestore z{t} z{t} 0 -1 rev]
            assert_encoding $encoding z{t}
            assert_error {ERR syntax error} {r zrangestore d{t} z{t} 0 -1 withscores}
            assert_equal {0 0 0} [list [r zrangestore d{t} z{t} 9 10] [r exists d{t}] [r zrangestore d{t} none{t} 0 -1]]
        } {} {needs:debug}

        test "ranges by letter take LIMIT, and can be stored ($encoding)" {
            make z{t} 0 a 0 b 0 c 0 d
            assert_equal {{c b} {c b a} {}} [list [r zrevrangebylex z{t} + - limit 1 2] \
                [r zrevrangebylex z{t} + - limit 1 -1] [r zrevrangebylex z{t} + - limit 9 1]]
            assert_equal 2 [r zrangestore d{t} z{t} (a + bylex limit 0 2]
            assert_equal {b c} [r zrange d{t} 0 -1]
            assert_equal 1 [r zrangestore d{t} z{t} + - bylex rev limit 3 2]
            assert_equal {a} [r zrange d{t} 0 -1]
        }

        test "ZREM and ZREMRANGEBY* ($encoding)" {
            make z 1 a 2 b 3 c 4 d 5 e
            assert_equal {2 0} [list [r zrem z a none e a] [r zrem z a]]
            assert_equal {1 2} [list [r zremrangebyrank z -1 -1] [r zremrangebyrank z 0 100]]
            assert_equal 0 [r exists z]
            make z 1 a 2 b 3 c 4 d 5 e
            assert_equal {1 2 0} [list [r zremrangebyscore z (4 inf] [r zremrangebyscore z 1 2] [r zremrangebyscore z 1 2]]
            assert_equal {c d} [r zrange z 0 -1]
            make z 0 a 0 b 0 c 0 d
            assert_equal {2 0} [list [r zremrangebylex z (a (d] [r zremrangebylex z + -]]
            assert_equal 2 [r zremrangebylex z - +]
            assert_equal 0 [r zremrangebyrank none 0 -1]
            r exists z
        } {0}

        test "ZPOPMIN and ZPOPMAX ($encoding)" {
            make z 1 a 2 b 3 c 4 d 5 e
            assert_equal {a 1} [r zpopmin z]
            assert_equal {e 5 d 4} [r zpopmax z 2]
            assert_equal {} [r zpopmax z 0]
            assert_equal {b 2 c 3} [r zpopmin z 10]
            assert_equal {0 {} {}} [list [r exists z] [r zpopmin z] [r zpopmax z 5]]
        }

        test "ZMPOP ($encoding)" {
            make z{t} 1 a 2 b 3 c
            make y{t} 9 z
            assert_equal {z{t} {{a 1}}} [r zmpop 2 none{t} z{t} min]
            assert_equal {z{t} {{c 3} {b 2}}} [r zmpop 2 z{t} y{t} max count 5]
            assert_equal {y{t} {{z 9}}} [r zmpop 2 z{t} y{t} max]
            r zmpop 2 z{t} y{t} max
        } {}

        test "ZRANDMEMBER gives each member its chance ($encoding)" {
            r del z
            for {set i 0} {$i < 100} {incr i} {
                r zadd z $i m$i
            }
            set members [r zrange z 0 -1]
            foreach wanted {1 2 50 99 100 1000} {
                set some [r zrandmember z $wanted]
                assert_equal [expr {min($wanted, 100)}] [llength [lsort -unique $some]] $wanted
                assert_equal [llength $some] [llength [lsort -unique $some]]
            }
            # Half of them: after so many times, each one has been among them.
            set seen {}
            for {set i 0} {$i < 80} {incr i} {
                set seen [lsort -unique [concat $seen [r zrandmember z 50]]]
            }
            assert_equal [lsort $members] $seen
            foreach {member score} [r zrandmember z -10 withscores] {
                assert_equal $score [r zscore z $member]
            }
            assert_equal [lsort $members] [lsort -unique [r zrandmember z -2000]]
            assert {[r zrandmember z] in $members}
            assert_equal {{} {} {}} [list [r zrandmember z 0] [r zrandmember none] [r zrandmember none 3]]
        }

        test "ZUNION, ZINTER, ZDIFF and their STORE forms ($encoding)" {
            make a{t} 1 a 2 b 3 c
            make b{t} 1 b 2 c 3 d
            r del s{t}
            r sadd s{t} a d
            assert_equal {a 1 b 3 d 3 c 5} [r zunion 2 a{t} b{t} withscores]
            assert_equal {b 7 c 12} [r zinter 2 a{t} b{t} weights 2 3 withscores]
            assert_equal {b 1 c 2} [r zinter 2 a{t} b{t} aggregate min withscores]
            assert_equal {b 2 c 3} [r zinter 2 a{t} b{t} aggregate max withscores]
            assert_equal {a} [r zdiff 2 a{t} b{t}]
            assert_equal {b 2 c 3} [r zdiff 2 a{t} s{t} withscores]
            # Members of plain sets count 1 each.
            assert_equal {a 2 b 3 d 4 c 5} [r zunion 3 a{t} b{t} s{t} withscores]
        }

        test "combinations by weight and aggregate, shown and stored ($encoding)" {
            make a{t} 1 a 2 b 3 c
            make b{t} 10 b 20 c 30 d
            foreach {aggregate union inter} {
                sum {a 2 b 34 c 66 d 90} {b 34 c 66}
                min {a 2 b 4 c 6 d 90} {b 4 c 6}
                max {a 2 b 30 c 60 d 90} {b 30 c 60}
            } {
                foreach {name expected} [list zunion $union zinter $inter] {
                    assert_equal $expected [r $name 2 a{t} b{t} weights 2 3 aggregate $aggregate withscores] $aggregate
                    assert_equal [expr {[llength $expected] / 2}] \
                        [r ${name}store d{t} 2 a{t} b{t} weights 2 3 aggregate $aggregate]
                    assert_equal $expected [r zrange d{t} 0 -1 withscores] $aggregate
                }
            }
        }

        test "combinations, stored ($encoding)" {
            make a{t} 1 a 2 b 3 c
            make b{t} 1 b 2 c 3 d
            assert_equal 4 [r zunionstore d{t} 2 a{t} b{t} weights 1 -1]
            assert_equal {d -3 a 1 b 1 c 1} [r zrange d{t} 0 -1 withscores]
            assert_equal 2 [r zinterstore d{t} 3 a{t} b{t} a{t}]
            assert_equal {b 5 c 8} [r zrange d{t} 0 -1 withscores]
            assert_equal 1 [r zdiffstore d{t} 2 a{t} b{t}]
            assert_encoding $encoding d{t}
            # The destination may be one of the inputs.
            assert_equal 4 [r zunionstore a{t} 2 a{t} b{t}]
            assert_equal {0 0} [list [r zdiffstore d{t} 2 a{t} a{t}] [r exists d{t}]]
            assert_equal {3 2 0} [list [r zintercard 2 a{t} b{t}] [r zintercard 2 a{t} b{t} limit 2] \
                [r zintercard 2 a{t} none{t} limit 0]]
        } {} {needs:debug}

        test "scores are added in the order of the sets' sizes, not of the keys ($encoding)" {
            make small{t} 1e16 m
            make middle{t} 1 m 0 n
            make large{t} -1e16 m 0 o 0 p
            # (1e16 + 1) - 1e16 is 0, but (1e16 - 1e16) + 1 is 1.
            foreach keys {{small middle large} {large small middle} {middle large small} {large middle small}} {
                set keys [lmap key $keys { set key "$key{t}" }]
                assert_equal {m 0} [r zinter 3 {*}$keys withscores] $keys
                assert_equal 0 [dict get [r zunion 3 {*}$keys withscores] m] $keys
                r zunionstore to{t} 3 {*}$keys
                assert_equal 0 [r zscore to{t} m] $keys
            }
        } {}

        test "opposite infinities unite to zero ($encoding)" {
            make a{t} inf x
            make b{t} -inf x
            assert_equal {x 0} [r zunion 2 a{t} b{t} withscores]
            assert_equal {x 0} [r zinter 2 a{t} b{t} withscores]
            assert_equal {x 0} [r zunion 1 a{t} weights 0 withscores]
            assert_equal {x 0} [r zinter 1 a{t} weights 0 withscores]
            make b{t} 1 x 2 y
            assert_equal {x 1} [r zinter 2 a{t} b{t} weights 0 1 withscores]
            # Members of a set count one.
            r del s{t}
            r sadd s{t} x y z
            assert_equal {x 2 y 3} [r zinter 2 b{t} s{t} withscores]
            assert_equal {z 1 x 2 y 3} [r zunion 2 b{t} s{t} withscores]
            make b{t} -inf x
            r zunion 2 a{t} b{t} aggregate max withscores
        } {x inf}

        test "BZPOPMIN and BZPOPMAX take at once what is there ($encoding)" {
            make z{t} 1 a 2 b 3 c
            assert_equal {z{t} a 1} [r bzpopmin none{t} z{t} 0]
            assert_equal {z{t} c 3} [r bzpopmax z{t} none{t} 0]
            assert_equal {z{t} {{b 2}}} [r bzmpop 0 2 none{t} z{t} min count 10]
            assert_equal {{} {}} [list [r bzpopmin z{t} 0.01] [r bzmpop 0.01 1 z{t} max]]
        }

        test "blocked clients are served in turn ($encoding)" {
            r del z{t} y{t}
            set first [valkey_deferring_client]
            set second [valkey_deferring_client]
            set third [valkey_deferring_client]
            $first bzpopmax y{t} z{t} 0
            wait_for_blocked_clients_count 1
            $second bzpopmin z{t} 0
            wait_for_blocked_clients_count 2
            $third bzmpop 0 2 y{t} z{t} max count 2
            wait_for_blocked_clients_count 3
            r zadd z{t} 1 a 2 b 3 c 4 d
            assert_equal {z{t} d 4} [$first read]
            assert_equal {z{t} a 1} [$second read]
            assert_equal {z{t} {{c 3} {b 2}}} [$third read]
            foreach c [list $first $second $third] {
                $c close
            }
            r exists z{t}
        } {0}

        test "random sorted sets equal their model ($encoding)" {
            r del z
            array unset model
            for {set i 0} {$i < 600} {incr i} {
                set member m[randomInt 100]
                switch [randomInt 4] {
                    0 {
                        assert_equal [info exists model($member)] [r zrem z $member]
                        unset -nocomplain model($member)
                    }
                    1 {
                        if {![info exists model($member)]} {
                            set model($member) 0
                        }
                        set model($member) [expr {$model($member) + 3}]
                        assert_equal $model($member) [r zincrby z 3 $member]
                    }
                    default {
                        set score [expr {[randomInt 40] - 20}]
                        assert_equal [expr {![info exists model($member)]}] [r zadd z $score $member]
                        set model($member) $score
                    }
                }
            }
            set pairs {}
            foreach {member score} [array get model] {
                lappend pairs [list $score $member]
            }
            set expected {}
            foreach pair [lsort -integer -index 0 [lsort -index 1 $pairs]] {
                lappend expected [lindex $pair 1] [lindex $pair 0]
            }
            assert_equal $expected [r zrange z 0 -1 withscores]
            set rank 0
            foreach {member score} $expected {
                assert_equal $rank [r zrank z $member]
                incr rank
            }
            r del z
        } {1}
    }

    r config set zset-max-listpack-entries 128

    foreach {command served} {
        {bzpopmin o{t} z{t} 0} {z{t} a 1}
        {bzmpop 0 2 o{t} z{t} max} {z{t} {{b 2}}}
    } {
        test "[lindex $command 0] goes on waiting for a key of another type, and fails when a sorted set comes behind it" {
            r del o{t} z{t}
            set rd [valkey_deferring_client]
            $rd {*}$command
            wait_for_blocked_client
            r rpush o{t} x
            assert_equal 1 [s blocked_clients]
            r zadd z{t} 1 a 2 b
            assert_error {WRONGTYPE*} {$rd read}
            assert_equal 2 [r zcard z{t}]
            $rd {*}[string map {o{t} none{t}} $command]
            assert_equal $served [$rd read]
            $rd close
        }
    }

    test {options that contradict or make no sense are refused} {
        r del z
        r zadd z 1 a 2 b
        foreach {command error} {
            {zadd z nx xx 1 a} {ERR XX and NX options at the same time are not compatible}
            {zadd z nx gt 1 a} {ERR GT, LT, and/or NX options at the same time are not compatible}
            {zadd z gt lt 1 a} {ERR GT, LT, and/or NX options at the same time are not compatible}
            {zadd z 1 a 2} {ERR syntax error}
            {zadd z x a} {ERR value is not a valid float}
            {zadd z nan a} {ERR value is not a valid float}
            {zadd z 1e400 a} {ERR value is not a valid float}
            {zincrby z x a} {ERR value is not a valid float}
            {zrange z 0 -1 limit 0 1} {ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX}
            {zrange z - + bylex withscores} {ERR syntax error, WITHSCORES not supported in combination with BYLEX}
            {zrangebylex z - + withscores} {ERR syntax error, WITHSCORES not supported in combination with BYLEX}
            {zrange z 0 -1 byscore bylex} {ERR syntax error}
            {zrevrange z 0 -1 rev} {ERR syntax error}
            {zrange z x y} {ERR value is not an integer or out of range}
            {zrange z x y byscore} {ERR min or max is not a float}
            {zcount z nan 1} {ERR min or max is not a float}
            {zcount none x 1} {ERR min or max is not a float}
            {zrangebyscore z 1 2 limit x 1} {ERR value is not an integer or out of range}
            {zrangebylex z a b} {ERR min or max not valid string range item}
            {zlexcount z -x +} {ERR min or max not valid string range item}
            {zremrangebyrank z x 1} {ERR value is not an integer or out of range}
            {zremrangebyscore z x 1} {ERR min or max is not a float}
            {zremrangebylex z x y} {ERR min or max not valid string range item}
            {zpopmin z -1} {ERR value is out of range, must be positive}
            {zpopmin z x} {ERR value is out of range, must be positive}
            {zpopmin z 1 2} {ERR syntax error}
            {zmpop 0 z min} {ERR numkeys should be greater than 0}
            {zmpop x z min} {ERR numkeys should be greater than 0}
            {zmpop 2 z min} {ERR syntax error}
            {zmpop 1 z first} {ERR syntax error}
            {zmpop 1 z min count 0} {ERR count should be greater than 0}
            {zmpop 1 z min count 1 count 2} {ERR syntax error}
            {bzpopmin z -1} {ERR timeout is negative}
            {bzpopmin z x} {ERR timeout is not a float or out of range}
            {bzpopmin z inf} {ERR timeout is out of range}
            {bzmpop x 1 z min} {ERR timeout is not a float or out of range}
            {bzmpop x 0 z min} {ERR numkeys should be greater than 0}
            {zrandmember z x} {ERR value is not an integer or out of range}
            {zrandmember z 1 nonsense} {ERR syntax error}
            {zrandmember z 9223372036854775807 withscores} {ERR value is out of range}
            {zunion 0 z} {ERR at least 1 input key is needed for 'zunion' command}
            {zunion x z} {ERR value is not an integer or out of range}
            {zunion 2 z} {ERR syntax error}
            {zunion 1 z weights x} {ERR weight value is not a float}
            {zunion 1 z weights} {ERR syntax error}
            {zunion 1 z aggregate avg} {ERR syntax error}
            {zdiff 1 z weights 1} {ERR syntax error}
            {zunionstore z 1 z withscores} {ERR syntax error}
            {zinterstore z 0 z} {ERR at least 1 input key is needed for 'zinterstore' command}
            {zintercard 1 z limit -1} {ERR LIMIT can't be negative}
            {zintercard 1 z limit x} {ERR LIMIT can't be negative}
            {zintercard 1 z limit} {ERR syntax error}
        } {
            assert_error $error {r {*}$command} $command
        }
        r zrange z 0 -1 withscores
    } {a 1 b 2}

    test {bounds of scores are read leniently} {
        r del z
        r zadd z 0 a 1 b
        list [r zcount z "" 5] [r zcount z " 1" 5] [r zcount z ( 5] [r zcount z -1e400 1e400] [r zcount z 0x1 0x2]
    } {2 1 1 2 1}

    test {sorted set commands refuse other types, and leave them alone} {
        r set s{t} x
        foreach command {
            {zadd s{t} 1 a} {zadd s{t} xx 1 a} {zincrby s{t} 1 a} {zrem s{t} a} {zcard s{t}} {zscore s{t} a}
            {zmscore s{t} a} {zrank s{t} a} {zrevrank s{t} a} {zcount s{t} 0 1} {zlexcount s{t} - +}
            {zrange s{t} 0 -1} {zrangestore d{t} s{t} 0 -1} {zrevrange s{t} 0 -1} {zrangebyscore s{t} 0 1}
            {zrevrangebyscore s{t} 1 0} {zrangebylex s{t} - +} {zrevrangebylex s{t} + -}
            {zremrangebyrank s{t} 0 1} {zremrangebyscore s{t} 0 1} {zremrangebylex s{t} - +}
            {zpopmin s{t}} {zpopmax s{t} 0} {zmpop 1 s{t} min} {bzpopmin s{t} 0} {bzmpop 0 1 s{t} max}
            {zrandmember s{t}} {zrandmember s{t} 1} {zunion 1 s{t}} {zinter 1 s{t}} {zdiff 1 s{t}}
            {zintercard 1 s{t}} {zunionstore d{t} 1 s{t}}
        } {
            assert_error {WRONGTYPE*} {r {*}$command} $command
        }
        r get s{t}
    } {x}

    test {a sorted set becomes an index past either threshold, and stays one} {
        set entries [config_get_set zset-max-listpack-entries 3]
        r del z y
        r zadd z 1 a 2 b 3 c
        r zunionstore y 1 z
        assert_encoding listpack y
        # What is asked for counts, not what comes of it.
        r del z
        r zadd z 1 a
        r zadd z xx 1 b 1 c 1 d
        assert_encoding listpack z
        r zadd z xx 1 b 1 c 1 d 1 e
        assert_encoding skiplist z
        set value [config_get_set zset-max-listpack-value 4]
        r del z
        r zadd z 1 a 2 b 3 abcd
        assert_encoding listpack z
        r zadd z 5 a
        assert_encoding listpack z
        r zadd z 4 d
        assert_encoding skiplist z
        r zrem z a b
        assert_encoding skiplist z
        r del z
        r zadd z 1 abcde
        assert_encoding skiplist z
        r del z
        r zadd z 1 a 2 b 3 c 4 d
        assert_encoding skiplist z
        # Results are as compact as they can be.
        r del y
        r zadd y 1 a
        r zunionstore z 1 y
        assert_encoding listpack z
        config_set zset-max-listpack-entries $entries
        config_set zset-max-listpack-value $value
    } {} {needs:debug cluster:skip}

    test {the length of members decides where options or results do} {
        set before [config_get_set zset-max-listpack-value 10]
        set fits [string repeat m 10]
        set long [string repeat m 11]
        # It counts in a request, even if nothing comes of it.
        foreach {options encoding} [list \
            "xx 1 $long" skiplist "nx 1 a 2 $long" skiplist "xx 1 $fits" listpack "gt 0 a 0 $fits" listpack "xx ch 1 a 1 $long" skiplist
        ] {
            r del z
            r zadd z 1 a
            r zadd z {*}$options
            assert_encoding $encoding z
        }
        # A result is judged as a whole.
        foreach {member encoding} [list $fits listpack $long skiplist] {
            r del z u
            r zadd z 1 a 2 $member
            foreach command {{zunionstore u 1 z} {zinterstore u 2 z z} {zdiffstore u 2 z none}} {
                r {*}$command
                assert_encoding $encoding u
            }
        }
        r config set zset-max-listpack-value $before
    } {OK} {needs:debug cluster:skip}

    test {RESP2 has a null array where there would be two values} {
        r del z
        r readraw 1
        assert_equal {$-1 *-1 *0} [join [list [r zrank z a] [r zrank z a withscore] [r zpopmin z]]]
        r readraw 0
    }

    test {RESP3 has doubles and pairs} {
        r del z
        r zadd z 1 a 2.5 b
        check_resp3 {
            {zscore z b} ,2.5|
            {zscore z none} _|
            {zmscore z a none} *2|,1|_|
            {zincrby z inf c} ,inf|
            {zadd z incr 1 a} ,2|
            {zadd z nx incr 1 a} _|
            {zrank z a withscore} *2|:0|,2|
            {zrank z none withscore} _|
            {zrange z 0 1 withscores} *2|*2|$1|a|,2|*2|$1|b|,2.5|
            {zrange z 0 0} *1|$1|a|
            {zrandmember z -1 withscores} *1|*2|
        }
        r del z
        r zadd z 1 a 2 b 3 c 4 d 5 e
        check_resp3 {
            {zpopmin z} *2|$1|a|,1|
            {zpopmin z 1} *1|*2|$1|b|,2|
            {zmpop 1 z max} *2|$1|z|*1|*2|$1|e|,5|
            {bzpopmin z 0} *3|$1|z|$1|c|,3|
            {zunion 1 z withscores} *1|*2|$1|d|,4|
            {bzmpop 0 1 z max} *2|$1|z|*1|*2|$1|d|,4|
            {bzpopmin z 0.01} _|
            {zmpop 1 z min} _|
            {zpopmin z} *0|
        }
    }

    test {a blocked client ignores keys of other types and keys that vanish again} {
        r del z
        set c [valkey_deferring_client]
        $c bzpopmin z 0
        wait_for_blocked_client
        r lpush z x
        r del z
        r multi
        r zadd z 1 a
        r del z
        r exec
        r zadd z 2 b
        set reply [$c read]
        $c close
        set reply
    } {z b 2}

    test {inside a transaction nothing blocks} {
        r del z
        r multi
        r bzpopmin z 0
        r bzmpop 0 1 z max
        r exec
    } {{} {}}

    test {ZADD and the STORE commands wake blocked clients} {
        foreach command {
            {zadd z{t} 1 a} {zincrby z{t} 1 a} {zunionstore z{t} 1 y{t}} {zinterstore z{t} 1 y{t}}
            {zdiffstore z{t} 1 y{t}} {zrangestore z{t} y{t} 0 -1} {rename y{t} z{t}}
        } {
            r del z{t} y{t}
            r zadd y{t} 1 a
            set c [valkey_deferring_client]
            $c bzpopmin z{t} 0
            wait_for_blocked_client
            r {*}$command
            assert_equal {z{t} a 1} [$c read] $command
            $c close
        }
    }

    test {changes are propagated, pops as what they took} {
        r del z y
        set repl [attach_to_replication_stream]
        r zadd z 1 a 2 b 3 c 4 d 5 e 6 f
        r zadd z 1 a
        r zadd z xx 1 none
        r zincrby z 1 a
        r zadd z incr 1 a
        r zrem z none
        r zpopmin z
        r zpopmax z 1
        r zmpop 2 y z min count 2
        r bzpopmax y z 0
        r zremrangebyscore z 100 200
        r zrangestore y z 0 -1
        r zunionstore z 1 y
        r bzmpop 0 2 z y max count 10
        r zdiffstore z 2 y y
        r set last 1
        assert_replication_stream $repl {
            {select *}
            {zadd z 1 a 2 b 3 c 4 d 5 e 6 f}
            {zincrby z 1 a}
            {zadd z incr 1 a}
            {zpopmin z}
            {zpopmax z 1}
            {zpopmin z 2}
            {zpopmax z}
            {zrangestore y z 0 -1}
            {zunionstore z 1 y}
            {zpopmax z 1}
            {set last 1}
        }
        close_replication_stream $repl
    } {} {needs:repl cluster:skip}

    test {a blocked pop is propagated behind what woke it} {
        r del z
        set repl [attach_to_replication_stream]
        set c [valkey_deferring_client]
        $c bzpopmin z 0
        wait_for_blocked_client
        r zadd z 1 a
        assert_equal {z a 1} [$c read]
        $c close
        assert_replication_stream $repl {
            {select *}
            {zadd z 1 a}
            {zpopmin z}
        }
        close_replication_stream $repl
    } {} {needs:repl}

    test {events of sorted sets} {
        config_set notify-keyspace-events Kgz
        r del z
        set c [valkey_deferring_client]
        $c psubscribe __keyspace@*__:z
        $c read
        r zadd z 1 a 2 b 3 c 4 d 5 e
        r zadd z 1 a
        r zincrby z 1 a
        r zrem z none
        r zrem z a
        r zremrangebyrank z 0 0
        r zremrangebyscore z 3 3
        r zrangestore z z 0 -1
        r zpopmin z
        r zmpop 1 z max
        set events {}
        foreach _ {1 2 3 4 5 6 7 8 9} {
            lappend events [lindex [$c read] 3]
        }
        $c close
        config_set notify-keyspace-events ""
        set events
    } {zadd zincr zrem zremrangebyrank zremrangebyscore zrangestore zpopmin zpopmax del}
}
