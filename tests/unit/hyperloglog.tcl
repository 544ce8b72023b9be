# HyperLogLogs: adding, counting, merging, both encodings byte for byte, corrupt values, what replicas see.

# An empty sparse one, up to its runs.
set hll_header "HYLL\x01[string repeat \x00 10]\x80"

start_server {tags {"hll"}} {
    test {PFADD tells whether the estimate may have changed} {
        r del k
        assert_equal {1 0 1 0 0} [list [r pfadd k] [r pfadd k] [r pfadd k a b c] [r pfadd k c a b] [r pfadd k]]
        assert_equal 3 [r pfcount k]
    }

    test {PFCOUNT of no key is 0, and makes none} {
        r del k
        assert_equal {0 0} [list [r pfcount k] [r pfcount k k]]
        r exists k
    } {0}

    test {the bytes are those of the format} {
        r del k
        r pfadd k
        assert_equal "$hll_header\x7f\xff" [r get k]
        r pfadd k a b c
        assert_equal "$hll_header\x60\xf3\x80\x50\xb1\x84\x4b\xfb\x80\x42\x5a" [r get k]
    }

    test {PFCOUNT writes the estimate down, and what changes registers outdates it} {
        r del k
        r pfadd k a b c
        assert_equal "\x00\x00\x00\x00\x00\x00\x00\x80" [r getrange k 8 15]
        r pfcount k
        assert_equal "\x03\x00\x00\x00\x00\x00\x00\x00" [r getrange k 8 15]
        r pfadd k c
        assert_equal "\x03\x00\x00\x00\x00\x00\x00\x00" [r getrange k 8 15]
        r pfadd k d
        assert_equal "\x03\x00\x00\x00\x00\x00\x00\x80" [r getrange k 8 15]
        # What is written down is believed.
        r setrange k 8 "\x07\x00\x00\x00\x00\x00\x00\x00"
        assert_equal 7 [r pfcount k]
        r pfcount k none
    } {4}

    test {estimates stay within a few percent from one element to 100,000} {
        r del k
        set n 0
        foreach checkpoint {1 10 100 1000 10000 100000} {
            set elements {}
            while {$n < $checkpoint} {
                lappend elements [incr n]
                if {[llength $elements] == 5000} {
                    r pfadd k {*}$elements
                    set elements {}
                }
            }
            r pfadd k {*}$elements
            set count [r pfcount k]
            assert {abs($count - $checkpoint) <= $checkpoint * 0.05}
            assert_equal $count [r pfcount k k]
        }
    }

    test {a new one is raw, and so is one that was looked at} {
        r del k
        r pfadd k
        assert_encoding raw k
        r set copy [r get k]
        assert_encoding embstr copy
        r pfcount copy none
        assert_encoding embstr copy
        r pfcount copy
        assert_encoding raw copy
    } {} {needs:debug}

    test {the time to live stays} {
        r del k
        r pfadd k a
        r expire k 1000
        r pfadd k b
        r pfmerge k k
        r pfcount k
        assert_range [r ttl k] 900 1000
    }

    test {other types and other strings are refused} {
        r del k l s new
        r pfadd k a
        r rpush l a
        foreach {key error} {l {WRONGTYPE Operation*} s {WRONGTYPE Key is not a valid HyperLogLog string value.}} {
            foreach value [list 12 x "HYLX\x01[string repeat \x00 12]" "HYLL\x02[string repeat \x00 12]" "HYLL\x01" "HYLL[string repeat \x00 20]"] {
                r set s $value
                foreach command {{pfadd %s a} {pfcount %s} {pfcount k %s} {pfmerge new %s} {pfmerge %s k}} {
                    assert_error $error {r {*}[string map [list %s $key] $command]}
                }
                assert_equal $value [r get s]
            }
        }
        assert_equal {a 0} [list [r lrange l 0 -1] [r exists new]]
    }

    test {runs of more or fewer registers than there are are refused} {
        foreach runs [list "" "\x00" "\x7f\xfe" "\x7f\xff\x00" "\x7f\xff\x7f\xff" "\x80"] {
            r set k "$hll_header$runs"
            r del new
            assert_error {INVALIDOBJ Corrupted HLL object detected} {r pfcount k}
            assert_error {INVALIDOBJ Corrupted HLL object detected} {r pfcount k k}
            assert_error {INVALIDOBJ Corrupted HLL object detected} {r pfmerge new k}
            assert_error {INVALIDOBJ Corrupted HLL object detected} {r pfmerge k new}
            assert_equal 0 [r exists new]
        }
        # The register of this element is in no run.
        r set k "$hll_header\x00"
        assert_error {INVALIDOBJ Corrupted HLL object detected} {r pfadd k a}
        assert_equal "$hll_header\x00" [r get k]
        # A value behind the last register is not looked at when merging.
        r set k "$hll_header\x7f\xff\x80"
        assert_error INVALIDOBJ* {r pfcount k}
        r pfcount k k
    } {0}

    test {an error in the middle of PFADD adds nothing} {
        # Zeros up to and with the register of b.
        r set k "$hll_header\x60\xf3"
        assert_error INVALIDOBJ* {r pfadd k b a}
        r get k
    } "$hll_header\x60\xf3" {peer:skip}

    test {dense registers that no element gives overflow the estimate} {
        r set k "HYLL[string repeat \x00 11]\x80[string repeat \xff 12288]"
        r pfcount k
    } {-9223372036854775808}

    test {random changes of the bytes never bring the server down} {
        for {set i 0} {$i < 300} {incr i} {
            r del k
            for {set n [randomInt 60]} {$n > 0} {incr n -1} {r pfadd k [randomInt 1000000]}
            r pfadd k
            set at [expr {16 + [randomInt [expr {[r strlen k] - 16}]]}]
            r setrange k $at [randstring 1 3 binary]
            catch {r pfadd k a b c}
            catch {r pfcount k}
            catch {r pfcount k none}
            catch {r pfmerge new k}
            catch {r pfmerge k new}
        }
        r ping
    } {PONG}

    test {PFMERGE adds up what each has seen, the destination too} {
        r del one two three new
        r pfadd one a b c
        r pfadd two b c d
        r pfadd three c d e
        assert_equal 5 [r pfcount one two three]
        assert_equal OK [r pfmerge three one two]
        assert_equal {5 3 3} [list [r pfcount three] [r pfcount one] [r pfcount two]]
        assert_equal OK [r pfmerge new one nothere two]
        assert_equal 4 [r pfcount new]
        r del new
        r pfmerge new
        assert_equal "$hll_header\x7f\xff" [r get new]
    }

    test {what was merged is what would have been added} {
        r del one two all
        for {set i 0} {$i < 3000} {incr i} {
            r pfadd [expr {$i % 3 ? "one" : "two"}] $i
            r pfadd all $i
        }
        assert_equal [r pfcount all] [r pfcount one two]
        r pfmerge one two
        assert_equal [r pfcount all] [r pfcount one]
        assert_equal [r getrange all 16 -1] [r getrange one 16 -1]
    }

    test {an estimate that is written down breaks a WATCH, one that is read does not} {
        set other [valkey_client]
        r del k
        r pfadd k a
        r watch k
        $other pfcount k
        r multi
        r ping
        assert_equal {} [r exec]
        r watch k
        $other pfcount k
        r multi
        r ping
        $other close
        r exec
    } {PONG}

    test {keyspace events} {
        r del k new
        r config set notify-keyspace-events KEA
        set rd [valkey_deferring_client]
        psubscribe $rd {__keyevent@*}
        r pfadd k
        r pfadd k
        r pfadd k a
        r pfcount k
        r pfmerge new k
        foreach {event key} {pfadd k pfadd k pfadd new} {
            assert_match "pmessage __keyevent@* __keyevent@*__:$event $key" [$rd read]
        }
        r set last 1
        assert_match "* last" [$rd read]
        r config set notify-keyspace-events ""
        $rd close
    }

    test {changes are counted one by one} {
        r del k
        set before [s rdb_changes_since_last_save]
        r pfadd k a b
        assert_equal 3 [expr {[s rdb_changes_since_last_save] - $before}]
        r pfadd k b c d
        r pfadd k a
        r pfcount k
        r pfcount k
        r pfmerge k
        expr {[s rdb_changes_since_last_save] - $before}
    } {7}
}

start_server {tags {"hll needs:pfdebug"}} {
    test {a sparse one becomes dense when it would have more than hll-sparse-max-bytes} {
        foreach max {0 16 20 21 22 30 100 3000} {
            r config set hll-sparse-max-bytes $max
            r del k
            r pfadd k
            set i 0
            while {[r pfdebug encoding k] eq "sparse"} {
                set length [r strlen k]
                set count [r pfcount k]
                assert {$length <= $max || $length == 18}
                r pfadd k [incr i]
            }
            # No element adds more than three bytes.
            assert_morethan [expr {max($length, 18) + 3}] $max
            assert_equal 12304 [r strlen k]
            r pfcount k
        }
        r config set hll-sparse-max-bytes 3000
    } {OK}

    test {a value that runs cannot hold makes it dense} {
        # Elements made for their hashes, which give register 7 these values.
        foreach {value encoding element} [list \
            32 sparse "\x76\xf0\x4c\x7b\xfb\x6a\xaa\xee" \
            33 dense "\x72\xf0\x21\xfd\x7d\x5e\x46\xf0" \
            51 dense "\x3c\xcd\x32\xac\x70\xa8\xd6\x12"] {
            r del k
            assert_equal 1 [r pfadd k $element]
            assert_equal $encoding [r pfdebug encoding k]
            assert_equal 1 [r pfcount k]
            assert_equal $value [lindex [r pfdebug getreg k] 7]
        }
    }

    test {both encodings give the same estimates} {
        r del sparse dense
        r config set hll-sparse-max-bytes 3000
        r pfadd sparse
        r pfadd dense
        assert_equal {1 0} [list [r pfdebug todense dense] [r pfdebug todense dense]]
        for {set i 0} {$i < 800} {incr i} {
            set element [randstring 0 20 binary]
            assert_equal [r pfadd sparse $element] [r pfadd dense $element]
            if {$i % 100 == 0} {
                assert_equal [r pfcount sparse] [r pfcount dense]
            }
        }
        assert_equal {sparse dense} [list [r pfdebug encoding sparse] [r pfdebug encoding dense]]
        assert_equal [r pfcount dense] [r pfcount sparse dense]
        r pfdebug getreg sparse
        assert_equal dense [r pfdebug encoding sparse]
        assert_equal [r getrange dense 16 -1] [r getrange sparse 16 -1]
    }

    test {merging a dense one makes the destination dense} {
        r del one other
        r pfadd one a
        r pfadd other b
        r pfdebug todense other
        r pfmerge one other
        assert_equal dense [r pfdebug encoding one]
        r pfcount one
    } {2}

    test {PFDEBUG} {
        r del k l none
        r pfadd k a b c
        assert_equal {Z:8436 v:1,1 Z:4274 v:2,1 Z:3068 v:1,1 Z:603} [r pfdebug decode k]
        set registers [r pfdebug getreg k]
        assert_equal 16384 [llength $registers]
        assert_equal {1 2 1} [list [lindex $registers 8436] [lindex $registers 12711] [lindex $registers 15780]]
        assert_error {ERR HLL encoding is not sparse} {r pfdebug decode k}
        assert_error {ERR Unknown PFDEBUG subcommand 'simd'} {r pfdebug simd k}
        assert_error {ERR The specified key does not exist} {r pfdebug simd none}
        assert_error {ERR wrong number of arguments for 'pfdebug' command} {r pfdebug encoding}
        r rpush l a
        assert_error WRONGTYPE* {r pfdebug encoding l}
    }

    test {PFSELFTEST} {
        r pfselftest
    } {OK} {slow}

    test {what has changed is propagated} {
        set repl [attach_to_replication_stream]
        r pfadd k2
        r pfadd k2 a b
        r pfadd k2 a
        r pfcount k2
        r pfcount k2
        r pfcount k2 k2
        r pfdebug encoding k2
        r pfmerge k2
        r pfdebug todense k2
        r pfdebug todense k2
        catch {r pfmerge k2 nothere wrong}
        r set last 1
        assert_replication_stream $repl {
            {select *}
            {pfadd k2}
            {pfadd k2 a b}
            {pfcount k2}
            {pfmerge k2}
            {pfdebug todense k2}
            {pfmerge k2 nothere wrong}
            {set last 1}
        }
        close_replication_stream $repl
    } {} {needs:repl}
}

start_server {tags {"hll repl external:skip"}} {
    start_server {} {
        test {a replica holds the same bytes, the estimate too} {
            r -1 pfadd k a b c
            r replicaof [srv -1 host] [srv -1 port]
            wait_for_sync [srv 0 client]
            r -1 pfadd k d
            wait_for_ofs_sync [srv 0 client] [srv -1 client]
            # A replica's own count is its own business; the primary's arrives.
            assert_equal 4 [r pfcount k]
            assert_equal 4 [r -1 pfcount k]
            r -1 pfadd k e
            r -1 pfcount k
            wait_for_ofs_sync [srv 0 client] [srv -1 client]
            assert_equal [r -1 get k] [r get k]
            assert_error {READONLY*} {r pfadd k x}
        }

        test {a replica writes its estimate down, too} {
            r replicaof [srv -1 host] [srv -1 port]
            wait_for_sync [srv 0 client]
            r -1 del k
            r -1 pfadd k a b c
            wait_for_ofs_sync [srv 0 client] [srv -1 client]
            r pfcount k
            list [r strlen k] [scan [r getrange k 15 15] %c]
        } {27 0}
    }
}
