# Dual channel synchronisation when things go wrong: limits, missing peers, killed
# connections and processes. Holds the acceptance items 40-46, 48-51 and 54.

source tests/helpers/dual-channel.tcl

# Fill PRIMARY with data whose snapshot takes N * DELAY microseconds.
proc slow_snapshot {level n delay} {
    r $level flushall
    populate $n key: 100 $level
    r $level config set rdb-key-save-delay $delay
}

# Start the synchronisation of an empty replica (level 0 of level -1). A connection to it is kept for when it is paused:
# with TLS there is no other way to it then.
proc begin_sync {} {
    catch {wire_close $::spare}
    set ::spare [wire_open [srv host] [srv port]]
    leave [srv client]
    r replicaof {*}[at -1]
}

# The reference's replica names its file after the second, and stands still for five when it has left one of that name.
proc next_second {} {
    set second [clock seconds]
    wait_for_condition 200 10 {[clock seconds] > $second} else { fail "the clock stands still" }
}

# A snapshot channel opened by the test; returns the channel, offset, id and client id.
proc snapshot_channel {level} {
    set d [wire_replica {*}[at $level] capa eof rdb-only 1 rdb-channel 1 listening-port 1]
    wire_raw $d "SYNC\r\n"
    set line [wire_reply $d]
    if {![regexp {^\$ENDOFF:(\d+) (\S+) (-?\d+) (\d+)$} $line - ofs id db cid]} {
        fail "no ENDOFF: $line"
    }
    return [list $d $ofs $id $cid]
}

# Lets the replica go on for good: with DEBUG PAUSE-AFTER-FORK every attempt stops it anew, until it has read that it
# shall not any more.
proc end_pauses {} {
    wire_send $::spare DEBUG PAUSE-AFTER-FORK 0
    wait_for_condition 300 20 {[exec kill -CONT [srv pid]] eq "" && ![catch {wire_line $::spare 20}]} else { fail "the flag stays on" }
    wait_for_condition 300 20 {[exec kill -CONT [srv pid]] eq "" && ![process_is_paused [srv pid]]} else { fail "it stays paused" }
}

proc wait_no_save {level} {
    wait_for_condition 200 50 {[s $level rdb_bgsave_in_progress] == 0} else { fail "the snapshot goes on" }
}

start_server [list tags {"repl dual-channel-replication external:skip needs:debug"} overrides $dual] {
    set p [srv client]

    # ---- the test as replica: what the primary does for one that is not there ----

    test {the snapshot's connection closed: its entry stays for the grace period, and helps} {
        populate 10 key: 100
        $p debug delay-rdb-client-free-seconds 60
        lassign [snapshot_channel 0] d ofs id cid
        assert_equal 1 [s replicas_waiting_psync]
        wire_payload $d
        wire_close $d
        $p set pinned yes
        assert_equal 1 [s replicas_waiting_psync]
        # Its client stays to be seen, with what it pins.
        wait_for_condition 50 20 {[regexp "id=$cid .* flags=SA .* omem=(\\d+) tot-mem=\\d+ events= cmd=sync " [$p client list] - omem]} else { fail "not shown: [$p client list]" }
        assert_morethan $omem 0
        assert_equal 1 [s connected_slaves]
        set m [wire_replica {*}[at 0] capa eof capa psync2 capa dual-channel]
        assert_equal +OK [wire_call $m REPLCONF set-rdb-client-id $cid]
        wire_send $m PSYNC $id [expr {$ofs + 1}]
        assert_equal "+CONTINUE $id" [wire_reply $m]
        assert_equal 0 [s replicas_waiting_psync]
        assert {[has_row $p *state=bg_transfer,*type=main-channel*]}
        assert_equal {set pinned yes} [wire_write $m]
        # The first ACK brings it online.
        wire_send $m REPLCONF ACK [s master_repl_offset]
        wait_for_condition 50 20 {[has_row $p *state=online,*type=replica*]} else { fail "not online" }
        wire_close $m
    }

    test {after the grace period it is gone; the backlog may still do} {
        $p debug delay-rdb-client-free-seconds 3
        set mark [log_mark]
        lassign [snapshot_channel 0] d ofs id cid
        wire_payload $d
        wire_close $d
        wait_for_log $mark {*Postpone RDB client id=* free for 3 seconds*}
        assert_equal 1 [s replicas_waiting_psync]
        set start [clock milliseconds]
        wait_for_log $mark "*Replica main channel failed to establish PSYNC within the grace period (* seconds). Freeing RDB client $cid.*" 10000
        assert_lessthan [expr {[clock milliseconds] - $start}] [expr {7000 * [waits::stretch]}]
        assert_equal 0 [s replicas_waiting_psync]
        set m [wire_replica {*}[at 0] capa eof capa psync2 capa dual-channel]
        assert_equal "-ERR Unrecognized RDB client id $cid" [wire_call $m REPLCONF set-rdb-client-id $cid]
        wire_send $m PSYNC $id [expr {$ofs + 1}]
        assert_equal "+CONTINUE $id" [wire_reply $m]
        assert {[has_row $p *state=online,*type=replica*]}
        wire_close $m
        $p debug delay-rdb-client-free-seconds 60
    }

    # The reference notices at the next failed write only.
    test {all replicas of a snapshot gone: it ends at once} {
        slow_snapshot 0 1000 10000
        wait_no_save 0
        $p debug delay-rdb-client-free-seconds 1
        lassign [snapshot_channel 0] d
        assert_equal 1 [s rdb_bgsave_in_progress]
        wire_close $d
        set start [clock milliseconds]
        wait_no_save 0
        assert_lessthan [expr {[clock milliseconds] - $start}] [expr {1000 * [waits::stretch]}]
        wait_for_condition 100 50 {[s replicas_waiting_psync] == 0} else { fail "still waited for" }
        $p debug delay-rdb-client-free-seconds 60
        $p config set rdb-key-save-delay 0
    } {OK} {peer:skip}
    wire_close_all

    start_server [list overrides $dual] {
        set r [srv client]

        # ---- memory ----

        test {the replica's limit: it stops buffering, says so once, and loses nothing} {
            slow_snapshot -1 300 3000
            $r config set client-output-buffer-limit "replica 100kb 0 0"
            set mark [log_mark]
            begin_sync
            set child [hold_dual_transfer -1]
            for {set i 0} {$i < 100} {incr i} {
                $p set during:$i [string repeat w 10000]
            }
            wait_for_log $mark {*Replication buffer limit reached, stopping buffering.*}
            assert_range [s replicas_repl_buffer_size] 100000 200000
            resume_process $child
            assert_dual_done $p $r
            assert_equal 1 [regexp -all {Replication buffer limit reached} [logs::from {*}$mark]]
            assert_range [s replicas_repl_buffer_peak] 100000 200000
            $r config set client-output-buffer-limit "replica 256mb 64mb 60"
        }

        test {the size that the replica reports for its buffer is what it costs} {
            slow_snapshot -1 300 3000
            begin_sync
            # Nothing is loaded meanwhile.
            set child [hold_dual_transfer -1]
            $p set first 1
            wait_for_condition 100 20 {[set size [s replicas_repl_buffer_size]] > 0} else { fail "nothing is buffered" }
            set memory [s used_memory]
            for {set i 0} {$i < 200} {incr i} {
                $p set during [string repeat w 100000]
            }
            wait_for_condition 500 20 {[s replicas_repl_buffer_size] > 20000000} else { fail "little is buffered: [s replicas_repl_buffer_size]" }
            # But for one block, a sixteenth of the backlog's size.
            set grown [expr {[s replicas_repl_buffer_size] - $size}]
            assert_range [expr {[s used_memory] - $memory - $grown}] -700000 700000
            assert_equal [s replicas_repl_buffer_size] [s replicas_repl_buffer_peak]
            resume_process $child
            assert_dual_done $p $r
            assert_range [s replicas_repl_buffer_peak] $grown [expr {$grown + 1400000}]
        }

        test {the stream is pinned from the snapshot on, beyond the size of the backlog} {
            slow_snapshot -1 10 0
            $p config set repl-backlog-size 16384
            $r debug pause-after-fork 1
            begin_sync
            wait_for_condition 100 20 {[process_is_paused [srv pid]]} else { fail "the replica does not stop" }
            wait_for_condition 50 20 {[s -1 replicas_waiting_psync] == 1} else { fail "nobody waits" }
            for {set i 0} {$i < 50} {incr i} {
                $p set pinned:$i [string repeat w 10000]
            }
            assert_morethan [s -1 mem_total_replication_buffers] 500000
            resume_process [srv pid]
            assert_dual_done $p $r
            $p set one more
            wait_for_condition 50 50 {[s -1 mem_total_replication_buffers] < 200000} else { fail "memory is not given back" }
            $r debug pause-after-fork 0
        }

        test {the primary's limit before the main connection joins: dropped at once, memory free, tried again} {
            # The snapshot is still being sent when the limit is met.
            slow_snapshot -1 300 3000
            $p config set client-output-buffer-limit "replica 100kb 0 0" repl-backlog-size 16384
            $r debug pause-after-fork 1
            begin_sync
            wait_for_condition 100 20 {[process_is_paused [srv pid]]} else { fail "the replica does not stop" }
            wait_for_condition 50 20 {[s -1 replicas_waiting_psync] == 1} else { fail "nobody waits" }
            set child [hold_child -1]
            set dropped [s -1 client_output_buffer_limit_disconnections]
            set mark [log_mark -1]
            set own [log_mark]
            for {set i 0} {$i < 50} {incr i} {
                $p set pinned:$i [string repeat w 10000]
            }
            wait_for_log $mark {*Client * closed * for overcoming of output buffer limits.*}
            resume_process $child
            wait_for_condition 50 50 {[s -1 replicas_waiting_psync] == 0} else { fail "still waited for" }
            assert_equal [expr {$dropped + 1}] [s -1 client_output_buffer_limit_disconnections]
            wait_for_condition 50 50 {[s -1 mem_total_replication_buffers] < 200000} else { fail "memory is not given back" }
            end_pauses
            wait_for_log $mark {*Unable to partial resync with replica * for lack of backlog*}
            wait_for_log $own {*Aborting dual channel sync*}
            $p config set client-output-buffer-limit "replica 256mb 64mb 60" rdb-key-save-delay 0
            assert_dual_done $p $r
            $p config set repl-backlog-size 10mb
        }

        test {the same when the snapshot is through already} {
            $p config set client-output-buffer-limit "replica 100kb 0 0" repl-backlog-size 16384
            $r debug pause-after-fork 1
            begin_sync
            wait_for_condition 100 20 {[process_is_paused [srv pid]]} else { fail "the replica does not stop" }
            wait_for_condition 100 20 {[s -1 replicas_waiting_psync] == 1 && [s -1 rdb_bgsave_in_progress] == 0 && ![has_row $p *type=rdb-channel*]} else { fail "the snapshot is not through" }
            set dropped [s -1 client_output_buffer_limit_disconnections]
            set mark [log_mark -1]
            for {set i 0} {$i < 50} {incr i} {
                $p set pinned:$i [string repeat w 10000]
            }
            wait_for_log $mark {*Client * closed * for overcoming of output buffer limits.*}
            wait_for_condition 50 50 {[s -1 replicas_waiting_psync] == 0} else { fail "still waited for" }
            assert_equal [expr {$dropped + 1}] [s -1 client_output_buffer_limit_disconnections]
            wait_for_condition 50 50 {[s -1 mem_total_replication_buffers] < 200000} else { fail "memory is not given back" }
            end_pauses
            wait_for_log $mark {*Unable to partial resync with replica * for lack of backlog*}
            $p config set client-output-buffer-limit "replica 256mb 64mb 60"
            assert_dual_done $p $r
            $p config set repl-backlog-size 10mb
        }

        # ---- connections and processes ----

        foreach {kind pattern} {
            sync {*Background RDB transfer error*}
            psync {*Background RDB transfer error*}
            child {*Background RDB transfer terminated by signal 9*}
        } {
            test "killed while the snapshot flows: $kind" {
                wait_no_save -1
                slow_snapshot -1 1000 3000
                set mark [log_mark -1]
                set own [log_mark]
                begin_sync
                wait_dual_transfer $p
                wait_for_condition 100 20 {[s master_sync_read_bytes] > 0} else { fail "nothing flows" }
                $p config set rdb-key-save-delay 0
                if {$kind eq "child"} {
                    exec kill -9 [get_child_pid -1]
                } else {
                    $p client kill id [channel_id $p $kind]
                }
                wait_for_log $own {*Aborting dual channel sync*} 10000
                # The child notices when it writes, or is ended.
                wait_for_log $mark $pattern 20000
                if {$kind eq "child"} {
                    wait_for_log $mark {*SYNC failed. BGSAVE child returned an error*}
                }
                assert_dual_done $p $r
                assert_equal {} [channel_id $p sync]
                assert_equal 1 [regexp -all {flags=S} [$p client list]]
            }
        }

        # The reference leaves temporary files of the replica behind.
        test {nothing is left of the failures} {
            wait_no_save -1
            assert_equal {} [temp_files 0]
            assert_equal {} [temp_files -1]
        } {} {peer:skip}

        test {REPLICAOF NO ONE and another host at any point are OK, and nothing stale is applied} {
            slow_snapshot -1 300 2000
            foreach point {delay transfer buffering} {
                wait_no_save -1
                $p config set repl-diskless-sync-delay [expr {$point eq "delay" ? 60 : 0}]
                next_second
                begin_sync
                switch $point {
                    delay { wait_for_condition 100 20 {[has_row $p *wait_bgsave*]} else { fail "not waiting" } }
                    default {
                        set child [hold_dual_transfer -1]
                    }
                }
                if {$point eq "buffering"} {
                    $p set buffered 1
                    wait_for_condition 100 20 {[s replicas_repl_buffer_size] > 0} else { fail "nothing is buffered" }
                }
                assert_equal OK [r replicaof no one]
                assert_equal {master 0} [list [s role] [r dbsize]]
                if {$point ne "delay"} { resume_process $child }
                wait_for_condition 100 50 {[s -1 connected_slaves] == 0} else { fail "still connected: [replica_rows $p]" }
            }
            $p config set repl-diskless-sync-delay 0
            wait_no_save -1
            next_second
            begin_sync
            set child [hold_dual_transfer -1]
            assert_equal OK [r replicaof 127.0.0.1 1]
            resume_process $child
            wait_for_condition 100 50 {[s -1 connected_slaves] == 0} else { fail "still connected: [replica_rows $p]" }
            assert_equal 0 [r dbsize]
            $p config set rdb-key-save-delay 0
        }

        # The reference keeps the snapshot running until a write fails, and waits for the
        # main connection: here only the state at the end is compared.
        test {a primary that cannot wait long for commands leaves parked connections alone} {
            wait_no_save -1
            $p config set timeout 1 repl-diskless-sync-delay 3
            $p config resetstat
            $r replicaof no one
            $r replicaof {*}[at -1]
            wait_for_condition 200 50 {[s master_link_status] eq "up"} else { fail "no synchronisation" }
            reconnect -1
            set p [srv -1 client]
            $p config set timeout 0 repl-diskless-sync-delay 0
            assert_equal 1 [s -1 sync_full]
            assert_dual_done $p $r
        } {} {peer:skip}

        test {many aborted synchronisations leave nothing and do not block} {
            slow_snapshot -1 300 10000
            for {set i 0} {$i < 20} {incr i} {
                # Every second one is the attempt after a failure, which comes at once.
                if {$i % 2 == 0} { begin_sync }
                wait_for_condition 500 10 {[set id [channel_id $p [expr {$i % 2 ? "sync" : "psync"}]]] ne ""} else { fail "no attempt" }
                $p client kill id $id
                set start [clock milliseconds]
                $r ping
                assert_lessthan [expr {[clock milliseconds] - $start}] [expr {100 * [waits::stretch]}]
            }
            $p config set rdb-key-save-delay 0
            assert_dual_done $p $r
            assert_equal {} [temp_files 0]
            wait_no_save -1
            assert_equal {} [temp_files -1]
            assert_equal 1 [regexp -all {flags=S} [$p client list]]
        } {} {peer:skip}

        test {a hundred synchronisations given up as soon as they have begun leave nothing} {
            wait_no_save -1
            # What the first one makes and keeps is not left over from the others.
            begin_sync
            assert_dual_done $p $r
            slow_snapshot -1 300 10000
            $p debug delay-rdb-client-free-seconds 1
            leave $r
            wait_for_condition 100 50 {[s -1 connected_slaves] == 0} else { fail "still connected: [replica_rows $p]" }
            set files {}
            foreach level {0 -1} { lappend files [llength [glob /proc/[srv $level pid]/fd/*]] }
            set memory [list [s used_memory] [s -1 used_memory]]
            for {set i 0} {$i < 100} {incr i} {
                r replicaof {*}[at -1]
                # Each ends at another point.
                switch [expr {$i % 4}] {
                    1 { wait_for_condition 200 10 {[channel_id $p psync] ne "" || [channel_id $p sync] ne ""} else { fail "no attempt" } }
                    2 { wait_for_condition 200 10 {[s -1 rdb_bgsave_in_progress] == 1} else { fail "no snapshot" } }
                    3 { wait_for_condition 200 10 {[s master_sync_in_progress] == 1} else { fail "no transfer" } }
                }
                set start [clock milliseconds]
                assert_equal OK [r replicaof no one]
                assert_equal PONG [$p ping]
                assert_lessthan [expr {[clock milliseconds] - $start}] [expr {200 * [waits::stretch]}]
            }
            wait_no_save -1
            $p config set rdb-key-save-delay 0
            wait_for_condition 100 50 {[s -1 connected_slaves] == 0 && ![regexp {cmd=(psync|sync|replconf) } [$p client list]]} else { fail "connections: [$p client list]" }
            assert_equal {{} {}} [list [temp_files 0] [temp_files -1]]
            assert_equal "" [exec sh -c "pgrep -P [srv -1 pid] || true"]
            foreach level {0 -1} before $files had $memory {
                wait_for_condition 50 50 {[llength [glob /proc/[srv $level pid]/fd/*]] <= $before} else { fail "descriptors: [llength [glob /proc/[srv $level pid]/fd/*]], $before before" }
                assert_lessthan [s $level used_memory] [expr {$had + 2000000}]
            }
            $p debug delay-rdb-client-free-seconds 60
            begin_sync
            assert_dual_done $p $r
        } {} {peer:skip}

        # The reference shows the address of the socket.
        test {the row of the snapshot's connection shows the announced address} {
            slow_snapshot -1 300 2000
            $r config set replica-announce-ip 10.1.2.3 replica-announce-port 4567
            begin_sync
            set child [hold_child -1 {[llength [replica_rows $p]] == 2}]
            foreach row [replica_rows $p] {
                assert_match *ip=10.1.2.3,port=4567,* $row
            }
            resume_process $child
            $r config set replica-announce-ip "" replica-announce-port 0
            $p config set rdb-key-save-delay 0
            assert_dual_done $p $r
        } {} {peer:skip}

        # The reference keeps both connections until its own link is up.
        test {a primary that becomes a replica in the middle: both connections end, and all ends well} {
            slow_snapshot -1 300 10000
            begin_sync
            wait_dual_transfer $p
            set mark [log_mark]
            # Of nobody.
            $p replicaof 127.0.0.1 1
            wait_for_log $mark {*Aborting dual channel sync*} 10000
            wait_for_condition 100 50 {[s -1 connected_slaves] == 0} else { fail "still connected: [replica_rows $p]" }
            wait_for_log $mark {*Primary is currently unable to PSYNC but should be in the future: -NOMASTERLINK Can't SYNC while not connected with my master*} 10000
            $p replicaof no one
            $p config set rdb-key-save-delay 0
            assert_dual_done $p $r
            wait_no_save -1
        } undefined {peer:skip}
    }
}

# kill -9 of either side at each point; the other one recovers, the restarted one resynchronises.
foreach victim {primary replica} {
    start_server [list tags {"repl dual-channel-replication external:skip needs:debug"} \
            overrides [concat $dual {repl-ping-replica-period 1}]] {
        start_server [list overrides $dual] {
            foreach point {delay announced transfer buffering loading draining} {
                # The reference may die of an assertion when its primary comes back at once.
                test "kill -9 of the $victim: $point" {
                    expect_crash
                    wait_no_save -1
                    slow_snapshot -1 300 [expr {$point eq "loading" ? 0 : 3000}]
                    leave [srv client]
                    r -1 config set repl-diskless-sync-delay [expr {$point eq "delay" ? 60 : 0}]
                    r config set key-load-delay [expr {$point eq "loading" ? 20000 : 0}] loading-process-events-interval-bytes 1024
                    set mark [log_mark]
                    r -1 debug delay-rdb-client-free-seconds 1
                    r -1 set at $point
                    r -1 save
                    # The replica knows the snapshot's offset, and has not joined yet.
                    if {$point eq "announced"} { r debug pause-after-fork 1 }
                    r replicaof {*}[at -1]
                    switch $point {
                        delay { wait_for_condition 100 20 {[has_row [srv -1 client] *wait_bgsave*]} else { fail "not waiting" } }
                        announced { wait_for_condition 100 20 {[process_is_paused [srv pid]]} else { fail "the replica does not stop" } }
                        loading { wait_for_log $mark {*Loading DB in memory*} 10000 }
                        default {
                            set child [hold_dual_transfer -1]
                        }
                    }
                    if {$point in {buffering loading}} {
                        r -1 set buffered 1
                        wait_for_condition 100 20 {[s replicas_repl_buffer_size] > 0} else { fail "nothing is buffered" }
                    }
                    if {$point eq "draining"} { begin_drain -1 0 $child }
                    set level [expr {$victim eq "primary" ? -1 : 0}]
                    set pid [srv $level pid]
                    exec kill -9 $pid
                    wait_for_condition 100 20 {![process_is_alive $pid]} else { fail "alive" }
                    # Those who have outlived it go on.
                    if {$point in {transfer buffering}} { resume_process $child }
                    if {$point in {announced draining} && $victim eq "primary"} { resume_process [srv pid] }
                    if {$point eq "announced" && $victim eq "primary"} { r debug pause-after-fork 0 }
                    if {$point eq "draining" && $victim eq "primary"} {
                        # What it has it takes over all the same.
                        wait_for_log $mark {*Successfully streamed replication data into memory*} 20000
                        assert_equal 100 [r get drained]
                    }
                    restart_server $level true false
                    r config set key-load-delay 0
                    r -1 config set repl-diskless-sync-delay 0 rdb-key-save-delay 0
                    if {$victim eq "replica"} {
                        wait_for_condition 100 50 {[s -1 connected_slaves] == 0} else { fail "still connected: [replica_rows [srv -1 client]]" }
                        r replicaof {*}[at -1]
                    }
                    r -1 select $::dbnum
                    r -1 set after $point
                    assert_dual_done [srv -1 client] [srv client] 40
                } undefined [expr {$victim eq "primary" && $point ne "delay" ? "peer:skip" : ""}]
            }
        }
    }
}
