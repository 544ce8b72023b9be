# What a server tells of its synchronisations, in INFO and by REPLICATION STATUS, and what it does so that they
# succeed: a file behind the buffer, pauses for writers, growing pauses between attempts, a primary without data
# refused. All of it is ours alone.

source tests/helpers/dual-channel.tcl

# A figure of REPLICATION STATUS: the value at the end of PATH.
proc figure {client args} {
    set at [{*}$client replication status]
    foreach name $args {
        set at [expr {[string is integer $name] ? [lindex $at $name] : [dict get $at $name]}]
    }
    return $at
}

proc wait_no_save {level} {
    wait_for_condition 100 50 {[s $level rdb_bgsave_in_progress] == 0} else { fail "a snapshot goes on" }
}

start_server [list tags {"repl dual-channel-replication external:skip needs:debug"} overrides $dual] {
    set p [srv client]
    start_server [list overrides $dual] {
        set r [srv client]

        test {the way of a synchronisation is told on both ends, with the reasons} {
            $r replicaof {*}[at -1]
            assert_dual_done $p $r
            assert_equal {dual-channel online {}} [list [s repl_sync_mode] [s repl_sync_phase] [s repl_sync_not_dual_channel_reason]]
            assert_equal "other history" [s repl_sync_not_partial_reason]
            assert_match {*mode=dual-channel,not_partial_reason=other history,not_dual_channel_reason=,phase=online*} [s -1 repl_sync_replica0]
            assert_equal [s repl_sync_done_bytes] [s repl_sync_total_bytes]
            # A link cut.
            $r client kill type primary
            wait_for_condition 50 50 {[s repl_sync_mode] eq "partial"} else { fail "still [s repl_sync_mode]" }
            wait_for_sync $r
            assert_equal {{} {}} [list [s repl_sync_not_partial_reason] [s repl_sync_not_dual_channel_reason]]
            assert_match *mode=partial,* [s -1 repl_sync_replica0]
        } undefined {peer:skip}

        foreach {set_by name value mode here there} {
            r dual-channel-replication-enabled no classic-sockets "dual-channel-replication-enabled is off" "peer did not offer it"
            p dual-channel-replication-enabled no classic-sockets "peer did not offer it" "dual-channel-replication-enabled is off"
            p repl-diskless-sync no classic-disk "peer did not offer it" "repl-diskless-sync is off"
        } {
            test "why a synchronisation is $mode: $name $value, set by $set_by" {
                $r replicaof no one
                set client [set $set_by]
                set before [lindex [$client config get $name] 1]
                $client config set $name $value
                $r replicaof {*}[at -1]
                wait_for_sync $r
                assert_equal [list $mode $here] [list [s repl_sync_mode] [s repl_sync_not_dual_channel_reason]]
                assert_match "*mode=$mode,*not_dual_channel_reason=$there,*" [s -1 repl_sync_replica0]
                $client config set $name $before
            } undefined {peer:skip}
        }

        test {why it is not partial: the backlog is too short, and by how much} {
            $r replicaof {*}[at -1]
            wait_for_sync $r
            wait_for_ofs_sync $r $p
            $p config set repl-backlog-size 16kb
            pause_process [srv pid]
            $p client kill type replica
            for {set i 0} {$i < 100} {incr i} { $p set filler [string repeat x 10000] }
            set missing [expr {[s -1 repl_backlog_first_byte_offset] - 1}]
            resume_process [srv pid]
            assert_dual_done $p $r
            assert_match {backlog too short for a replica * bytes behind} [s repl_sync_not_partial_reason]
            assert_match {*not_partial_reason=backlog too short by * bytes,*} [s -1 repl_sync_replica0]
            regexp {too short by (\d+) bytes} [s -1 repl_sync_replica0] - bytes
            assert_range $bytes 900000 $missing
            $p config set repl-backlog-size 10mb
        } undefined {peer:skip}

        test {phases and progress, in INFO, in the log and by REPLICATION STATUS} {
            $p debug populate 300 key 3000
            $p config set rdb-key-save-delay 3000
            $r replicaof no one
            set mark [log_mark]
            $r replicaof {*}[at -1]
            wait_for_condition 200 20 {[s repl_sync_done_bytes] > 0} else { fail "phase [s repl_sync_phase]" }
            set child [hold_dual_transfer -1]
            assert_equal receiving-snapshot [s repl_sync_phase]
            assert_equal receiving-snapshot [figure $r primary phase]
            assert_equal slave [figure $r role]
            assert_equal master [figure $p role]
            assert_equal {rdb sending-snapshot} [list [figure $p replicas 0 channel] [figure $p replicas 0 phase]]
            assert_equal {main buffering-at-replica} [list [figure $p replicas 1 channel] [figure $p replicas 1 phase]]
            # What it will be is estimated from the memory that the primary says it uses.
            assert_equal 1 [s repl_sync_total_is_estimate]
            assert_range [s repl_sync_total_bytes] 900000 100000000
            assert_equal [s repl_sync_done_bytes] [figure $r primary done_bytes]
            resume_process $child
            $p config set rdb-key-save-delay 0
            assert_dual_done $p $r
            assert_range [s repl_sync_done_bytes] 900000 1100000
            assert_range [s repl_sync_rdb_channel_bytes_in] [s repl_sync_done_bytes] [expr {[s repl_sync_done_bytes] + 1000}]
            foreach phase {{waiting for the snapshot} {receiving the snapshot} {loading the snapshot of *} {applying * bytes of buffered stream} online} {
                wait_for_log $mark "*Synchronization with PRIMARY [srv -1 host]:[srv -1 port]: $phase, dual-channel*"
            }
            # As a map where there are maps.
            $r hello 3
            assert_equal online [dict get [dict get [$r replication status] primary] phase]
            $r hello 2
        } undefined {peer:skip}

        test {the replica's buffer goes on in a file, and the first attempt succeeds} {
            wait_no_save -1
            $p flushall
            $p debug populate 300 key 100
            $p config set rdb-key-save-delay 3000
            $r config set client-output-buffer-limit "replica 100kb 0 0" replica-sync-buffer-spill-max 400%
            assert_equal {replica-sync-buffer-spill-max 400%} [$r config get replica-sync-buffer-spill-max]
            $p config resetstat
            $r replicaof no one
            set mark [log_mark]
            $r replicaof {*}[at -1]
            set child [hold_dual_transfer -1]
            # Memory takes up to 64 KB beyond its limit, as what was read last goes there whole.
            for {set i 0} {$i < 40} {incr i} { $p set during:$i [string repeat w 10000] }
            wait_for_condition 100 50 {[s repl_sync_spilled_bytes] > 150000} else { fail "spilled: [s repl_sync_spilled_bytes]" }
            assert_range [s replicas_repl_buffer_size] 100000 200000
            assert_equal 409600 [s repl_sync_spill_limit_bytes]
            # A file without a name.
            assert_equal {} [glob -nocomplain [lindex [$r config get dir] 1]/temp-spill*]
            assert_equal 1 [llength [lmap fd [glob /proc/[srv pid]/fd/*] {
                if {[catch {file readlink $fd} name] || ![string match *temp-spill* $name]} continue
                set name
            }]]
            # And then it stops.
            for {set i 0} {$i < 50} {incr i} { $p set during:$i [string repeat v 10000] }
            wait_for_log $mark {*No more of the replication stream can be buffered: reading it has to wait.*}
            assert_equal 409600 [s repl_sync_spilled_bytes]
            resume_process $child
            $p config set rdb-key-save-delay 0
            assert_dual_done $p $r
            assert_equal {0 409600} [list [s repl_sync_spilled_bytes] [s repl_sync_spilled_peak_bytes]]
            assert_equal 1 [s -1 sync_full]
            wait_for_condition 50 20 {![llength [lmap fd [glob /proc/[srv pid]/fd/*] {
                if {[catch {file readlink $fd} name] || ![string match *temp-spill* $name]} continue
                set name
            }]]} else { fail "the file stays" }
            $r config set client-output-buffer-limit "replica 256mb 64mb 60"
        } undefined {peer:skip}

        test {without a file the replica stops at its limit, as the reference does} {
            wait_no_save -1
            $p debug populate 300 key 100
            $p config set rdb-key-save-delay 3000
            $r config set client-output-buffer-limit "replica 100kb 0 0" replica-sync-buffer-spill-max 0
            $r replicaof no one
            set mark [log_mark]
            $r replicaof {*}[at -1]
            set child [hold_dual_transfer -1]
            for {set i 0} {$i < 30} {incr i} { $p set during:$i [string repeat w 10000] }
            wait_for_log $mark {*Replication buffer limit reached, stopping buffering.*}
            assert_equal 0 [s repl_sync_spilled_peak_bytes]
            resume_process $child
            $p config set rdb-key-save-delay 0
            assert_dual_done $p $r
            $r config set client-output-buffer-limit "replica 256mb 64mb 60" replica-sync-buffer-spill-max 400%
        } undefined {peer:skip}

        test {writers are held up before a replica that synchronises is closed} {
            wait_no_save -1
            $p flushall
            # Nine seconds, whatever is set later on; written often enough to be seen to get on.
            $p debug populate 3000 key 1000
            $p config set rdbcompression no
            $p config set rdb-key-save-delay 3000 client-output-buffer-limit "replica 11mb 0 0" latency-monitor-threshold 1
            $p config resetstat
            $p latency reset
            $r config set client-output-buffer-limit "replica 100kb 0 0" replica-sync-buffer-spill-max 0
            $r replicaof no one
            $r replicaof {*}[at -1]
            wait_dual_transfer $p
            set writer [valkey [srv -1 host] [srv -1 port]]
            set written 0
            while {[s -1 repl_sync_replicas_paced_commands] < 20} {
                for {set i 0} {$i < 4} {incr i} {
                    # Sent over TLS, so much takes Tcl longer than the snapshot.
                    $writer eval {return redis.call('set', KEYS[1], string.rep('w', 100000))} 1 during
                    incr written 100000
                }
                if {$written > 200000000} { fail "never paced: [s -1 repl_sync_replica1]" }
            }
            assert_morethan [s -1 repl_sync_replicas_paced_ms] 0
            assert_equal repl-sync-pacing [lindex [lsearch -inline [$p latency latest] repl-sync-pacing*] 0]
            $p config set rdb-key-save-delay 0
            assert_dual_done $p $r 60
            assert_equal {0 1} [list [s -1 client_output_buffer_limit_disconnections] [s -1 sync_full]]
            wait_for_condition 100 20 {[s -1 repl_sync_replicas_pacing] == 0} else { fail "still paced" }
            $writer close
            $p config set client-output-buffer-limit "replica 256mb 64mb 60" latency-monitor-threshold 0 rdbcompression yes
            $r config set client-output-buffer-limit "replica 256mb 64mb 60" replica-sync-buffer-spill-max 400%
        } undefined {peer:skip}
    }
}

start_server [list tags {"repl dual-channel-replication external:skip needs:debug"} overrides $dual] {
    set p [srv client]
    start_server [list overrides $dual] {
        set r [srv client]

        test {failed synchronisations are counted, repeated after growing pauses, and then with one channel} {
            $p debug populate 200 key 100
            $p config set rdb-key-save-delay 10000
            set mark [log_mark]
            $r replicaof {*}[at -1]
            # The last one fails when it has the one channel that two have not been able to replace.
            foreach failures {1 2 3 4} {
                wait_for_condition 500 20 {[s -1 rdb_bgsave_in_progress] && [s repl_sync_phase] eq "receiving-snapshot"} else { fail "no attempt: [s repl_sync_phase]" }
                exec kill -9 [get_child_pid -1]
                wait_for_condition 200 20 {[s repl_sync_failures_total] == $failures} else { fail "[s repl_sync_failures_total] failures" }
            }
            foreach times {2 3 4} {
                wait_for_log $mark "*$times synchronizations in a row have failed, the next one is tried in * seconds. Last cause: *"
            }
            wait_for_log $mark {*Dual channel synchronization has failed 3 times in a row, the next attempt uses one channel.*}
            wait_for_log $mark {*receiving the snapshot, classic-sockets (not partial: *; not dual-channel: fallback after 3 failures)*}
            assert_equal waiting-for-next-attempt [s repl_sync_phase]
            assert_range [s repl_sync_next_attempt_ms] 0 4000
            assert_match {*I/O error trying to sync with PRIMARY: *} [s repl_sync_last_failure]
            assert_morethan [s -1 repl_sync_replicas_failures_total] 0
            $p config set rdb-key-save-delay 0
            assert_dual_done $p $r
            assert_equal {dual-channel 0 4} [list [s repl_sync_mode] [s repl_sync_failures] [s repl_sync_failures_total]]
        } undefined {peer:skip}
    }
}

foreach load {disabled swapdb} {
    start_server [list tags {"repl external:skip needs:debug"} overrides {save "" repl-diskless-sync-delay 0}] {
        set p [srv client]
        start_server [list overrides [list save "" appendonly yes repl-diskless-load $load]] {
            set r [srv client]

            test "a primary without keys does not wipe a replica that keeps its data on disk (load $load)" {
                $r set precious data
                set mark [log_mark]
                $r replicaof {*}[at -1]
                wait_for_log $mark {*Refusing to synchronize with PRIMARY * it has no keys and another history*}
                wait_for_condition 50 50 {[s repl_sync_failures] >= 2} else { fail "[s repl_sync_failures] failures" }
                assert_equal {data 1} [list [$r get precious] [$r dbsize]]
                assert_match {*it has no keys and another history*} [s repl_sync_last_failure]
                # It is kept on disk as before.
                $r debug loadaof
                assert_equal data [$r get precious]
                $r replicaof {*}[at -1] force
                wait_for_sync $r
                assert_equal 0 [$r dbsize]
                # Its own history it may be emptied by.
                $p set k v
                wait_for_ofs_sync $r $p
                $p flushall
                wait_for_ofs_sync $r $p
                assert_equal 0 [$r dbsize]
            } undefined {peer:skip}

            test "where it is told so, a replica takes the data of a primary without any (load $load)" {
                $r replicaof no one
                $r set precious data
                $r config set replica-refuse-empty-primary no
                $r replicaof {*}[at -1]
                wait_for_sync $r
                assert_equal 0 [$r dbsize]
                $r replicaof no one
                $r set precious data
                # Without persistence there is nothing that a replica would have kept.
                $r config set replica-refuse-empty-primary auto appendonly no
                $r replicaof {*}[at -1]
                wait_for_sync $r
                assert_equal 0 [$r dbsize]
                $r config set replica-refuse-empty-primary auto appendonly yes
                $r replicaof no one
            } {OK} {peer:skip}
        }
    }
}

start_server {tags {"repl external:skip"} overrides {save ""}} {
    test {settings that cancel each other are named by CONFIG SET, in INFO and by REPLICATION STATUS} {
        assert_equal 0 [s repl_settings_contradict]
        set mark [log_mark]
        r config set dual-channel-replication-enabled yes repl-diskless-sync no
        wait_for_log $mark {*dual-channel-replication-enabled has no effect on a primary with repl-diskless-sync no*}
        assert_equal 1 [s repl_settings_contradict]
        assert_match {dual-channel-replication-enabled has no effect*} [s repl_settings_contradiction0]
        assert_equal 1 [llength [dict get [r replication status] contradictions]]
        # Once is enough.
        r config set timeout 0
        assert_equal 1 [regexp -all {dual-channel-replication-enabled has no effect} [logs::from {*}$mark]]
        r config set repl-diskless-sync yes
        assert_equal 0 [s repl_settings_contradict]
    } undefined {peer:skip}

    test {REPLICATION and REPLICAOF refuse what they do not know} {
        assert_error {ERR wrong number of arguments for 'replication' command} {r replication}
        assert_error {ERR unknown subcommand 'nothing'. Try REPLICATION HELP.} {r replication nothing}
        assert_error {ERR wrong number of arguments for 'replication|status' command} {r replication status now}
        assert_match {*STATUS*} [r replication help]
        assert_error {ERR wrong number of arguments for 'replicaof' command} {r replicaof 127.0.0.1 1 please}
        assert_error {ERR wrong number of arguments for 'slaveof' command} {r slaveof no one now}
        assert_equal 3 [lindex [r command info replicaof] 0 1]
        assert_error {ERR CONFIG SET failed*} {r config set replica-refuse-empty-primary maybe}
    } undefined {peer:skip}
}

start_server {tags {"repl external:skip"} overrides {save "" timeout 3 repl-diskless-sync-delay 5}} {
    test {settings that cancel each other are named at start} {
        wait_for_log [list [srv stdout] 0] {*timeout (3 seconds) is not above repl-diskless-sync-delay (5 seconds)*}
    } undefined {peer:skip}
}

foreach kind {dual classic} {
    set both [expr {$kind eq "dual" ? "yes" : "no"}]
    start_server [list tags {"repl dual-channel-replication external:skip needs:debug peer:skip"} overrides [concat $dual [list repl-snapshot-spool 100mb dual-channel-replication-enabled $both]]] {
        set p [srv client]

        foreach level {1 2 3} {
            start_server [list overrides [list save "" dual-channel-replication-enabled $both]] {
                test "$kind: replicas that come one after the other get one snapshot ($level)" {
                    if {$level == 1} { $p debug populate 1000 key 500 }
                    r replicaof {*}[at -1]
                    wait_for_sync r
                    for {set k 0} {$k < 100} {incr k} { $p set late:$level:$k [string repeat v 100] }
                    wait_for_ofs_sync r $p
                    assert_equal [$p debug digest] [r debug digest]
                    assert_equal 1 [s -1 total_forks]
                } undefined {peer:skip}
            }
        }

        test "$kind: a snapshot that is kept goes when the backlog does not reach back to it" {
            start_server [list overrides [list save "" dual-channel-replication-enabled $both]] {
                r replicaof {*}[at -1]
                wait_for_sync r
            }
            assert_morethan [s repl_sync_replicas_spooled_offset] -1
            $p config set repl-backlog-size 16kb
            for {set k 0} {$k < 100} {incr k} { $p set filler [string repeat v 10000] }
            wait_for_condition 50 50 {[s repl_sync_replicas_spooled_offset] == -1} else { fail "the file stays" }
            assert_equal {} [lmap fd [glob /proc/[srv pid]/fd/*] {
                if {[catch {file readlink $fd} name] || ![string match *temp-spool* $name]} continue
                set name
            }]
            $p config set repl-backlog-size 10mb
        } undefined {peer:skip}

        start_server [list overrides [concat $dual [list dual-channel-replication-enabled $both]]] {
            set r [srv client]
            foreach load {disabled swapdb} {
                test "$kind: a snapshot whose connection breaks is gone on with (load $load)" {
                    wait_no_save -1
                    $p config set rdb-key-save-delay 2000
                    for {set k 0} {$k < 500} {incr k} { $p set $load:$k [string repeat $k 200] }
                    # What is kept from before goes.
                    $p config set repl-snapshot-spool 0
                    wait_for_condition 50 50 {[s -1 repl_sync_replicas_spooled_offset] == -1} else { fail "the file stays" }
                    $p config set repl-snapshot-spool 100mb
                    $r config set repl-diskless-load $load
                    $r replicaof no one
                    $r flushall
                    set forks [s -1 total_forks]
                    set mark [log_mark]
                    $r replicaof {*}[at -1]
                    foreach cut {1 2} {
                        set had [s repl_sync_done_bytes]
                        wait_for_condition 500 20 {[s repl_sync_phase] eq "receiving-snapshot" && [s repl_sync_done_bytes] > $had} else { fail "[s repl_sync_phase], [s repl_sync_done_bytes] bytes" }
                        $p client kill id [channel_id $p [expr {$kind eq "dual" ? "sync" : "psync"}]]
                        wait_for_log $mark {*bytes of the snapshot are kept, the rest is asked for*}
                    }
                    $p set meanwhile 1
                    $p config set rdb-key-save-delay 0
                    wait_for_log $mark {*going on with the snapshot at byte*}
                    wait_for_sync $r
                    wait_for_ofs_sync $r $p
                    assert_equal [$p debug digest] [$r debug digest]
                    assert_equal [expr {$forks + 1}] [s -1 total_forks]
                    assert_equal 0 [s repl_sync_failures_total]
                } undefined {peer:skip}
            }
        }

        test "$kind: a snapshot too big for its file is sent as ever" {
            $p config set repl-snapshot-spool 0
            wait_for_condition 50 50 {[s repl_sync_replicas_spooled_offset] == -1} else { fail "the file stays" }
            $p config set repl-snapshot-spool 50000
            for {set k 0} {$k < 500} {incr k} { $p set big:$k [string repeat $k 200] }
            start_server [list overrides [list save "" dual-channel-replication-enabled $both]] {
                r replicaof {*}[at -1]
                wait_for_sync r
                wait_for_ofs_sync r $p
                assert_equal [$p debug digest] [r debug digest]
                wait_for_condition 50 50 {[s -1 repl_sync_replicas_spooled_offset] == -1} else { fail "it is kept" }
            }
        } undefined {peer:skip}
    }
}
