# Hashes: fields and values in both encodings, counters, random fields.

# All of a hash, in the order of its fields.
proc sorted_hash {key} {
    lsort -stride 2 [r hgetall $key]
}

start_server {tags {"hash"}} {
    foreach {encoding filler} {listpack 0 hashtable 600} {
        # The tests below see the fields a, b, c; the fillers make the hash large.
        proc fresh {} [string map [list FILLER $filler] {
            r del h
            for {set i 0} {$i < FILLER} {incr i} {
                r hset h filler:$i $i
            }
            r hset h a 1 b two c 3.5
        }]

        test "HSET, HGET, HMGET, HEXISTS, HSTRLEN ($encoding)" {
            fresh
            assert_encoding $encoding h
            assert_equal {1 two {}} [list [r hget h a] [r hget h b] [r hget h none]]
            assert_equal {3.5 {} 1} [r hmget h c none a]
            assert_equal {1 0} [list [r hexists h a] [r hexists h none]]
            assert_equal {3 1 0} [list [r hstrlen h b] [r hstrlen h a] [r hstrlen h none]]
            assert_equal 0 [r hset h a 2]
            assert_equal 1 [r hset h a 3 new x a 4]
            assert_equal OK [r hmset h a 5 newer y]
            assert_equal [expr {$filler + 5}] [r hlen h]
            r hget h a
        } {5} {needs:debug}

        test "HSETNX ($encoding)" {
            fresh
            assert_equal {0 1 0} [list [r hsetnx h a x] [r hsetnx h d x] [r hsetnx h d y]]
            r hmget h a d
        } {1 x}

        test "HGETALL, HKEYS and HVALS agree ($encoding)" {
            fresh
            set all [r hgetall h]
            assert_equal [expr {2 * ($filler + 3)}] [llength $all]
            set fields {}
            set values {}
            foreach {field value} $all {
                lappend fields $field
                lappend values $value
            }
            assert_equal [lsort $fields] [lsort [r hkeys h]]
            assert_equal [lsort $values] [lsort [r hvals h]]
            assert_equal $values [r hmget h {*}$fields]
        }

        test "HDEL removes fields, and the hash with the last one ($encoding)" {
            fresh
            assert_equal 2 [r hdel h a none b a]
            assert_equal 0 [r hdel h none]
            assert_equal {{} {} 3.5} [r hmget h a b c]
            r hdel h {*}[r hkeys h]
            assert_equal 0 [r exists h]
            r hdel h a
        } {0}

        test "HINCRBY ($encoding)" {
            fresh
            assert_equal {2 -3 7} [list [r hincrby h a 1] [r hincrby h a -5] [r hincrby h new 7]]
            r hset h end 9223372036854775807
            assert_error {ERR increment or decrement would overflow} {r hincrby h end 1}
            assert_error {ERR hash value is not an integer} {r hincrby h b 1}
            assert_error {ERR hash value is not an integer} {r hincrby h c 1}
            assert_error {ERR value is not an integer or out of range} {r hincrby h a x}
            r hmget h a b c end
        } {-3 two 3.5 9223372036854775807}

        test "HINCRBYFLOAT ($encoding)" {
            fresh
            assert_equal {1.5 3.75 0.1} \
                [list [r hincrbyfloat h a 0.5] [r hincrbyfloat h c 0.25] [r hincrbyfloat h new 0.1]]
            assert_equal 100000000000000000.1015625 [r hincrbyfloat h new 1e17]
            assert_error {ERR hash value is not a float} {r hincrbyfloat h b 1}
            assert_error {ERR value is not a valid float} {r hincrbyfloat h a x}
            assert_error {ERR value is NaN or Infinity} {r hincrbyfloat h a inf}
            r hset h inf inf nan nan space " 1" empty ""
            assert_error {ERR increment would produce NaN or Infinity} {r hincrbyfloat h inf 1}
            foreach field {nan space empty} {
                assert_error {ERR hash value is not a float} {r hincrbyfloat h $field 1} $field
            }
            r hget h a
        } {1.5}

        test "HRANDFIELD gives each field its chance ($encoding)" {
            fresh
            set fields [r hkeys h]
            set count [llength $fields]
            # Without repetitions: exactly so many different ones, whichever way they are drawn.
            foreach wanted [list 1 2 [expr {$count / 2}] [expr {$count - 1}] $count [expr {$count * 5}]] {
                set some [r hrandfield h $wanted]
                assert_equal [expr {min($wanted, $count)}] [llength $some]
                assert_equal [llength $some] [llength [lsort -unique $some]]
                foreach field $some {
                    assert {$field in $fields}
                }
            }
            assert_equal [lsort $fields] [lsort [r hrandfield h $count]]
            # Half of them: after so many times, each one has been among them.
            set seen {}
            for {set i 0} {$i < 80} {incr i} {
                set seen [lsort -unique [concat $seen [r hrandfield h [expr {($count + 1) / 2}]]]]
            }
            assert_equal [lsort $fields] $seen
            foreach {field value} [r hrandfield h 3 withvalues] {
                assert_equal $value [r hget h $field]
            }
            # With repetitions: sooner or later every one of them.
            set repeated [r hrandfield h [expr {-$count * 20}]]
            assert_equal [expr {$count * 20}] [llength $repeated]
            assert_equal [lsort $fields] [lsort -unique $repeated]
            assert_equal 6 [llength [r hrandfield h -3 withvalues]]
            assert {[r hrandfield h] in $fields}
        }
    }

    test {commands on a hash that does not exist} {
        r del none
        assert_equal {{} {} {} 0 0 0} [list [r hget none a] [r hgetall none] [r hkeys none] \
            [r hlen none] [r hstrlen none a] [r hexists none a]]
        assert_equal {{} {}} [r hmget none a b]
        assert_equal {{} {} {}} [list [r hvals none] [r hrandfield none] [r hrandfield none 5]]
        r exists none
    } {0}

    test {HRANDFIELD refuses counts and words that make no sense} {
        r del h
        r hset h a 1 b 2
        assert_equal {} [r hrandfield h 0]
        assert_error {ERR value is not an integer or out of range} {r hrandfield h x}
        assert_error {ERR syntax error} {r hrandfield h 1 nonsense}
        assert_error {ERR syntax error} {r hrandfield h 1 withvalues withvalues}
        assert_error {ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807} {
            r hrandfield h -9223372036854775808
        }
        assert_error {ERR value is out of range} {r hrandfield h -9223372036854775807 withvalues}
        assert_error {ERR value is out of range} {r hrandfield h 9223372036854775807 withvalues}
        lsort [r hrandfield h 9223372036854775807]
    } {a b}

    test {a field without a value is refused, and nothing is set} {
        r del h
        assert_error {ERR wrong number of arguments for 'hset' command} {r hset h a 1 b}
        assert_error {ERR wrong number of arguments for 'hmset' command} {r hmset h a 1 b}
        assert_error {ERR wrong number of arguments for 'hset' command} {r hset h a}
        r exists h
    } {0}

    test {hash commands refuse other types, and leave them alone} {
        r set s x
        foreach command {
            {hset s a 1} {hmset s a 1} {hsetnx s a 1} {hget s a} {hmget s a} {hgetall s} {hkeys s}
            {hvals s} {hlen s} {hstrlen s a} {hexists s a} {hdel s a} {hincrby s a 1}
            {hincrbyfloat s a 1} {hrandfield s} {hrandfield s 1}
        } {
            assert_error {WRONGTYPE*} {r {*}$command} $command
        }
        r get s
    } {x}

    test {an error of a counter does not make the key} {
        r del h
        catch {r hincrby h a x}
        catch {r hincrbyfloat h a inf}
        catch {r hincrbyfloat h a nan}
        r exists h
    } {0}

    test {a hash becomes a table past either threshold, and stays one} {
        set entries [config_get_set hash-max-listpack-entries 4]
        set value [config_get_set hash-max-listpack-value 8]
        r del h
        r hset h a 1 b 2 c 3 d 4
        r hset h a 12345678 d x
        assert_encoding listpack h
        r hset h e 5
        assert_encoding hashtable h
        r hdel h a b c d
        assert_encoding hashtable h
        foreach {field value_of} {a 123456789 123456789 a} {
            r del h
            r hset h $field $value_of
            assert_encoding hashtable h
        }
        # Pairs are counted, be they of one field.
        r del h
        r hset h a 1 a 2 a 3 a 4 a 5
        assert_encoding hashtable h
        r del h
        r hset h 12345678 12345678
        assert_encoding listpack h
        r hincrby h n 1
        r hincrbyfloat h n 0.00000000001
        assert_encoding hashtable h
        assert_equal 1.00000000001 [r hget h n]
        config_set hash-max-listpack-entries $entries
        config_set hash-max-listpack-value $value
    } {} {needs:debug}

    test {numbers and their texts stay apart} {
        r del h
        foreach value {0 -0 00 007 1.0 +5 127 128 -129 32768 8388608 2147483648 9223372036854775807 9223372036854775808 " 1" ""} {
            r hset h $value $value
            assert_equal $value [r hget h $value]
        }
        r hlen h
    } {16}

    test {random hashes equal their model} {
        foreach size {10 600} {
            r del h
            array unset model
            for {set i 0} {$i < $size * 4} {incr i} {
                set field [randomInt $size]
                if {rand() < 0.3} {
                    assert_equal [info exists model($field)] [r hdel h $field]
                    unset -nocomplain model($field)
                } else {
                    set content [randstring 0 80 binary]
                    assert_equal [expr {![info exists model($field)]}] [r hset h $field $content]
                    set model($field) $content
                }
            }
            assert_equal [lsort -stride 2 [array get model]] [sorted_hash h]
            assert_equal [array size model] [r hlen h]
        }
    }

    test {RESP3 has maps and pairs} {
        set c [valkey_deferring_client]
        $c hello 3
        $c read
        r del h
        r hset h a 1
        foreach {command reply} {
            {hgetall h} "%1\r\n$1\r\na\r\n$1\r\n1\r\n"
            {hgetall none} "%0\r\n"
            {hkeys h} "*1\r\n$1\r\na\r\n"
            {hrandfield h 1 withvalues} "*1\r\n*2\r\n$1\r\na\r\n$1\r\n1\r\n"
            {hrandfield h 1} "*1\r\n$1\r\na\r\n"
            {hrandfield none} "_\r\n"
            {hget none a} "_\r\n"
            {hincrbyfloat h a 0.5} "$3\r\n1.5\r\n"
        } {
            $c {*}$command
            assert_equal $reply [$c rawread [string length $reply]] $command
        }
        $c close
    }

    test {changes are propagated, floats as their result} {
        r del h
        set repl [attach_to_replication_stream]
        r hset h a 1 b 2
        r hmset h a 1
        r hsetnx h a 9
        r hsetnx h c 9
        r hincrby h a 5
        r hincrbyfloat h a 0.5
        r hdel h none
        r hdel h b none
        r hdel h a c
        catch {r hincrby h x y}
        r set last 1
        assert_replication_stream $repl {
            {select *}
            {hset h a 1 b 2}
            {hmset h a 1}
            {hsetnx h c 9}
            {hincrby h a 5}
            {hset h a 6.5}
            {hdel h b none}
            {hdel h a c}
            {set last 1}
        }
        close_replication_stream $repl
    } {} {needs:repl}

    test {events of hashes} {
        config_set notify-keyspace-events Kgh
        r del h
        set c [valkey_deferring_client]
        $c psubscribe __keyspace@*__:h
        $c read
        r hset h a 1 b 2
        r hincrby h a 1
        r hincrbyfloat h a 1
        r hsetnx h a 1
        r hsetnx h c 1
        r hdel h none
        r hdel h a b c
        set events {}
        foreach _ {1 2 3 4 5 6} {
            lappend events [lindex [$c read] 3]
        }
        $c close
        config_set notify-keyspace-events ""
        set events
    } {hset hincrby hincrbyfloat hset hdel del}
}
