# Replication between two programs: the server under test and the one given by
# --other-server-bin, each way round. Full synchronisations of every kind under a load
# of writes, partial ones, and a chain; the data are compared by digest. Without the
# second program only the pair of the server with itself runs.

source tests/helpers/dual-channel.tcl

set pairs {main main}
if {$::other_server_bin ne ""} {
    lappend pairs main other other main
}

foreach {primary replica} $pairs {
    set pair "primary $primary, replica $replica"
    start_server [list tags {"repl external:skip needs:debug"} server $primary overrides $dual] {
        set p [srv client]
        start_server [list server $replica overrides $dual] {
            set r [srv client]
            $p select 3
            $p set in three
            $p select $::dbnum
            foreach {kind diskless dual_channel load} {
                disk no no disabled
                diskless yes no disabled
                parser yes no swapdb
                dual yes yes disabled
                dual-parser yes yes swapdb
            } {
                test "$pair: full synchronisation under writes, $kind" {
                    foreach c [list $p $r] {
                        $c config set repl-diskless-sync $diskless dual-channel-replication-enabled $dual_channel
                    }
                    $r config set repl-diskless-load $load
                    leave $r
                    $p flushdb
                    $p config resetstat
                    populate 300 key: 100 -1
                    createComplexDataset $p 200 useexpire
                    $p config set rdb-key-save-delay 100
                    set writes [start_write_load {*}[at -1] 30]
                    set one [start_one_key_write_load {*}[at -1] 30 one]
                    wait_for_condition 100 20 {[$p exists one]} else { fail "no load" }
                    $r replicaof {*}[at -1]
                    wait_for_sync $r 200
                    stop_write_load $writes
                    stop_write_load $one
                    $p config set rdb-key-save-delay 0
                    wait_load_handlers_disconnected -1
                    assert_dual_done $p $r
                    assert_equal [list 1 [expr {$dual_channel ? 1 : 0}]] [list [status $p sync_full] [status $p sync_partial_ok]]
                }

                test "$pair: partial resynchronisation after $kind" {
                    $r replicaof {*}[at -1]
                    wait_for_sync $r 200
                    $p config resetstat
                    set writes [start_write_load {*}[at -1] 30]
                    $p client kill type replica
                    wait_for_condition 100 20 {[status $p sync_partial_ok] == 1} else { fail "no partial resynchronisation" }
                    stop_write_load $writes
                    $p select 3
                    $p append in more
                    $p select $::dbnum
                    assert_dual_done $p $r
                    assert_equal 0 [status $p sync_full]
                }
            }

            # The reference as a replica may fail an assertion when its primary comes back at once.
            foreach {victim point} {replica transfer replica buffering replica draining primary transfer primary buffering primary announced primary draining} {
                if {$victim eq "primary" && $replica eq "other"} continue
                test "$pair: kill -9 of the $victim: $point" {
                    expect_end
                    leave [srv client]
                    set p [srv -1 client]
                    r -1 debug delay-rdb-client-free-seconds 1
                    foreach level {0 -1} {
                        r $level config set repl-diskless-sync yes dual-channel-replication-enabled yes repl-timeout 10
                    }
                    r config set repl-diskless-load disabled
                    r -1 flushall
                    populate 300 key: 100 -1
                    wait_for_condition 200 50 {[s -1 rdb_bgsave_in_progress] == 0} else { fail "a snapshot goes on" }
                    r -1 save
                    r -1 config set rdb-key-save-delay 3000
                    if {$point eq "announced"} { r debug pause-after-fork 1 }
                    r replicaof {*}[at -1]
                    switch $point {
                        announced { wait_for_condition 100 20 {[process_is_paused [srv pid]]} else { fail "the replica does not stop" } }
                        default {
                            set child [hold_dual_transfer -1]
                        }
                    }
                    if {$point eq "buffering"} {
                        r -1 set buffered 1
                        wait_for_condition 100 20 {[s replicas_repl_buffer_size] > 0} else { fail "nothing is buffered" }
                    }
                    if {$point eq "draining"} { begin_drain -1 0 $child }
                    set level [expr {$victim eq "primary" ? -1 : 0}]
                    exec kill -9 [srv $level pid]
                    wait_for_condition 100 20 {![process_is_alive [srv $level pid]]} else { fail "alive" }
                    # Those who have outlived it go on.
                    if {$point in {transfer buffering}} { resume_process $child }
                    if {$point in {announced draining} && $victim eq "primary"} { resume_process [srv pid] }
                    if {$point eq "announced"} { r debug pause-after-fork 0 }
                    restart_server $level true false
                    r -1 config set rdb-key-save-delay 0
                    if {$victim eq "replica"} {
                        wait_for_condition 100 50 {[s -1 connected_slaves] == 0} else { fail "still connected: [replica_rows [srv -1 client]]" }
                        r replicaof {*}[at -1]
                    }
                    r -1 set after $point
                    assert_dual_done [srv -1 client] [srv client] 40
                    set p [srv -1 client]
                    set r [srv client]
                } undefined [expr {$victim eq "primary" ? "peer:skip" : ""}]
            }

            foreach third [lsort -unique [list $primary $replica]] {
                start_server [list server $third overrides $dual] {
                    test "$pair: a chain to $third, and its promotion" {
                        set s [srv client]
                        $r replicaof {*}[at -2]
                        wait_for_sync $r
                        $s replicaof {*}[at -1]
                        wait_for_sync $s
                        # (Through a chain of two dual channels the reference may lose what database is selected.)
                        $p select 3
                        $p append in deed
                        $p select $::dbnum
                        $p set down chain
                        assert_equal OK [$r config resetstat]
                        wait_for_ofs_sync $s $p
                        assert_equal [$p debug digest] [$s debug digest]
                        # The second takes over; the third goes on without a full synchronisation.
                        $r replicaof no one
                        $r set promoted yes
                        wait_for_condition 100 50 {[status $s master_link_status] eq "up" && [$s get promoted] eq "yes"} else { fail "not arrived" }
                        assert_equal 0 [status $r sync_full]
                        $p config resetstat
                        $p replicaof {*}[at -1]
                        wait_for_sync $p
                        wait_for_ofs_sync $p $r
                        assert_equal [$r debug digest] [$p debug digest]
                        assert_equal 0 [status $r sync_full]
                        # Back as it was.
                        $s replicaof no one
                        $p replicaof no one
                        $r replicaof {*}[at -2]
                        wait_for_sync $r
                    }
                }
            }
        }
    }
}
