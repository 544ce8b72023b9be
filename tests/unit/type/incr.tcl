# Counters: INCR, DECR, INCRBY, DECRBY on 64-bit integers, INCRBYFLOAT on 80-bit floats.

start_server {tags {"incr"}} {
    test {INCR and DECR start at zero} {
        r del n
        assert_equal {1 2 1 0 -1} [list [r incr n] [r incr n] [r decr n] [r decr n] [r decr n]]
        r get n
    } {-1}

    test {INCRBY and DECRBY} {
        r set n 100
        assert_equal {117 110 111} [list [r incrby n 17] [r decrby n 7] [r decrby n -1]]
        r incrby n -111
    } {0}

    test {the ends of 64 bits are reached, not passed} {
        r set n 9223372036854775806
        assert_equal 9223372036854775807 [r incr n]
        assert_error {ERR increment or decrement would overflow} {r incr n}
        assert_error {ERR increment or decrement would overflow} {r incrby n 1}
        assert_equal -1 [r incrby n -9223372036854775808]
        assert_error {ERR decrement would overflow} {r decrby n -9223372036854775808}
        r set n -9223372036854775808
        assert_error {ERR increment or decrement would overflow} {r decr n}
        r get n
    } {-9223372036854775808}

    test {what is no canonical integer is refused, and stays} {
        foreach value {" 11" "11 " "1.5" "abc" "" "+1" "01" "-0" "9223372036854775808" "0x10"} {
            r set n $value
            assert_error {ERR value is not an integer or out of range} {r incr n} $value
            assert_equal $value [r get n]
        }
        r set n 1
        foreach value {" 1" "1.0" "x" "" "+1" "9223372036854775808"} {
            assert_error {ERR value is not an integer or out of range} {r incrby n $value} $value
        }
        r get n
    } {1}

    test {counters refuse other types} {
        r del l
        r rpush l 1
        foreach command {{incr l} {decr l} {incrby l 1} {decrby l 1} {incrbyfloat l 1}} {
            assert_error {WRONGTYPE*} {r {*}$command} $command
        }
        r del l
    } {1}

    test {a counter is held as an integer, also once it has been a string} {
        r set n 1
        r append n 2
        assert_equal 13 [r incr n]
        assert_encoding int n
    } {} {needs:debug}

    test {counters keep their expiry} {
        r set n 1 ex 1000
        r incr n
        r incrbyfloat n 0.5
        assert_range [r ttl n] 900 1000
    }

    test {INCRBYFLOAT on missing keys, integers and fractions} {
        r del n
        assert_equal 1 [r incrbyfloat n 1]
        assert_equal 1.25 [r incrbyfloat n 0.25]
        assert_equal 2.5 [r incrbyfloat n 1.25]
        assert_equal 0 [r incrbyfloat n -2.5]
        r set n 3
        assert_equal 3.5 [r incrbyfloat n 5.0e-1]
        assert_equal {3.5 3} [list [r get n] [r strlen n]]
    }

    test {INCRBYFLOAT prints 17 decimals without trailing zeros} {
        foreach {value by sum} {
            0 0.1 0.1
            0.1 0.2 0.3
            3 1.1 4.1
            1 1e-17 1.00000000000000001
            0 5.1e-18 0.00000000000000001
            0 4.9e-18 0
            0 1.5e-17 0.00000000000000002
            0 -1e-18 0
            5.0e3 2.0e2 5200
            10.50 0.1 10.6
            17179869184 1.5 17179869185.5
            999999999999999999 0.5 999999999999999999.5
            100000000000000000 0.1 100000000000000000.1015625
            9223372036854775807 9223372036854775807 18446744073709551614
            18446744073709551615 1 18446744073709551616
            18446744073709551616 1 18446744073709551616
            18446744073709551616 3 18446744073709551620
            0 1e30 1000000000000000000024696061952
            1e19 -1e19 0
            -1.5 0.25 -1.25
            0x10 0x1.8p1 19
        } {
            r set n $value
            assert_equal $sum [r incrbyfloat n $by] "$value + $by"
            assert_equal $sum [r get n]
        }
    }

    test {INCRBYFLOAT holds numbers far beyond doubles} {
        r set n 1e4000
        assert_equal 4000 [string length [r incrbyfloat n 0]]
        r del n
        assert_error {ERR value is not a valid float} {r incrbyfloat n 1e5000}
        assert_error {ERR value is not a valid float} {r incrbyfloat n 1e-5000}
        r set n 1e4932
        assert_error {ERR increment would produce NaN or Infinity} {r incrbyfloat n 1e4932}
        r del n
    } {1}

    test {INCRBYFLOAT refuses what is no float, on both sides} {
        foreach value {" 1" "1 " "abc" "1.2.3" "nan" "1e" "." "0x"} {
            r set n $value
            assert_error {ERR value is not a valid float} {r incrbyfloat n 1} $value
            r set n 1
            assert_error {ERR value is not a valid float} {r incrbyfloat n $value} $value
        }
        r set n ""
        assert_error {ERR value is not a valid float} {r incrbyfloat n 1}
        r set n 1
        foreach value {inf -inf +Infinity} {
            assert_error {ERR increment would produce NaN or Infinity} {r incrbyfloat n $value}
        }
        r get n
    } {1}

    test {INCRBYFLOAT leaves a string, not an integer} {
        r del n
        r incrbyfloat n 1
        assert_encoding embstr n
        r incr n
        assert_encoding int n
        r incrbyfloat n 1e45
        assert_encoding raw n
    } {} {needs:debug}

    test {counters are propagated, floats as their result} {
        r del n f
        set repl [attach_to_replication_stream]
        r incr n
        r decrby n 3
        catch {r incrby n x}
        r incrbyfloat f 1.5
        catch {r incrbyfloat f inf}
        r incrbyfloat f 0
        assert_replication_stream $repl {
            {select *}
            {incr n}
            {decrby n 3}
            {set f 1.5 KEEPTTL}
            {set f 1.5 KEEPTTL}
        }
        close_replication_stream $repl
    } {} {needs:repl}
}
