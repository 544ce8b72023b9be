# Strings: SET with its options, GET and its relatives, ranges, counters, MSET.

start_server {tags {"string"}} {
    test {SET and GET an item} {
        r set x foobar
        r get x
    } {foobar}

    test {SET and GET an empty item} {
        r set x {}
        r get x
    } {}

    test {SET replaces any type and drops the expiry} {
        r rpush y a
        r expire y 100
        r set y str
        assert_equal {str -1} [list [r get y] [r ttl y]]
    }

    test {encodings follow the value} {
        foreach {value encoding} [list \
            123 int -9223372036854775808 int 9223372036854775808 embstr 007 embstr \
            [string repeat a 44] embstr [string repeat a 45] raw 1.5 embstr "" embstr] {
            r set enc $value
            assert_encoding $encoding enc
        }
    } {} {needs:debug}

    test {random values of growing size survive} {
        for {set size 1} {$size < 200000} {set size [expr {$size * 3}]} {
            set value [randstring $size $size binary]
            r set big $value
            assert_equal $value [r get big]
            assert_equal $size [r strlen big]
        }
        r del big
    } {1}

    test {SET NX and XX} {
        r del k
        assert_equal {} [r set k 1 xx]
        assert_equal OK [r set k 1 nx]
        assert_equal {} [r set k 2 nx]
        assert_equal OK [r set k 3 xx]
        r get k
    } {3}

    test {SET GET returns the old value} {
        r del k
        assert_equal {} [r set k 1 get]
        assert_equal 1 [r set k 2 get]
        assert_equal 2 [r set k 3 nx get]
        assert_equal 2 [r get k]
        r del l
        r rpush l x
        assert_error {WRONGTYPE*} {r set l 1 get}
    }

    test {SET EX, PX, EXAT, PXAT, KEEPTTL} {
        r set k v ex 100
        assert_range [r ttl k] 90 100
        r set k v px 100000
        assert_range [r pttl k] 90000 100000
        set at [expr {[clock seconds] + 100}]
        r set k v exat $at
        assert_equal $at [r expiretime k]
        r set k v pxat ${at}000
        assert_equal ${at}000 [r pexpiretime k]
        r set k w keepttl
        assert_equal ${at}000 [r pexpiretime k]
        r set k w
        r ttl k
    } {-1}

    test {SET refuses options that contradict or make no sense} {
        foreach options {{nx xx} {xx nx} {keepttl ex 10} {ex 10 px 10} {ex 10 keepttl} {nonsense} {ex} {exat 10 pxat 10}} {
            assert_error {ERR syntax error} {r set k v {*}$options} $options
        }
        foreach options {{ex 0} {px -1} {exat 0} {ex 9223372036854775807} {px 9223372036854775807}} {
            assert_error {ERR invalid expire time in 'set' command} {r set k v {*}$options} $options
        }
        assert_error {ERR value is not an integer or out of range} {r set k v ex x}
        # The words are judged before the numbers, and of several times the last one counts.
        assert_error {ERR syntax error} {r set k v nx ex 0 xx}
        assert_error {ERR syntax error} {r set k v ex x px 10}
        assert_error {ERR invalid expire time in 'set' command} {r set k v ex 10 ex 0}
        r del k
        r set k v nx ex 0 get ex 1000 nx
        assert_range [r ttl k] 900 1000
        r set k w keepttl keepttl
        assert_range [r ttl k] 900 1000
    }

    test {SETNX, SETEX, PSETEX, GETSET} {
        r del k
        assert_equal {1 0} [list [r setnx k a] [r setnx k b]]
        r setex k 100 c
        assert_range [r ttl k] 90 100
        r psetex k 100000 d
        assert_range [r pttl k] 90000 100000
        assert_equal {d e} [list [r getset k e] [r get k]]
        assert_error {ERR invalid expire time in 'setex' command} {r setex k 0 v}
        assert_error {ERR invalid expire time in 'psetex' command} {r psetex k -1 v}
    }

    test {GETEX sets and removes the expiry} {
        r set k v
        assert_equal v [r getex k]
        assert_equal -1 [r ttl k]
        r getex k ex 100
        assert_range [r ttl k] 90 100
        r getex k persist
        assert_equal -1 [r ttl k]
        r getex k px 100000
        assert_range [r pttl k] 90000 100000
        assert_equal {} [r getex none ex 10]
        assert_error {ERR syntax error} {r getex k ex 10 persist}
        assert_error {ERR syntax error} {r getex k ex 10 px 10}
        assert_error {ERR syntax error} {r getex k persist ex 10}
        # Words are judged even if the key is missing, numbers are not.
        assert_error {ERR syntax error} {r getex none nonsense}
        assert_equal {} [r getex none ex x]
        assert_equal v [r getex k ex 0 ex 1000]
        assert_range [r ttl k] 900 1000
        assert_equal v [r getex k persist persist]
        assert_equal -1 [r ttl k]
        assert_error {ERR wrong number of arguments*} {r getex}
        assert_equal v [r getex k pxat 99999999999123]
        assert_equal 99999999999123 [r pexpiretime k]
        # A moment in the past deletes the key.
        assert_equal v [r getex k exat 1]
        r exists k
    } {0}

    test {GETDEL} {
        r set k v
        assert_equal {v {} 0} [list [r getdel k] [r getdel k] [r exists k]]
        r del l
        r rpush l x
        assert_error {WRONGTYPE*} {r getdel l}
        r llen l
    } {1}

    test {MSET, MGET, MSETNX} {
        r mset a{t} 1 b{t} 2 a{t} 3
        assert_equal {3 2 {}} [r mget a{t} b{t} none{t}]
        r del l{t}
        r rpush l{t} x
        assert_equal {{} 3} [r mget l{t} a{t}]
        assert_equal 0 [r msetnx c{t} 1 a{t} 9]
        assert_equal {0 3} [list [r exists c{t}] [r get a{t}]]
        assert_equal 1 [r msetnx c{t} 1 d{t} 2 c{t} 4]
        assert_equal {4 2} [r mget c{t} d{t}]
        r expire a{t} 100
        r mset a{t} 5
        assert_equal -1 [r ttl a{t}]
        assert_error {ERR wrong number of arguments for 'mset' command} {r mset a{t} 1 b{t}}
        assert_error {ERR wrong number of arguments for 'msetnx' command} {r msetnx a{t} 1 b{t}}
    }

    test {APPEND and STRLEN} {
        r del k
        assert_equal {3 6} [list [r append k foo] [r append k bar]]
        assert_equal {foobar 6 0} [list [r get k] [r strlen k] [r strlen none]]
        r set n 12
        assert_equal {3 123} [list [r append n 3] [r get n]]
        r incr n
    } {124}

    test {APPEND and SETRANGE stop at proto-max-bulk-len} {
        set most [config_get_set proto-max-bulk-len 1mb]
        r set k [string repeat x 1048575]
        assert_equal 1048576 [r append k y]
        set error {ERR string exceeds maximum allowed size (proto-max-bulk-len)}
        assert_error $error {r append k y}
        assert_error $error {r setrange k 1048576 y}
        r config set proto-max-bulk-len $most
        r strlen k
    } {1048576}

    test {SETRANGE pads, and leaves a missing key alone for an empty value} {
        r del k
        assert_equal 0 [r setrange k 0 ""]
        assert_equal 0 [r exists k]
        assert_equal 7 [r setrange k 4 foo]
        assert_equal "\x00\x00\x00\x00foo" [r get k]
        assert_equal 7 [r setrange k 1 ab]
        assert_equal "\x00ab\x00foo" [r get k]
        assert_error {ERR offset is out of range} {r setrange k -1 x}
        assert_error {ERR string exceeds maximum allowed size*} {r setrange k 536870911 xy}
    }

    test {GETRANGE with all kinds of ends, also against a model} {
        r set k "Hello World"
        foreach {from to result} {
            0 4 Hello  -5 -1 World  0 -1 {Hello World}  5 3 {}  20 30 {}  -100 2 Hel  -3 -5 {}
        } {
            assert_equal $result [r getrange k $from $to] "$from $to"
        }
        set value [randstring 30 60 binary]
        set size [string length $value]
        r set k $value
        for {set i 0} {$i < 500} {incr i} {
            set from [randomSignedInt [expr {$size + 10}]]
            set to [randomSignedInt [expr {$size + 10}]]
            set low [expr {$from < 0 ? max(0, $size + $from) : $from}]
            set high [expr {$to < 0 ? max(0, $size + $to) : $to}]
            set expected [string range $value $low $high]
            if {$from < 0 && $to < 0 && $from > $to} {
                set expected ""
            }
            assert_equal $expected [r getrange k $from $to] "$from $to of $size"
        }
        assert_equal [string range $value 2 5] [r substr k 2 5]
    }

    test {INCR, DECR and relatives} {
        r del n
        assert_equal {1 11 10 5} [list [r incr n] [r incrby n 10] [r decr n] [r decrby n 5]]
        r set n 9223372036854775807
        assert_error {ERR increment or decrement would overflow} {r incr n}
        r set n -9223372036854775808
        assert_error {ERR increment or decrement would overflow} {r decr n}
        assert_error {ERR decrement would overflow} {r decrby n -9223372036854775808}
        foreach value {{ 1} {1 } 1.0 abc 9223372036854775808} {
            r set n $value
            assert_error {ERR value is not an integer or out of range} {r incr n} $value
        }
        r set n 1
        assert_error {ERR value is not an integer or out of range} {r incrby n x}
    }

    test {INCRBYFLOAT} {
        r del f
        assert_equal 1.5 [r incrbyfloat f 1.5]
        assert_equal -1 [r incrbyfloat f -2.5]
        assert_equal 5000 [r incrbyfloat f 5.001e3]
        r set f 3
        assert_equal 3.1 [r incrbyfloat f 0.1]
        assert_error {ERR value is not a valid float} {r incrbyfloat f abc}
        assert_error {ERR value is not a valid float} {r incrbyfloat f " 1"}
        assert_error {ERR increment would produce NaN or Infinity} {r incrbyfloat f +inf}
        r set f abc
        assert_error {ERR value is not a valid float} {r incrbyfloat f 1}
        r del l
        r rpush l 1
        assert_error {WRONGTYPE*} {r incrbyfloat l 1}
    }
}

start_server {tags {"string"}} {
    test {relative expiry is propagated as a moment, effects as effects} {
        set repl [attach_to_replication_stream]
        r set k v ex 100
        r setex k 100 v
        r getex k persist
        r set n 1 nx
        r set n 1 nx
        r set k w get
        r set k x xx GET keepttl
        r set k w get nx
        r incrbyfloat n 0.5
        r getdel n
        r getset k y
        r getex k exat 1
        r set last 1
        assert_replication_stream $repl {
            {select *}
            {set k v PXAT *}
            {set k v PXAT *}
            {persist k}
            {set n 1 nx}
            {set k w}
            {set k x xx keepttl}
            {set n 1.5 KEEPTTL}
            {del n}
            {set k y}
            {unlink k}
            {set last 1}
        }
        close_replication_stream $repl
    } {} {needs:repl}

    # A long value may be sent from where it is stored: what happens to the key meanwhile must not show in the reply.
    test {replies with long values are what the values were} {
        set long [string repeat 0123456789 400000]
        set c [valkey_deferring_client]
        $c set long $long
        foreach command {{get long} {append long tail} {get long} {mget long nothere long} {getset long short} {get long}} {
            $c {*}$command
        }
        $c set long $long
        $c getdel long
        $c exists long
        $c flush
        assert_equal OK [$c read]
        assert_equal $long [$c read]
        assert_equal 4000004 [$c read]
        assert_equal "${long}tail" [$c read]
        assert_equal [list "${long}tail" {} "${long}tail"] [$c read]
        assert_equal "${long}tail" [$c read]
        assert_equal short [$c read]
        assert_equal OK [$c read]
        assert_equal $long [$c read]
        assert_equal 0 [$c read]
        $c close
    }

    test {LCS finds the common text, its length and its places} {
        r mset a{lcs} ohmytext b{lcs} mynewtext
        assert_equal mytext [r lcs a{lcs} b{lcs}]
        assert_equal 6 [r lcs a{lcs} b{lcs} len]
        assert_equal {matches {{{4 7} {5 8}} {{2 3} {0 1}}} len 6} [r lcs a{lcs} b{lcs} idx]
        assert_equal {matches {{{4 7} {5 8} 4}} len 6} [r lcs a{lcs} b{lcs} idx minmatchlen 4 withmatchlen]
        assert_equal {matches {} len 0} [r lcs a{lcs} missing{lcs} idx]
        assert_equal "" [r lcs a{lcs} missing{lcs}]
    }

    test {LCS of random texts is as long as any that they share in order} {
        for {set round 0} {$round < 30} {incr round} {
            foreach name {a b} {
                set $name ""
                for {set i [randomInt 12]} {$i > 0} {incr i -1} {
                    append $name [string index abc [randomInt 3]]
                }
                r set ${name}{lcs} [set $name]
            }
            set common [r lcs a{lcs} b{lcs}]
            foreach text [list $a $b] {
                # Each letter of what is common, with anything around it.
                assert_match *[join [split $common ""] *]* $text
            }
            # The longest by trying all subsequences of one.
            set longest 0
            for {set mask 0} {$mask < 1 << [string length $a]} {incr mask} {
                set some ""
                for {set i 0} {$i < [string length $a]} {incr i} {
                    if {$mask >> $i & 1} { append some [string index $a $i] }
                }
                if {[string length $some] > $longest && [string match *[join [split $some ""] *]* $b]} {
                    set longest [string length $some]
                }
            }
            assert_equal $longest [r lcs a{lcs} b{lcs} len]
            assert_equal $longest [string length $common]
        }
    }

    test {LCS refuses other types and options} {
        r del l{lcs}
        r rpush l{lcs} x
        assert_error {*must contain string values*} {r lcs a{lcs} l{lcs}}
        assert_error {ERR If you want both the length and indexes, please just use IDX.} {r lcs a{lcs} b{lcs} len idx}
        assert_error {ERR syntax error} {r lcs a{lcs} b{lcs} more}
        assert_error {ERR syntax error} {r lcs a{lcs} b{lcs} minmatchlen}
    }
}
