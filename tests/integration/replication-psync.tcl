# Partial synchronisations: inside and outside of the backlog, after a promotion,
# down a chain, after a restart. Holds the acceptance items 4 and 14-18.

# Wait until both have the same offset, and compare the data.
proc same_data {level other} {
    wait_for_ofs_sync [srv $level client] [srv $other client]
    assert_equal [debug_digest $level] [debug_digest $other]
}

# The host and port of a level, for REPLICAOF.
proc at {level} {
    list [srv $level host] [srv $level port]
}

# Make LEVEL a replica of OTHER, if it is not one already.
proc follow {level other} {
    r $level replicaof {*}[at $other]
    wait_for_sync [srv $level client]
}

start_server {tags {"repl psync2 external:skip needs:debug"} overrides {save "" repl-ping-replica-period 3600}} {
    start_server {overrides {save ""}} {
        set primary [srv -1 client]
        set replica [srv client]

        test {a primary with data that turns replica asks with its own id, and is refused} {
            $primary set p 1
            $replica set own 1
            set id [status $replica master_replid]
            set mark [log_mark -1]
            set own_mark [log_mark]
            r replicaof {*}[at -1]
            wait_for_sync r
            wait_for_log $mark "*Partial resynchronization not accepted: Replication ID mismatch (Replica asked for '$id', my replication IDs are *"
            wait_for_log $own_mark {*Before turning into a replica, using my own primary parameters to synthesize a cached primary*}
            wait_for_log $own_mark "*Trying a partial resynchronization (request $id:1).*"
            wait_for_log $own_mark {*Finished with success*}
            assert_equal {1 0 1} [list [s -1 sync_full] [s -1 sync_partial_ok] [s -1 sync_partial_err]]
            assert_equal [s -1 master_replid] [s master_replid]
        }

        test {a cut link inside of the backlog: CONTINUE, without a full synchronisation} {
            follow 0 -1
            $primary config resetstat
            foreach side {primary replica} {
                set mark [log_mark -1]
                $primary set before $side
                if {$side eq "primary"} {
                    $primary client kill type replica
                } else {
                    $replica client kill type primary
                }
                $primary set behind $side
                wait_for_log $mark {*Partial resynchronization request from * accepted. Sending * bytes of backlog starting from offset *}
                wait_for_condition 50 50 {[$replica get behind] eq $side} else { fail "the write is missing" }
            }
            assert_equal {0 2} [list [s -1 sync_full] [s -1 sync_partial_ok]]
            same_data 0 -1
        }

        test {outside of the backlog: a full synchronisation, and the log says why} {
            follow 0 -1
            $primary config resetstat
            $primary config set repl-backlog-size 16384
            set mark [log_mark -1]
            # The replica stands still while the primary writes, so that it misses them.
            pause_process [srv pid]
            $primary client kill type replica
            for {set i 0} {$i < 30} {incr i} {
                $primary set big$i [string repeat x 4000]
            }
            resume_process [srv pid]
            wait_for_log $mark {*Unable to partial resync with replica * for lack of backlog (Replica request was: *).*}
            wait_for_sync r
            same_data 0 -1
            assert_equal {1 0 1} [list [s -1 sync_full] [s -1 sync_partial_ok] [s -1 sync_partial_err]]
            $primary config set repl-backlog-size 10mb
        }

        test {the backlog's time to live begins anew whenever the last replica leaves} {
            r replicaof no one
            wait_for_condition 50 50 {[s -1 connected_slaves] == 0} else { fail "still connected" }
            set c [wire_replica {*}[at -1] capa eof capa psync2]
            wire_send $c PSYNC ? -1
            wire_payload_after_fullresync $c
            wire_close $c
            wait_for_condition 50 50 {[s -1 connected_slaves] == 0} else { fail "still connected" }
            $primary config set repl-backlog-ttl 4
            # One comes back in time, and stays beyond what was left of it.
            set c [wire_replica {*}[at -1] capa eof capa psync2]
            wire_send $c PSYNC [s -1 master_replid] [expr {[s -1 master_repl_offset] + 1}]
            assert_match +CONTINUE* [wire_reply $c]
            set seconds [s -1 uptime_in_seconds]
            wait_for_condition 200 50 {[s -1 uptime_in_seconds] > $seconds + 5} else { fail "time stands still" }
            wire_close $c
            wait_for_condition 50 50 {[s -1 connected_slaves] == 0} else { fail "still connected" }
            # The periodic work comes by once a second.
            set seconds [s -1 uptime_in_seconds]
            wait_for_condition 50 50 {[s -1 uptime_in_seconds] > $seconds + 1} else { fail "time stands still" }
            assert_equal 1 [s -1 repl_backlog_active]
            $primary config set repl-backlog-ttl 3600
        } {OK} {slow}

        test {the backlog goes after its time to live, and the history with it} {
            follow 0 -1
            r replicaof no one
            wait_for_condition 50 50 {[s -1 connected_slaves] == 0} else { fail "still connected" }
            set id [s -1 master_replid]
            set mark [log_mark -1]
            assert_equal 1 [s -1 repl_backlog_active]
            $primary config set repl-backlog-ttl 1
            wait_for_log $mark {*Replication backlog freed after 1 seconds without connected replicas.*}
            assert_equal 0 [s -1 repl_backlog_active]
            assert_not_equal $id [s -1 master_replid]
            assert_equal 0 [s -1 repl_backlog_first_byte_offset]
            $primary config set repl-backlog-ttl 3600
        }
    }
}

# P (-2) with R1 (-1) below it and R2 (0) below that.
start_server {tags {"repl psync2 external:skip needs:debug"} overrides {save "" repl-ping-replica-period 1}} {
    start_server {overrides {save ""}} {
        start_server {overrides {save ""}} {
            set p [srv -2 client]
            set r1 [srv -1 client]
            set r2 [srv client]

            test {a chain shares one history, byte for byte} {
                follow -1 -2
                follow 0 -1
                set stream [wire_replica {*}[at -2] capa eof capa psync2]
                set copy [wire_replica {*}[at -1] capa eof capa psync2]
                foreach c [list $stream $copy] {
                    wire_send $c PSYNC [status $p master_replid] [expr {[status $p master_repl_offset] + 1}]
                    assert_match +CONTINUE* [wire_reply $c]
                }
                $p select 5
                $p set in five
                $p multi
                $p incr n
                $p expire n 1000
                $p exec
                $p select $::dbnum
                $p set in nine
                wait_for_condition 50 50 {[$r2 get in] eq "nine"} else { fail "not arrived" }
                $p config set repl-ping-replica-period 3600
                same_data 0 -2
                same_data -1 -2
                foreach c [list $stream $copy] {
                    wait_for_condition 50 20 {[wire::fill $c] && [string match *nine* $wire::buffer($c)]} else {
                        fail "the stream ends early"
                    }
                }
                set n [expr {min([string length $wire::buffer($stream)], [string length $wire::buffer($copy)])}]
                assert_equal [string range $wire::buffer($stream) 0 $n-1] [string range $wire::buffer($copy) 0 $n-1]
                wire_close $stream
                wire_close $copy
                foreach c [list $r1 $r2] {
                    assert_equal [status $p master_replid] [status $c master_replid]
                }
            }

            test {a replica in the middle refuses while its own link is down} {
                follow -1 -2
                follow 0 -1
                pause_process [srv -2 pid]
                $r1 client kill type primary
                wait_for_condition 50 50 {[status $r1 master_link_status] eq "down"} else { fail "link still up" }
                set c [wire_replica {*}[at -1] capa eof capa psync2]
                assert_equal "-NOMASTERLINK Can't SYNC while not connected with my master" [wire_call $c PSYNC ? -1]
                wire_close $c
                resume_process [srv -2 pid]
                wait_for_sync $r1
                wait_for_sync $r2
            }

            test {promotion: the siblings continue under the old id, up to the offset of the promotion} {
                follow -1 -2
                follow 0 -1
                $p config set repl-ping-replica-period 3600
                foreach c [list $p $r1 $r2] {
                    $c config resetstat
                }
                wait_for_ofs_sync $r2 $p
                set old [status $p master_replid]
                set ofs [status $r2 master_repl_offset]
                set mark [log_mark]
                $r2 replicaof no one
                wait_for_log $mark "*Setting secondary replication ID to $old, valid up to offset: [expr {$ofs + 1}]. New replication ID is *"
                assert_equal $old [status $r2 master_replid2]
                assert_equal [expr {$ofs + 1}] [status $r2 second_repl_offset]
                assert_not_equal $old [status $r2 master_replid]
                foreach {ask reply} [list [expr {$ofs + 1}] "+CONTINUE [status $r2 master_replid]" \
                        [expr {$ofs + 2}] +FULLRESYNC*] {
                    set c [wire_replica {*}[at 0] capa eof capa psync2]
                    wire_send $c PSYNC $old $ask
                    assert_match $reply [wire_reply $c]
                    wire_close $c
                }
                wait_for_log $mark "*Requested offset for second ID was [expr {$ofs + 2}], but I can reply up to [expr {$ofs + 1}]*"
                $r2 config resetstat
                $r1 replicaof {*}[at 0]
                wait_for_sync $r1
                $r2 set promoted yes
                wait_for_condition 50 50 {[$r1 get promoted] eq "yes"} else { fail "not arrived" }
                assert_equal {0 1} [list [s sync_full] [s sync_partial_ok]]
                assert_equal $old [status $r1 master_replid2]
                assert_equal [status $r2 master_replid] [status $r1 master_replid]
            }

            test {a new id from above goes down the chain without a full synchronisation} {
                # P is above all, and comes below R1, which is below R2.
                if {[s -1 role] eq "master"} {
                    follow -1 -2
                    follow 0 -1
                }
                $r2 replicaof no one
                follow -1 0
                foreach c [list $p $r1 $r2] {
                    $c config resetstat
                    $c config set repl-ping-replica-period 3600
                }
                follow -2 -1
                $r2 set down chain
                wait_for_condition 50 50 {[$p get down] eq "chain"} else { fail "not arrived" }
                assert_equal 0 [s -1 sync_full]
                same_data -2 0
                # R2's promotion under another id: R1 continues, its replica reconnects and continues.
                foreach c [list $p $r1 $r2] {
                    $c config resetstat
                }
                start_server {overrides {save ""}} {
                    set top [srv client]
                    $r2 replicaof {*}[at 0]
                    wait_for_sync $r2
                    $top set new top
                    wait_for_condition 100 50 {[catch {$p get new} new] == 0 && $new eq "top"} else { fail "not arrived" }
                    wait_for_sync $p
                    wait_for_ofs_sync $p $top
                    assert_equal [status $top master_replid] [status $p master_replid]
                }
            }
        }
    }
}

start_server {tags {"repl psync2 external:skip needs:debug needs:save"} overrides {save "" repl-ping-replica-period 3600}} {
    set primary [srv client]
    start_server {overrides {save ""}} {
        test {a replica restarted from its file continues} {
            populate 100 key: 10 -1
            r replicaof {*}[at -1]
            wait_for_sync r
            wait_for_ofs_sync r $primary
            r config rewrite
            $primary select 4
            $primary set last one
            wait_for_ofs_sync r $primary
            r save
            $primary config resetstat
            restart_server 0 true false
            wait_for_sync r
            $primary set behind restart
            $primary select $::dbnum
            same_data 0 -1
            assert_equal {0 1} [list [s -1 sync_full] [s -1 sync_partial_ok]]
        }

        test {a primary restarted from its file lets the replica continue} {
            follow 0 -1
            $primary set k 2
            wait_for_ofs_sync r $primary
            set id [s -1 master_replid]
            restart_server -1 true false 1 save
            set primary [srv -1 client]
            wait_for_sync r
            assert_equal $id [s -1 master_replid2]
            $primary set k 3
            same_data 0 -1
            assert_equal {0 1} [list [s -1 sync_full] [s -1 sync_partial_ok]]
        }

        # They were dropped without a word: the replica kept them for ever.
        test {what expires while the primary is down goes from the replica as well} {
            follow 0 -1
            $primary debug set-active-expire 0
            $primary set stays 1
            $primary set short 1 px 1
            $primary select 4
            $primary set other 1 px 1
            $primary select $::dbnum
            wait_for_ofs_sync r $primary
            set mark [log_mark -1]
            restart_server -1 true false 1 save
            set primary [srv -1 client]
            wait_for_log $mark {*Done loading RDB, keys loaded: *, keys expired: 2.*}
            wait_for_sync r
            same_data 0 -1
            assert_equal {0 1} [list [s -1 sync_full] [s -1 sync_partial_ok]]
        }
    }
}
