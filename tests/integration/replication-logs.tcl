# What the log says of a synchronisation, in order, on both sides, and at which level.
# The lines are those that operators and other test suites wait for.

source tests/helpers/dual-channel.tcl

# The lines of a server's log since MARK, without time and process: LEVEL TEXT.
proc log_texts {mark} {
    lmap line [split [logs::from {*}$mark] \n] {
        if {![regexp {^\d+:[MSCX] \d+ \w+ \d+ [\d:.]+ ([.*#-]) (.*)$} $line - level text]} continue
        list $level [string trimright $text]
    }
}

# The first of the patterns (LEVEL GLOB ...) that matches no line behind that of the one before
# it; empty when all do.
proc missing_line {lines patterns} {
    set at 0
    foreach {level pattern} $patterns {
        set found 0
        for {} {$at < [llength $lines] && !$found} {incr at} {
            lassign [lindex $lines $at] have text
            set found [expr {$have eq $level && [string match $pattern $text]}]
        }
        if {!$found} {
            return "$level $pattern"
        }
    }
}

# Each of the patterns matches a line, one after the other. The last lines may be still to come:
# INFO shows a replica as online before its first acknowledgement, which is what they tell of.
proc assert_log_order {mark patterns} {
    wait_for_condition 50 100 {[missing_line [log_texts $mark] $patterns] eq ""} else {
        fail "no line '[missing_line [log_texts $mark] $patterns]' in its place:\n[join [log_texts $mark] \n]"
    }
}

start_server [list tags {"repl external:skip needs:debug"} overrides {save "" repl-diskless-sync-delay 0 loglevel debug}] {
    set p [srv client]
    populate 100 key: 10
    start_server {overrides {save "" repl-diskless-sync-delay 0 loglevel debug}} {
        set r [srv client]
        set addr 127.0.0.1:[srv port]

        test {a classic synchronisation} {
            set mark [log_mark]
            set primary_mark [log_mark -1]
            $r replicaof {*}[at -1]
            wait_for_sync $r
            wait_replica_online $p
            assert_log_order $mark {
                * "Before turning into a replica, using my own primary parameters to synthesize a cached primary: *"
                * "Connecting to PRIMARY 127.0.0.1:*"
                * "PRIMARY <-> REPLICA sync started"
                * "Non blocking connect for SYNC fired the event."
                * "Primary replied to PING, replication can continue..."
                * "Trying a partial resynchronization (request *:1)."
                * "Full resync from primary: *:0"
                * "PRIMARY <-> REPLICA sync: receiving streamed RDB from primary with EOF to disk"
                * "Discarding previously cached primary state."
                * "PRIMARY <-> REPLICA sync: Flushing old data"
                * "PRIMARY <-> REPLICA sync: Loading DB in memory"
                * "Loading RDB produced by Valkey version *"
                * "RDB age * seconds"
                * "RDB memory usage when created * Mb"
                * "Done loading RDB, keys loaded: 100, keys expired: 0."
                * "PRIMARY <-> REPLICA sync: Finished with success"
            }
            assert_log_order $primary_mark [list \
                * "Replica $addr asks for synchronization" \
                * "Partial resynchronization not accepted: Replication ID mismatch (Replica asked for '*" \
                * "Replication backlog created, my new replication IDs are '*' and '*'" \
                * "Starting BGSAVE for SYNC with target: replicas sockets using: normal sync" \
                * "Background RDB transfer started by pid * to pipe through parent process" \
                * "Diskless rdb transfer, done reading from pipe, 1 replicas still up." \
                * "Background RDB transfer terminated with success" \
                * "Streamed RDB transfer with replica $addr succeeded (socket). Waiting for REPLCONF ACK from replica to enable streaming" \
                * "Synchronization with replica $addr succeeded"]
        }

        test {a lost link, continued at once} {
            $r replicaof {*}[at -1]
            wait_for_sync $r
            wait_replica_online $p
            set mark [log_mark]
            set primary_mark [log_mark -1]
            $p set k v
            wait_for_ofs_sync $r $p
            $p client kill type replica
            wait_for_log $mark {*Primary accepted a Partial Resynchronization.*}
            assert_log_order $mark {
                * "Connection with primary lost."
                * "Caching the disconnected primary state."
                * "Reconnecting to PRIMARY 127.0.0.1:*"
                * "PRIMARY <-> REPLICA sync started"
                * "Trying a partial resynchronization (request *:*)."
                * "Successful partial resynchronization with primary."
                * "PRIMARY <-> REPLICA sync: Primary accepted a Partial Resynchronization."
            }
            # With several I/O threads the one that has the lost connection may be later than the one that gets the new one.
            wait_for_log $primary_mark "*Connection with replica $addr lost.*"
            assert_log_order $primary_mark [list \
                * "Replica $addr asks for synchronization" \
                . "\[\[\]PSYNC] Replica request offset: *" \
                . "\[\[\]PSYNC] Backlog size: *" \
                . "\[\[\]PSYNC] First byte: *" \
                . "\[\[\]PSYNC] History len: *" \
                . "\[\[\]PSYNC] Skipping: *" \
                * "Partial resynchronization request from $addr accepted. Sending 0 bytes of backlog starting from offset *."]
            # No waiting in between.
            assert_equal 1 [regexp -all {PRIMARY <-> REPLICA sync started} [logs::from {*}$mark]]
        }

        test {promotion} {
            $r replicaof {*}[at -1]
            wait_for_sync $r
            set mark [log_mark]
            $r replicaof no one
            assert_log_order $mark {
                * "Connection with primary lost."
                * "Caching the disconnected primary state."
                * "Discarding previously cached primary state."
                * "Setting secondary replication ID to *, valid up to offset: *. New replication ID is *"
                * "PRIMARY MODE enabled (user request from 'id=*')"
            }
        }

        test {the snapshot's process killed: tried again at once} {
            $p config set rdb-key-save-delay 100000
            set mark [log_mark]
            set primary_mark [log_mark -1]
            $r replicaof {*}[at -1]
            wait_for_log $mark {*Full resync from primary*}
            set child [get_child_pid -1]
            $p config set rdb-key-save-delay 0
            exec kill -9 $child
            wait_for_sync $r
            assert_log_order $mark {
                # "I/O error * PRIMARY: *"
                * "Reconnecting to PRIMARY 127.0.0.1:* after failure"
                * "PRIMARY <-> REPLICA sync: Finished with success"
            }
            assert_log_order $primary_mark [list \
                # "Background RDB transfer terminated by signal 9" \
                # "SYNC failed. BGSAVE child returned an error" \
                * "Connection with replica $addr lost."]
        }

        # The reference notices only when a write of its child fails, which may take its time.
        test {the last replica of a transfer gone: the snapshot's process is killed} {
            $r replicaof no one
            $p config set rdb-key-save-delay 100000
            set mark [log_mark -1]
            $r replicaof {*}[at -1]
            wait_for_condition 100 20 {[s -1 rdb_bgsave_in_progress] == 1} else { fail "no snapshot" }
            $r replicaof no one
            wait_for_log $mark {*Background RDB transfer terminated by signal *} 10000
            assert_log_order $mark [list \
                * "Connection with replica $addr lost." \
                # "Diskless rdb transfer, last replica dropped, killing fork child." \
                # "Background RDB transfer terminated by signal *"]
            wait_for_condition 50 20 {[s -1 rdb_bgsave_in_progress] == 0} else { fail "it goes on" }
            $p config set rdb-key-save-delay 0
        } undefined {peer:skip}

        test {shutdown waits for replicas that are behind} {
            $r replicaof {*}[at -1]
            wait_for_sync $r
            wait_replica_online $p
            $p config set shutdown-timeout 60
            set mark [log_mark -1]
            pause_process [srv pid]
            $p set behind 1
            set pid [srv -1 pid]
            set leaving [valkey_deferring_client -1]
            $leaving shutdown nosave
            wait_for_log $mark {*Waiting for replicas before shutting down.*}
            # Writes wait with it; it can be called off.
            assert_equal OK [$p shutdown abort]
            assert_error {ERR Errors trying to SHUTDOWN. Check logs.} {$leaving read}
            wait_for_log $mark {*Shutdown manually aborted.*}
            assert_equal OK [$p set still here]
            $p config set shutdown-timeout 1
            $leaving close
            set leaving [valkey_deferring_client -1]
            $leaving shutdown nosave
            wait_for_condition 100 50 {![process_is_alive $pid]} else { fail "alive" }
            resume_process [srv pid]
            assert_log_order $mark [list \
                * "User requested shutdown... (user request from 'id=*')" \
                * "Waiting for replicas before shutting down." \
                * "Lagging replica $addr reported offset * behind master, lag=*, state=online." \
                * "0 of 1 replicas are in sync when shutting down." \
                # "Valkey is now ready to exit, bye bye..."]
            $leaving close
            restart_server -1 true false
            set p [srv -1 client]
            wait_for_sync $r
            wait_replica_online $p
            # One that catches up in time is all right.
            $p config set shutdown-timeout 60
            set mark [log_mark -1]
            pause_process [srv pid]
            $p set behind 2
            set pid [srv -1 pid]
            set leaving [valkey_deferring_client -1]
            $leaving shutdown nosave
            wait_for_log $mark {*Waiting for replicas before shutting down.*}
            resume_process [srv pid]
            wait_for_condition 100 50 {![process_is_alive $pid]} else { fail "alive" }
            wait_for_log $mark {*1 of 1 replicas are in sync when shutting down.*}
            assert_equal 2 [$r get behind]
            $leaving close
            restart_server -1 true false
        } undefined
    }
}

start_server [list tags {"repl dual-channel-replication external:skip needs:debug"} overrides $dual] {
    set p [srv client]
    populate 100 key: 10
    start_server [list overrides $dual] {
        set r [srv client]
        set addr 127.0.0.1:[srv port]

        test {a dual channel synchronisation, the stream first} {
            $r config set key-load-delay 50000 loading-process-events-interval-bytes 1024
            set mark [log_mark]
            set primary_mark [log_mark -1]
            $r replicaof {*}[at -1]
            wait_for_condition 200 20 {[has_row $p *bg_transfer*]} else { fail "no transfer" }
            $p set during load
            $r config set key-load-delay 0
            assert_dual_done $p $r
            foreach patterns [list {
                * "PSYNC is not possible, initialize RDB channel."
                . "Received first reply from primary using rdb connection."
                * "Trying a partial resynchronization using main channel (request *:1)."
                * "Primary <-> REPLICA sync: Primary accepted a Partial Resynchronization, RDB load in background."
                * "Done loading RDB, keys loaded: 100, keys expired: 0."
                * "Successfully streamed replication data into memory"
                * "PRIMARY <-> REPLICA sync: Finished with success"
            }] {
                assert_log_order $mark $patterns
            }
            assert_log_order $primary_mark [list \
                * "Replica $addr is capable of dual channel synchronization, and partial sync isn't possible. Full sync will continue with dedicated RDB channel." \
                * "Replica $addr asks for synchronization" \
                * "Starting BGSAVE for SYNC with target: replicas sockets using: dual-channel" \
                * "Sending to replica $addr RDB end offset 0 and client-id *" \
                . "Add rdb replica $addr to waiting psync, with cid *, no repl-backlog to track*" \
                * "Replica $addr asks for synchronization" \
                . "Remove psync waiting replica $addr with cid *, repl buffer block doesn't exist" \
                * "Partial resynchronization request from $addr accepted. Sending 0 bytes of backlog starting from offset 1." \
                * "Synchronization with replica $addr succeeded"]
        }

        test {a dual channel synchronisation amid a stream} {
            # A stream there is once somebody has followed.
            $r replicaof {*}[at -1]
            wait_for_sync $r
            wait_replica_online $p
            $p set some stream
            leave $r
            $r debug pause-after-fork 1
            set mark [log_mark]
            set primary_mark [log_mark -1]
            $r replicaof {*}[at -1]
            wait_for_condition 100 20 {[process_is_paused [srv pid]]} else { fail "the replica does not stop" }
            $p set more stream
            resume_process [srv pid]
            $r debug pause-after-fork 0
            assert_dual_done $p $r
            assert_log_order $primary_mark [list \
                . "Add rdb replica $addr to waiting psync, with cid *, tracking repl-backlog tail*" \
                . "Remove psync waiting replica $addr with cid *, repl buffer block ref count decreased"]
            assert_log_order $mark {
                * "Process is about to stop."
                * "Process has been continued."
            }
        }

        test {the first bytes of the stream while somebody waits} {
            exec kill -9 [srv -1 pid]
            expect_end
            restart_server -1 true false
            set p [srv -1 client]
            $r replicaof no one
            wait_for_condition 50 50 {[s -1 connected_slaves] == 0} else { fail "connected" }
            $p flushall
            $r debug pause-after-fork 1
            set mark [log_mark -1]
            leave $r
            $r replicaof {*}[at -1]
            wait_for_condition 100 20 {[process_is_paused [srv pid]]} else { fail "the replica does not stop" }
            $p set first bytes
            wait_for_log $mark {*Attach replica rdb client * to repl buf block*}
            resume_process [srv pid]
            $r debug pause-after-fork 0
            assert_dual_done $p $r
        }
    }
}
