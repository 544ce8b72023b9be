# Consumer groups of streams: XGROUP, XREADGROUP with and without waiting, XACK, XPENDING, XCLAIM, XAUTOCLAIM, XINFO,
# counters and lag, what replicas are told.

# COUNT entries 1-1, 2-1, ... in a new stream s with a group g that has read none.
proc fill {count} {
    r del s
    for {set i 1} {$i <= $count} {incr i} {
        r xadd s $i-1 n $i
    }
    r xgroup create s g 0 mkstream
}

# Reads as CONSUMER of group g what it has not read, at most COUNT entries; their ids.
proc take {consumer {count 100}} {
    lmap entry [lindex [r xreadgroup group g $consumer count $count streams s >] 0 1] { lindex $entry 0 }
}

# Ids, consumers and numbers of deliveries of what is pending.
proc pending {args} {
    lmap entry [r xpending s g - + 100 {*}$args] { list [lindex $entry 0] [lindex $entry 1] [lindex $entry 3] }
}

# FIELD of group g.
proc group_field {field} {
    dict get [lindex [r xinfo groups s] 0] $field
}

# FIELD of CONSUMER of group g.
proc consumer_field {consumer field} {
    foreach info [r xinfo consumers s g] {
        if {[dict get $info name] eq $consumer} { return [dict get $info $field] }
    }
    fail "no consumer $consumer"
}

# When the first consumer of the first group of s was seen.
proc seen_time {} {
    set group [lindex [dict get [r xinfo stream s full] groups] 0]
    return [dict get [lindex [dict get $group consumers] 0] seen-time]
}

start_server {tags {"stream"}} {
    test {XGROUP CREATE makes a group, once} {
        r del s
        r xadd s 1-1 f v
        assert_equal OK [r xgroup create s g 0]
        assert_error {BUSYGROUP Consumer Group name already exists} {r xgroup create s g 0}
        assert_equal OK [r xgroup create s h \$]
        assert_equal {{g 0-0} {h 1-1}} [lmap info [r xinfo groups s] { list [dict get $info name] [dict get $info last-delivered-id] }]
    }

    test {XGROUP CREATE needs the key, or MKSTREAM} {
        r del s
        assert_error {ERR The XGROUP subcommand requires the key to exist*} {r xgroup create s g \$}
        assert_equal OK [r xgroup create s g \$ mkstream]
        assert_equal {stream 0} [list [r type s] [r xlen s]]
        assert_error {ERR Invalid stream ID*} {r xgroup create other g x mkstream}
        r exists other
    } {0}

    test {XGROUP has its grammar} {
        fill 3
        assert_error {ERR value for ENTRIESREAD must be positive or -1} {r xgroup create s h 0 entriesread -2}
        assert_error {ERR value is not an integer or out of range} {r xgroup create s h 0 entriesread x}
        assert_error {ERR unknown subcommand or wrong number of arguments for 'create'. Try XGROUP HELP.} {r xgroup create s h 0 foo}
        assert_error {ERR unknown subcommand or wrong number of arguments for 'setid'. Try XGROUP HELP.} {r xgroup setid s g 0 mkstream}
        assert_error {ERR unknown subcommand 'foo'. Try XGROUP HELP.} {r xgroup foo s g}
        assert_error {NOGROUP No such consumer group 'h' for key name 's'} {r xgroup setid s h 0}
        assert_error {NOGROUP No such consumer group 'h' for key name 's'} {r xgroup createconsumer s h c}
        assert_error {NOGROUP No such consumer group 'h' for key name 's'} {r xgroup delconsumer s h c}
        assert_error {ERR The XGROUP subcommand requires the key to exist*} {r xgroup setid nokey g 0}
        assert_error {ERR The XGROUP subcommand requires the key to exist*} {r xgroup destroy nokey g}
        assert_error {ERR unknown subcommand or wrong number*'create'*} {r xgroup create s h + mkstream mkstream entriesread 1}
        assert_error {ERR value is not an integer*} {r xgroup create s h + mkstream mkstream entriesread x}
        assert_error {ERR unknown subcommand or wrong number*'setid'*} {r xgroup setid s g 0 entriesread 1 entriesread 1}
        assert_match {*XGROUP <subcommand>*CREATE*MKSTREAM*SETID*} [r xgroup help]
    }

    test {XGROUP SETID has the group read again} {
        fill 3
        assert_equal {1-1 2-1 3-1} [take a]
        r xgroup setid s g 1-1
        assert_equal {2-1 3-1} [take b]
        assert_equal {{1-1 a 1} {2-1 b 1} {3-1 b 1}} [pending]
        r xgroup setid s g \$
        assert_equal {} [take b]
        r xgroup setid s g -
        assert_equal {1-1 2-1 3-1} [take b]
        r xgroup setid s g + ENTRIESREAD 7
        assert_error {ERR Invalid stream ID*} {r xgroup create s h +}
        list [take b] [dict get [lindex [r xinfo groups s] 0] entries-read]
    } {{} 7}

    test {XGROUP DESTROY removes the group alone} {
        fill 3
        assert_equal 1 [r xgroup destroy s g]
        assert_equal 0 [r xgroup destroy s g]
        list [r xlen s] [r xinfo groups s]
    } {3 {}}

    test {XGROUP CREATECONSUMER and DELCONSUMER} {
        fill 3
        assert_equal 1 [r xgroup createconsumer s g a]
        assert_equal 0 [r xgroup createconsumer s g a]
        take a 2
        take b 1
        assert_equal 2 [r xgroup delconsumer s g a]
        assert_equal 0 [r xgroup delconsumer s g a]
        assert_equal {{3-1 b 1}} [pending]
        llength [r xinfo consumers s g]
    } {1}

    test {XREADGROUP gives each entry to one consumer} {
        fill 5
        assert_equal {1-1 2-1} [take a 2]
        assert_equal {3-1 4-1 5-1} [take b]
        assert_equal {} [take a]
        r xadd s 6-1 f v
        assert_equal {6-1} [take a]
        pending
    } {{1-1 a 1} {2-1 a 1} {3-1 b 1} {4-1 b 1} {5-1 b 1} {6-1 a 1}}

    test {XREADGROUP with an id tells the consumer's own history} {
        fill 4
        take a 2
        take b 2
        assert_equal {{s {{1-1 {n 1}} {2-1 {n 2}}}}} [r xreadgroup group g a streams s 0]
        assert_equal {{s {{4-1 {n 4}}}}} [r xreadgroup group g b streams s 3-1]
        assert_equal {{s {}}} [r xreadgroup group g c streams s 0]
        assert_equal {{s {{1-1 {n 1}}}}} [r xreadgroup group g a count 1 streams s 0]
        pending
    } {{1-1 a 3} {2-1 a 2} {3-1 b 1} {4-1 b 2}}

    test {Entries that are gone are told without fields} {
        fill 3
        take a
        r xdel s 2-1
        r readraw 1
        set expected {*1 *2 {$1} s *3 *2 {$3} 1-1 *2 {$1} n {$1} 1 *2 {$3} 2-1 *-1 *2 {$3} 3-1 *2 {$1} n {$1} 3}
        set lines [list [r xreadgroup group g a streams s 0]]
        while {[llength $lines] < [llength $expected]} { lappend lines [r read] }
        r readraw 0
        assert_equal $expected $lines
        pending
    } {{1-1 a 2} {2-1 a 1} {3-1 a 2}}

    test {XREADGROUP NOACK leaves nothing pending} {
        fill 3
        r xreadgroup group g a noack streams s >
        assert_equal {0 {} {} {}} [r xpending s g]
        list [group_field last-delivered-id] [group_field entries-read]
    } {3-1 3}

    test {XREADGROUP has its grammar} {
        fill 1
        r set str x
        foreach {error args} {
            {NOGROUP No such key 's' or consumer group 'h' in XREADGROUP with GROUP option} {group h c streams s >}
            {NOGROUP No such key 'nokey' or consumer group 'g' in XREADGROUP with GROUP option} {group g c streams s nokey > >}
            {ERR Missing GROUP option for XREADGROUP} {count 1 block 1 streams s >}
            {ERR Unbalanced 'xreadgroup' list of streams: for each stream key an ID or '>' must be specified.} {group g c streams s s >}
            {ERR The $ ID is meaningless*} {group g c streams s $}
            {ERR The + ID is meaningless*} {group g c streams s +}
            {ERR Invalid stream ID*} {group g c streams s x}
            {ERR syntax error} {group g c foo streams s >}
            {WRONGTYPE*} {group g c streams s str > >}
        } {
            assert_error $error {r xreadgroup {*}$args}
        }
        # Nothing was delivered, and no consumer made.
        list [pending] [r xinfo consumers s g]
    } {{} {}}

    test {XACK takes entries off the list} {
        fill 4
        take a
        assert_equal 2 [r xack s g 1-1 3-1 3-1 9-9]
        assert_equal {{2-1 a 1} {4-1 a 1}} [pending]
        assert_equal 0 [r xack s h 2-1]
        assert_equal 0 [r xack nokey g 2-1]
        assert_error {ERR Invalid stream ID*} {r xack s g 2-1 x}
        assert_equal {{2-1 a 1} {4-1 a 1}} [pending]
        consumer_field a pending
    } {2}

    test {XPENDING sums up} {
        fill 5
        take b 3
        take a 2
        r xgroup createconsumer s g idle
        assert_equal {5 1-1 5-1 {{a 2} {b 3}}} [r xpending s g]
        assert_error {NOGROUP No such key 's' or consumer group 'h'} {r xpending s h}
        assert_error {NOGROUP No such key 'nokey' or consumer group 'g'} {r xpending nokey g - + 1}
    }

    test {XPENDING lists ranges, consumers, and what is idle} {
        fill 5
        take a 3
        take b 2
        assert_equal {{3-1 a 1} {4-1 b 1}} [lmap e [r xpending s g (2-1 (5-1 10] { lreplace $e 2 2 }]
        assert_equal {{1-1 a 1} {2-1 a 1}} [lmap e [r xpending s g - + 2 a] { lreplace $e 2 2 }]
        assert_equal {} [r xpending s g - + 10 nobody]
        assert_equal {} [r xpending s g + - 10]
        assert_equal {} [r xpending s g - + 0]
        assert_equal {} [r xpending s g idle 1000000 - + 10]
        assert_equal 5 [llength [r xpending s g idle 0 - + 10]]
        r xclaim s g b 0 2-1 idle 5000 justid
        set idle [r xpending s g idle 4000 - + 10]
        assert_equal {2-1 b} [lrange [lindex $idle 0] 0 1]
        assert_range [lindex $idle 0 2] 5000 60000
        llength $idle
    } {1}

    test {XPENDING has its grammar} {
        fill 1
        foreach {error args} {
            {ERR syntax error} {-} {ERR syntax error} {- +} {ERR syntax error} {idle 0} {ERR syntax error} {idle 0 - + 10 c x}
            {ERR value is not an integer or out of range} {- + x}
            {ERR value is not an integer or out of range} {idle x - + 10}
            {ERR Invalid stream ID*} {x + 10} {ERR Invalid stream ID*} {(- + 10}
        } {
            assert_error $error {r xpending s g {*}$args}
        }
    }

    test {XPENDING does not look at up to two arguments behind the consumer} {
        fill 2
        take c
        foreach args {{- + 10 c x} {- + 10 c x -} {- + 10 c idle 100000} {- + 10 c - +}} {
            assert_equal {1-1 2-1} [lmap entry [r xpending s g {*}$args] { lindex $entry 0 }] $args
        }
        # But at one that there is not where four are wanted, and at those before.
        foreach {error args} {
            {ERR syntax error} {- + 10 c x y z} {ERR syntax error} {idle 0 - +} {ERR syntax error} {idle 0 -}
            {ERR value is not an integer or out of range} {+ - c c x} {ERR Invalid stream ID*} {c - 10 c x}
            {NOGROUP *} {- + 10 c x}
        } {
            assert_error $error {r xpending s [expr {$error eq "NOGROUP *" ? "none" : "g"}] {*}$args}
        }
        r xpending s g - + 10 d c
    } {}

    test {XCLAIM hands entries over} {
        fill 4
        take a
        assert_equal {{2-1 {n 2}} {3-1 {n 3}}} [r xclaim s g b 0 2-1 3-1 9-9]
        assert_equal {{1-1 a 1} {2-1 b 2} {3-1 b 2} {4-1 a 1}} [pending]
        assert_equal {} [r xclaim s g b 1000000 1-1]
        assert_equal {1-1} [r xclaim s g b 0 1-1 justid]
        pending
    } {{1-1 b 1} {2-1 b 2} {3-1 b 2} {4-1 a 1}}

    test {XCLAIM FORCE takes what nobody has} {
        fill 3
        assert_equal {} [r xclaim s g a 0 2-1]
        assert_equal {{2-1 {n 2}}} [r xclaim s g a 0 2-1 force]
        assert_equal {} [r xclaim s g a 0 9-9 force]
        assert_equal {3-1} [r xclaim s g a 0 3-1 force justid]
        pending
    } {{2-1 a 2} {3-1 a 1}}

    test {XCLAIM sets times, numbers and the last id} {
        fill 3
        take a 1
        r xclaim s g a 0 1-1 retrycount 7 time 1000 lastid 2-5
        assert_equal {1-1 a 1000 7} [lindex [dict get [lindex [dict get [r xinfo stream s full] groups] 0] pending] 0]
        assert_equal 2-5 [group_field last-delivered-id]
        r xclaim s g a 0 1-1 lastid 1-1
        assert_equal 2-5 [group_field last-delivered-id]
        assert_equal {{1-1 a 8}} [pending]
        # A time to come is now.
        r xclaim s g a 0 1-1 time 99999999999999
        assert_range [lindex [r xpending s g - + 1] 0 2] 0 60000
    }

    test {XCLAIM forgets entries that are gone} {
        fill 3
        take a
        r xdel s 2-1
        assert_equal {{1-1 {n 1}}} [r xclaim s g b 0 1-1 2-1]
        assert_equal {{1-1 b 2} {3-1 a 1}} [pending]
        list [consumer_field a pending] [consumer_field b pending]
    } {1 1}

    test {XCLAIM has its grammar} {
        fill 1
        foreach {error args} {
            {ERR Invalid min-idle-time argument for XCLAIM} {x 1-1}
            {ERR Unrecognized XCLAIM option 'x'} {0 x}
            {ERR Unrecognized XCLAIM option 'foo'} {0 1-1 foo}
            {ERR Unrecognized XCLAIM option 'idle'} {0 1-1 idle}
            {ERR Invalid IDLE option argument for XCLAIM} {0 1-1 idle x}
            {ERR Invalid TIME option argument for XCLAIM} {0 1-1 time x}
            {ERR Invalid RETRYCOUNT option argument for XCLAIM} {0 1-1 retrycount x}
            {ERR Invalid stream ID*} {0 1-1 lastid x}
        } {
            assert_error $error {r xclaim s g c {*}$args}
        }
        assert_error {NOGROUP No such key 's' or consumer group 'h'} {r xclaim s h c 0 1-1}
        assert_error {NOGROUP No such key 'nokey' or consumer group 'g'} {r xclaim nokey g c 0 1-1}
        r xinfo consumers s g
    } {}

    test {XAUTOCLAIM walks over what is pending} {
        fill 6
        take a
        assert_equal {3-1 {{1-1 {n 1}} {2-1 {n 2}}} {}} [r xautoclaim s g b 0 0 count 2]
        assert_equal {5-1 {3-1 4-1} {}} [r xautoclaim s g b 0 3-1 count 2 justid]
        assert_equal {0-0 {5-1 6-1} {}} [r xautoclaim s g b 0 (4-1 justid]
        assert_equal {0-0 {} {}} [r xautoclaim s g c 1000000 -]
        pending
    } {{1-1 b 2} {2-1 b 2} {3-1 b 1} {4-1 b 1} {5-1 b 1} {6-1 b 1}}

    test {XAUTOCLAIM tells and forgets what is gone} {
        fill 5
        take a
        r xdel s 2-1 4-1
        assert_equal {3-1 1-1 2-1} [r xautoclaim s g b 0 - count 2 justid]
        assert_equal {0-0 {3-1 5-1} 4-1} [r xautoclaim s g b 0 3-1 justid]
        pending
    } {{1-1 b 1} {3-1 b 1} {5-1 b 1}}

    test {XAUTOCLAIM looks at ten times as many as it may take} {
        fill 40
        take a
        # All but the last two were delivered just now.
        r xclaim s g a 0 39-1 40-1 idle 100000 justid
        assert_equal {21-1 {} {}} [r xautoclaim s g b 50000 - count 2]
        assert_equal {0-0 {39-1 40-1} {}} [r xautoclaim s g b 50000 21-1 count 2 justid]
    }

    test {XAUTOCLAIM has its grammar} {
        fill 1
        foreach {error args} {
            {ERR Invalid min-idle-time argument for XAUTOCLAIM} {x 0}
            {ERR Invalid stream ID*} {0 x} {ERR invalid start ID for the interval} {0 (18446744073709551615-18446744073709551615}
            {ERR COUNT must be > 0} {0 0 count 0} {ERR COUNT must be > 0} {0 0 count x}
            {ERR COUNT must be > 0} {0 0 count 9223372036854775807}
            {ERR syntax error} {0 0 count} {ERR syntax error} {0 0 foo}
        } {
            assert_error $error {r xautoclaim s g c {*}$args}
        }
        assert_error {NOGROUP No such key 's' or consumer group 'h'} {r xautoclaim s h c 0 0}
        # What is wrong with the arguments is told before what is wrong with the key.
        r set str x
        assert_error {ERR COUNT must be > 0} {r xautoclaim str g c 0 0 count 0}
        assert_error {ERR Invalid min-idle-time argument for XAUTOCLAIM} {r xautoclaim nokey g c x 0}
        r xinfo consumers s g
    } {}

    test {Consumers are seen when they ask, active when they get something} {
        fill 2
        r xreadgroup group g a streams s 0
        assert_equal -1 [consumer_field a inactive]
        assert_range [consumer_field a idle] 0 60000
        r xreadgroup group g a noack count 1 streams s >
        assert_equal -1 [consumer_field a inactive]
        take a
        assert_range [consumer_field a inactive] 0 60000
        r xautoclaim s g b 100000 0
        assert_equal -1 [consumer_field b inactive]
        r xautoclaim s g b 0 0
        assert_range [consumer_field b inactive] 0 60000
        assert_error {NOGROUP No such consumer group 'h' for key name 's'} {r xinfo consumers s h}
        assert_error {ERR no such key} {r xinfo consumers nokey g}
    }

    test {What is read again is idle for no time, and so is who reads} {
        fill 2
        take a
        r xclaim s g a 0 1-1 idle 100000 justid
        r xreadgroup group g a streams s 0
        assert_lessthan [lindex [r xpending s g - + 1] 0 2] 100000
        eventually 5000 {[consumer_field a idle] > 0}
        set before [seen_time]
        r xreadgroup group g a streams s >
        assert_morethan [seen_time] $before
    }

    test {Groups are read, as far as hits and misses are concerned} {
        fill 2
        r del n
        foreach {command counted} {
            {xreadgroup group g a count 1 streams s >} {2 0} {xreadgroup group g a streams s 0} {2 0}
            {xread streams s 0} {2 0} {xread streams n +} {0 2} {xack s g 1-1} {1 0} {xack n g 1-1} {0 1}
            {xclaim s g a 0 1-1} {1 0} {xautoclaim s g a 0 0} {1 0} {xpending s g} {1 0} {xgroup createconsumer s g a} {0 0}
            {xdel s 1-1} {0 0} {xadd s 9-9 f v} {0 0}
        } {
            set before [list [s keyspace_hits] [s keyspace_misses]]
            r {*}$command
            set after [list [s keyspace_hits] [s keyspace_misses]]
            assert_equal $counted [lmap a $after b $before { expr {$a - $b} }] $command
        }
    } {} {external:skip}

    test {XINFO STREAM FULL tells all of a group} {
        fill 3
        take a 2
        r xgroup createconsumer s g b
        set group [lindex [dict get [r xinfo stream s full] groups] 0]
        assert_equal {g 2-1 2 1 2} [lmap field {name last-delivered-id entries-read lag pel-count} { dict get $group $field }]
        assert_equal {{1-1 a 1} {2-1 a 1}} [lmap e [dict get $group pending] { lreplace $e 2 2 }]
        lassign [dict get $group consumers] a b
        assert_equal {name seen-time active-time pel-count pending} [dict keys $a]
        assert_equal {a 2 {{1-1 1} {2-1 1}}} [list [dict get $a name] [dict get $a pel-count] [lmap e [dict get $a pending] { lreplace $e 1 1 }]]
        assert_equal {b -1 0} [list [dict get $b name] [dict get $b active-time] [dict get $b pel-count]]
        set group [lindex [dict get [r xinfo stream s full count 1] groups] 0]
        list [dict get $group pel-count] [llength [dict get $group pending]]
    } {2 1}

    # ---- counters ----

    test {Lag counts what a group has yet to read} {
        fill 5
        assert_equal {{} 5} [list [group_field entries-read] [group_field lag]]
        take a 1
        assert_equal {1 4} [list [group_field entries-read] [group_field lag]]
        take a
        assert_equal {5 0} [list [group_field entries-read] [group_field lag]]
        r xadd s 9-1 f v
        group_field lag
    } {1}

    test {Lag cannot be told behind a gap, and can again past it} {
        fill 5
        take a 1
        r xdel s 4-1
        assert_equal {1 {}} [list [group_field entries-read] [group_field lag]]
        take a 1
        assert_equal {{} {}} [list [group_field entries-read] [group_field lag]]
        take a
        list [group_field entries-read] [group_field lag]
    } {5 0}

    test {Lag is right after trimming} {
        fill 10
        take a 2
        r xtrim s maxlen 5
        assert_equal {2 8} [list [group_field entries-read] [group_field lag]]
        take a 1
        assert_equal {3 7} [list [group_field entries-read] [group_field lag]]
        r xtrim s maxlen 0
        list [group_field entries-read] [group_field lag]
    } {3 7}

    test {ENTRIESREAD and ENTRIESADDED are taken as they are given} {
        fill 5
        r xgroup setid s g 3 entriesread 3
        assert_equal {3 2} [list [group_field entries-read] [group_field lag]]
        r xgroup setid s g 3
        assert_equal {{} {}} [list [group_field entries-read] [group_field lag]]
        r xgroup setid s g 5-1
        assert_equal {{} 0} [list [group_field entries-read] [group_field lag]]
        r xgroup setid s g 3 entriesread 3
        r xsetid s 9-9 entriesadded 100
        group_field lag
    } {97}

    # The reference subtracts what cannot be from what there is.
    test {XSETID leads to no negative lag} {
        fill 5
        take c
        r xdel s 1-1 2-1 3-1 4-1
        foreach {last added} {5-1 1 9-1 3} {
            r xsetid s $last entriesadded $added
            assert_equal {1 0} [list [group_field entries-read] [expr {min([group_field lag], 0)}]]
        }
        fill 5
        take c
        r xtrim s maxlen 1
        r xsetid s 5-1 entriesadded 1
        assert_equal {1 0} [list [group_field entries-read] [group_field lag]]
        r xadd s 6-1 n 6
        assert_equal 1 [group_field lag]
        take c
        assert_equal {2 0} [list [group_field entries-read] [group_field lag]]
        # In the middle, and where no entry is left.
        fill 5
        take c 3
        r xtrim s maxlen 2
        r xsetid s 5-1 entriesadded 2
        assert_equal {0 2} [list [group_field entries-read] [group_field lag]]
        take c 1
        assert_equal {1 1} [list [group_field entries-read] [group_field lag]]
        take c
        r xtrim s maxlen 0
        r xsetid s 5-1 entriesadded 0
        list [group_field entries-read] [group_field lag]
    } {0 0} {peer:skip}

    test {Lag is negative where ENTRIESREAD says more than there ever were} {
        fill 5
        foreach id {0 3-1 5-1} {
            r xgroup setid s g $id entriesread 100
            assert_equal {100 -95} [list [group_field entries-read] [group_field lag]] $id
        }
        r xgroup destroy s g
        r xgroup create s g 0 entriesread 6
        assert_equal -1 [group_field lag]
        r xgroup setid s g 4-1 entriesread 4
        group_field lag
    } {1}

    # ---- waiting ----

    test {XREADGROUP BLOCK waits for an entry, and only one consumer gets it} {
        fill 0
        set a [valkey_deferring_client]
        $a xreadgroup group g a block 0 streams s >
        wait_for_blocked_clients_count 1
        set b [valkey_deferring_client]
        $b xreadgroup group g b block 0 streams s >
        wait_for_blocked_clients_count 2
        r xadd s 1-1 f v
        assert_equal {{s {{1-1 {f v}}}}} [$a read]
        assert_equal 1 [s blocked_clients]
        r xadd s 2-1 f v
        assert_equal {{s {{2-1 {f v}}}}} [$b read]
        assert_equal {{1-1 a 1} {2-1 b 1}} [pending]
        $a close
        $b close
    }

    test {XREADGROUP with an id never waits} {
        fill 0
        r xreadgroup group g a block 0 streams s 0
    } {{s {}}}

    test {XREADGROUP BLOCK gives a null array when the time is up} {
        fill 0
        r readraw 1
        assert_equal {*-1} [r xreadgroup group g a block 5 streams s >]
        r readraw 0
        consumer_field a pending
    } {0}

    foreach {way commands error} {
        "the key is deleted" {{del s}} {NOGROUP No such key 's' or consumer group 'g' in XREADGROUP with GROUP option}
        "the group is destroyed" {{xgroup destroy s g}} NOGROUP*
        "the key is overwritten" {{set s x}} WRONGTYPE*
        "the key is renamed" {{rename s t}} NOGROUP*
        "another key takes its name" {{set u x} {rename u s}} WRONGTYPE*
        "the key expires" {{pexpire s 1}} NOGROUP*
        "the database is emptied" {flushdb} NOGROUP*
        "a transaction makes the stream anew" {multi {del s} {xadd s 20-1 a b} exec} NOGROUP*
    } {
        test "XREADGROUP BLOCK ends when $way" {
            r del t u
            fill 1
            take z
            set rd [valkey_deferring_client]
            $rd xreadgroup group g a block 0 streams s >
            wait_for_blocked_client
            assert_equal {1 1} [list [s total_blocking_keys] [s total_blocking_keys_on_nokey]]
            foreach command $commands { r {*}$command }
            assert_error $error {$rd read}
            assert_equal {0 0} [list [s total_blocking_keys] [s total_blocking_keys_on_nokey]]
            $rd close
        }
    }

    test {XREADGROUP BLOCK ends when the database is swapped away or the key moved} {
        foreach command {{swapdb 9 10} {move s 10}} {
            r select 10
            r flushdb
            r select 9
            fill 0
            set rd [valkey_deferring_client]
            $rd xreadgroup group g a block 0 streams s >
            wait_for_blocked_client
            r {*}$command
            assert_error NOGROUP* {$rd read}
            $rd close
        }
    } {} {singledb:skip}

    test {XREADGROUP BLOCK does not wake for changes around the entries} {
        fill 1
        take z
        set rd [valkey_deferring_client]
        $rd xreadgroup group g a block 0 streams s >
        wait_for_blocked_client
        r xgroup setid s g 0
        r xgroup create s h 0
        r xdel s 9-9
        assert_equal 1 [s blocked_clients]
        r xadd s 2-1 f v
        assert_equal {{s {{1-1 {n 1}} {2-1 {f v}}}}} [$rd read]
        $rd close
    }

    # ---- what replicas are told ----

    test {Replicas are told deliveries as XCLAIM, and positions as XGROUP SETID} {
        fill 4
        set repl [attach_to_replication_stream]
        r xreadgroup group g a count 2 streams s >
        r xreadgroup group g b count 1 noack streams s >
        r xreadgroup group g c streams s 0
        r xreadgroup group g a streams s 0
        r xreadgroup group g a noack streams s >
        r xreadgroup group g a streams s >
        r xack s g 1-1
        r xack s g 1-1
        assert_replication_stream $repl {
            {multi}
            {select *}
            {xclaim s g a 0 1-1 TIME * RETRYCOUNT 1 FORCE JUSTID LASTID 1-1}
            {xclaim s g a 0 2-1 TIME * RETRYCOUNT 1 FORCE JUSTID LASTID 2-1}
            {xgroup SETID s g 2-1 ENTRIESREAD 2}
            {exec}
            {multi}
            {xgroup CREATECONSUMER s g b}
            {xgroup SETID s g 3-1 ENTRIESREAD 3}
            {exec}
            {xgroup SETID s g 4-1 ENTRIESREAD 4}
            {xack s g 1-1}
        }
        close_replication_stream $repl
    } {} {needs:repl external:skip}

    test {Replicas are told of a delivery to a client that waited} {
        fill 0
        set rd [valkey_deferring_client]
        $rd xreadgroup group g a block 0 streams s >
        wait_for_blocked_client
        set repl [attach_to_replication_stream]
        r xadd s 1-1 f v
        $rd read
        $rd close
        assert_replication_stream $repl {
            {select *}
            {xadd s 1-1 f v}
            {multi}
            {xclaim s g a 0 1-1 TIME * RETRYCOUNT 1 FORCE JUSTID LASTID 1-1}
            {xgroup SETID s g 1-1 ENTRIESREAD 1}
            {exec}
        }
        close_replication_stream $repl
    } {} {needs:repl external:skip}

    test {Replicas are told claims as XCLAIM of the outcome} {
        fill 4
        take a
        r xdel s 2-1
        set repl [attach_to_replication_stream]
        r xclaim s g b 0 1-1 2-1 retrycount 5 time 1000
        r xclaim s g b 1000000 3-1
        r xclaim s g b 1000000 3-1 lastid 9-9
        r xautoclaim s g c 0 3-1 justid
        r xautoclaim s g c 1000000 0
        assert_replication_stream $repl {
            {multi}
            {select *}
            {xclaim s g b 0 1-1 TIME 1000 RETRYCOUNT 5 FORCE JUSTID LASTID 4-1}
            {xclaim s g a 0 2-1 TIME * RETRYCOUNT 1 FORCE JUSTID LASTID 4-1}
            {exec}
            {xgroup SETID s g 9-9 ENTRIESREAD 4}
            {multi}
            {xclaim s g c 0 3-1 TIME * RETRYCOUNT 1 FORCE JUSTID LASTID 9-9}
            {xclaim s g c 0 4-1 TIME * RETRYCOUNT 1 FORCE JUSTID LASTID 9-9}
            {exec}
        }
        close_replication_stream $repl
    } {} {needs:repl external:skip}

    test {A replica has the same groups} {
        fill 10
        start_server {} {
            r replicaof [srv -1 host] [srv -1 port]
            wait_for_sync [srv client]
            r -1 xreadgroup group g a count 4 streams s >
            r -1 xreadgroup group g b count 2 noack streams s >
            r -1 xdel s 2-1
            r -1 xclaim s g b 0 1-1 2-1
            r -1 xack s g 3-1
            r -1 xadd s maxlen ~ 5 * f v
            wait_for_ofs_sync [srv client] [srv -1 client]
            foreach client [list [srv client] [srv -1 client]] {
                set groups [dict get [$client xinfo stream s full] groups]
                lappend seen [list [$client xrange s - +] [lmap group $groups {
                    lmap field {name last-delivered-id entries-read lag pending} { dict get $group $field }
                }]]
            }
            assert_equal {*}$seen
        }
    } {} {needs:repl external:skip}
}
