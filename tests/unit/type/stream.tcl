# Streams without groups: XADD and its ids, ranges, XREAD with and without waiting, XDEL, XTRIM, XSETID, XINFO STREAM,
# what replicas and subscribers are told, saving and copying.

# COUNT entries 1-1, 2-1, ... in a new stream at KEY.
proc fill {key count} {
    r del $key
    for {set i 1} {$i <= $count} {incr i} {
        r xadd $key $i-1 n $i
    }
}

# The ids of KEY from first to last.
proc ids {key} {
    lmap entry [r xrange $key - +] { lindex $entry 0 }
}

start_server {tags {"stream"}} {
    test {XADD takes the time as id, and counts within a millisecond} {
        r del s
        set before [clock milliseconds]
        set first [r xadd s * f v]
        for {set i 0} {$i < 50} {incr i} { set last [r xadd s * f v] }
        assert_range [lindex [split $first -] 0] [expr {$before - 1000}] [expr {$before + 60000}]
        assert_equal 51 [r xlen s]
        assert_equal $last [lindex [ids s] end]
        assert_equal [ids s] [lsort -dictionary -unique [ids s]]
    }

    test {XADD goes on behind the last id when the clock is behind it} {
        r del s
        r xadd s 99999999999999-5 f v
        assert_equal 99999999999999-6 [r xadd s * f v]
        r xadd s 99999999999999-18446744073709551615 f v
        assert_equal 100000000000000-0 [r xadd s * f v]
    }

    test {XADD completes an id that lacks its number} {
        r del s
        assert_equal 0-1 [r xadd s 0-* f v]
        assert_equal 0-2 [r xadd s 0-* f v]
        assert_equal 5-0 [r xadd s 5-* f v]
        assert_equal 6-0 [r xadd s 6 f v]
        assert_error {*smaller than the target stream top item*} {r xadd s 5-* f v}
        r xadd s 7-18446744073709551615 f v
        assert_error {*smaller than the target stream top item*} {r xadd s 7-* f v}
        r xlen s
    } {5}

    test {XADD refuses ids that are none or not above the last} {
        fill s 3
        foreach id {3-1 3-0 2-9 3 1-*} {
            assert_error {ERR The ID specified in XADD is equal or smaller than the target stream top item} {r xadd s $id f v}
        }
        foreach id {x 4-x -4 4- 18446744073709551616-1 - +} {
            assert_error {ERR Invalid stream ID specified as stream command argument} {r xadd s $id f v}
        }
        assert_error {ERR The ID specified in XADD must be greater than 0-0} {r xadd none 0-0 f v}
        assert_equal 0 [r exists none]
        r xlen s
    } {3}

    test {XADD reads numbers as leniently as the reference} {
        r del s
        assert_equal 6-1 [r xadd s 06-+1 f v]
        assert_equal 6-18446744073709551615 [r xadd s 6--01 f v]
    }

    test {XADD says when there is no id left} {
        r del s
        r xadd s 18446744073709551615-* f v
        assert_equal 18446744073709551615-1 [r xadd s * f v]
        r xadd s 18446744073709551615-18446744073709551615 f v
        assert_error {ERR The stream has exhausted the last possible ID, unable to add more items} {r xadd s * f v}
        r xlen s
    } {3}

    test {XADD needs pairs of field and value} {
        r del s
        foreach args {{*} {* f} {* f v g} {nomkstream * f} {maxlen ~ 100 *}} {
            assert_error {ERR wrong number of arguments for 'xadd' command} {r xadd s {*}$args}
        }
        r exists s
    } {0}

    test {XADD NOMKSTREAM makes no stream} {
        r del s
        assert_equal {} [r xadd s nomkstream * f v]
        assert_equal 0 [r exists s]
        r xadd s 1-1 f v
        assert_equal 2-1 [r xadd s nomkstream 2-1 f v]
    }

    test {Fields come back as they were given, whatever they look like} {
        r del s
        set fields {a 1 b -5 c 9223372036854775807 d 007 e {} {} f a a}
        lappend fields long [string repeat x 5000] binary "\x00\xff\r\n"
        r xadd s 1-1 {*}$fields
        r xadd s 2-1 {*}$fields
        r xadd s 3-1 other fields
        foreach entry [lrange [r xrange s - +] 0 1] {
            assert_equal $fields [lindex $entry 1]
        }
        assert_equal {{3-1 {other fields}}} [r xrevrange s + - count 1]
    }

    test {XADD MAXLEN and MINID trim exactly} {
        fill s 10
        r xadd s maxlen 5 11-1 f v
        assert_equal {7-1 8-1 9-1 10-1 11-1} [ids s]
        r xadd s maxlen = 3 12-1 f v
        assert_equal {10-1 11-1 12-1} [ids s]
        r xadd s minid 12 13-1 f v
        assert_equal {12-1 13-1} [ids s]
        r xadd s minid = 99 14-1 f v
        r xlen s
    } {0}

    test {XADD MAXLEN 0 leaves an empty stream that knows its past} {
        r del s
        r xadd s maxlen 0 5-5 f v
        assert_equal 1 [r exists s]
        set info [r xinfo stream s]
        assert_equal {0 5-5 1} [list [dict get $info length] [dict get $info last-generated-id] [dict get $info entries-added]]
    }

    test {Trimming has its grammar} {
        fill s 3
        foreach {error args} {
            {ERR syntax error, MAXLEN and MINID options at the same time are not compatible} {maxlen 1 minid 1}
            {ERR syntax error, MAXLEN and MINID options at the same time are not compatible} {maxlen 1 maxlen 1}
            {ERR syntax error, LIMIT cannot be used without the special ~ option} {maxlen 1 limit 5}
            {ERR syntax error, LIMIT cannot be used without the special ~ option} {maxlen = 1 limit 0}
            {ERR The MAXLEN argument must be >= 0.} {maxlen -1}
            {ERR The LIMIT argument must be >= 0.} {maxlen ~ 1 limit -1}
            {ERR value is not an integer or out of range} {maxlen x}
            {ERR Invalid stream ID specified as stream command argument} {minid x}
        } {
            assert_error $error {r xadd s {*}$args 9-9 f v}
            assert_error $error {r xtrim s {*}$args}
        }
        assert_error {ERR syntax error, LIMIT cannot be used without specifying a trimming strategy} {r xadd s limit 5 9-9 f v}
        # A limit of 0 is no limit, but it is given.
        assert_error {ERR syntax error, LIMIT cannot be used without the special ~ option} {r xadd s limit 0 9-9 f v}
        assert_error {ERR syntax error, LIMIT cannot be used without the special ~ option} {r xadd s nomkstream limit 5 limit 0 * f v}
        assert_error {ERR syntax error, LIMIT cannot be used without specifying a trimming strategy} {r xtrim s limit 5}
        assert_error {ERR syntax error, XTRIM must be called with a trimming strategy} {r xtrim s limit 0}
        assert_error {ERR syntax error, XTRIM must be called with a trimming strategy} {r xtrim s limit 5 limit 0}
        assert_error {ERR syntax error} {r xtrim s foo 1}
        assert_error {ERR syntax error} {r xtrim s maxlen 1 nomkstream}
        assert_error {ERR value is not an integer or out of range} {r xtrim s maxlen =}
        r xlen s
    } {3}

    test {LIMIT stands anywhere, and as 0 takes the limit away} {
        set old [config_get_set stream-node-max-entries 2]
        foreach {removed args} {
            298 {maxlen ~ 2 limit 0} 298 {limit 0 maxlen ~ 2} 298 {minid ~ 299 limit 0} 200 {maxlen ~ 2} 10 {limit 10 maxlen ~ 2}
            4 {maxlen ~ 2 limit 0 limit 5} 298 {limit 5 maxlen ~ 2 limit 0}
        } {
            fill s 300
            assert_equal $removed [r xtrim s {*}$args] $args
            fill s 300
            r xadd s {*}$args 999-1 f v
            assert_equal [expr {301 - $removed}] [r xlen s] $args
        }
        r config set stream-node-max-entries $old
    } {OK}

    test {XTRIM says how many entries went} {
        fill s 10
        assert_equal 0 [r xtrim s maxlen 10]
        assert_equal 3 [r xtrim s maxlen 7]
        assert_equal 2 [r xtrim s minid 6]
        assert_equal 0 [r xtrim nokey maxlen 5]
        assert_equal 5 [r xtrim s maxlen = 0]
        list [r exists s] [r xlen s]
    } {1 0}

    test {Approximate trimming removes whole nodes, and no more than it may} {
        set old [config_get_set stream-node-max-entries 10]
        fill s 95
        assert_equal 0 [r xtrim s maxlen ~ 90]
        assert_equal 10 [r xtrim s maxlen ~ 85]
        assert_equal 0 [r xtrim s maxlen ~ 0 limit 5]
        assert_equal 20 [r xtrim s maxlen ~ 0 limit 29]
        assert_equal 0 [r xtrim s minid ~ 35]
        assert_equal 10 [r xtrim s minid ~ 45]
        assert_equal 50 [r xtrim s maxlen ~ 5 limit 0]
        r config set stream-node-max-entries $old
        list [r xlen s] [lindex [ids s] 0]
    } {5 91-1}

    test {Nodes end by their number of entries, deleted ones included, and by their bytes} {
        set entries [config_get_set stream-node-max-entries 3]
        fill s 3
        r xdel s 3-1
        assert_equal 1 [dict get [r xinfo stream s] radix-tree-keys]
        r xadd s 4-1 f v
        assert_equal 2 [dict get [r xinfo stream s] radix-tree-keys]
        r config set stream-node-max-entries 0
        set bytes [config_get_set stream-node-max-bytes 200]
        r del s
        for {set i 1} {$i <= 20} {incr i} { r xadd s $i-1 f [string repeat x 50] }
        assert_range [dict get [r xinfo stream s] radix-tree-keys] 6 12
        r config set stream-node-max-bytes 0
        fill s 500
        assert_equal 1 [dict get [r xinfo stream s] radix-tree-keys]
        r config set stream-node-max-bytes $bytes stream-node-max-entries $entries
    } {OK}

    test {A stream of many nodes answers as one list would} {
        set old [config_get_set stream-node-max-entries 7]
        r del s
        set model {}
        for {set i 1} {$i <= 600} {incr i} {
            set id [expr {$i / 3 + 1}]-[expr {$i % 3 + 1}]
            r xadd s $id n $i {*}[expr {$i % 5 ? {} : {other field}}]
            dict set model $id $i
        }
        for {set i 0} {$i < 300} {incr i} {
            set id [expr {[randomInt 201] + 1}]-[expr {[randomInt 3] + 1}]
            assert_equal [dict exists $model $id] [r xdel s $id]
            dict unset model $id
        }
        set expected [dict keys $model]
        assert_equal $expected [ids s]
        assert_equal [lreverse $expected] [lmap entry [r xrevrange s + -] { lindex $entry 0 }]
        foreach entry [r xrange s - +] {
            assert_equal [dict get $model [lindex $entry 0]] [lindex $entry 1 1]
        }
        for {set i 0} {$i < 100} {incr i} {
            set from [randomInt 210]
            set to [expr {$from + [randomInt 30]}]
            set within [lmap id $expected {
                if {[lindex [split $id -] 0] < $from || [lindex [split $id -] 0] > $to} continue
                set id
            }]
            assert_equal $within [lmap entry [r xrange s $from $to] { lindex $entry 0 }]
            assert_equal [lreverse $within] [lmap entry [r xrevrange s $to $from] { lindex $entry 0 }]
        }
        assert_equal [llength $expected] [r xlen s]
        r config set stream-node-max-entries $old
    } {OK}

    test {XRANGE takes ends, halves, and ids left out} {
        fill s 9
        assert_equal {3-1 4-1} [lmap e [r xrange s 3 4] { lindex $e 0 }]
        assert_equal {4-1 5-1} [lmap e [r xrange s (3-1 5] { lindex $e 0 }]
        assert_equal {3-1 4-1} [lmap e [r xrange s (3-0 (5-1] { lindex $e 0 }]
        assert_equal {9-1 8-1} [lmap e [r xrevrange s + (7-1] { lindex $e 0 }]
        assert_equal {1-1 2-1} [lmap e [r xrange s - + count 2] { lindex $e 0 }]
        assert_equal {} [r xrange s + -]
        assert_equal {} [r xrange nokey - +]
        r xrange s 5-1 5-1
    } {{5-1 {n 5}}}

    test {XRANGE refuses what it cannot read} {
        fill s 3
        foreach {error args} {
            {ERR Invalid stream ID specified as stream command argument} {x +}
            {ERR Invalid stream ID specified as stream command argument} {- 5-*}
            {ERR Invalid stream ID specified as stream command argument} {(- +}
            {ERR invalid start ID for the interval} {(18446744073709551615-18446744073709551615 +}
            {ERR invalid end ID for the interval} {- (0-0}
            {ERR value is not an integer or out of range} {- + count x}
            {ERR syntax error} {- + count}
            {ERR syntax error} {- + foo 1}
        } {
            assert_error $error {r xrange s {*}$args}
        }
    }

    test {XRANGE COUNT 0 is a null, but not of a key there is not} {
        fill s 3
        r readraw 1
        assert_equal {*-1} [r xrange s - + count 0]
        assert_equal {*-1} [r xrevrange s + - count -5]
        assert_equal {*0} [r xrange nokey - + count 0]
        r readraw 0
    }

    test {XDEL removes entries, and the node with its last one} {
        fill s 5
        assert_equal 2 [r xdel s 2-1 4-1 4-1 9-9]
        assert_equal {1-1 3-1 5-1} [ids s]
        assert_equal 0 [r xdel nokey 1-1]
        assert_error {ERR Invalid stream ID*} {r xdel s 1-1 x}
        assert_equal 3 [r xdel s 1-1 3-1 5-1]
        set info [r xinfo stream s]
        assert_equal {0 0 5-1 5-1 5} [lmap field {length radix-tree-keys last-generated-id max-deleted-entry-id entries-added} {
            dict get $info $field
        }]
        r exists s
    } {1}

    test {entries are counted as they are added, over all nodes} {
        set old [config_get_set stream-node-max-entries 3]
        fill s 20
        assert_equal {20 20} [list [dict get [r xinfo stream s] length] [dict get [r xinfo stream s] entries-added]]
        r xtrim s maxlen 5
        r xdel s 18-1
        r xadd s 21-1 f v
        set info [r xinfo stream s]
        r config set stream-node-max-entries $old
        list [dict get $info length] [dict get $info entries-added] [r xlen s]
    } {5 21 5}

    test {the largest id that was deleted is remembered, not the last one} {
        fill s 5
        foreach {id largest} {3-1 3-1 2-1 3-1 4-1 4-1 1-1 4-1 5-1 5-1} {
            r xdel s $id
            assert_equal $largest [dict get [r xinfo stream s] max-deleted-entry-id] $id
        }
        r xlen s
    } {0}

    test {XSETID moves the last id, but not below what there is or was} {
        fill s 3
        r xdel s 2-1
        assert_equal OK [r xsetid s 10-5]
        assert_equal 10-6 [r xadd s 10-* f v]
        assert_error {ERR The ID specified in XSETID is smaller than the target stream top item} {r xsetid s 9-1}
        assert_error {ERR The ID specified in XSETID is smaller than current max_deleted_entry_id} {r xsetid s 1-1}
        assert_error {ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id} {r xsetid s 20-1 maxdeletedid 30-1}
        assert_error {ERR entries_added must be positive} {r xsetid s 20-1 entriesadded -1}
        assert_error {ERR The entries_added specified in XSETID is smaller than the target stream length} {r xsetid s 20-1 entriesadded 1}
        assert_error {ERR syntax error} {r xsetid s 20-1 entriesadded}
        assert_error {ERR no such key} {r xsetid nokey 1-1}
        r xsetid s 20-1 entriesadded 100 maxdeletedid 5-5
        set info [r xinfo stream s]
        lmap field {last-generated-id entries-added max-deleted-entry-id} { dict get $info $field }
    } {20-1 100 5-5}

    test {XREAD gives what is behind each id} {
        fill a{t} 3
        fill b{t} 2
        assert_equal {{a{t} {{3-1 {n 3}}}} {b{t} {{1-1 {n 1}} {2-1 {n 2}}}}} [r xread streams a{t} b{t} 2-1 0]
        assert_equal {{a{t} {{1-1 {n 1}}}}} [r xread count 1 streams a{t} 0]
        assert_equal {{b{t} {{2-1 {n 2}}}}} [r xread streams a{t} nokey{t} b{t} 3-1 0 1-1]
        r readraw 1
        assert_equal {*-1} [r xread streams a{t} \$]
        r readraw 0
    }

    test {XREAD + gives the last entry alone} {
        fill s 3
        assert_equal {{s {{3-1 {n 3}}}}} [r xread count 9 streams s +]
        r del e
        r xgroup create e g 0 mkstream
        assert_error {ERR the stream last element ID is 0-0} {r xread streams e +}
        assert_equal {} [r xread streams nokey +]
        r xdel s 3-1
        r xread streams s +
    } {}

    test {XREAD has its grammar} {
        fill s 1
        r set str x
        foreach {error args} {
            {ERR Unbalanced 'xread' list of streams: for each stream key an ID or '$' must be specified.} {streams s s 0}
            {ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option.} {streams s >}
            {ERR The NOACK option is only supported by XREADGROUP. You called XREAD instead.} {noack streams s 0}
            {ERR The GROUP option is only supported by XREADGROUP. You called XREAD instead.} {group g c streams s 0}
            {ERR syntax error} {foo streams s 0}
            {ERR syntax error} {count 1 streams}
            {ERR timeout is not an integer or out of range} {block x streams s 0}
            {ERR timeout is negative} {block -1 streams s 0}
            {ERR value is not an integer or out of range} {count x streams s 0}
            {ERR Invalid stream ID specified as stream command argument} {streams s x}
            {WRONGTYPE*} {streams s str 0 0}
            {WRONGTYPE*} {streams str $}
        } {
            assert_error $error {r xread {*}$args}
        }
    }

    test {Entries have the same shape in both protocols, streams are a map in RESP3} {
        r del s
        r xadd s 1-1 a b
        set channel [wire_open [srv host] [srv port]]
        foreach {protocol raw} {
            2 {*1 *2 {$1} s *1 *2 {$3} 1-1 *2 {$1} a {$1} b}
            3 {%1 {$1} s *1 *2 {$3} 1-1 *2 {$1} a {$1} b}
        } {
            wire_send $channel hello $protocol
            wire_send $channel select [expr {$::singledb ? 0 : 9}]
            wire_send $channel ping
            while {[wire_line $channel] ne "+PONG"} {}
            wire_send $channel xread streams s 0
            set lines [lmap _ $raw { wire_line $channel }]
            assert_equal $raw $lines
        }
        wire_close_all
    }

    test {Every stream command refuses other types} {
        r set str x
        foreach command {
            {xadd str * f v} {xadd str nomkstream * f v} {xlen str} {xdel str 1-1} {xtrim str maxlen 1} {xsetid str 1-1} {xrange str - +}
            {xrevrange str + -} {xinfo stream str} {xinfo groups str} {xinfo consumers str g}
            {xgroup create str g 0} {xgroup setid str g 0} {xgroup destroy str g} {xack str g 1} {xpending str g}
            {xclaim str g c 0 1} {xautoclaim str g c 0 0} {xreadgroup group g c streams str >}
        } {
            assert_error {WRONGTYPE*} {r {*}$command}
        }
        fill s 1
        assert_error {WRONGTYPE*} {r append s x}
        r get str
    } {x}

    test {XINFO STREAM tells the ends} {
        fill s 3
        r xgroup create s g 0
        assert_equal {length 3 radix-tree-keys 1 radix-tree-nodes 2 last-generated-id 3-1 max-deleted-entry-id 0-0 entries-added 3 recorded-first-entry-id 1-1 groups 1 first-entry {1-1 {n 1}} last-entry {3-1 {n 3}}} [r xinfo stream s]
        r xtrim s maxlen 0
        set info [r xinfo stream s]
        assert_equal {{} {} 0-0 0 1} [lmap field {first-entry last-entry recorded-first-entry-id radix-tree-keys radix-tree-nodes} {
            dict get $info $field
        }]
        assert_error {ERR no such key} {r xinfo stream nokey}
        assert_error {ERR unknown subcommand or wrong number of arguments for 'stream'. Try XINFO HELP.} {r xinfo stream s foo}
        assert_error {ERR unknown subcommand 'foo'. Try XINFO HELP.} {r xinfo foo s}
        assert_match {*XINFO <subcommand>*CONSUMERS*GROUPS*STREAM*} [r xinfo help]
    }

    test {XINFO STREAM FULL shows so many entries} {
        fill s 15
        assert_equal 10 [llength [dict get [r xinfo stream s full] entries]]
        assert_equal 3 [llength [dict get [r xinfo stream s full count 3] entries]]
        assert_equal 15 [llength [dict get [r xinfo stream s full count 0] entries]]
        assert_equal 10 [llength [dict get [r xinfo stream s full count -1] entries]]
        assert_error {ERR value is not an integer or out of range} {r xinfo stream s full count x}
    }

    test {The radix tree is as large as the reference's} {
        set old [config_get_set stream-node-max-entries 1]
        set sizes {}
        r del s
        foreach id {1-1 1-2 1-300 2-1 258-1 65536-0 65536-256 281474976710656-1 281474976710656-2} {
            r xadd s $id f v
            lappend sizes [dict get [r xinfo stream s] radix-tree-nodes]
        }
        foreach id {1-2 258-1 65536-0} {
            r xdel s $id
            lappend sizes [dict get [r xinfo stream s] radix-tree-nodes]
        }
        r config set stream-node-max-entries $old
        set sizes
    } {2 4 7 11 14 17 21 25 27 26 24 20}

    # ---- waiting ----

    test {XREAD BLOCK waits for an entry behind the last} {
        fill s 2
        set rd [valkey_deferring_client]
        $rd xread block 0 streams s \$
        wait_for_blocked_client
        r xadd s 3-1 f v
        assert_equal {{s {{3-1 {f v}}}}} [$rd read]
        assert_equal 0 [s blocked_clients]
        $rd close
    }

    test {XREAD BLOCK replies at once when there is something} {
        fill s 2
        r xread block 1000000 streams s 1-1
    } {{s {{2-1 {n 2}}}}}

    test {XREAD BLOCK wakes for a key that comes, and reads what a transaction added} {
        r del s
        set rd [valkey_deferring_client]
        $rd xread count 1 block 0 streams s \$
        wait_for_blocked_client
        r multi
        r xadd s 6-6 a b
        r xadd s 7-7 c d
        r exec
        assert_equal {{s {{6-6 {a b}}}}} [$rd read]
        $rd close
    }

    test {XREAD BLOCK goes on waiting for a key of another type, and for smaller ids} {
        r del s o
        set rd [valkey_deferring_client]
        $rd xread block 0 streams s 5-5
        wait_for_blocked_client
        r set s string
        r del s
        r xadd s 5-4 f v
        r xadd s 5-5 f v
        r xsetid s 6-1
        assert_equal 1 [s blocked_clients]
        r xadd s 6-2 f v
        assert_equal {{s {{6-2 {f v}}}}} [$rd read]
        $rd close
    }

    test {XREAD BLOCK fails when a stream comes and another key has a wrong type by then} {
        r del o{t} s{t}
        set rd [valkey_deferring_client]
        $rd xread block 0 streams o{t} s{t} 0 0
        wait_for_blocked_client
        r set o{t} string
        assert_equal 1 [s blocked_clients]
        r xadd s{t} 1-1 f v
        assert_error {WRONGTYPE*} {$rd read}
        $rd close
    }

    test {XREAD BLOCK reads with + what is the last entry when it is served} {
        r del s{t} other{t}
        r xadd s{t} 1-1 f a
        r xadd s{t} 1-2 f b
        r xdel s{t} 1-2
        set rd [valkey_deferring_client]
        # The last id has no entry any more.
        $rd xread block 0 streams s{t} +
        wait_for_blocked_client
        r multi
        r xadd s{t} 2-1 f c
        r xadd s{t} 2-2 f d
        r exec
        assert_equal {{s{t} {{2-2 {f d}}}}} [$rd read]
        # A stream that comes whole.
        $rd xread block 0 streams other{t} +
        wait_for_blocked_client
        r rename s{t} other{t}
        assert_equal {{other{t} {{2-2 {f d}}}}} [$rd read]
        # One that comes empty has no last entry.
        $rd xread block 0 streams s{t} +
        wait_for_blocked_client
        r xgroup create s{t} g $ mkstream
        assert_error {ERR the stream last element ID is 0-0} {$rd read}
        $rd close
    }

    test {XREAD BLOCK serves everyone who waits} {
        r del s
        set clients {}
        for {set i 1} {$i <= 3} {incr i} {
            set rd [valkey_deferring_client]
            $rd xread block 0 streams s \$
            wait_for_blocked_clients_count $i
            lappend clients $rd
        }
        r xadd s 1-1 f v
        foreach rd $clients {
            assert_equal {{s {{1-1 {f v}}}}} [$rd read]
            $rd close
        }
    }

    test {XREAD BLOCK gives a null array when the time is up, and in a transaction} {
        r del s
        r readraw 1
        assert_equal {*-1} [r xread block 5 streams s \$]
        r readraw 0
        r multi
        r xread block 0 streams s \$
        assert_equal {{}} [r exec]
        set rd [valkey_deferring_client]
        $rd client id
        set id [$rd read]
        $rd xread block 0 streams s \$
        wait_for_blocked_client
        r client unblock $id error
        assert_error {UNBLOCKED*} {$rd read}
        $rd close
    }

    test {XREAD BLOCK + waits for the first entry} {
        r del s
        r xadd s 1-1 f v
        r xdel s 1-1
        set rd [valkey_deferring_client]
        $rd xread block 0 streams s +
        wait_for_blocked_client
        r xadd s 2-1 f v
        assert_equal {{s {{2-1 {f v}}}}} [$rd read]
        $rd close
    }

    test {A stream that is renamed, copied, moved or swapped in wakes readers} {
        foreach way {rename copy move swap} {
            r flushall
            r xadd u 5-5 f v
            set rd [valkey_deferring_client]
            $rd xread block 0 streams s 0
            wait_for_blocked_client
            switch $way {
                rename { r rename u s }
                copy { r copy u s }
                move { r select 10; r xadd s 5-5 f v; r move s 9; r select 9 }
                swap { r select 10; r xadd s 5-5 f v; r swapdb 9 10; r select 9 }
            }
            assert_equal {{s {{5-5 {f v}}}}} [$rd read]
            $rd close
        }
    } {} {singledb:skip}

    # ---- as values ----

    test {A stream is a type with its encoding} {
        fill s 3
        assert_equal stream [r type s]
        assert_encoding stream s
        r set str x
        assert_equal {0 s} [list 0 [lindex [r scan 0 match s type stream count 1000] 1 0]]
    }

    test {COPY makes an independent stream with its groups} {
        fill s 5
        r xgroup create s g 0
        r xreadgroup group g c count 2 streams s >
        r copy s t
        set before [r xinfo stream s full]
        assert_equal $before [r xinfo stream t full]
        r xadd t 9-9 f v
        r xack t g 1-1
        r xdel t 3-1
        assert_equal $before [r xinfo stream s full]
    } {} {singledb:skip}

    test {MEMORY USAGE grows with the entries and with what is pending} {
        r del s
        r xadd s 1-1 f v
        set small [r memory usage s]
        for {set i 2} {$i < 500} {incr i} { r xadd s $i-1 f [string repeat x 100] }
        set large [r memory usage s samples 0]
        assert_morethan $large [expr {$small + 40000}]
        r xgroup create s g 0
        r xreadgroup group g c streams s >
        assert_morethan [r memory usage s samples 0] [expr {$large + 10000}]
    }

    test {A stream expires, and is unlinked} {
        fill s 100
        r pexpire s 1
        wait_for_condition 50 20 {[r exists s] == 0} else { fail "the stream did not expire" }
        fill s 1000
        assert_equal 1 [r unlink s]
        r xlen s
    } {0}

    test {Events tell of every change} {
        set old [config_get_set notify-keyspace-events KEt]
        r del s
        set rd [valkey_deferring_client]
        $rd psubscribe __keyevent@*
        $rd read
        r xadd s 1-1 f v
        r xadd s maxlen 1 2-1 f v
        r xadd s 3-1 f v
        r xtrim s maxlen 1
        r xtrim s maxlen 1
        r xsetid s 5-5
        r xdel s 3-1
        r xgroup create s g 0
        r xgroup setid s g 1
        r xgroup createconsumer s g c
        r xgroup createconsumer s g c
        r xreadgroup group g d streams s >
        r xclaim s g e 0 2-1
        r xautoclaim s g f 0 0
        r xgroup delconsumer s g c
        r xgroup destroy s g
        foreach event {xadd xadd xtrim xadd xtrim xsetid xdel xgroup-create xgroup-setid xgroup-createconsumer xgroup-createconsumer xgroup-createconsumer xgroup-createconsumer xgroup-delconsumer xgroup-destroy} {
            assert_match "pmessage * *:$event s" [$rd read]
        }
        $rd close
        r config set notify-keyspace-events $old
    } {OK}

    test {WATCH is broken by entries, not by groups} {
        fill s 3
        r xgroup create s g 0
        set c [valkey_client]
        foreach {command outcome} {
            {xadd s 9-9 f v} {} {xdel s 1-1} {} {xtrim s maxlen 1} {} {xtrim s maxlen 100} PONG
            {xsetid s 50-1} PONG {xgroup setid s g 0} PONG {xgroup create s h 0} PONG {xreadgroup group g c streams s >} PONG
            {xack s g 9-9} PONG {xgroup destroy s h} PONG
        } {
            $c watch s
            r {*}$command
            $c multi
            $c ping
            assert_equal $outcome [$c exec] $command
        }
        $c close
    }

    test {Replicas are told the id that was chosen and how far was trimmed} {
        set old [config_get_set stream-node-max-entries 2]
        r del s m
        set repl [attach_to_replication_stream]
        r xadd s 5-* f v
        r xadd s nomkstream 6 f v
        r xadd s maxlen 2 7-1 f v
        r xadd s 8-1 f v
        r xadd s maxlen ~ 2 9-1 f v
        r xadd s minid ~ 8 limit 10 10-1 f v
        r xtrim s maxlen ~ 1 limit 5
        r xtrim s maxlen ~ 0
        r xadd m minid ~ 5 1-1 f v
        r xtrim m maxlen 5
        set id [r xadd s * f v]
        r xdel s 99-99
        r xdel s $id 99-99
        r xsetid s 99999999999999-1
        assert_replication_stream $repl [list {select *} \
            {xadd s 5-0 f v} {xadd s nomkstream 6 f v} {xadd s maxlen 2 7-1 f v} {xadd s 8-1 f v} \
            {xadd s maxlen = 3 9-1 f v} {xadd s minid = 7-1 limit 10 10-1 f v} \
            {xtrim s maxlen = 2 limit 5} {xtrim s maxlen = 0} \
            {xadd m minid = 18446744073709551615-18446744073709551615 1-1 f v} \
            "xadd s $id f v" "xdel s $id 99-99" {xsetid s 99999999999999-1}]
        close_replication_stream $repl
        r config set stream-node-max-entries $old
    } {OK} {needs:repl external:skip}

    test {A stream with its groups survives a reload} {
        set old [config_get_set stream-node-max-entries 5]
        r flushall
        for {set i 1} {$i <= 40} {incr i} {
            r xadd s $i-1 n $i f [randstring 0 60 alpha]
            r xadd t $i-1 [randstring 1 5 alpha] [randstring 0 200 binary]
        }
        r xdel s 3-1 17-1 40-1
        r xtrim t maxlen 17
        r xgroup create s g 0
        r xgroup create s h 20-1
        r xgroup create empty g \$ mkstream
        r xreadgroup group g alice count 10 streams s >
        r xreadgroup group g bob count 5 streams s >
        r xgroup createconsumer s g carol
        r xack s g 2-1 12-1
        set before [list [r debug digest] [r xinfo stream s full] [r xinfo stream t full] [r xinfo stream empty full]]
        r debug reload
        assert_equal $before [list [r debug digest] [r xinfo stream s full] [r xinfo stream t full] [r xinfo stream empty full]]
        r config set stream-node-max-entries $old
    } {OK} {needs:debug external:skip}

    test {DEBUG DIGEST-VALUE of a stream is a matter of its entries} {
        r del s
        r xadd s 1-1 a 1 b 2
        r xadd s 2-1 a 3
        set digest [debug_digest_value s]
        r xgroup create s g 0
        assert_equal $digest [debug_digest_value s]
        r xadd s 3-1 x y
        r xdel s 3-1
        assert_equal $digest [debug_digest_value s]
        r xdel s 2-1
        assert_not_equal $digest [debug_digest_value s]
    } {} {needs:debug}
}
