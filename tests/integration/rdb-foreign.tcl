# Snapshots that no present server writes, from a file and from a primary: records between a
# key and what is said of it, figures that are wrong, and data that only others understand.

proc rdb_path {} {
    file join [file dirname [srv stdout]] dump.rdb
}

# Starts the server of this block anew on a file of these items; answers where its log begins.
proc start_with {items {signature REDIS0011}} {
    set channel [open [rdb_path] wb]
    puts -nonewline $channel $signature$items\xff[string repeat \x00 8]
    close $channel
    set mark [log_mark]
    restart_server 0 true false 1 nosave
    r select 0
    return $mark
}

# Has the server of this block take these items from a primary; answers where its log begins.
proc sync_with {items} {
    set rdb REDIS0011$items\xff[string repeat \x00 8]
    set mark [log_mark]
    lassign [wire_listen] - port
    r replicaof 127.0.0.1 $port
    give_snapshot [wire_accept $port] $rdb
    wait_for_sync r
    r replicaof no one
    wire_close_all
    r select 0
    return $mark
}

# Plays the primary up to the end of the snapshot.
proc give_snapshot {link rdb} {
    while 1 {
        switch -glob [wire_words [wire_request $link]] {
            PING { wire_raw $link +PONG\r\n }
            PSYNC* break
            default { wire_raw $link +OK\r\n }
        }
    }
    wire_raw $link "+FULLRESYNC [string repeat a 40] 100\r\n\$[string length $rdb]\r\n$rdb"
}

proc rdb_string {bytes} {
    assert {[string length $bytes] < 16384}
    binary format Sa* [expr {0x4000 | [string length $bytes]}] $bytes
}

# A listpack of numbers below 128 and short words, which says that it has COUNT elements.
proc listpack {elements {count ""}} {
    if {$count eq ""} {
        set count [llength $elements]
    }
    set entries ""
    foreach element $elements {
        if {[string is integer -strict $element]} {
            append entries [binary format cc $element 1]
        } else {
            set length [string length $element]
            append entries [binary format ca*c [expr {0x80 | $length}] $element [expr {$length + 1}]]
        }
    }
    binary format isa*c [expr {[string length $entries] + 7}] $count $entries 0xff
}

proc stream_id {ms} {
    binary format WW $ms 0
}

# A stream `s` (of Redis 7.2 and later) with the entries 1-0, 2-0 and 3-0, and what its writer says of them.
proc stream {says} {
    set figures [dict merge {live 3 deleted 0 length 3 last 3 first 1 added 3 groups \x00} $says]
    dict with figures {
        set node [list $live $deleted 1 f 0 2 0 0 a 4 2 1 0 b 4 2 2 0 c 4]
        return "\x15\x01s\x01\x10[stream_id 1][rdb_string [listpack $node]][binary format cccccccc $length $last 0 $first 0 0 0 $added]$groups"
    }
}

# A group `g` that has read all, with the entries PENDING, and consumers as pairs of name and entries.
proc group {read pending consumers} {
    set group "\x01\x01g\x03\x00[binary format c $read][binary format c [llength $pending]]"
    foreach ms $pending {
        append group [stream_id $ms][binary format wc 1000 1]
    }
    append group [binary format c [expr {[llength $consumers] / 2}]]
    foreach {name entries} $consumers {
        append group "\x01$name[binary format ww 1000 1000][binary format c [llength $entries]]"
        foreach ms $entries {
            append group [stream_id $ms]
        }
    }
    return $group
}

set later [expr {[clock milliseconds] + 100000000}]
set library "#!lua name=lib\nserver.register_function('f', function() return 1 end)"

start_server {tags {"rdb repl external:skip singledb:skip"} overrides {save "" maxmemory-policy allkeys-lru}} {
    foreach {how take} {{a file} start_with {a primary} sync_with} {
        test "a time to live belongs to the next key, whatever stands between, from $how" {
            set at \xfc[binary format w $later]
            set long_ago \xfc[binary format w 1000]
            set items \xfe\x00
            set n 0
            # As KeyDB writes it; then a selected database, sizes, a library.
            set between [list \xfa[rdb_string mvcc-tstamp][rdb_string 1645954001566433280] \xfe\x00 \xfb\x01\x01]
            lappend between [join $between ""] \xf5[rdb_string $library]
            foreach record $between {
                append items $at$record\x00\x02k[incr n]\x01v
            }
            append items "$long_ago[lindex $between 0]\x00\x04gone\x01v"
            append items "\x00\x05plain\x01v"
            append items "\xfd[binary format i [expr {$later / 1000}]]\xfe\x00\x00\x07seconds\x01v"
            append items "\xf8\x40\x5a[lindex $between 0]\x00\x04idle\x01v"
            append items "$at\xfe\x01\x00\x05other\x01v"
            # No time at all.
            append items "\xfc[binary format w -1]\x00\x05stays\x01v"
            $take $items
            for {set i 1} {$i <= $n} {incr i} {
                assert_equal $later [r pexpiretime k$i]
            }
            assert_equal -1 [r pttl plain]
            assert_equal [expr {$later / 1000}] [r expiretime seconds]
            assert_range [r object idletime idle] 90 120
            assert_equal 0 [r exists gone]
            r select 1
            assert_equal $later [r pexpiretime other]
            assert_equal -1 [r pttl stays]
            assert_equal 2 [r dbsize]
        }
    }

    test {how often a key was used belongs to the next key, too} {
        r config set maxmemory-policy allkeys-lfu
        sync_with \xfe\x00\xf9\x64\xfa\x01a\x01b\x00\x01k\x01v\x00\x01l\x01v
        assert_equal {100 5} [list [r object freq k] [r object freq l]]
        r config set maxmemory-policy allkeys-lru
    }

    test {a string longer than proto-max-bulk-len is loaded} {
        r config set proto-max-bulk-len 1mb
        set size 1500000
        sync_with "\xfe\x00\x00\x01k\x80[binary format I $size][string repeat x $size]"
        assert_equal $size [r strlen k]
        r config set proto-max-bulk-len 512mb
    }
}

start_server {tags {"rdb repl external:skip"} overrides {save ""}} {
    foreach {how take} {{a file} start_with {a primary} sync_with} {
        test "a stream with wrong figures is loaded, from $how" {
            foreach says {{length 5} {length 1} {last 2} {last 0} {first 2} {added 1} {live 5} {live 1} {deleted 4}} {
                $take \xfe\x00[stream $says]
                assert_equal {{1-0 {f a}} {2-0 {f b}} {3-0 {f c}}} [r xrange s - +]
                assert_equal 9-1 [r xadd s 9-1 f d]
            }
        }

        test "an old stream with a wrong length is loaded, from $how" {
            set node [listpack {3 0 1 f 0 2 0 0 a 4 2 1 0 b 4 2 2 0 c 4}]
            $take "\xfe\x00\x0f\x01s\x01\x10[stream_id 1][rdb_string $node]\x05\x03\x00\x00"
            assert_equal {{1-0 {f a}} {2-0 {f b}} {3-0 {f c}}} [r xrange s - +]
        }

        test "wrong figures are set right, and named, from $how" {
            foreach {says what length} {
                {length 5} {length of a stream} 3
                {length 1} {length of a stream} 3
                {last 2} {last id of a stream} 3
                {added 1} {entries added to a stream} 3
                {live 5} {counters of a stream's node} 3
                {deleted 4} {counters of a stream's node} 3
            } {
                set mark [$take \xfe\x00[stream $says]]
                wait_for_log $mark "*Key 's' in DB 0 was saved with wrong figures, which have been corrected: $what"
                assert_equal $length [r xlen s]
                set info [r xinfo stream s]
                assert_equal 3-0 [dict get $info last-generated-id]
                assert_equal 1-0 [dict get $info recorded-first-entry-id]
                assert_equal 3 [dict get $info entries-added]
                assert_equal 2 [r xtrim s maxlen 1]
                assert_equal {1 {{3-0 {f c}}}} [list [r xlen s] [r xrange s - +]]
            }
        } {} {peer:skip}

        test "consumer groups with wrong figures, from $how" {
            set mark [$take \xfe\x00[stream [list groups [group 50 {} {}]]]]
            wait_for_log $mark "*corrected: entries read by a group"
            assert_equal {{} 0} [list [dict get [lindex [r xinfo groups s] 0] entries-read] [dict get [lindex [r xinfo groups s] 0] lag]]
            # Nobody could acknowledge an entry that is pending for nobody.
            set mark [$take \xfe\x00[stream [list groups [group 3 {1 2} {c 2}]]]]
            wait_for_log $mark "*corrected: pending entries without a consumer"
            assert_equal {1 2-0 2-0 {{c 1}}} [r xpending s g]
            # One that two have is the last one's.
            set mark [$take \xfe\x00[stream [list groups [group 3 {1} {c 1 d 1}]]]]
            wait_for_log $mark "*corrected: consumer of a pending entry"
            assert_equal {1 1-0 1-0 {{d 1}}} [r xpending s g]
            assert_equal 1 [r xack s g 1-0]
            assert_equal {0 {} {} {}} [r xpending s g]
        } {} {peer:skip}

        test "the elements of a packed value are counted anew, from $how" {
            foreach {type elements command expected} {
                \x10 {f 1 g 2} {hgetall k} {f 1 g 2}
                \x11 {f 1 g 2} {zrange k 0 -1 withscores} {f 1 g 2}
                \x14 {f g} {smembers k} {f g}
                \x12\x01\x02 {f g} {lrange k 0 -1} {f g}
            } {
                foreach count {0 2 6} {
                    if {$count == [llength $elements]} {
                        continue
                    }
                    set value "[string index $type 0]\x01k[string range $type 1 end][rdb_string [listpack $elements $count]]"
                    set mark [$take \xfe\x00$value]
                    wait_for_log $mark "*Key 'k' in DB 0 *corrected: elements of a listpack"
                    assert_equal $expected [r {*}$command]
                }
            }
        } {} {peer:skip}

        test "of members that come twice in a packed value the first stays, from $how" {
            set twice [rdb_string [listpack {f 1 g 2 f 3}]]
            foreach value [list \x10\x01k$twice \x04\x01k\x03\x01f\x011\x01g\x012\x01f\x013] {
                set mark [$take \xfe\x00$value]
                wait_for_log $mark "*Key 'k' in DB 0 *corrected: members that come twice"
                assert_equal {2 1} [list [r hlen k] [r hget k f]]
            }
            $take \xfe\x00\x11\x01k$twice
            assert_equal {f 1 g 2} [r zrange k 0 -1 withscores]
            $take \xfe\x00\x14\x01k[rdb_string [listpack {f g f}]]
            assert_equal 2 [r scard k]
        } {} {peer:skip}
    }

    test {empty keys are named, the first ten of them, and counted} {
        set items \xfe\x00
        for {set i 0} {$i < 12} {incr i} {
            append items \x02[rdb_string empty:$i]\x00
        }
        append items \x10\x01h[rdb_string [listpack {}]]\x12\x01l\x01\x02[rdb_string [listpack {}]]\x00\x01k\x01v
        foreach take {start_with sync_with} {
            set mark [$take $items]
            wait_for_log $mark {*Done loading RDB, keys loaded: 1, keys expired: 0, empty keys skipped: 14.*}
            set log [logs::from {*}$mark]
            assert_equal 10 [regexp -all {rdbLoadObject skipping empty key: empty:[0-9]\n} $log]
            assert_equal 10 [regexp -all {rdbLoadObject skipping empty key} $log]
            assert_equal 1 [regexp -all {Done loading RDB} $log]
            assert_equal k [r keys *]
        }
    }

    test {what a file says in passing is logged} {
        set mark [start_with "\xfa\x02%x\x01y\xfa\x0caof-preamble\x011\xfa\x08aof-base\x011\xfe\x00\x00\x01k\x01v"]
        wait_for_log $mark {*RDB '%x': y*}
        wait_for_log $mark {*RDB has an AOF tail*}
        wait_for_log $mark {*RDB is base AOF*}
    }
}

# A server that is given this file must not start, and say PATTERN.
proc refuses {items pattern} {
    set dir [tmpdir refused]
    set channel [open $dir/dump.rdb wb]
    puts -nonewline $channel REDIS0011$items\xff[string repeat \x00 8]
    close $channel
    set config [open $dir/valkey.conf w]
    puts $config "port 0\nsave \"\"\ndir $dir\nunixsocket $dir/socket"
    close $config
    # Where its checker finds nothing to complain of, the reference ends with 0.
    catch {exec timeout 10 $::VALKEY_SERVER_BIN $dir/valkey.conf > $dir/stdout 2> $dir/stderr} - options
    if {[dict exists $options -errorcode]} {
        assert_not_equal 124 [lindex [dict get $options -errorcode] 2] "it started"
    }
    assert_match $pattern [logs::from $dir/stdout 0][logs::from $dir/stderr 0]
    file delete -force $dir
}

tags {"rdb external:skip corruption"} {
    test {what only a module understands is refused, and the module named} {
        set id \x81[binary format W 0x0123456789abcd01]
        refuses "\xf7$id\x02\x02\x00\xfe\x00\x00\x01k\x01v" \
            {*The RDB file contains AUX module data I can't load: no matching module 'ASNFZ4mrz'*}
        refuses "\xfe\x00\x07\x01m$id\x02\x05\x00" \
            {*The RDB file contains module data I can't load: no matching module type 'ASNFZ4mrz'*}
        refuses "\xfe\x00\x06\x01m$id\x00" {*Pre-release module format not supported*}
    }

    test {the functions of a pre-release are refused} {
        refuses "\xf6\x01a\x01b\x00\x01c" {*Pre-release function format not supported.*}
    }

    test {a stream that has lost its entries, or is pending for nobody known, is refused} {
        refuses "\xfe\x00\x15\x01s\x00\x03\x05\x00\x00\x00\x00\x00\x03\x00" {*Stream length inconsistent with rax entries*}
        refuses \xfe\x00[stream [list groups [group 3 {} {c 1}]]] {*Internal error in RDB reading offset*}
        refuses \xfe\x00[stream [list groups [group 3 {1 1} {c 1}]]] {*Internal error in RDB reading offset*}
    }
}

start_server {tags {"rdb repl external:skip functions needs:save"} overrides {save "" repl-diskless-sync-delay 0}} {
    proc libraries {level} {
        r $level save
        set bytes [logs::from [file join [file dirname [srv $level stdout]] dump.rdb] 0]
        regexp -all -inline {name=[a-z]+} $bytes
    }

    set two \xf5[rdb_string $library]\xf5[rdb_string [string map {lib other 'f' 'g'} $library]]
    test {function libraries are saved again with the data} {
        start_with $two\xfe\x00\x00\x01k\x01v
        r config set rdbcompression no
        assert_equal {name=lib name=other} [lsort [libraries 0]]
        r flushall
        assert_equal {name=lib name=other} [lsort [libraries 0]]
        r set k v
        r bgsave
        waitForBgsave r
        restart_server 0 true false 1 nosave
        r config set rdbcompression no
        assert_equal {name=lib name=other} [lsort [libraries 0]]
    }

    test {FUNCTION tells of the libraries of a snapshot, and FLUSH removes them} {
        start_with $two
        set names {}
        foreach row [r function list] {
            assert_equal LUA [dict get $row engine]
            lappend names [dict get $row library_name]
        }
        assert_equal {lib other} [lsort $names]
        set row [lindex [r function list libraryname LI? withcode] 0]
        assert_equal [list lib $library] [list [dict get $row library_name] [dict get $row library_code]]
        assert_equal {} [r function list libraryname nothing]
        assert_equal 2 [dict get [r function stats] engines LUA libraries_count]
        assert_match "*$library*" [r function dump]
        r function flush
        assert_equal {} [r function list]
        assert_equal {} [libraries 0]
    }

    test {DEBUG RELOAD keeps function libraries} {
        start_with $two
        r config set rdbcompression no
        r debug reload
        assert_equal {name=lib name=other} [lsort [libraries 0]]
    } {} {needs:debug}

    foreach {diskless load dual} {no disabled no yes disabled no yes swapdb no yes swapdb yes} {
        test "function libraries reach a replica and its file (diskless $diskless, load $load, dual channel $dual)" {
            start_with $two\xfe\x00\x00\x01k\x01v
            r config set repl-diskless-sync $diskless
            r config set dual-channel-replication-enabled $dual
            start_server [list overrides [list save "" rdbcompression no repl-diskless-load $load dual-channel-replication-enabled $dual]] {
                r replicaof [srv -1 host] [srv -1 port]
                wait_for_sync r
                assert_equal {name=lib name=other} [lsort [libraries 0]]
                # A primary without any has none to give.
                r replicaof no one
                lassign [wire_listen] - port
                r replicaof 127.0.0.1 $port
                give_snapshot [wire_accept $port] REDIS0011\xfe\x00\x00\x01k\x01v\xff[string repeat \x00 8]
                wait_for_sync r
                assert_equal {} [libraries 0]
                wire_close_all
            }
        }
    }
}

start_server {tags {"rdb repl external:skip"} overrides {save ""}} {
    set id [string repeat a 40]
    set good REDIS0011\xfe\x00\x00\x01k\x04good\xff[string repeat \x00 8]
    # The checksum of other data.
    set wrong_sum REDIS0011\xfe\x00\x00\x01k\x05wrong\xff[string repeat \x01 8]

    test {a snapshot that cannot be loaded is asked for again, at once and then after pauses that are told} {
        lassign [wire_listen] - port
        r replicaof 127.0.0.1 $port
        set mark [log_mark]
        set link [wire_accept $port]
        give_snapshot $link $wrong_sum
        wire_closed $link
        wait_for_log $mark {*Wrong RDB checksum expected: *}
        foreach times {2 3} {
            set link [wire_accept $port]
            give_snapshot $link REDIS0011\xfe\x00\xf0
            wait_for_log $mark "*$times synchronizations in a row have failed, the next one is tried in * seconds. Last cause: *"
        }
        set link [wire_accept $port]
        give_snapshot $link $good
        wait_for_sync r
        r select 0
        assert_equal good [r get k]
        # It starts anew.
        set mark [log_mark]
        wire_close $link
        set link [wire_accept $port]
        give_snapshot $link $wrong_sum
        set link [wire_accept $port]
        give_snapshot $link $wrong_sum
        wait_for_log $mark {*2 synchronizations in a row have failed, the next one is tried in * seconds. Last cause: Wrong RDB checksum*}
        r replicaof no one
        wire_close_all
    } {} {peer:skip}
}

foreach {sum skip} {yes 1 no 0} {
    foreach load {disabled swapdb} {
        start_server [list tags {rdb repl external:skip needs:debug} overrides [list save "" rdbchecksum $sum repl-diskless-load $load]] {
            test "a replica does not look at a wrong checksum where that is switched off (rdbchecksum $sum, load $load)" {
                r debug set-skip-checksum-validation $skip
                lassign [wire_listen] - port
                r replicaof 127.0.0.1 $port
                give_snapshot [wire_accept $port] REDIS0011\xfe\x00\x00\x01k\x05wrong\xff[string repeat \x01 8]
                wait_for_sync r
                r select 0
                assert_equal wrong [r get k]
                r replicaof no one
                wire_close_all
            }
        }
    }
}

# A hash of Valkey 9 in the form for fields that expire: pairs of a field and when it does, -1 for never. All values are `v`.
proc volatile_hash {key times} {
    set fields ""
    foreach {field at_ms} $times {
        append fields [binary format ca*ca*w [string length $field] $field 1 v $at_ms]
    }
    return \x16[binary format ca*c [string length $key] $key [expr {[llength $times] / 2}]]$fields
}

start_server {tags {"rdb external:skip peer:skip"} overrides {save ""}} {
    test {a dump file of Valkey 9 is loaded, but for fields that expire} {
        set rest "\xfa\x0avalkey-ver\x059.1.2\xfe\x00\xfb\x02\x00\x00\x01k\x01v"
        start_with $rest[volatile_hash h {f -1 g -1}] VALKEY080
        assert_equal v [r get k]
        assert_equal {f v g v} [lsort -stride 2 [r hgetall h]]
        # Each other kind of value, from the server itself.
        set channel [open crates/rdb/tests/fixtures/valkey-9.1.rdb rb]
        set file [read $channel]
        close $channel
        set channel [open [rdb_path] wb]
        puts -nonewline $channel $file
        close $channel
        restart_server 0 true false 1 nosave
        foreach {db keys} {0 20 9 1} {
            r select $db
            assert_equal $keys [r dbsize]
        }
    }
}

start_server {tags {"rdb external:skip peer:skip"} overrides {save ""}} {
    test {a dump file of Valkey 9 whose fields expire is refused by field, key and place} {
        set mark [log_mark]
        expect_end
        catch {start_with \xfe\x00[volatile_hash h {f -1 g 4102444800123}] VALKEY080}
        wait_for_log $mark "*function at hash-volatile -> field 'g' expires (at 4102444800123 ms), and fields that expire are not supported*key 'h' in DB 0*"
    }
}
