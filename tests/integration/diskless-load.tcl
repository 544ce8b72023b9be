# What becomes of a replica's old data when it receives new ones: repl-diskless-load.
# Holds the acceptance items 23 and 39.

source tests/helpers/dual-channel.tcl

# Have the synchronisation of level 0 fail while it loads, and wait for that.
proc fail_while_loading {mark} {
    wait_for_log $mark {*Loading DB in memory*} 10000
    wait_for_condition 100 20 {[s -1 rdb_bgsave_in_progress] == 1} else { fail "the snapshot has ended" }
    exec kill -9 [get_child_pid -1]
}

foreach {kind overrides} [list classic {save "" repl-diskless-sync-delay 0} dual $dual] {
    start_server [list tags {"repl external:skip needs:debug"} overrides $overrides] {
        set p [srv client]
        populate 2000 new: 200
        start_server [list overrides [concat $overrides {loading-process-events-interval-bytes 1024}]] {
            set r [srv client]

            test "$kind, disabled: the old data stay until the file is complete" {
                $r set old data
                $p config set rdb-key-save-delay 5000
                $r replicaof {*}[at -1]
                wait_for_condition 100 20 {[s master_sync_in_progress] == 1} else { fail "no transfer" }
                assert_equal data [$r get old]
                assert_equal {0 0} [list [s loading] [s async_loading]]
                # Given up in between, nothing has happened.
                assert_equal OK [$r replicaof no one]
                assert_equal data [$r get old]
                wait_for_condition 50 20 {[temp_files 0] eq ""} else { fail "left behind: [temp_files 0]" }
                $p config set rdb-key-save-delay 0
                $r replicaof {*}[at -1]
                wait_for_sync $r
                assert_equal "" [$r get old]
                assert_equal [$p debug digest] [$r debug digest]
            } undefined [expr {$kind eq "dual" ? "peer:skip" : ""}]

            test "$kind, on-empty-db: by file where there are data, straight where there are none" {
                $r config set repl-diskless-load on-empty-db
                $r replicaof no one
                foreach {keys place} {1 disk 0 parser} {
                    $r flushall
                    if {$keys} { $r set old data }
                    set mark [log_mark]
                    $r replicaof {*}[at -1]
                    wait_for_log $mark "*PRIMARY <-> REPLICA sync: receiving streamed RDB from primary with EOF to $place*" 10000
                    wait_for_sync $r
                    assert_equal [$p debug digest] [$r debug digest]
                    $r replicaof no one
                }
            }

            test "$kind, swapdb: the old data stay until the new ones are there; a failure leaves them" {
                wait_for_condition 100 50 {[s -1 rdb_bgsave_in_progress] == 0} else { fail "the snapshot goes on" }
                $r config set repl-diskless-load swapdb
                $r flushall
                $r set old data
                $p config set rdb-key-save-delay 5000
                set mark [log_mark]
                $r replicaof {*}[at -1]
                # They are served meanwhile, though the new ones belong to another history. (The reference does not.)
                wait_for_condition 200 20 {[s loading] || [s async_loading]} else { fail "not loading" }
                assert_equal {0 1} [list [s loading] [s async_loading]]
                assert_equal data [$r get old]
                $r config set replica-serve-stale-data no
                assert_error {MASTERDOWN*} {$r get old}
                $r config set replica-serve-stale-data yes
                # For the next attempt, which may begin before a request is answered.
                $p config set rdb-key-save-delay 0
                fail_while_loading $mark
                wait_for_log $mark {*Internal error in RDB reading offset *} 10000
                wait_for_log $mark {*Failed trying to load the PRIMARY synchronization DB from socket, check server logs.*} 10000
                wait_for_log $mark {*Discarding temporary DB in background*}
                wait_for_log $mark {*Swapping active DB with loaded DB*} 10000
                wait_for_log $mark {*Discarding old DB in background*}
                wait_for_sync $r
                assert_equal "" [$r get old]
                assert_equal [$p debug digest] [$r debug digest]
            } undefined {peer:skip}

            # With dual channel the reference never serves the old data.
            test "$kind, swapdb with the same history: the old data are served meanwhile" {
                wait_for_condition 100 50 {[s -1 rdb_bgsave_in_progress] == 0} else { fail "the snapshot goes on" }
                $r config set repl-diskless-load swapdb
                $r replicaof {*}[at -1]
                wait_for_sync $r
                wait_for_ofs_sync $r $p
                $p set shared 1
                wait_for_ofs_sync $r $p
                # The same history, but further than the backlog reaches. (The child is not held: the
                # reference answers in between of what comes only.)
                $p config set repl-backlog-size 16kb rdb-key-save-delay 2500
                pause_process [srv pid]
                $p client kill type replica
                for {set i 0} {$i < 100} {incr i} { $p set shared [string repeat x 10000] }
                resume_process [srv pid]
                wait_for_condition 200 20 {[s async_loading] == 1} else { fail "no async loading" }
                assert_equal 1 [$r get shared]
                assert_equal 0 [s loading]
                assert_error {READONLY*} {$r set x y}
                $p config set rdb-key-save-delay 0
                wait_for_sync $r 200
                wait_for_condition 50 50 {[s async_loading] == 0} else { fail "still loading" }
                assert_equal 10000 [$r strlen shared]
                wait_for_ofs_sync $r $p
                assert_equal [$p debug digest] [$r debug digest]
                $p config set repl-backlog-size 10mb
            } undefined [expr {$kind eq "dual" ? "peer:skip" : ""}]

            # What is left of the data, if the load fails, must not be taken for the history it was.
            test "$kind, disabled: the identity goes with the old data" {
                $r replicaof no one
                wait_for_condition 100 50 {[s -1 rdb_bgsave_in_progress] == 0} else { fail "a snapshot goes on" }
                $r config set repl-diskless-load disabled key-load-delay 10000
                set before [s master_replid]
                $r replicaof {*}[at -1]
                wait_for_condition 200 20 {[s loading] == 1} else { fail "not loading" }
                set info [r info replication]
                assert_no_match "*$before*" $info
                assert_no_match "*[s -1 master_replid]*" $info
                $r config set key-load-delay 0
                wait_for_sync $r 200
                assert_equal [s -1 master_replid] [s master_replid]
            } undefined {peer:skip}

            # The reference loads in its main thread, where a load cannot outlive its synchronisation.
            test "$kind, on-empty-db: a load that was called off does not end the next one" {
                $r replicaof no one
                wait_for_condition 100 50 {[s -1 rdb_bgsave_in_progress] == 0} else { fail "a snapshot goes on" }
                $r flushall
                $r config set repl-diskless-load on-empty-db key-load-delay 300000
                $p config set rdb-key-save-delay 5000
                $r replicaof {*}[at -1]
                wait_for_condition 500 20 {[s loading] == 1 && [s loading_loaded_bytes] > 0} else { fail "no key is loaded" }
                # The next load is under way while the first one still sleeps behind a key.
                set mark [log_mark]
                $p config set rdb-key-save-delay 1000
                exec kill -9 [get_child_pid -1]
                wait_for_log $mark {*Loading DB in memory*} 10000
                $r config set key-load-delay 0
                while {[s master_link_status] ne "up"} {
                    set info [r info]
                    if {[regexp {master_link_status:up} $info]} break
                    assert_match "*\nloading:1*" $info
                }
                assert_equal [$p debug digest] [$r debug digest]
                $p config set rdb-key-save-delay 0
            } undefined {peer:skip}

            test "$kind, disabled: a load that fails leaves nothing, and is tried again" {
                $r config set repl-diskless-load disabled key-load-delay 5000
                $r replicaof no one
                $r set old data
                set mark [log_mark]
                $r replicaof {*}[at -1]
                wait_for_log $mark {*Loading DB in memory*} 10000
                wait_for_condition 100 20 {[s loading] == 1} else { fail "not loading" }
                assert_error {LOADING*} {$r get old}
                $r config set key-load-delay 0
                wait_for_sync $r 200
                assert_equal [$p debug digest] [$r debug digest]
            }
        }
    }
}
