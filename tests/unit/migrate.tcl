# MIGRATE: options, refusals, the wire, what goes wrong with a target, propagation, cached connections, and what may
# happen to the keys and to the caller meanwhile.

# The words of the next request on a raw connection.
proc request_words {channel} {
    set bytes [wire_request $channel]
    set words {}
    set at [expr {[string first \n $bytes] + 1}]
    while {$at < [string length $bytes]} {
        set end [string first \r\n $bytes $at]
        set length [string range $bytes $at+1 $end-1]
        set at [expr {$end + 2}]
        set next [expr {$at + $length}]
        lappend words [string range $bytes $at $next-1]
        set at [expr {$next + 2}]
    }
    return $words
}

# A key of TYPE.
proc make_value {key type} {
    r del $key
    switch $type {
        string {r set $key [string repeat ab 500]}
        integer {r set $key 12345}
        list {r rpush $key 1 b [string repeat c 100]}
        set {r sadd $key a b c}
        intset {r sadd $key 1 2 70000}
        hash {r hset $key f v 1 2}
        zset {r zadd $key 1 a 2.5 b inf c}
        stream {
            r xadd $key 1-1 f v
            r xgroup create $key g 0
            r xreadgroup group g alice streams $key >
        }
    }
}

# Play a target for a MIGRATE of KEY, with more OPTIONS: sets `caller`, the client that waits, and `target`, the raw
# connection, which has sent SELECT and RESTORE and has not been answered.
proc begin_migration {port key args} {
    upvar caller caller target target
    set caller [valkey_deferring_client]
    $caller migrate 127.0.0.1 $port $key 9 5000 {*}$args
    set target [wire_accept $port]
    assert_equal {SELECT 9} [request_words $target]
    assert_equal RESTORE [lindex [request_words $target] 0]
}

proc end_migration {} {
    upvar caller caller
    $caller close
    wire_close_all
}

proc is_closed {channel} {
    expr {![wire::fill $channel]}
}

set plain {tags {"migrate" "external:skip"} overrides {save ""}}

start_server $plain {
    start_server $plain {
        set to_host [srv -1 host]
        set to_port [srv -1 port]

        foreach type {string integer list set intset hash zset stream} {
            test "MIGRATE of a $type" {
                r -1 flushall
                make_value k $type
                set payload [r dump k]
                assert_equal OK [r migrate $to_host $to_port k 9 5000]
                assert_equal 0 [r exists k]
                assert_equal $payload [r -1 dump k]
                assert_equal -1 [r -1 ttl k]
            }
        }

        test {MIGRATE keeps the time to live} {
            r -1 flushall
            r set k v px 100000
            assert_equal OK [r migrate $to_host $to_port k 9 5000]
            assert_range [r -1 pttl k] 50000 100000
        }

        test {MIGRATE COPY leaves the key where it is} {
            r -1 flushall
            r set k v
            assert_equal OK [r migrate $to_host $to_port k 9 5000 copy]
            assert_equal {v v} [list [r get k] [r -1 get k]]
        }

        test {MIGRATE wants REPLACE where a key is} {
            r -1 set k old
            r set k v
            assert_error {ERR Target instance replied with error: BUSYKEY Target key name already exists.} {
                r migrate $to_host $to_port k 9 5000
            }
            assert_equal {v old} [list [r get k] [r -1 get k]]
            assert_equal OK [r migrate $to_host $to_port k 9 5000 replace]
            assert_equal {0 v} [list [r exists k] [r -1 get k]]
        }

        test {MIGRATE COPY REPLACE} {
            r -1 set k old
            r set k v
            assert_equal OK [r migrate $to_host $to_port k 9 5000 copy replace]
            assert_equal {v v} [list [r get k] [r -1 get k]]
        }

        test {MIGRATE of a key without a name} {
            r -1 flushall
            r set "" v
            assert_equal OK [r migrate $to_host $to_port "" 9 5000]
            assert_equal {0 v} [list [r exists ""] [r -1 get ""]]
        }

        test {MIGRATE KEYS moves several, and skips what is not there} {
            r -1 flushall
            r mset a 1 b 2 c 3
            assert_equal OK [r migrate $to_host $to_port "" 9 5000 keys a nokey b c]
            assert_equal {0 1 2 3} [list [r exists a b c] {*}[r -1 mget a b c]]
        }

        test {MIGRATE KEYS moves what the target takes, though it refuses others} {
            r -1 flushall
            r -1 set b old
            r mset a 1 b 2 c 3
            assert_error {ERR Target instance replied with error: BUSYKEY*} {
                r migrate $to_host $to_port "" 9 5000 keys a b c
            }
            assert_equal {{} 2 {}} [r mget a b c]
            assert_equal {1 old 3} [r -1 mget a b c]
        }

        test {MIGRATE KEYS with a key named twice} {
            r -1 flushall
            r mset a 1 b 2
            assert_equal OK [r migrate $to_host $to_port "" 9 5000 replace keys a a b]
            assert_equal {0 2} [list [r exists a b] [r -1 exists a b]]
        }

        test {MIGRATE COPY KEYS} {
            r -1 flushall
            r mset a 1 b 2
            assert_equal OK [r migrate $to_host $to_port "" 9 5000 copy keys a b]
            assert_equal {2 2} [list [r exists a b] [r -1 exists a b]]
        }

        test {MIGRATE KEYS of ten thousand} {
            r flushall
            r -1 flushall
            populate 10000
            assert_equal OK [r migrate $to_host $to_port "" 9 20000 keys {*}[r keys *]]
            assert_equal {0 10000} [list [r dbsize] [r -1 dbsize]]
        }

        test {MIGRATE of a value of ten megabytes} {
            r -1 flushall
            r config set rdbcompression no
            r setrange k 10000000 x
            assert_equal OK [r migrate $to_host $to_port k 9 20000]
            r config set rdbcompression yes
            assert_equal {0 10000001} [list [r exists k] [r -1 strlen k]]
        }

        test {MIGRATE of nothing} {
            r del k nokey
            assert_equal NOKEY [r migrate $to_host $to_port nokey 9 5000]
            assert_equal NOKEY [r migrate $to_host $to_port "" 9 5000 keys k nokey]
            assert_equal NOKEY [r migrate $to_host $to_port "" 9 5000 keys]
            # Nobody is asked.
            assert_equal NOKEY [r migrate no.such.host.invalid 1 nokey 9 5000]
        }

        test {MIGRATE goes to the database that is named} {
            r -1 flushall
            r set k v
            assert_equal OK [r migrate $to_host $to_port k 3 5000]
            assert_equal 0 [r -1 exists k]
            r -1 select 3
            assert_equal v [r -1 get k]
            r -1 select 9
        }

        test {MIGRATE to a database that is not there} {
            r -1 flushall
            r set k v
            assert_error {ERR Target instance replied with error: ERR DB index is out of range} {
                r migrate $to_host $to_port k 99 5000
            }
            assert_equal v [r get k]
            assert_equal OK [r migrate $to_host $to_port k 9 5000 replace]
        }

        test {MIGRATE AUTH and AUTH2} {
            r -1 flushall
            r set k v
            r -1 config set requirepass secret
            set errors {}
            # By a name that no connection is kept for.
            foreach {host login} {localhost {} 127.0.0.1 {auth wrong} 127.0.0.1 {auth2 nobody secret}} {
                catch {r migrate $host $to_port k 9 5000 {*}$login} error
                lappend errors $error
            }
            set value [r get k]
            set replies [list [r migrate $to_host $to_port k 9 5000 replace auth secret]]
            r set k v
            lappend replies [r migrate $to_host $to_port k 9 5000 replace auth2 default secret]
            r -1 config set requirepass ""
            set start {ERR Target instance replied with error:}
            foreach error $errors code {NOAUTH WRONGPASS WRONGPASS} {
                assert_match "$start $code *" $error
            }
            assert_equal {v OK OK 0 v} [list $value {*}$replies [r exists k] [r -1 get k]]
        }

        test {MIGRATE in a transaction} {
            r -1 flushall
            r mset a 1 b 2
            r multi
            r migrate $to_host $to_port a 9 5000
            r migrate $to_host $to_port nokey 9 5000
            r set a 3
            r migrate $to_host $to_port b 9 5000
            assert_equal {OK NOKEY OK OK} [r exec]
            assert_equal {3 {}} [r mget a b]
            assert_equal {1 2} [r -1 mget a b]
        }

        test {MIGRATE of a key that somebody watches} {
            r -1 flushall
            r set k v
            set other [valkey_client]
            $other watch k
            r migrate $to_host $to_port k 9 5000
            $other multi
            $other ping
            assert_equal {} [$other exec]
            $other close
        }

        test {MIGRATE of several keys is one DEL in the stream, of those that have gone} {
            r -1 flushall
            r -1 set b busy
            r mset a 1 b 2 c 3
            set repl [attach_to_replication_stream]
            catch {r migrate $to_host $to_port "" 9 5000 keys a b c}
            r migrate $to_host $to_port "" 9 5000 copy replace keys b
            r set end 1
            assert_replication_stream $repl {{select *} {del a c} {set end 1}}
            close_replication_stream $repl
        } {} {needs:repl}

        test {MIGRATE in a transaction goes to the stream as DEL} {
            r -1 flushall
            r mset a 1 b 2
            set repl [attach_to_replication_stream]
            r multi
            r migrate $to_host $to_port "" 9 5000 keys a b
            r set end 1
            r exec
            assert_replication_stream $repl {{multi} {select *} {del a b} {set end 1} {exec}}
            close_replication_stream $repl
        } {} {needs:repl}

        test {MIGRATE tells of each key that has gone} {
            r -1 flushall
            r mset a 1 b 2
            r config set notify-keyspace-events KEA
            set listener [valkey_deferring_client]
            psubscribe $listener {__keyevent*}
            r migrate $to_host $to_port "" 9 5000 keys a b
            assert_equal {del a del b} [told_events $listener]
            r config set notify-keyspace-events ""
            $listener close
        }

        test {MIGRATE counts the connections that it keeps} {
            r -1 flushall
            r set k v
            r migrate $to_host $to_port k 9 5000
            assert_morethan [s migrate_cached_sockets] 0
            # Kept for ten seconds.
            wait_for_condition 300 100 {[s migrate_cached_sockets] == 0} else {
                fail "the connections are kept for ever"
            }
        } {} {slow}

        test {MIGRATE is counted once, and its errors by their codes} {
            r -1 flushall
            r set k v
            r config resetstat
            r migrate $to_host $to_port k 9 5000
            assert_match {*calls=1,*,failed_calls=0} [cmdrstat migrate r]
            r set k v
            catch {r migrate $to_host $to_port k 9 5000}
            assert_match {*calls=2,*,failed_calls=1} [cmdrstat migrate r]
            assert_match {*count=1*} [errorrstat ERR r]
        } {} {needs:config-resetstat}
    }

    test {MIGRATE refuses options} {
        r set k v
        foreach options {foo {copy foo} auth {auth2 user} {keys2 a}} {
            assert_error {ERR syntax error} {r migrate 127.0.0.1 1 k 9 5000 {*}$options}
        }
        assert_error {ERR When using MIGRATE KEYS option, the key argument must be set to the empty string} {
            r migrate 127.0.0.1 1 k 9 5000 keys a b
        }
        assert_error {ERR value is not an integer or out of range} {r migrate 127.0.0.1 1 k x 5000}
        assert_error {ERR value is not an integer or out of range} {r migrate 127.0.0.1 1 k 9 x}
        assert_error {ERR syntax error} {r migrate 127.0.0.1 1 k x x foo}
        assert_error {ERR wrong number of arguments for 'migrate' command} {r migrate 127.0.0.1 1 k 9}
        r get k
    } {v}

    test {MIGRATE to where nobody listens} {
        r set k v
        lassign [wire_listen] listener port
        close $listener
        # There is no connection over TLS before the handshake is over.
        set doing [expr {$::tls ? "connecting to the client" : "writing to target instance"}]
        assert_error "IOERR error or timeout $doing" {r migrate 127.0.0.1 $port k 9 5000}
        assert_error {IOERR error or timeout connecting to the client} {r migrate no.such.host.invalid 1 k 9 5000}
        assert_error {IOERR*} {r migrate 127.0.0.1 nonumber k 9 5000}
        r get k
    } {v}

    test {MIGRATE on the wire} {
        r set k v
        set payload [r dump k]
        lassign [wire_listen] - port
        begin_migration $port k
        wire_raw $target "+OK\r\n+OK\r\n"
        assert_equal OK [$caller read]
        assert_equal 0 [r exists k]
        # The database is known now.
        r set k v px 100000
        $caller migrate 127.0.0.1 $port k 9 5000 replace
        lassign [request_words $target] command key ttl sent replace
        assert_equal [list RESTORE k $payload REPLACE] [list $command $key $sent $replace]
        assert_range $ttl 1 100000
        wire_raw $target "+OK\r\n"
        assert_equal OK [$caller read]
        # It is uncertain after an error.
        r set k v
        $caller migrate 127.0.0.1 $port k 9 5000 auth secret
        assert_equal {AUTH secret} [request_words $target]
        assert_equal {RESTORE k 0} [lrange [request_words $target] 0 2]
        wire_raw $target "-ERR no\r\n+OK\r\n"
        assert_error {ERR Target instance replied with error: ERR no} {$caller read}
        $caller migrate 127.0.0.1 $port k 9 5000 copy auth2 me secret
        assert_equal {AUTH me secret} [request_words $target]
        assert_equal {SELECT 9} [request_words $target]
        assert_equal {RESTORE k 0} [lrange [request_words $target] 0 2]
        wire_raw $target "+OK\r\n+OK\r\n+OK\r\n"
        assert_equal OK [$caller read]
        # A database is what the target takes for one.
        $caller migrate 127.0.0.1 $port k -12345678901 5000
        assert_equal {SELECT -12345678901} [request_words $target]
        request_words $target
        wire_raw $target "+OK\r\n+OK\r\n"
        assert_equal OK [$caller read]
        end_migration
    }

    test {MIGRATE reports the first error of several} {
        r mset a 1 b 2 c 3
        lassign [wire_listen] - port
        set caller [valkey_deferring_client]
        $caller migrate 127.0.0.1 $port "" 9 5000 keys a b c
        set target [wire_accept $port]
        wire_raw $target "+OK\r\n-ONE first\r\n+OK\r\n-TWO second\r\n"
        assert_error {ERR Target instance replied with error: ONE first} {$caller read}
        assert_equal {1 {} 3} [r mget a b c]
        end_migration
    }

    test {MIGRATE passes on the beginning of a very long error} {
        r set k v
        lassign [wire_listen] - port
        begin_migration $port k
        wire_raw $target "+OK\r\n-[string repeat x 1500]\r\n"
        catch {$caller read} error
        assert_equal "ERR Target instance replied with error: [string repeat x 1022]" $error
        end_migration
    }

    test {MIGRATE gives up a target that does not answer} {
        r set k v
        lassign [wire_listen] - port
        assert_error {IOERR error or timeout reading to target instance} {r migrate 127.0.0.1 $port k 9 100}
        set target [wire_accept $port]
        assert_equal {SELECT 9} [request_words $target]
        request_words $target
        wait_for_condition 100 20 {[is_closed $target]} else {fail "the connection is kept"}
        wire_close_all
        r get k
    } {v} {tls:skip}

    test {MIGRATE KEYS keeps what a target did not answer for} {
        r mset a 1 b 2 c 3
        lassign [wire_listen] - port
        set caller [valkey_deferring_client]
        $caller migrate 127.0.0.1 $port "" 9 300 keys a b c
        set target [wire_accept $port]
        wire_raw $target "+OK\r\n+OK\r\n"
        assert_error {IOERR error or timeout reading to target instance} {$caller read}
        assert_equal {{} 2 3} [r mget a b c]
        end_migration
    } {*} {tls:skip}

    test {MIGRATE tries once more when the target hangs up} {
        r set k v
        lassign [wire_listen] - port
        set caller [valkey_deferring_client]
        $caller migrate 127.0.0.1 $port k 9 5000
        close [wire_accept $port]
        set target [wire_accept $port]
        assert_equal {SELECT 9} [request_words $target]
        request_words $target
        wire_raw $target "+OK\r\n+OK\r\n"
        assert_equal OK [$caller read]
        # Also when the connection is one that was kept.
        r set k v
        close $target
        $caller migrate 127.0.0.1 $port k 9 5000
        set target [wire_accept $port]
        assert_equal {SELECT 9} [request_words $target]
        wire_raw $target "+OK\r\n+OK\r\n"
        assert_equal OK [$caller read]
        # But not for ever.
        r set k v
        close $target
        $caller migrate 127.0.0.1 $port k 9 5000
        close [wire_accept $port]
        catch {close [wire_accept $port 300]}
        assert_error {IOERR error or timeout * to target instance} {$caller read}
        assert_equal v [r get k]
        end_migration
    } {*} {tls:skip}

    test {MIGRATE in a transaction waits no longer than its timeout} {
        r set k v
        lassign [wire_listen] - port
        r multi
        r migrate 127.0.0.1 $port k 9 100
        r set after 1
        assert_error {IOERR error or timeout reading to target instance} {r exec}
        wire_close_all
        r mget k after
    } {v 1} {tls:skip}

    test {MIGRATE hides passwords from the slow log} {
        r set k v
        r config set slowlog-log-slower-than 0
        r slowlog reset
        lassign [wire_listen] - port
        catch {r migrate 127.0.0.1 $port k 9 50 auth hidden1}
        catch {r migrate 127.0.0.1 $port k 9 50 copy auth2 hidden2 hidden3}
        set log [r slowlog get 10]
        r config set slowlog-log-slower-than 10000
        wire_close_all
        assert_no_match *hidden* $log
        assert_match {*auth2 (redacted) (redacted)*} $log
    }

    test {MIGRATE on a replica that is not to be written to} {
        r set k v
        r replicaof 127.0.0.1 1
        catch {r migrate 127.0.0.1 1 k 9 5000} error
        r replicaof no one
        set error
    } {READONLY*}

    tags {"peer:skip"} {
        # The reference serves nobody while it waits for a target, and takes every answer that is no error for consent.

        test {MIGRATE lets others be served} {
            r set k v
            lassign [wire_listen] - port
            begin_migration $port k
            assert_equal v [r get k]
            r set other 1
            assert_equal 1 [s blocked_clients]
            wire_raw $target "+OK\r\n+OK\r\n"
            assert_equal OK [$caller read]
            assert_equal {0 0} [list [r exists k] [s blocked_clients]]
            end_migration
        }

        test {MIGRATE to two targets at once} {
            r mset a 1 b 2
            lassign [wire_listen] - slow_port
            begin_migration $slow_port a
            set slow_caller $caller
            set slow_target $target
            lassign [wire_listen] - port
            begin_migration $port b
            wire_raw $target "+OK\r\n+OK\r\n"
            assert_equal OK [$caller read]
            $caller close
            assert_equal {1 {}} [r mget a b]
            wire_raw $slow_target "+OK\r\n+OK\r\n"
            assert_equal OK [$slow_caller read]
            $slow_caller close
            wire_close_all
            r exists a
        } {0}

        foreach {what command} {
            "written to" {set k new}
            "appended to" {append k more}
            "given a time to live" {expire k 1000}
            "removed" {del k}
            "renamed" {rename k other}
            "overwritten by a rename" {rename l k}
            "overwritten by a copy" {copy l k replace}
            "moved to another database" {move k 8}
            "flushed" {flushall}
            "swapped away" {swapdb 9 8}
        } {
            test "MIGRATE keeps a key that is $what meanwhile" {
                r flushall
                r set k v
                r set l other
                lassign [wire_listen] - port
                begin_migration $port k
                r {*}$command
                set digest [debug_digest]
                wire_raw $target "+OK\r\n+OK\r\n"
                assert_error {ERR Some keys were changed while they were copied *} {$caller read}
                assert_equal $digest [debug_digest]
                end_migration
            } {} {needs:debug singledb:skip}
        }

        foreach {what command} {
            "deliveries" {xreadgroup group g bob streams k >}
            "acknowledgements" {xack k g 1-1}
            "claims" {xclaim k g bob 0 1-1}
            "groups" {xgroup create k h 0}
            "last ids" {xsetid k 9-9}
        } {
            test "MIGRATE keeps a stream that has new $what meanwhile" {
                make_value k stream
                r xadd k 2-1 f v
                lassign [wire_listen] - port
                begin_migration $port k
                r {*}$command
                set digest [debug_digest_value k]
                wire_raw $target "+OK\r\n+OK\r\n"
                assert_error {ERR Some keys were changed while they were copied *} {$caller read}
                assert_equal $digest [debug_digest_value k]
                end_migration
            } {} {needs:debug}
        }

        test {MIGRATE removes a key that was only read meanwhile} {
            foreach type {string list set hash zset stream} {
                make_value k $type
                lassign [wire_listen] - port
                begin_migration $port k
                r dump k
                r memory usage k
                catch {r sort k by nosort}
                wire_raw $target "+OK\r\n+OK\r\n"
                assert_equal OK [$caller read]
                assert_equal 0 [r exists k]
                end_migration
            }
        }

        test {MIGRATE of several keys keeps the one that was changed} {
            r mset a 1 b 2 c 3
            lassign [wire_listen] - port
            set caller [valkey_deferring_client]
            $caller migrate 127.0.0.1 $port "" 9 5000 keys a b c
            set target [wire_accept $port]
            request_words $target
            request_words $target
            r incr b
            wire_raw $target "+OK\r\n+OK\r\n+OK\r\n+OK\r\n"
            assert_error {ERR Some keys were changed while they were copied *} {$caller read}
            assert_equal {{} 3 {}} [r mget a b c]
            end_migration
        }

        test {MIGRATE of a key that expires meanwhile} {
            r set k v px 50
            lassign [wire_listen] - port
            begin_migration $port k
            wait_for_condition 100 10 {[r exists k] == 0} else {fail "it does not expire"}
            wire_raw $target "+OK\r\n+OK\r\n"
            assert_equal OK [$caller read]
            end_migration
        } {*} {tls:skip}

        test {MIGRATE COPY does not care what happens meanwhile} {
            r set k v
            lassign [wire_listen] - port
            begin_migration $port k copy
            r set k new
            wire_raw $target "+OK\r\n+OK\r\n"
            assert_equal OK [$caller read]
            end_migration
            r get k
        } {new}

        foreach how {killed gone} {
            test "MIGRATE of a caller that is $how goes on" {
                r set k v
                lassign [wire_listen] - port
                set caller [valkey_deferring_client]
                $caller client id
                set id [$caller read]
                $caller migrate 127.0.0.1 $port k 9 5000
                set target [wire_accept $port]
                if {$how eq "killed"} {
                    r client kill id $id
                }
                $caller close
                wait_for_condition 100 20 {[s blocked_clients] == 0} else {fail "it waits on"}
                wire_raw $target "+OK\r\n+OK\r\n"
                wait_for_condition 100 20 {[r exists k] == 0} else {fail "the key stays"}
                wire_close_all
            }
        }

        test {MIGRATE cannot be called back by CLIENT UNBLOCK} {
            r set k v
            lassign [wire_listen] - port
            set caller [valkey_deferring_client]
            $caller client id
            set id [$caller read]
            $caller migrate 127.0.0.1 $port k 9 5000
            set target [wire_accept $port]
            assert_equal 0 [r client unblock $id]
            assert_equal 0 [r client unblock $id error]
            wire_raw $target "+OK\r\n+OK\r\n"
            assert_equal OK [$caller read]
            end_migration
        }

        test {MIGRATE is followed by commands of the same pipeline} {
            r set k v
            lassign [wire_listen] - port
            set caller [valkey_deferring_client]
            $caller migrate 127.0.0.1 $port k 9 5000
            $caller exists k
            $caller ping
            set target [wire_accept $port]
            wire_raw $target "+OK\r\n+OK\r\n"
            assert_equal {OK 0 PONG} [list [$caller read] [$caller read] [$caller read]]
            end_migration
        }

        test {MIGRATE takes nothing but a status for consent} {
            foreach answer {:1 "\$-1" "*0" garbage ""} {
                r set k v
                lassign [wire_listen] - port
                begin_migration $port k
                wire_raw $target "+OK\r\n$answer\r\n"
                assert_error {IOERR error or timeout reading to target instance} {$caller read}
                assert_equal v [r get k]
                end_migration
            }
        }

        test {MIGRATE to a target that reads older payloads only} {
            foreach type {string list set intset hash zset stream} {
                make_value k $type
                set digest [debug_digest_value k]
                lassign [wire_listen] - port
                begin_migration $port k copy
                wire_raw $target "+OK\r\n-ERR DUMP payload version or checksum are wrong\r\n"
                assert_equal {SELECT 9} [request_words $target]
                set payload [lindex [request_words $target] 3]
                assert_equal "\n\x00" [string range $payload end-9 end-8]
                wire_raw $target "+OK\r\n+OK\r\n"
                assert_equal OK [$caller read]
                # The connection is known for it now.
                $caller migrate 127.0.0.1 $port k 9 5000
                assert_equal $payload [lindex [request_words $target] 3]
                wire_raw $target "+OK\r\n"
                assert_equal OK [$caller read]
                r restore k 0 $payload
                assert_equal $digest [debug_digest_value k]
                end_migration
            }
        } {} {needs:debug}

        test {MIGRATE from one database to another of the same server} {
            r select 8
            r del k
            r select 9
            r set k v
            assert_equal OK [r migrate [srv host] [srv port] k 8 5000]
            assert_equal 0 [r exists k]
            r select 8
            set value [r get k]
            r del k
            r select 9
            set value
        } {v} {singledb:skip}

        test {MIGRATE with nobody behind it as the server ends} {
            r set k v
            lassign [wire_listen] - port
            begin_migration $port k
            expect_end
            catch {r shutdown nosave}
            wait_for_condition 100 50 {![process_is_alive [srv pid]]} else {fail "it does not end"}
            end_migration
        }
    }
}

tags {"peer:skip"} {
    # On servers without other connections to targets: one that is kept says that all answers have been read.

    start_server $plain {
        test "MIGRATE removes nothing while CLIENT PAUSE holds back writes" {
            r set k v
            lassign [wire_listen] - port
            begin_migration $port k
            r client pause 100000 write
            wire_raw $target "+OK\r\n+OK\r\n"
            wait_for_condition 100 20 {[s migrate_cached_sockets] == 1} else {fail "no answer is read"}
            assert_equal {1 1} [list [r exists k] [s blocked_clients]]
            r client unpause
            assert_equal OK [$caller read]
            end_migration
            r exists k
        } {0}
    }

    start_server $plain {
        test {MIGRATE ends when the server becomes a replica, and its key stays} {
            r set k v
            lassign [wire_listen] - port
            begin_migration $port k
            r replicaof 127.0.0.1 1
            assert_error {UNBLOCKED*} {$caller read}
            wire_raw $target "+OK\r\n+OK\r\n"
            wait_for_condition 100 20 {[s migrate_cached_sockets] == 1} else {fail "no answer is read"}
            r replicaof no one
            end_migration
            r get k
        } {v}
    }
}
