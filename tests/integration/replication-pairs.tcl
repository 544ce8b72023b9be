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
            $p select 9
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
                    $p config set rdb-key-save-delay 500
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
                    $p config resetstat
                    set writes [start_write_load {*}[at -1] 30]
                    $p client kill type replica
                    wait_for_condition 100 20 {[status $p sync_partial_ok] == 1} else { fail "no partial resynchronisation" }
                    stop_write_load $writes
                    $p select 3
                    $p append in more
                    $p select 9
                    assert_dual_done $p $r
                    assert_equal 0 [status $p sync_full]
                }
            }

            foreach third [lsort -unique [list $primary $replica]] {
                start_server [list server $third overrides $dual] {
                    test "$pair: a chain to $third, and its promotion" {
                        set s [srv client]
                        $s replicaof {*}[at -1]
                        wait_for_sync $s
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
