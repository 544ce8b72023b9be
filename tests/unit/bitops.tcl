# Bitmaps: SETBIT, GETBIT, BITCOUNT, BITPOS, BITOP, BITFIELD, BITFIELD_RO.

# The bits of STRING as 0s and 1s, most significant first.
proc bits_of {string} {
    binary scan $string B* bits
    return $bits
}

start_server {tags {"bitops"} overrides {save ""}} {
    test {SETBIT and GETBIT agree with the string} {
        r del k
        for {set i 0} {$i < 200} {incr i} {
            set at [randomInt 300]
            set bit [randomInt 2]
            assert_equal [r getbit k $at] [r setbit k $at $bit]
            assert_equal $bit [r getbit k $at]
            assert_equal $bit [string index [bits_of [r get k]] $at]
        }
        assert_equal 0 [r getbit k 100000]
        assert_equal 0 [r getbit missing 7]
    }

    test {SETBIT of a number works on its digits} {
        r set k 12
        assert_equal 0 [r setbit k 15 1]
        assert_equal 13 [r get k]
    }

    test {SETBIT and GETBIT refuse what is no place and no bit} {
        r del k
        foreach at {-1 x 4294967296 99999999999999999999} {
            assert_error {ERR bit offset is not an integer or out of range} {r setbit k $at 1}
            assert_error {ERR bit offset is not an integer or out of range} {r getbit k $at}
        }
        foreach bit {2 -1 x} {
            assert_error {ERR bit is not an integer or out of range} {r setbit k 0 $bit}
        }
        r rpush l x
        foreach command {{setbit l 0 1} {getbit l 0} {bitcount l} {bitpos l 1} {bitop and d l} {bitfield l get u8 0}} {
            assert_error {WRONGTYPE*} {r {*}$command}
        }
        r del l
        assert_equal 0 [r exists k]
    }

    test {BITCOUNT counts bits of bytes and of bits} {
        r set k foobar
        assert_equal 26 [r bitcount k]
        assert_equal 6 [r bitcount k 1 1]
        assert_equal 0 [r bitcount k -2 -3]
        assert_equal 17 [r bitcount k 5 30 bit]
        assert_equal 0 [r bitcount missing 0 -1]
        assert_error {ERR syntax error} {r bitcount k 0 1 nibble}
        for {set i 0} {$i < 100} {incr i} {
            set value [randstring 0 100 binary]
            r set k $value
            set bits [bits_of $value]
            set last [expr {[string length $bits] - 1}]
            set from [randomInt [expr {$last + 2}]]
            set to [randomInt [expr {$last + 2}]]
            set wanted [regexp -all 1 [string range $bits $from $to]]
            assert_equal $wanted [r bitcount k $from $to bit]
        }
    }

    test {BITPOS finds the first bit, and zeroes behind the end} {
        r set k "\xff\xf0\x00"
        assert_equal 12 [r bitpos k 0]
        assert_equal 0 [r bitpos k 1]
        assert_equal -1 [r bitpos k 1 2]
        assert_equal 16 [r bitpos k 0 2]
        assert_equal 13 [r bitpos k 0 13 -1 bit]
        r set k "\xff\xff"
        assert_equal 16 [r bitpos k 0]
        assert_equal -1 [r bitpos k 0 0 -1]
        assert_equal {0 -1} [list [r bitpos missing 0] [r bitpos missing 1]]
        assert_error {ERR The bit argument must be 1 or 0.} {r bitpos k 2}
    }

    test {BITOP fills shorter strings with zeroes, and deletes for an empty result} {
        r mset a "\xff\x0f" b "\x0f"
        assert_equal 2 [r bitop and d a b missing]
        assert_equal "\x00\x00" [r get d]
        assert_equal 2 [r bitop or d a b]
        assert_equal "\xff\x0f" [r get d]
        assert_equal 2 [r bitop xor d a b]
        assert_equal "\xf0\x0f" [r get d]
        assert_equal 2 [r bitop not d a]
        assert_equal "\x00\xf0" [r get d]
        assert_equal 0 [r bitop or d missing]
        assert_equal 0 [r exists d]
        assert_error {ERR BITOP NOT must be called with a single source key.} {r bitop not d a b}
        assert_error {ERR syntax error} {r bitop nand d a}
    } {} {cluster:skip}

    test {BITOP of long strings is that of each byte} {
        foreach {op expression} {and {$x & $y} or {$x | $y} xor {$x ^ $y}} {
            set a [randstring 100 400 binary]
            set b [string range [randstring 400 500 binary] 0 [string length $a]-1]
            r mset a $a b $b
            set wanted ""
            binary scan $a cu* as
            binary scan $b cu* bs
            foreach x $as y $bs {
                append wanted [format %c [expr $expression]]
            }
            r bitop $op d a b
            assert_equal 1 [expr {[r get d] eq $wanted}] $op
        }
    } {} {cluster:skip}

    test {BITFIELD gets, sets and counts in any width} {
        r del k
        assert_equal {0 0 100} [r bitfield k set u8 0 255 set u8 8 100 get u8 8]
        assert_equal {-1 100} [r bitfield k get i8 0 get u8 #1]
        assert_equal {101 0} [r bitfield k incrby u8 #1 1 incrby i16 #3 0]
        assert_equal 8 [r strlen k]
    }

    test {BITFIELD's ways to overflow} {
        foreach {type start by wrap sat} {
            u8 250 10 4 255
            u8 5 -10 251 0
            i8 120 10 -126 127
            i8 -120 -10 126 -128
            u1 1 1 0 1
            i64 9223372036854775807 1 -9223372036854775808 9223372036854775807
            u63 9223372036854775807 1 0 9223372036854775807
        } {
            foreach {way wanted} [list WRAP $wrap SAT $sat FAIL {}] {
                r del k
                r bitfield k set $type 0 $start
                assert_equal [list $wanted] [r bitfield k overflow $way incrby $type 0 $by] "$type $start $by $way"
            }
        }
    }

    test {BITFIELD refuses what is no type, place, way or number before it writes} {
        r del k
        foreach type {u64 i65 u0 x8 8 i} {
            assert_error {ERR Invalid bitfield type*} {r bitfield k set u8 0 1 get $type 0}
        }
        assert_error {ERR bit offset is not an integer or out of range} {r bitfield k set u8 -1 1}
        assert_error {ERR Invalid OVERFLOW type specified} {r bitfield k overflow never set u8 0 1}
        assert_error {ERR value is not an integer or out of range} {r bitfield k set u8 0 x}
        assert_error {ERR BITFIELD_RO only supports the GET subcommand} {r bitfield_ro k set u8 0 1}
        assert_error {ERR syntax error} {r bitfield k get u8}
        assert_equal {0} [r bitfield_ro k get u8 0]
        assert_equal 0 [r exists k]
    }

    test {bitmaps are propagated when they change} {
        r flushall
        set repl [attach_to_replication_stream]
        r setbit k 3 1
        r setbit k 3 1
        r getbit k 3
        r bitfield k get u8 0
        r bitfield k set u8 8 7
        r bitop not d k
        r bitop and d missing
        r bitop and d missing
        r set last v
        assert_replication_stream $repl {
            {select *} {setbit k 3 1} {bitfield k set u8 8 7} {bitop not d k} {bitop and d missing} {set last v}
        }
        close_replication_stream $repl
    } {} {needs:repl cluster:skip}

    test {bitmaps tell of their events} {
        r flushall
        r config set notify-keyspace-events KEA
        set rd [valkey_deferring_client]
        psubscribe $rd __keyevent@*
        r setbit k 3 1
        r bitfield k set u8 8 7
        r bitop not d k
        r bitop and d missing
        assert_equal {setbit k setbit k set d del d} [told_events $rd]
        $rd close
        r config set notify-keyspace-events ""
    } {OK} {cluster:skip}
}
