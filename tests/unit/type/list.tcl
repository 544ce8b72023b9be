# Lists without waiting: pushing, popping, access by index and value, moving, encodings, events, propagation.

# Makes KEY a list of ELEMENTS, in the encoding asked for: a first element of one node's size makes a quicklist.
# Gives the element that comes first.
proc make_list {encoding key elements} {
    set first [expr {$encoding eq "quicklist" ? [string repeat L 8192] : "L"}]
    r del $key
    r rpush $key $first {*}$elements
    assert_encoding $encoding $key
    return $first
}

start_server {tags {"list"}} {
    test {LPUSH, RPUSH, LLEN, LINDEX} {
        r del l
        assert_equal 1 [r lpush l b]
        assert_equal 2 [r lpush l a]
        assert_equal 3 [r rpush l c]
        assert_equal 3 [r llen l]
        assert_equal {a b c} [list [r lindex l 0] [r lindex l 1] [r lindex l 2]]
        assert_equal {c b a} [list [r lindex l -1] [r lindex l -2] [r lindex l -3]]
        assert_equal {{} {}} [list [r lindex l 3] [r lindex l -4]]
        assert_equal 0 [r llen nope]
    }

    test {LPUSH and RPUSH take many elements, one after the other} {
        r del l
        assert_equal 4 [r rpush l a b c d]
        assert_equal 8 [r lpush l 0 1 2 3]
        r lrange l 0 -1
    } {3 2 1 0 a b c d}

    test {LPUSHX and RPUSHX only push to lists that exist} {
        r del l nope
        assert_equal 0 [r lpushx nope a]
        assert_equal 0 [r rpushx nope a b]
        assert_equal 0 [r exists nope]
        r rpush l x
        assert_equal 3 [r lpushx l b a]
        assert_equal 5 [r rpushx l y z]
        r lrange l 0 -1
    } {a b x y z}

    test {wrong number of arguments} {
        foreach name {lpush rpush lpushx rpushx} {
            assert_error "ERR wrong number of arguments for '$name' command" {r $name l}
        }
        foreach name {lpop rpop} {
            assert_error "ERR wrong number of arguments for '$name' command" {r $name}
            assert_error "ERR wrong number of arguments for '$name' command" {r $name l 1 1}
        }
        assert_error {ERR wrong number of arguments for 'lmpop' command} {r lmpop 1 l}
    }

    test {every list command refuses other types} {
        r set str x
        r del l
        r rpush l a
        foreach command {
            {lpush str a} {rpush str a} {lpushx str a} {rpushx str a} {lpop str} {rpop str} {lpop str 0}
            {rpop str 1} {llen str} {lindex str 0} {lset str 0 a} {lrange str 0 -1} {linsert str before a b}
            {lrem str 0 a} {ltrim str 0 -1} {lpos str a} {lmove str l left left} {lmove l str left left}
            {rpoplpush str l} {rpoplpush l str} {lmpop 1 str left} {lmpop 2 str l left}
        } {
            assert_error {WRONGTYPE*} {r {*}$command}
        }
        assert_equal {a x} [list [r lrange l 0 -1] [r get str]]
        # A missing source comes before the type of the destination.
        assert_equal {{} {}} [list [r lmove nope str left left] [r rpoplpush nope str]]
    } {} {cluster:skip}

    test {LPOP and RPOP with and without count} {
        r del l
        r rpush l 1 2 3 4 5 6 7
        assert_equal {1 7} [list [r lpop l] [r rpop l]]
        assert_equal {2} [r lpop l 1]
        assert_equal {6 5} [r rpop l 2]
        assert_equal {} [r lpop l 0]
        assert_equal {3 4} [r lpop l 100]
        assert_equal 0 [r exists l]
        assert_equal {} [r lpop l]
        foreach bad {-1 x 1.5 99999999999999999999} {
            assert_error {ERR value is out of range, must be positive} {r lpop l $bad}
        }
    }

    test {LPOP's nulls are null bulk strings and null arrays} {
        r del nope
        r readraw 1
        set seen {}
        foreach command {{lpop nope} {rpop nope 0} {lpop nope 1} {lmove nope x left left} {lmpop 1 nope left}
            {lpos nope a} {lpos nope a count 0} {lrange nope 0 -1} {lindex nope 0}} {
            lappend seen [r {*}$command]
        }
        # In a transaction what would wait says at once that there is nothing.
        r multi
        foreach command {{blpop nope 0} {blmove nope x left left 0} {brpoplpush nope x 0} {blmpop 0 1 nope left}} {
            r {*}$command
        }
        lappend seen [r exec]
        foreach _ {1 2 3 4} {
            lappend seen [r read]
        }
        r readraw 0
        assert_equal {$-1 *-1 *-1 $-1 *-1 $-1 *0 *0 $-1 *4 *-1 $-1 $-1 *-1} [join $seen]
    } {} {cluster:skip}

    test {RESP3 has one null} {
        r hello 3
        r readraw 1
        set seen {}
        foreach command {{lpop nope} {rpop nope 0} {lmove nope x left left} {lmpop 1 nope left} {lpos nope a}} {
            lappend seen [r {*}$command]
        }
        r readraw 0
        r hello 2
        set seen
    } {_ _ _ _ _} {cluster:skip}

    foreach encoding {listpack quicklist} {
        test "LRANGE - $encoding" {
            set L [make_list $encoding l {1 2 3 4 5 6 7 8 9}]
            assert_equal {1 2 3} [r lrange l 1 3]
            assert_equal {7 8 9} [r lrange l -3 -1]
            assert_equal {4} [r lrange l 4 4]
            assert_equal [list $L 1] [r lrange l -100 1]
            assert_equal {8 9} [r lrange l 8 100]
            assert_equal {} [r lrange l 6 2]
            assert_equal {} [r lrange l 10 20]
            assert_equal {} [r lrange l -1 -2]
            assert_equal {} [r lrange l 0 -11]
            assert_equal {} [r lrange nope 0 -1]
            assert_error {ERR value is not an integer or out of range} {r lrange l a 1}
            assert_error {ERR value is not an integer or out of range} {r lrange l 1 1.5}
        }

        test "LTRIM - $encoding" {
            foreach {start stop left} {
                0 -1 {L 1 2 3 4 5} 1 -1 {1 2 3 4 5} 0 0 {L} 1 3 {1 2 3} -2 -1 {4 5} -100 1 {L 1}
                4 100 {4 5} 5 1 {} 6 10 {} -1 -2 {}
            } {
                set L [make_list $encoding l {1 2 3 4 5}]
                assert_equal OK [r ltrim l $start $stop]
                assert_equal [string map [list L $L] $left] [r lrange l 0 -1]
            }
            assert_equal 0 [r exists l]
            assert_equal OK [r ltrim l 0 0]
            assert_error {ERR value is not an integer or out of range} {r ltrim l a 1}
        }

        test "LSET - $encoding" {
            set L [make_list $encoding l {1 2 3}]
            assert_equal OK [r lset l 1 one]
            assert_equal OK [r lset l -1 three]
            assert_equal [list $L one 2 three] [r lrange l 0 -1]
            assert_error {ERR index out of range} {r lset l 4 x}
            assert_error {ERR index out of range} {r lset l -5 x}
            assert_error {ERR value is not an integer or out of range} {r lset l a x}
            assert_error {ERR no such key} {r lset nope a x}
        }

        test "LINSERT - $encoding" {
            set L [make_list $encoding l {a b c b}]
            assert_equal 6 [r linsert l before b x]
            assert_equal 7 [r linsert l AFTER b y]
            assert_equal 8 [r linsert l after c 17]
            assert_equal 9 [r linsert l before 17 z]
            assert_equal -1 [r linsert l before nope z]
            assert_equal 0 [r linsert nope before b z]
            assert_error {ERR syntax error} {r linsert l at b z}
            assert_equal [list $L a x b y c z 17 b] [r lrange l 0 -1]
        }

        test "LREM - $encoding" {
            set L [make_list $encoding l {a b a c a b 1 1}]
            assert_equal 1 [r lrem l 1 a]
            assert_equal 1 [r lrem l -1 b]
            assert_equal [list $L b a c a 1 1] [r lrange l 0 -1]
            assert_equal 2 [r lrem l 0 a]
            assert_equal 2 [r lrem l -5 1]
            assert_equal 0 [r lrem l 0 nope]
            assert_equal [list $L b c] [r lrange l 0 -1]
            assert_equal {1 1 1} [list [r lrem l 0 b] [r lrem l 0 c] [r lrem l 0 $L]]
            assert_equal 0 [r exists l]
            assert_error {ERR value is not an integer or out of range} {r lrem l a a}
        }

        test "LPOS - $encoding" {
            make_list $encoding l {a b c 1 2 c c}
            assert_equal {1 4 3} [list [r lpos l a] [r lpos l 1] [r lpos l c]]
            assert_equal {} [r lpos l nope]
            assert_equal {6 7} [list [r lpos l c rank 2] [r lpos l c rank -1]]
            assert_equal {} [r lpos l c rank 4]
            assert_equal {3 6 7} [r lpos l c count 0]
            assert_equal {3 6} [r lpos l c COUNT 2]
            assert_equal {7 6} [r lpos l c rank -1 count 2]
            assert_equal {6 7} [r lpos l c rank 2 count 5]
            assert_equal {3} [r lpos l c count 0 maxlen 6]
            assert_equal {7 6} [r lpos l c count 0 rank -1 maxlen 2]
            assert_equal {} [r lpos l c maxlen 3]
            assert_equal {} [r lpos l nope count 0]
        }

        test "LMOVE and RPOPLPUSH - $encoding" {
            foreach {from to rest moved} {
                left left {1 2 3} {L x} left right {1 2 3} {x L} right left {L 1 2} {3 x} right right {L 1 2} {x 3}
            } {
                set L [make_list $encoding s{t} {1 2 3}]
                r del d{t}
                r rpush d{t} x
                set element [r lmove s{t} d{t} $from $to]
                assert_equal [string map [list L $L] $rest] [r lrange s{t} 0 -1]
                assert_equal [string map [list L $L] $moved] [r lrange d{t} 0 -1]
                assert_equal 1 [expr {$element in [r lrange d{t} 0 -1]}]
            }
            set L [make_list $encoding s{t} {1 2 3}]
            assert_equal 3 [r rpoplpush s{t} s{t}]
            assert_equal [list 3 $L 1 2] [r lrange s{t} 0 -1]
            assert_equal 3 [r lmove s{t} s{t} left left]
            assert_equal 3 [r lmove s{t} s{t} left right]
            assert_equal [list $L 1 2 3] [r lrange s{t} 0 -1]
        }

        test "LMPOP - $encoding" {
            set L [make_list $encoding b{t} {1 2 3 4 5}]
            r del a{t}
            assert_equal "b{t} $L" [r lmpop 1 b{t} left]
            assert_equal {b{t} {5 4}} [r lmpop 2 a{t} b{t} RIGHT count 2]
            r rpush a{t} x
            assert_equal {a{t} x} [r lmpop 2 a{t} b{t} left count 10]
            assert_equal {b{t} {3 2 1}} [r lmpop 2 a{t} b{t} right count 10]
            assert_equal {} [r lmpop 2 a{t} b{t} left]
            assert_equal 0 [r exists a{t} b{t}]
        }

        test "a list behaves like the obvious one - $encoding" {
            set model [list [make_list $encoding l {}]]
            for {set i 0} {$i < 400} {incr i} {
                set value [expr {rand() < 0.5 ? [randomInt 100] : [randstring 0 60 alpha]}]
                set at [randomInt [expr {[llength $model] + 1}]]
                switch [randomInt 8] {
                    0 - 1 {r rpush l $value; lappend model $value}
                    2 - 3 {r lpush l $value; set model [linsert $model 0 $value]}
                    4 {r lpop l; set model [lrange $model 1 end]}
                    5 {r rpop l; set model [lrange $model 0 end-1]}
                    6 {
                        if {$at < [llength $model]} {
                            r lset l $at $value
                            lset model $at $value
                        }
                    }
                    7 {assert_equal [lindex $model $at] [r lindex l $at]}
                }
                assert_equal [llength $model] [r llen l]
            }
            assert_equal $model [r lrange l 0 -1]
        }
    }

    test {LPOS refuses bad options} {
        r del l
        r rpush l a
        foreach {options message} {
            {rank 0} {ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative to start from the end of the list}
            {rank x} {ERR value is not an integer or out of range}
            {rank -9223372036854775808} {ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807}
            {count -1} {ERR COUNT can't be negative}
            {maxlen -1} {ERR MAXLEN can't be negative}
            {rank} {ERR syntax error}
            {first 1} {ERR syntax error}
        } {
            assert_error $message {r lpos l a {*}$options}
        }
    }

    test {LMOVE and LMPOP refuse bad options} {
        assert_error {ERR syntax error} {r lmove s{t} d{t} top left}
        assert_error {ERR syntax error} {r lmove s{t} d{t} left bottom}
        foreach {arguments message} {
            {0 l left} {ERR numkeys should be greater than 0}
            {x l left} {ERR numkeys should be greater than 0}
            {-1 l left} {ERR numkeys should be greater than 0}
            {1 l top} {ERR syntax error}
            {2 l left} {ERR syntax error}
            {1 l left count 0} {ERR count should be greater than 0}
            {1 l left count -1} {ERR count should be greater than 0}
            {1 l left count x} {ERR count should be greater than 0}
            {1 l left count 1 count 2} {ERR syntax error}
            {1 l left limit 1} {ERR syntax error}
            {1 l left count} {ERR syntax error}
        } {
            assert_error $message {r lmpop {*}$arguments}
        }
    }

    test {random values of all sizes survive pushing and popping} {
        r del l
        set model {}
        foreach size {0 1 5 63 64 4095 4096 8191 8192 65535 65536 200000} {
            set value [randstring $size $size binary]
            r rpush l $value
            lappend model $value
        }
        foreach value {0 127 128 -4096 32767 8388607 2147483647 9223372036854775807 -9223372036854775808} {
            r rpush l $value
            lappend model $value
        }
        assert_equal $model [r lrange l 0 -1]
        foreach value $model {
            assert_equal $value [r lpop l]
        }
        r exists l
    } {0}

    test {a push past list-max-listpack-size makes a quicklist, one half-full node makes a listpack} {
        set before [config_get_set list-max-listpack-size 8]
        r del l
        r rpush l 1 2 3 4 5 6 7 8
        assert_encoding listpack l
        r rpush l 9
        assert_encoding quicklist l
        # The ninth has a node of its own; while there are two nodes, the list stays a quicklist.
        r lpop l 6
        assert_encoding quicklist l
        r rpop l
        assert_encoding listpack l
        r del l
        r rpush l 1 2 3 4 5 6 7 8 9
        assert_encoding quicklist l
        r ltrim l 0 3
        assert_encoding listpack l
        # A node of 4096 bytes has room for 41 elements of 95 bytes.
        r config set list-max-listpack-size -1
        r del l
        for {set i 0} {$i < 41} {incr i} {
            r rpush l [string repeat x 95]
        }
        assert_encoding listpack l
        r rpush l [string repeat x 95]
        assert_encoding quicklist l
        r config set list-max-listpack-size $before
    } {OK} {needs:debug}

    # The reference takes the new element for one more, and converts for an index or a pivot that is not there.
    test {LSET judges the encoding by what comes of it, LINSERT when something does} {
        set before [config_get_set list-max-listpack-size 4]
        r del l
        r rpush l a b c d
        assert_equal OK [r lset l 0 A]
        assert_encoding listpack l
        assert_error {ERR index out of range} {r lset l 4 x}
        assert_error {ERR value is not an integer or out of range} {r lset l x x}
        assert_equal -1 [r linsert l before none x]
        assert_encoding listpack l
        assert_equal 5 [r linsert l after d e]
        assert_encoding quicklist l
        # By bytes: what goes makes room for what comes.
        r config set list-max-listpack-size -1
        r del l
        r rpush l [string repeat a 2000] [string repeat b 2000] 12345
        foreach {index value encoding} {
            0 2000 listpack 1 2000 listpack 2 20 listpack 0 2040 listpack 0 3000 quicklist
        } {
            r lset l $index [string repeat x $value]
            assert_encoding $encoding l
            assert_equal $value [string length [r lindex l $index]]
        }
        # One element too many bytes, of a list of one.
        r del l
        r rpush l x
        r lset l 0 [string repeat y 4080]
        assert_encoding listpack l
        r lset l 0 [string repeat y 4097]
        assert_encoding quicklist l
        r config set list-max-listpack-size $before
    } {OK} {needs:debug peer:skip}

    test {a list is a quicklist from 8 KiB on by default} {
        r config set list-max-listpack-size -2
        r del l
        r rpush l [string repeat a 4000]
        assert_encoding listpack l
        r rpush l [string repeat a 4000]
        assert_encoding listpack l
        r rpush l [string repeat a 4000]
        assert_encoding quicklist l
        assert_equal 3 [r llen l]
        r del l
        r rpush l [string repeat a 8193]
        assert_encoding quicklist l
    } {} {needs:debug}

    test {LINSERT into a full node cuts it, and joins what fits into one again} {
        set before [config_get_set list-max-listpack-size 4]
        r del l
        r rpush l a b c d e f
        set nodes {}
        foreach {side pivot element} {
            after b x after x y before a z before d 1 after d 2 after d 3 before e 4 after f 5 before 1 6 after 6 7
        } {
            r linsert l $side $pivot $element
            regexp {ql_nodes:(\d+)} [r debug object l] -> count
            lappend nodes $count
        }
        r config set list-max-listpack-size $before
        list $nodes [r lrange l 0 -1]
    } {{3 3 3 3 3 4 4 4 5 5} {z a b x y c 6 7 1 d 3 2 4 e f 5}} {needs:debug}

    test {LSET of a large value gives it a node of its own, and joins what fits around it} {
        set before [config_get_set list-max-listpack-size 4]
        r debug quicklist-packed-threshold 100b
        r del l
        r rpush l a b c d e f g h i j
        set nodes {}
        foreach {index length} {1 200 1 1 5 200 4 200 5 1 4 1 0 200 0 1 9 200 9 1 2 200 3 200 2 1 3 1} {
            r lset l $index [string repeat [string index abcdefghij $index] $length]
            regexp {ql_nodes:(\d+)} [r debug object l] -> count
            lappend nodes $count
        }
        r debug quicklist-packed-threshold 0
        r config set list-max-listpack-size $before
        list $nodes [r lrange l 0 -1]
    } {{5 4 4 4 4 3 4 3 4 4 5 6 6 5} {a b c d e f g h i j}} {needs:debug}

    test {a quicklist counted in bytes becomes a listpack at half of them} {
        set before [config_get_set list-max-listpack-size -1]
        foreach command {rpop {lrem l -1 e} {ltrim l 0 -2}} {
            r del l
            for {set i 0} {$i < 42} {incr i} { r rpush l [string repeat e 95] }
            assert_encoding quicklist l
            # A listpack of n elements of 95 bytes has 7 + 98 * n.
            set element [string repeat e 95]
            set command [string map [list { e} " $element" rpop {rpop l}] $command]
            while {[r llen l] > 21} {
                assert_encoding quicklist l
                r {*}$command
            }
            r {*}$command
            assert_encoding listpack l
        }
        r config set list-max-listpack-size $before
    } {OK} {needs:debug}

    test {long elements are found from behind} {
        set before [config_get_set list-max-listpack-size -5]
        # Around the lengths from which on an element's length takes one byte more at its end.
        foreach length {63 64 125 126 127 128 4094 4095 4096 16377 16378 16380 16382 16383 16384 16385 65000} {
            set element [string repeat x $length]
            r del l
            r rpush l first $element last
            assert_equal [list last $length first] [list [r lindex l -1] [string length [r lindex l -2]] [r lindex l -3]] $length
            assert_equal [list 2 1 0] [list [r lpos l last rank -1] [r lpos l $element rank -1] [r lpos l first rank -1]] $length
            r rpop l
            assert_equal $element [r rpop l]
            assert_equal {first} [r lrange l 0 -1]
        }
        r config set list-max-listpack-size $before
    } {OK}

    test {a list survives DEBUG RELOAD in both encodings} {
        make_list listpack a {1 2 three}
        make_list quicklist b {1 2 three}
        set before [list [r lrange a 0 -1] [r lrange b 0 -1]]
        r debug reload
        assert_equal $before [list [r lrange a 0 -1] [r lrange b 0 -1]]
        assert_encoding listpack a
        assert_encoding quicklist b
    } {} {needs:debug needs:save}

    test {popping a quicklist down to half a node makes it a listpack} {
        set size [config_get_set list-max-listpack-size 4]
        foreach command {{rpop l 3} {ltrim l 0 1}} {
            r del l
            r rpush l a b c d e
            assert_encoding quicklist l
            r {*}$command
            assert_encoding listpack l
        }
        r config set list-max-listpack-size $size
    } {OK} {needs:debug}

    test {list commands raise keyspace events} {
        r config set notify-keyspace-events El
        r del l d
        set rd [valkey_deferring_client]
        assert_equal {1} [psubscribe $rd {__keyevent@*}]
        r rpush l a b c d e f g
        r lpush l z
        r lset l 0 y
        r linsert l before a x
        r lrem l 1 x
        r ltrim l 0 -2
        r lpop l
        r rpop l 2
        r lmove l d left right
        r rpoplpush l d
        r lmpop 1 l left count 9
        foreach {event key} {
            rpush l lpush l lset l linsert l lrem l ltrim l lpop l rpop l
            rpush d lpop l lpush d rpop l lpop l
        } {
            assert_match "pmessage __keyevent@* __keyevent@*__:$event $key" [$rd read]
        }
        $rd close
        r config set notify-keyspace-events ""
    } {OK} {cluster:skip}

    # The reference tells of it as of a change.
    test {LTRIM that trims nothing is no change: WATCH, tracking, events, the counter of changes} {
        r del l nope
        r rpush l a b c
        set watcher [valkey_client]
        set tracker [valkey_client]
        $tracker hello 3
        $tracker client tracking on
        $tracker lrange l 0 -1
        r config set notify-keyspace-events AKE
        set rd [valkey_deferring_client]
        psubscribe $rd {__key*}
        set dirty [s rdb_changes_since_last_save]
        foreach {start stop} {0 -1 0 2 -3 -1 -100 100} {
            $watcher watch l
            assert_equal OK [r ltrim l $start $stop]
            r ltrim nope 0 0
            $watcher multi
            assert_equal {} [$watcher exec]
            $watcher watch l
            $watcher multi
            $watcher ping
            assert_equal PONG [$watcher exec]
        }
        assert_equal $dirty [s rdb_changes_since_last_save]
        # What comes next to either is the change that is one.
        r ltrim l 1 -1
        assert_match {pmessage * __keyspace@*__:l ltrim} [$rd read]
        assert_equal {invalidate l} [$tracker read]
        $watcher close
        $tracker close
        $rd close
        r config set notify-keyspace-events ""
    } {OK} {peer:skip}

    test {emptying a list raises del after the pop} {
        r config set notify-keyspace-events KEg\l
        r del l
        r rpush l a
        set rd [valkey_deferring_client]
        psubscribe $rd {__keyevent@*}
        r lpop l
        assert_match {*__:lpop l} [$rd read]
        assert_match {*__:del l} [$rd read]
        $rd close
        r config set notify-keyspace-events ""
    } {OK}

    test {list commands are propagated as they came, LMPOP as the pop it was} {
        r del l d
        set repl [attach_to_replication_stream]
        r rpush l a b c d e f
        r lpushx nope a
        r lpush l z
        r lset l 0 y
        r linsert l before a x
        r linsert l before nope x
        r lrem l 0 x
        r lrem l 0 x
        r ltrim l 0 -1
        r ltrim l 0 -2
        r lpop l
        r lpop l 0
        r rpop l 2
        r lmpop 2 nope l left count 1
        r lmove l d left RIGHT
        r rpoplpush l d
        r rpoplpush l d
        r lmpop 1 d right count 10
        r set end 1
        assert_replication_stream $repl {
            {select *} {rpush l a b c d e f} {lpush l z} {lset l 0 y} {linsert l before a x} {lrem l 0 x}
            {ltrim l 0 -2} {lpop l} {rpop l 2} {lpop l 1} {lmove l d left RIGHT} {rpoplpush l d}
            {rpop d 2} {set end 1}
        }
        close_replication_stream $repl
    } {} {needs:repl cluster:skip}

    test {list commands break a WATCH} {
        foreach command {{lpop l} {lset l 0 x} {ltrim l 1 -1} {lmove l d left left} {lrem l 0 a} {rpush l z}} {
            r del l d
            r rpush l a b
            r watch l
            r {*}$command
            r multi
            r ping
            assert_equal {} [r exec]
        }
    } {} {cluster:skip}
}
