# FAILOVER: a primary hands its role to a replica without losing a write. Holds the
# acceptance item 21.

source tests/helpers/dual-channel.tcl

set calm {save "" repl-diskless-sync-delay 0 repl-ping-replica-period 1}

# Level -2 is the primary of the two others, all in step.
proc both_follow {} {
    if {[s -2 role] eq "slave"} { r -2 replicaof no one }
    foreach level {-1 0} {
        r $level replicaof {*}[at -2]
        wait_for_sync [srv $level client]
    }
    wait_for_condition 50 100 {[regexp -all {state=online} [r -2 info replication]] == 2} else { fail "not online" }
    foreach level {-1 0} { wait_for_ofs_sync [srv $level client] [srv -2 client] }
}

start_server [list tags {"repl failover external:skip needs:debug"} overrides $calm] {
    set a [srv client]
    start_server [list overrides $calm] {
        set b [srv client]
        start_server [list overrides $calm] {
            set c [srv client]
            set at_a [at -2]
            set at_b [at -1]
            set at_c [at 0]

            test {FAILOVER refuses what it cannot do} {
                assert_error {ERR FAILOVER requires connected replicas.} {$a failover}
                assert_error {ERR No failover in progress.} {$a failover abort}
                foreach words {{to} {to 127.0.0.1} {timeout} {abort now} {force x} {to a 1 to b 2} {timeout 1 timeout 2}} {
                    assert_error {ERR syntax error} {$a failover {*}$words}
                }
                assert_error {ERR FAILOVER timeout must be greater than 0} {$a failover timeout 0}
                assert_error {ERR FAILOVER timeout must be greater than 0} {$a failover timeout -1}
                assert_error {ERR value is not an integer or out of range} {$a failover timeout x}
                assert_error {ERR value is not an integer or out of range} {$a failover to 127.0.0.1 x}
                both_follow
                assert_error {ERR FAILOVER is not valid when server is a replica.} {$b failover}
                assert_error {ERR FAILOVER target HOST and PORT is not a replica.} {$a failover to 127.0.0.1 1}
                assert_error {ERR FAILOVER with force option requires both a timeout and target HOST and IP.} {$a failover force timeout 100}
                assert_error {ERR FAILOVER with force option requires both a timeout and target HOST and IP.} {$a failover to {*}$at_b force}
                assert_equal no-failover [s -2 master_failover_state]
            }

            test {FAILOVER TO: the roles change, and nothing is synchronised in full} {
                both_follow
                foreach client [list $a $b $c] { $client config resetstat }
                $a set before failover
                set mark [log_mark -2]
                set other [log_mark -1]
                assert_equal OK [$a failover to {*}$at_b]
                wait_for_condition 50 100 {[s -1 role] eq "master" && [s -2 role] eq "slave"} else { fail "roles: [s -2 role] [s -1 role]" }
                wait_for_condition 50 100 {[s -2 master_link_status] eq "up" && [s -2 master_failover_state] eq "no-failover"} else { fail "not over" }
                wait_for_log $mark "*FAILOVER requested to [join $at_b :].*"
                wait_for_log $mark "*Failover target [join $at_b :] is synced, failing over.*"
                wait_for_log $other "*Failover request received for replid *"
                wait_for_log $other "*PRIMARY MODE enabled (failover request from 'id=*"
                $c replicaof {*}$at_b
                wait_for_sync $c
                $b set after failover
                wait_for_ofs_sync $a $b
                wait_for_ofs_sync $c $b
                assert_equal {failover failover} [$a mget before after]
                assert_equal [$b debug digest] [$a debug digest]
                assert_equal [$b debug digest] [$c debug digest]
                assert_equal {0 0 0} [lmap level {-2 -1 0} {s $level sync_full}]
                assert_error {READONLY*} {$a set x y}
            }

            test {FAILOVER without a target takes whoever is in step} {
                both_follow
                assert_equal OK [$a failover]
                wait_for_condition 50 100 {[s -2 role] eq "slave" && [s -2 master_link_status] eq "up"} else { fail "not over" }
                assert_equal 1 [expr {[s -1 role] eq "master" || [s role] eq "master"}]
            }

            test {while it waits, writes wait, nothing is streamed, and nobody synchronises} {
                both_follow
                pause_process [srv -1 pid]
                $a set behind 1
                wait_for_ofs_sync $c $a
                # (Without a timeout the reference goes on sending PINGs.)
                assert_equal OK [$a failover to {*}$at_b timeout 100000]
                assert_equal waiting-for-sync [s -2 master_failover_state]
                assert_error {ERR FAILOVER already in progress.} {$a failover}
                assert_error {ERR REPLICAOF not allowed while failing over.} {$a replicaof no one}
                assert_error {NOMASTERLINK Can't SYNC while failing over} {$a psync ? -1}
                assert_equal 1 [$a get behind]
                set writer [valkey_deferring_client -2]
                $writer set late 1
                wait_for_blocked_client -2
                # Not even a PING, and one is due each second; nor is anybody asked to acknowledge.
                set offset [s -2 master_repl_offset]
                assert_lessthan [$a wait 2 10] 2
                set seconds [s -2 uptime_in_seconds]
                wait_for_condition 50 100 {[s -2 uptime_in_seconds] > $seconds + 1} else { fail "time stands still" }
                assert_equal $offset [s -2 master_repl_offset]
                set mark [log_mark -2]
                assert_equal OK [$a failover abort]
                wait_for_log $mark {*FAILOVER to * aborted: Failover manually aborted*}
                assert_equal OK [$writer read]
                assert_equal no-failover [s -2 master_failover_state]
                resume_process [srv -1 pid]
                $writer close
                wait_for_ofs_sync $b $a
                assert_equal master [s -2 role]
            }

            test {PSYNC FAILOVER is for a replica of this very history} {
                both_follow
                set replid [s master_replid]
                assert_error {ERR PSYNC FAILOVER can't be sent to a master.} {$a psync $replid 1 failover}
                foreach id [list ? [string repeat b 40]] {
                    assert_error {ERR PSYNC FAILOVER replid must match my replid.} {$b psync $id 1 failover}
                }
                assert_equal {slave slave} [list [s -1 role] [s role]]
            }

            test {TIMEOUT: it is given up when no replica catches up} {
                both_follow
                pause_process [srv -1 pid]
                $a set behind 2
                set mark [log_mark -2]
                assert_equal OK [$a failover to {*}$at_b timeout 200]
                wait_for_log $mark {*FAILOVER to * aborted: Replica never caught up before timeout*}
                assert_equal {master no-failover} [list [s -2 role] [s -2 master_failover_state]]
                assert_equal OK [$a set still master]
                resume_process [srv -1 pid]
                wait_for_ofs_sync $b $a
            }

            test {FORCE: it goes ahead all the same} {
                both_follow
                pause_process [srv -1 pid]
                $a set behind 3
                set mark [log_mark -2]
                assert_equal OK [$a failover to {*}$at_b timeout 200 force]
                wait_for_log $mark {*FAILOVER to * time out exceeded, failing over.*}
                assert_equal failover-in-progress [s -2 master_failover_state]
                resume_process [srv -1 pid]
                wait_for_condition 100 100 {[s -1 role] eq "master" && [s -2 master_link_status] eq "up"} else { fail "not over" }
                assert_equal no-failover [s -2 master_failover_state]
                wait_for_ofs_sync $a $b
                assert_equal [$b debug digest] [$a debug digest]
            }

            test {a target that refuses: the primary stays one} {
                both_follow
                # Its history is another one: it has become a primary and a replica again.
                pause_process [srv -1 pid]
                $a set behind 4
                set mark [log_mark -2]
                assert_equal OK [$a failover to {*}$at_b timeout 300 force]
                wait_for_log $mark {*time out exceeded, failing over.*}
                exec kill -9 [srv -1 pid]
                assert_equal failover-in-progress [s -2 master_failover_state]
                assert_equal OK [$a failover abort]
                wait_for_condition 50 100 {[s -2 role] eq "master"} else { fail "not a primary again" }
                assert_equal no-failover [s -2 master_failover_state]
                assert_equal OK [$a set yes still]
                expect_end
                restart_server -1 true false
                wait_for_sync $c
                wait_for_ofs_sync $c $a
                assert_equal [$a debug digest] [$c debug digest]
            }
        }
    }
}
