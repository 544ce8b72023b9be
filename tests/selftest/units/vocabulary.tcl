# Every group of procs of the vocabulary, used once against a real server.

start_server {tags {"external:skip"} overrides {save "" hz 50}} {
    test {client: reply shapes of RESP2 and RESP3} {
        r del mylist
        r rpush mylist a b {}
        assert_equal {a b {}} [r lrange mylist 0 -1]
        assert_equal "" [r get nokey]
        r hello 3
        r hset h f v
        assert_equal {f v} [r hgetall h]
        assert_equal 1 [r debug protocol true]
        assert_equal 0 [r debug protocol false]
        assert_equal "This is a verbatim\nstring" [r debug protocol verbatim]
        set _ [r debug protocol attrib]
        assert_match {*key-popularity*} [r attributes]
        r readraw 1
        assert_equal _ [r debug protocol null]
        r readraw 0
        r hello 2
        catch {r foo} message
        assert_match {ERR unknown command 'foo'*} $message
    } {}

    test {client: errors inside arrays raise after the array} {
        r multi
        r set s x
        r lpush s y
        r set t z
        assert_error {WRONGTYPE*} {r exec}
        r get t
    } {z}

    test {client: deferring, raw writing, callbacks, closing} {
        set rd [valkey_deferring_client]
        $rd set a 1
        $rd get a
        assert_equal OK [$rd read]
        assert_equal 1 [$rd read]
        $rd write [format_command get a]
        $rd flush
        assert_equal "\$1\r\n1\r\n" [$rd rawread 7]
        $rd deferred 0
        assert_equal PONG [$rd ping]
        $rd blocking 0
        set ::answers {}
        proc on_answer {client kind value} {
            lappend ::answers $kind $value
        }
        $rd get a on_answer
        $rd lpush a 1 on_answer
        while {[llength $::answers] < 4} {
            vwait ::answers
        }
        assert_match {reply 1 err {WRONGTYPE*}} $::answers
        $rd close
        assert_equal {} [info commands $rd]
        set c [valkey [srv host] [srv port]]
        set id [$c client id]
        r client kill id $id
        assert_error {I/O error*} {$c ping}
        assert_equal PONG [$c ping]
        r client kill id [$c client id]
        $c reconnect 1
        assert_equal PONG [$c ping]
        $c close
    }

    test {assertions say what differs} {
        assert_error {assertion:*expected 'b', actual 'x'*} {
            expect::failed m [diff::show [lrepeat 30 b] [lreplace [lrepeat 30 b] 3 3 x]]
        }
        assert_error {assertion:*first difference at 50*} {
            assert_equal [string repeat \x01 50]a [string repeat \x01 50]b
        }
        set number 3
        r set x 7
        catch {assert {[r get x] == $number && [r incr x]}} message
        assert_match {assertion:*\[r get x\] = '7'*$number = '3'*} $message
        assert_no_match {*incr x\] =*} $message
        assert_equal 7 [r get x]
        assert_error {assertion:*} {assert_error {x*} {set ok 1}}
        assert_range 5 1 10
        assert_lessthan 1 2
        assert_morethan_equal 2 2
        assert_encoding listpack mylist
        assert_type list mylist
        assert_refcount_morethan mylist 0
    }

    test {waits: the last values are in the message} {
        set counter 0
        catch {
            wait_for_condition 3 10 {[incr counter] > 1000} else {
                fail "never"
            }
        } message
        assert_match "assertion:never*waited*polls*incr counter*=*" $message
        eventually 100 {[incr counter] > 7}
    }

    test {info and config} {
        assert_equal 0 [s rdb_bgsave_in_progress]
        assert_match {calls=*} [cmdrstat get r]
        assert_match {count=*} [errorrstat WRONGTYPE r]
        assert_match {p50=*} [latencyrstat_percentiles get r]
        set old [config_get_set hz 20]
        assert_equal 50 $old
        config_set nosuchthing 1 mayfail
        assert_equal 20 [lindex [r config get hz] 1]
    }

    test {logs} {
        set mark [log_mark]
        set lines [count_log_lines 0]
        r debug log {hello from the test}
        assert_match {*hello from the test*} [wait_for_log $mark {*hello*}]
        assert_match {*hello*} [lindex [wait_for_log_messages 0 {{*nothing*} {*hello*}} $lines 50 10] 0]
        verify_log_message 0 {*hello*} $lines
        verify_no_log_message 0 {*goodbye*} 0
        assert_equal 1 [count_log_message 0 {hello from}]
    }

    test {replication stream} {
        r select 9
        set repl [attach_to_replication_stream]
        r set k v
        r incr n
        r del k
        assert_replication_stream $repl {{select 9} {set k v} {incr n} {del k}}
        assert_equal "" [read_from_replication_stream $repl]
        close_replication_stream $repl
    }

    test {data sets} {
        r flushall
        populate 100 key: 10
        assert_equal 100 [r dbsize]
        assert_equal AAAAAAAAAA [r get key:99]
        createComplexDataset r 300 useexpire
        assert_match {*string*} [csvdump r]
        assert_equal 40 [string length [debug_digest]]
        assert_equal 40 [string length [debug_digest_value key:1]]
        assert_equal string [r type [findKeyWithType r string]]
        r del q
        r rpush q a b c
        assert_morethan [llength [generate_fuzzy_traffic_on_key q 0.05]] 5
        r flushall
        r write "*3\r\n\$3\r\nset\r\n\$3\r\nbig\r\n"
        assert_equal OK [write_big_bulk 100000 abc]
        assert_equal 100000 [read_big_bulk {r get big} yes abc]
        foreach type {binary alpha compr simplealpha} {
            assert_range [string length [randstring 3 8 $type]] 3 8
        }
    }

    test {pub/sub} {
        set rd [valkey_deferring_client]
        assert_equal {1 2} [subscribe $rd {a b}]
        assert_equal {3} [psubscribe $rd {p*}]
        assert_equal {2} [unsubscribe $rd {a}]
        assert_equal {1} [ssubscribe $rd {s}]
        r publish b hi
        assert_equal {message b hi} [$rd read]
        $rd close
    }

    test {load generators} {
        r flushall
        set load [start_write_load [srv host] [srv port] 10]
        set one [start_one_key_write_load [srv host] [srv port] 10 thekey]
        set complex [start_bg_complex_data [srv host] [srv port] 9 100000]
        set blocking [start_bg_block_op [srv host] [srv port] 9 100000]
        wait_for_condition 100 50 {
            [r exists thekey] && [r dbsize] > 50 && [regexp -all name=LOAD_HANDLER [r client list]] == 4
        } else {
            fail "no load"
        }
        stop_write_load $load
        stop_write_load $one
        stop_bg_complex_data $complex
        stop_bg_block_op $blocking
        wait_load_handlers_disconnected
    }

    test {processes} {
        pause_process [srv pid]
        assert_equal 1 [process_is_paused [srv pid]]
        resume_process [srv pid]
        r config set rdb-key-save-delay 1000000
        r set x 1
        r bgsave
        set child [get_child_pid 0]
        assert_equal 1 [process_is_alive $child]
        reaper::signal KILL $child
        waitForBgsave r
        r config set rdb-key-save-delay 0
    }

    test {restart keeps port and data} {
        r flushall
        r set x 1
        r save
        set port [srv port]
        set pid [srv pid]
        restart_server 0 true false
        assert_equal $port [srv port]
        assert_not_equal $pid [srv pid]
        assert_equal 1 [r get x]
        restart_server 0 true true true now
        assert_equal 1 [r get x]
    }

    test {tools} {
        assert_equal PONG [valkeycli_exec 0 ping]
        assert_equal PONG [exec {*}[valkeycli_unixsocket [srv unixsocket]] ping]
        set fake [find_available_port]
        set helper [load::start scripted-server $fake PING +PONG]
        wait_for_condition 100 10 {![catch {exec {*}[valkeycli 127.0.0.1 $fake] ping} reply]} else {
            fail "no answer: $reply"
        }
        assert_equal PONG $reply
    }

    start_server {overrides {appendonly yes aof-use-rdb-preamble no}} {
        test {nesting: a replica of the outer server} {
            r replicaof [srv -1 host] [srv -1 port]
            wait_for_sync r
            wait_replica_online [srv -1 client]
            R 1 set nested yes
            wait_for_ofs_sync r [srv -1 client]
            assert_equal yes [r -1 get nested]
            assert_equal yes [r get nested]
            assert_equal [debug_digest] [debug_digest -1]
            r replicaof no one
        }
        test {append-only file} {
            waitForBgrewriteaof r
            r bgrewriteaof
            waitForBgrewriteaof r
            r set aofkey aofvalue
            assert_aof_content [get_last_incr_aof_path r] {{select 9} {set aofkey aofvalue}}
            assert_match {*base.aof} [get_base_aof_path r]
        }
        test {skipped by itself} {
            skip "not today"
        }
    }
}

set dir [tmpdir aof]
create_aof $dir appendonly.aof.1.incr.aof {
    append_to_aof [formatCommand select 9]
    append_to_aof [formatCommand set foo bar]
}
create_aof_manifest $dir appendonly.aof.manifest {
    append_to_manifest "file appendonly.aof.1.incr.aof seq 1 type i\n"
}
set defaults [list appendonly yes appendfilename appendonly.aof appenddirname [file tail $dir]]
start_server_aof [list dir [file dirname $dir]] {
    test {a server on a prepared append-only file} {
        wait_done_loading r
        assert_equal bar [r get foo]
        assert_aof_manifest_content [file join $dir appendonly.aof.manifest] {{file *}}
    } {} {external:skip}
}

start_multiple_servers 3 {tags {"external:skip"} overrides {save ""}} {
    test {three servers} {
        assert_equal 3 [llength [lsort -unique [list [srv port] [srv -1 port] [srv -2 port]]]]
    }
}

start_server {tags {"external:skip"} overrides {requirepass secret} args {--maxmemory 100mb} omit {appendonly}
        config_lines {rename-command {flushall ""} rename-command {flushdb zap}}} {
    test {a password, arguments, omitted and repeated directives} {
        assert_error {NOAUTH*} {r get x}
        r auth secret
        r select 9
        assert_equal 104857600 [lindex [r config get maxmemory] 1]
        assert_error {ERR unknown command*} {r flushall}
        assert_equal OK [r zap]
    }
}

start_server {tags {"external:skip"} config minimal.conf overrides {save {900 1}}} {
    test {the minimal configuration, and a directory that is the server's own} {
        assert_equal {save {900 1}} [r config get save]
        assert_match *server.* [lindex [r config get dir] 1]
        r save
        assert_equal 1 [file exists [file join [lindex [r config get dir] 1] dump.rdb]]
    }
}

start_server {tags {"external:skip"} overrides {port 0}} {
    test {a server without a port} {
        assert_equal PONG [exec {*}[valkeycli_unixsocket [srv unixsocket]] ping]
    }
}

start_server {tags {"external:skip"} overrides {bind "127.0.0.1 -::1"}} {
    test {a server without code, on the side} {
        set other [start_server {overrides {save ""}}]
        assert_equal PONG [[dict get $other client] ping]
        assert_equal 1 [is_alive $other]
        kill_server $other
        assert_equal 0 [is_alive $other]
    }
}

run_solo {alone} {
    start_server {tags {"external:skip"}} {
        test {a solo test} {
            r ping
        } {PONG}
    }
}

tags {large-memory} {
    test {never without the flag} {
        fail "no"
    }
}
