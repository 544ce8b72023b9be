# Dual channel synchronisation when all goes well: the snapshot on one connection, the
# stream on another. Holds the acceptance items 27-38 of replication.

source tests/helpers/dual-channel.tcl

start_server [list tags {"repl dual-channel-replication external:skip needs:debug"} overrides $dual] {
    set p [srv client]
    populate 500 key: 100

    start_server [list overrides $dual] {
        set r [srv client]

        test {the bytes on both connections} {
            set proxy [start_wire_proxy {*}[at -1]]
            $r select 0
            set own [status $r master_replid]
            $p config set repl-diskless-sync-delay 2
            $r replicaof 127.0.0.1 [dict get $proxy port]
            wait_for_sync $r
            $p config set repl-diskless-sync-delay 0
            assert_equal 2 [proxied_count $proxy]

            # The snapshot's connection.
            set in [proxied $proxy 1 in]
            set words [wire_words [string range $in 0 [string first SYNC $in]-1]]
            assert_equal [list REPLCONF capa eof rdb-only 1 rdb-channel 1 listening-port [srv port]] [lrange $words 0 8]
            assert_equal [resp::encode $words]SYNC\r\n $in
            set out [proxied $proxy 1 out]
            assert {[regexp {^\+OK\r\n(\n+)\$ENDOFF:(\d+) ([0-9a-f]{40}) (-?\d+) (\d+)\r\n\$EOF:([0-9a-f]{40})\r\n(REDIS0011.*)$} \
                $out - newlines ofs id db cid mark rest]}
            assert_range [string length $newlines] 1 3
            assert_equal [list [status $p master_replid] [status $p master_repl_offset]] [list $id $ofs]
            # The mark ends it, and nothing follows.
            assert_equal $mark [string range $rest end-39 end]
            assert_equal "\xff" [string index $rest end-48]

            # The main connection. (The first acknowledgement may be still to come.)
            set ack [resp::encode [list REPLCONF ACK $ofs]]
            wait_for_condition 50 100 {[string first $ack [proxied $proxy 0 in]] >= 0} else { fail "no ACK" }
            set in [regsub -all {\r\n\n+} [proxied $proxy 0 in] \r\n]
            assert_equal [join [lmap words [list PING [list REPLCONF listening-port [srv port]] \
                {REPLCONF capa eof capa psync2 capa dual-channel} {REPLCONF version 8.0.1} [list PSYNC $own 1] \
                [list REPLCONF set-rdb-client-id $cid] [list PSYNC $id [expr {$ofs + 1}]] \
                [list REPLCONF ACK $ofs]] {resp::encode $words}] ""] \
                [string range $in 0 [expr {[string first $ack $in] + [string length $ack] - 1}]]
            assert_equal "+PONG\r\n+OK\r\n+OK\r\n+OK\r\n+DUALCHANNELSYNC\r\n+OK\r\n+CONTINUE $id\r\n" [proxied $proxy 0 out]
            $p set on main
            wait_for_condition 50 20 {[string match *main* [proxied $proxy 0 out]]} else { fail "no stream" }
            assert_dual_done $p $r
        }

        test {counters and rows while it runs; writes go to the main connection} {
            leave $r
            wait_for_condition 50 20 {[status $p connected_slaves] == 0} else { fail "the link before is still there" }
            $p config resetstat
            set proxy [start_wire_proxy {*}[at -1]]
            $p config set rdb-key-save-delay 2000
            set seen 0
            $r replicaof 127.0.0.1 [dict get $proxy port]
            set child [hold_dual_transfer -1]
            assert_equal 2 [status $p connected_slaves]
            assert_equal 0 [status $p replicas_waiting_psync]
            assert_match "slave0:ip=127.0.0.1,port=[srv port],state=wait_bgsave,offset=0,lag=0,type=rdb-channel" \
                [lindex [replica_rows $p] 0]
            assert_match "slave1:ip=127.0.0.1,port=[srv port],state=bg_transfer,offset=0,lag=0,type=main-channel" \
                [lindex [replica_rows $p] 1]
            assert_match {*flags=S*cmd=sync *} [$p client list]
            assert_match {*flags=S*cmd=psync *} [$p client list]
            wait_for_condition 50 20 {[string match {slave 127.0.0.1 * sync -1} [$r role]]} else { fail "role: [$r role]" }
            assert_equal {1 down} [list [status $r master_sync_in_progress] [status $r master_link_status]]
            # Not online: not for WAIT, not for FAILOVER, not for ROLE.
            assert_equal {} [lindex [$p role] 2]
            for {set i 0} {$i < 100} {incr i} {
                $p set during:$i [string repeat w 1000]
            }
            assert_equal 0 [$p wait 1 50]
            assert_error {ERR FAILOVER target replica is not online.} {$p failover to {*}[at 0]}
            wait_for_condition 50 20 {[status $r replicas_repl_buffer_size] > 100000} else { fail "nothing is buffered" }
            $p config set rdb-key-save-delay 0
            resume_process $child
            assert_dual_done $p $r
            assert_morethan [status $r replicas_repl_buffer_peak] 100000
            assert_equal {1 1 1} [list [status $p sync_full] [status $p sync_partial_ok] [status $p sync_partial_err]]
            assert_equal 1 [status $p connected_slaves]
            assert_equal "" [channel_id $p sync]
            assert_equal 0 [string match *during:99* [proxied $proxy 1 out]]
            assert_equal 1 [string match *during:99* [proxied $proxy 0 out]]
            assert_equal 1 [$p wait 1 5000]
        }

        # The reference always says 0, and its replica then follows a proxied stream into the wrong database.
        test {the offset's line names the database selected in the stream} {
            $r replicaof {*}[at -1]
            wait_for_sync $r
            wait_replica_online $p
            $p select 5
            $p set five 1
            $p select $::dbnum
            set c [wire_replica {*}[at -1] capa eof rdb-only 1 rdb-channel 1]
            wire_raw $c "SYNC\r\n"
            assert_match "\$ENDOFF:* [status $p master_replid] 5 *" [wire_reply $c]
            # Nobody joins: have it forgotten at once.
            $p debug delay-rdb-client-free-seconds 0
            wire_close $c
            wait_for_condition 50 100 {[s -1 replicas_waiting_psync] == 0 && [s -1 rdb_bgsave_in_progress] == 0} else { fail "it is waited for" }
            $p debug delay-rdb-client-free-seconds 60
            $p select 5
            $p del five
            $p select $::dbnum
            $r replicaof no one
        } undefined {peer:skip}

        test {under a load of writes nothing is lost} {
            leave $r
            wait_for_condition 200 50 {[status $p rdb_bgsave_in_progress] == 0} else { fail "the snapshot goes on" }
            # A second and a half, however far the load gets: it writes to two keys.
            $p flushall
            populate 1000 key: 100 -1
            $p config set rdb-key-save-delay 1500
            set load [start_one_key_write_load {*}[at -1] 30 two]
            set one [start_one_key_write_load {*}[at -1] 30 one]
            wait_for_condition 100 20 {[$p exists one two] == 2} else { fail "no load" }
            $r replicaof {*}[at -1]
            set child [hold_dual_transfer -1]
            resume_process $child
            wait_for_sync $r
            stop_write_load $load
            stop_write_load $one
            wait_load_handlers_disconnected -1
            assert_dual_done $p $r
            $p config set rdb-key-save-delay 0
            $p flushall
            populate 500 key: 100 -1
        }

        test {the snapshot first: the primary stands still after the fork, the replica loads all the same} {
            leave $r
            set mark [log_mark]
            set primary_mark [log_mark -1]
            $p debug pause-after-fork 1
            $r replicaof {*}[at -1]
            wait_for_condition 100 20 {[process_is_paused [srv -1 pid]]} else { fail "the primary does not stop" }
            wait_for_log $mark {*Done loading RDB*} 10000
            # Whatever it answers about its link, it has the data and is a replica still.
            resume_process [srv -1 pid]
            $p debug pause-after-fork 0
            wait_for_log $mark {*Dual channel sync - psync established after rdb load*}
            wait_for_log $primary_mark {*Process has been continued.*}
            assert_dual_done $p $r
            $p set after pause
            wait_for_condition 50 20 {[$r select $::dbnum] eq "OK" && [$r get after] eq "pause"} else { fail "no stream" }
        }

        test {the stream first: the replica loads slowly, buffers, and says that it is loading} {
            leave $r
            $r config set key-load-delay 20000 loading-process-events-interval-bytes 1024
            set mark [log_mark]
            $r replicaof {*}[at -1]
            wait_for_log $mark {*Loading DB in memory*} 10000
            $p set while loading
            assert_error {LOADING*} {$r get while}
            wait_for_condition 50 20 {[status $r replicas_repl_buffer_size] > 0} else { fail "nothing is buffered" }
            assert_equal 1 [status $r loading]
            $r config set key-load-delay 0
            wait_for_log $mark {*Successfully streamed replication data into memory*} 20000
            wait_for_log $mark {*Finished with success*}
            assert_dual_done $p $r
            assert_morethan [status $r replicas_repl_buffer_peak] 0
            assert_equal loading [$r get while]
        }

        foreach {side option} {0 dual-channel-replication-enabled -1 dual-channel-replication-enabled -1 repl-diskless-sync} {
            set name [expr {$side ? "primary" : "replica"}]
            test "switched off on one side, it is a classic synchronisation: $option on the $name" {
                leave $r
                r $side config set $option no
                set proxy [start_wire_proxy {*}[at -1]]
                set mark [log_mark -1]
                $r replicaof 127.0.0.1 [dict get $proxy port]
                wait_for_sync $r
                wait_for_log $mark {*Starting BGSAVE for SYNC with target: * using: normal sync*}
                assert_dual_done $p $r
                assert_equal 1 [proxied_count $proxy]
                assert_match "*+FULLRESYNC [status $p master_replid] *" [proxied $proxy 0 out]
                r $side config set $option yes
            }

            test "switched in the middle, it ends as it began: $option on the $name" {
                leave $r
                $p config resetstat
                $p config set rdb-key-save-delay 1000
                $r replicaof {*}[at -1]
                set child [hold_dual_transfer -1]
                r $side config set $option no
                $p set toggled $side$option
                $p config set rdb-key-save-delay 0
                resume_process $child
                assert_dual_done $p $r
                assert_equal {1 1} [list [status $p sync_full] [status $p sync_partial_ok]]
                r $side config set $option yes
            }
        }

        test {the link cut afterwards: a partial synchronisation on one connection} {
            $r replicaof {*}[at -1]
            wait_for_sync $r
            $p config resetstat
            $p client kill type replica
            $p set after cut
            wait_for_condition 50 50 {[status $p sync_partial_ok] == 1} else { fail "no partial synchronisation" }
            assert_dual_done $p $r
            assert_equal 0 [status $p sync_full]
        }

        test {with a password, on both connections} {
            leave $r
            $p config set requirepass secret
            $p auth secret
            $r config set primaryuser default primaryauth secret
            set proxy [start_wire_proxy {*}[at -1]]
            $r replicaof 127.0.0.1 [dict get $proxy port]
            wait_for_sync $r
            foreach n {0 1} {
                assert_match "*[resp::encode {AUTH default secret}]*" [proxied $proxy $n in]
            }
            assert_equal 2 [proxied_count $proxy]
            $p config set requirepass ""
            $r config set primaryuser "" primaryauth ""
            assert_dual_done $p $r
        } {} {auth}

        # ---- more than one ----

        start_server [list overrides $dual] {
            set r2 [srv client]

            test {two that come together share a snapshot, each with an id of its own} {
                leave $r
                wait_for_condition 50 50 {[status $p connected_slaves] == 0} else { fail "still connected" }
                $p config resetstat
                $p config set repl-diskless-sync-delay 60 repl-diskless-sync-max-replicas 2 rdb-key-save-delay 1000
                set forks [status $p total_forks]
                set mark [log_mark -2]
                $r replicaof {*}[at -2]
                $r2 replicaof {*}[at -2]
                set child [hold_child -2 {[llength [replica_rows $p]] == 4}]
                $p set both get
                $p config set repl-diskless-sync-delay 0 repl-diskless-sync-max-replicas 0 rdb-key-save-delay 0
                resume_process $child
                wait_for_sync $r2
                wait_for_sync $r
                set lines [regexp -all -inline -line {Sending to replica \S+ RDB end offset (\d+) and client-id (\d+)} \
                    [logs::from {*}$mark]]
                assert_equal 6 [llength $lines]
                assert_equal [lindex $lines 1] [lindex $lines 4]
                assert_not_equal [lindex $lines 2] [lindex $lines 5]
                wait_for_condition 50 100 {[regexp -all {state=online} [$p info replication]] == 2} else { fail "not both online" }
                foreach c [list $r $r2] {
                    wait_for_ofs_sync $c $p
                    assert_equal [$p debug digest] [$c debug digest]
                }
                assert_equal [expr {$forks + 1}] [status $p total_forks]
                assert_equal {2 2} [list [status $p sync_full] [status $p sync_partial_ok]]
            }

            test {one of each kind: two snapshots, both end well} {
                leave $r
                leave $r2
                $r2 config set dual-channel-replication-enabled no
                wait_for_condition 50 50 {[status $p connected_slaves] == 0} else { fail "still connected" }
                $p config set rdb-key-save-delay 1000
                set forks [status $p total_forks]
                set mark [log_mark -2]
                $r replicaof {*}[at -2]
                set child [hold_dual_transfer -2]
                $r2 replicaof {*}[at -2]
                wait_for_log $mark {*Current BGSAVE has socket target. Waiting for next BGSAVE for SYNC*}
                $p config set rdb-key-save-delay 0
                resume_process $child
                wait_for_sync $r
                wait_for_sync $r2
                wait_for_condition 50 100 {[regexp -all {state=online} [$p info replication]] == 2} else { fail "not both online" }
                $p set both kinds
                foreach c [list $r $r2] {
                    wait_for_ofs_sync $c $p
                    assert_equal [$p debug digest] [$c debug digest]
                }
                assert_equal [expr {$forks + 2}] [status $p total_forks]
                $r2 config set dual-channel-replication-enabled yes
            }

            # The reference loses the selected database: writes land in database 0.
            test {a chain, with the stream in database 5} {
                leave $r2
                $r replicaof {*}[at -2]
                wait_for_sync $r
                $p select 5
                $p set before chain
                wait_for_ofs_sync $r $p
                $r config set rdb-key-save-delay 1000
                $r2 replicaof {*}[at -1]
                set child [hold_dual_transfer -1]
                $p set during chain
                $r config set rdb-key-save-delay 0
                resume_process $child
                wait_for_sync $r2
                $p set behind chain
                $p select $::dbnum
                wait_for_ofs_sync $r2 $p
                assert_equal [$p debug digest] [$r2 debug digest]
            } {} {peer:skip}
        }
    }
}
