# A unit as it would be written for the Valkey suite: its vocabulary and habits, all of it against
# real servers. Nothing here knows of this harness.

source tests/support/cli.tcl

proc fill_list {key count} {
    for {set j 0} {$j < $count} {incr j} {
        r rpush $key "item:$j"
    }
}

tags {"needs:debug external:skip"} {
start_server {tags {"repl"} overrides {save "" repl-diskless-sync yes repl-diskless-sync-delay 0}} {
start_server {overrides {save ""}} {
    set primary [srv -1 client]
    set primary_host [srv -1 host]
    set primary_port [srv -1 port]
    set replica [srv 0 client]

    test {First server should have role replica after REPLICAOF} {
        $replica replicaof $primary_host $primary_port
        wait_for_condition 50 100 {
            [s 0 role] eq {slave} && [s 0 master_link_status] eq {up}
        } else {
            fail "Replication not started."
        }
    }

    test "Both sides see the same, by level" {
        populate 50 key: 20 -1
        r -1 set foo bar
        assert_equal {bar} [$primary get foo]
        wait_for_ofs_sync $primary $replica
        wait_for_condition 50 100 {[r get foo] eq {bar}} else {
            fail "SET on primary did not propagate on replica"
        }
        assert_equal [debug_digest] [debug_digest -1]
        assert_equal [csvdump r] [csvdump {r -1}]
        assert_error "READONLY*" {r set foo baz}
        assert {[status $primary connected_slaves] == 1}
    }

    foreach mode {one-key many-keys} {
        test "Writes under load reach the replica ($mode)" {
            if {$mode eq {one-key}} {
                set handle [start_one_key_write_load $primary_host $primary_port 30 loadkey]
            } else {
                set handle [start_write_load $primary_host $primary_port 30]
            }
            set before [status $primary master_repl_offset]
            wait_for_condition 100 50 {[status $primary master_repl_offset] > $before + 1000} else {
                fail "no load"
            }
            stop_write_load $handle
            wait_load_handlers_disconnected -1
            wait_for_ofs_sync $primary $replica
            assert_equal [$primary debug digest] [$replica debug digest]
        }
    }

    test {A restarted replica catches up} {
        restart_server 0 true false
        set replica [srv 0 client]
        $replica replicaof $primary_host $primary_port
        wait_for_sync $replica
        wait_for_ofs_sync $replica $primary
        verify_log_message 0 "*PRIMARY <-> REPLICA sync*" 0
    }

    test {Stopped processes} {
        exec kill -SIGSTOP [srv 0 pid]
        wait_for_condition 50 100 {[process_is_paused [srv 0 pid]]} else {fail "not stopped"}
        exec kill -SIGCONT [srv 0 pid]
        assert_equal PONG [$replica ping]
    }
}}
}

start_server {tags {"list"} overrides {"list-max-listpack-size" 16}} {
    test {wrong types and patterns} {
        r del foo
        r set foo bar
        assert_error "*WRONGTYPE*" {r lpush foo 1}
        catch {r hget foo} e
        set e
    } {*wrong number of arguments*}

    foreach {num} {10 100} {
        fill_list mylist($num) $num
        test "LINDEX in a list of $num" {
            for {set i 0} {$i < $num} {incr i} {
                assert_equal "item:$i" [r lindex mylist($num) $i]
            }
            r llen mylist($num)
        } "$num"
    }

    test {blocking client, served in order} {
        r del blist
        set rd1 [valkey_deferring_client]
        set rd2 [valkey_deferring_client]
        $rd1 blpop blist 0
        wait_for_blocked_clients_count 1
        $rd2 brpop blist other 0
        wait_for_blocked_clients_count 2
        assert_equal 2 [r rpush blist a b]
        assert_equal {blist a} [$rd1 read]
        assert_equal {blist b} [$rd2 read]
        $rd1 close
        $rd2 close
        wait_for_blocked_clients_count 0
    }

    test {an encoding, with configuration set and put back} {
        set old [config_get_set list-max-listpack-size 4]
        assert_equal 16 $old
        r del small
        r rpush small a b c
        assert_encoding listpack small
        r rpush small d e
        assert_encoding quicklist small
        config_set list-max-listpack-size $old
        config_set no-such-parameter 1 mayfail
    }

    test {transactions raise the first error of an array} {
        r del foo{t}
        r multi
        assert_equal QUEUED [r set foo{t} 1]
        r lpush foo{t} x
        assert_error {WRONGTYPE*} {r exec}
    }

    test {attributes and maps of RESP3} {
        r hello 3
        r del h
        r hset h a 1 b 2
        set d [r hgetall h]
        assert_equal {a b} [lsort [dict keys $d]]
        r readraw 1
        r deferred 1
        r hgetall h
        assert_equal {%2} [r read]
        for {set j 0} {$j < 8} {incr j} {r read}
        r deferred 0
        r readraw 0
        r hello 2
    } {*server*} {resp3}

    test {messages of a subscriber} {
        set rd [valkey_deferring_client]
        assert_equal {1 2} [subscribe $rd {chan1 chan2}]
        assert_equal 1 [r publish chan1 hello]
        assert_equal {message chan1 hello} [$rd read]
        assert_equal {1 0} [unsubscribe $rd {chan1 chan2}]
        $rd close
    } {} {pubsub}

    test {what a replica is sent} {
        set repl [attach_to_replication_stream]
        r set k 1
        r incrbyfloat k 0.5
        r set t v ex 100
        r spop missing
        assert_replication_stream $repl {
            {select *}
            {set k 1}
            {set k 1.5 KEEPTTL}
            {set t v PXAT *}
        }
        close_replication_stream $repl
    } {} {needs:repl}

    if {$::accurate} {set rounds 20} else {set rounds 2}
    test "a random data set survives a reload, $rounds rounds" {
        for {set round 0} {$round < $rounds} {incr round} {
            r flushdb
            createComplexDataset r 200 usetag
            set digest [debug_digest]
            r debug reload
            if {$digest ne [debug_digest]} {
                fail "digests differ: [csvdump r]"
            }
        }
    } {} {needs:debug}

    test {two connections with a transaction between them} {
        set c [valkey [srv host] [srv port] 0 $::tls]
        $c select $::dbnum
        $c watch watched
        r set watched 1
        $c multi
        $c ping
        assert_equal {} [$c exec]
        $c close
    }

    test "bytes by hand" {
        reconnect
        r write "*3\r\n\$3\r\nSET\r\n\$1\r\nx\r\n\$3\r\na\x00b\r\n"
        r flush
        assert_equal "OK" [r read]
        r strlen x
    } {3}

    test {what was said in the log} {
        set loglines [count_log_lines 0]
        r debug log "written by a test"
        wait_for_log_messages 0 {"*written by a test*"} $loglines 50 100
        verify_no_log_message 0 "*never written*" $loglines
    } {*} {needs:debug external:skip}
}

start_server {config "minimal.conf" tags {"external:skip"} args {--loglevel verbose} omit {save}} {
    test {a server with arguments, and a child} {
        assert_equal {loglevel verbose} [r config get loglevel]
        r config set rdb-key-save-delay 1000000
        r set x 1
        r bgsave
        wait_for_condition 50 100 {[s rdb_bgsave_in_progress] == 1} else {fail "no save"}
        set child [get_child_pid 0]
        catch {exec kill -9 $child}
        waitForBgsave r
        r config set rdb-key-save-delay 0
        r config set save ""
    }
}

set server_path [tmpdir "server.manner"]
start_server [list tags {"external:skip"} overrides [list dir $server_path dbfilename manner.rdb] keep_persistence true] {
    test {a directory of the test's own} {
        r set x 1
        r save
        file exists [file join $server_path manner.rdb]
    } {1}
}
