# Replicas that are slow, stand still or leave while a snapshot is sent to several of
# them, and who is given up when. Holds the acceptance items 19 and 53.

source tests/helpers/dual-channel.tcl

foreach {kind overrides} [list classic {save "" rdbcompression no loglevel debug} dual $dual] {
    start_server [list tags {"repl external:skip needs:debug"} overrides [concat $overrides {repl-diskless-sync-delay 60 repl-diskless-sync-max-replicas 2}]] {
        set p [srv client]
        # Far more than sockets hold.
        $p debug populate 20000 key: 1000
        start_server [list overrides $overrides] {
            start_server [list overrides $overrides] {
                set fast [srv client]
                set slow [srv -1 client]

                # Both begin; the slow one stands still with the snapshot on its way.
                proc begin_both {} {
                    upvar 1 p p fast fast slow slow
                    $p config set rdb-key-save-delay 100
                    foreach level {0 -1} {
                        r $level replicaof {*}[at -2]
                    }
                    wait_for_condition 200 20 {[s -2 rdb_bgsave_in_progress] == 1} else { fail "no snapshot" }
                    wait_for_condition 200 20 {[s -1 master_sync_in_progress] == 1} else { fail "no transfer" }
                    pause_process [srv -1 pid]
                }

                # The reference lets the slow one hold up the others.
                test "$kind: one that stands still does not hold up the other" {
                    $p config set repl-timeout 1000
                    begin_both
                    wait_for_sync $fast 200
                    resume_process [srv -1 pid]
                    wait_for_sync $slow 200
                    wait_for_condition 100 100 {[regexp -all {state=online} [$p info replication]] == 2} else { fail "not both online: [replica_rows $p]" }
                    assert_equal [$p debug digest] [$slow debug digest]
                    assert_equal [$p debug digest] [$fast debug digest]
                    leave $fast
                    leave $slow
                    wait_for_condition 50 100 {[s -2 connected_slaves] == 0} else { fail "connected" }
                } undefined {peer:skip slow}

                # Over TLS two channels of the reference wait for it, whatever repl-timeout says.
                test "$kind: one that stands still for too long is given up, the other completes" {
                    $p config set repl-timeout 2
                    set mark [log_mark -2]
                    begin_both
                    wait_for_sync $fast 400
                    if {$kind eq "classic"} {
                        wait_for_log $mark "*Disconnecting timedout replica (full sync): 127.0.0.1:[srv -1 port]*" 20000
                        wait_for_log $mark {*Diskless rdb transfer, done reading from pipe, 1 replicas still up.*} 20000
                    }
                    wait_for_condition 100 100 {[s -2 rdb_bgsave_in_progress] == 0} else { fail "it goes on" }
                    $p config set repl-diskless-sync-max-replicas 1 repl-timeout 60 rdb-key-save-delay 0
                    resume_process [srv -1 pid]
                    wait_for_sync $slow 200
                    wait_for_condition 100 100 {[regexp -all {state=online} [$p info replication]] == 2} else { fail "not both online: [replica_rows $p]" }
                    assert_equal [$p debug digest] [$slow debug digest]
                    assert_equal [$p debug digest] [$fast debug digest]
                    $p config set repl-diskless-sync-max-replicas 2
                    leave $fast
                    leave $slow
                    wait_for_condition 50 100 {[s -2 connected_slaves] == 0} else { fail "connected" }
                } undefined {peer-tls:skip slow}

                test "$kind: one that leaves does not disturb the other" {
                    set mark [log_mark -2]
                    set forks [s -2 total_forks]
                    begin_both
                    resume_process [srv -1 pid]
                    $slow replicaof no one
                    wait_for_sync $fast 200
                    if {$kind eq "classic"} {
                        wait_for_log $mark {*Diskless rdb transfer, done reading from pipe, 1 replicas still up.*} 20000
                    }
                    wait_for_condition 100 100 {[regexp -all {state=online} [$p info replication]] == 1} else { fail "not online: [replica_rows $p]" }
                    assert_equal [expr {$forks + 1}] [s -2 total_forks]
                    assert_equal [$p debug digest] [$fast debug digest]
                    $p config set rdb-key-save-delay 0
                } undefined {slow}
            }
        }
    }
}

# ---- timeouts of either side ----

start_server {tags {"repl external:skip needs:debug"} overrides {save "" repl-diskless-sync-delay 0 repl-ping-replica-period 1}} {
    set p [srv client]
    start_server {overrides {save "" repl-diskless-sync-delay 0}} {
        set r [srv client]
        $r replicaof {*}[at -1]
        wait_for_sync $r
        wait_replica_online $p

        test {a primary that stands still: the replica says so and connects anew} {
            $r config set repl-timeout 2
            set mark [log_mark]
            pause_process [srv -1 pid]
            wait_for_log $mark {*PRIMARY timeout: no data nor PING received...*} 10000
            wait_for_condition 50 50 {[s master_link_status] eq "down"} else { fail "the link is up" }
            wait_for_log $mark {*Timeout connecting to the PRIMARY...*} 10000
            resume_process [srv -1 pid]
            wait_for_sync $r
            assert_match {*Primary accepted a Partial Resynchronization.*} [logs::from {*}$mark]
            $r config set repl-timeout 60
        }

        test {a replica that stands still: the primary gives it up} {
            $p config set repl-timeout 2
            set mark [log_mark -1]
            pause_process [srv pid]
            wait_for_log $mark "*Disconnecting timedout replica (streaming sync): 127.0.0.1:[srv port]*" 10000
            wait_for_condition 50 50 {[s -1 connected_slaves] == 0} else { fail "connected" }
            resume_process [srv pid]
            wait_for_sync $r
            $p config set repl-timeout 60
        }

        test {a snapshot that does not come: the replica gives the attempt up} {
            populate 1000 key: 100 -1
            leave $r
            $r config set repl-timeout 2
            set mark [log_mark]
            $r replicaof {*}[at -1]
            wait_for_sync $r
            leave $r
            $p config set rdb-key-save-delay 1000000
            $r replicaof {*}[at -1]
            wait_for_log $mark {*Timeout receiving bulk data from PRIMARY... If the problem persists try to set the 'repl-timeout' parameter in valkey.conf to a larger value.*} 15000
            $p config set rdb-key-save-delay 0
            wait_for_sync $r 200
            assert_equal {} [temp_files 0]
            assert_equal [$p debug digest] [$r debug digest]
        } {} {peer:skip}
    }
}
