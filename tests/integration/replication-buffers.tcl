# The shared replication buffer and its limits. Holds the acceptance items 25 and 26.

source tests/helpers/dual-channel.tcl

# Write COUNT values of SIZE bytes to the primary.
proc fill_stream {client count size} {
    for {set i 0} {$i < $count} {incr i} {
        {*}$client set filler [string repeat x $size]
    }
}

start_server {tags {"repl external:skip needs:debug"} overrides {save "" repl-diskless-sync-delay 0 repl-backlog-size 1mb repl-ping-replica-period 3600 repl-timeout 600}} {
    set p [srv client]
    start_server {overrides {save "" repl-diskless-sync-delay 0}} {
        start_server {overrides {save "" repl-diskless-sync-delay 0}} {
            foreach level {0 -1} {
                r $level replicaof {*}[at -2]
                wait_for_sync [srv $level client]
            }
            wait_for_condition 50 100 {[regexp -all {state=online} [$p info replication]] == 2} else { fail "not online" }

            test {replicas that keep up hold nothing beyond the backlog} {
                fill_stream $p 300 10000
                wait_for_ofs_sync [srv 0 client] $p
                wait_for_ofs_sync [srv -1 client] $p
                assert_range [s -2 mem_total_replication_buffers] 1000000 1400000
                # But for the block that is being filled.
                assert_range [s -2 mem_replication_backlog] 1000000 [s -2 mem_total_replication_buffers]
                assert_lessthan [s -2 mem_clients_slaves] 200000
                assert_range [s -2 repl_backlog_histlen] 1000000 1400000
            }

            test {two slow replicas share the buffer: it holds everything once} {
                pause_process [srv 0 pid]
                pause_process [srv -1 pid]
                # Far more than the kernel keeps for the sockets, which may be 36 MB.
                fill_stream $p 3000 20000
                set total [s -2 mem_total_replication_buffers]
                assert_range $total 15000000 66000000
                # What is beyond the backlog counts as the replicas', and does not drive eviction.
                assert_morethan [s -2 mem_clients_slaves] [expr {$total / 2}]
                assert_morethan [s -2 mem_not_counted_for_evict] [expr {$total / 2}]
                assert_morethan_equal $total [s -2 mem_clients_slaves]
                foreach row [regexp -all -inline -line {flags=S .*omem=(\d+)} [$p client list]] {
                    if {[string is integer $row]} {
                        assert_range $row 10000000 66000000
                    }
                }
                # Sent on, it is given back.
                resume_process [srv 0 pid]
                resume_process [srv -1 pid]
                wait_for_ofs_sync [srv 0 client] $p
                wait_for_ofs_sync [srv -1 client] $p
                wait_for_condition 100 50 {[s -2 mem_total_replication_buffers] < 1500000} else { fail "memory is kept: [s -2 mem_total_replication_buffers]" }
                assert_equal 0 [s -2 client_output_buffer_limit_disconnections]
                assert_equal [$p debug digest] [r debug digest]
            }

            test {a slow replica over the hard limit is closed, alone; the limit is no less than the backlog} {
                $p config set client-output-buffer-limit "replica 100kb 0 0"
                $p config resetstat
                # Less than the backlog: allowed.
                fill_stream $p 40 20000
                wait_for_ofs_sync [srv 0 client] $p
                wait_for_ofs_sync [srv -1 client] $p
                assert_equal 0 [s -2 client_output_buffer_limit_disconnections]
                set mark [log_mark -2]
                pause_process [srv 0 pid]
                wait_for_condition 500 5 {
                    [fill_stream $p 20 20000] eq "" && [s -2 client_output_buffer_limit_disconnections] > 0
                } else { fail "not closed" }
                wait_for_log $mark {*Client id=*flags=S* for overcoming of output buffer limits.*}
                wait_for_log $mark "*Connection with replica 127.0.0.1:[srv 0 port] lost.*"
                assert_equal 1 [s -2 client_output_buffer_limit_disconnections]
                assert_equal 1 [s -2 connected_slaves]
                assert_lessthan [s -2 mem_total_replication_buffers] 2500000
                # It comes back when what it has missed has left the backlog, and needs a full synchronisation.
                fill_stream $p 100 20000
                resume_process [srv 0 pid]
                wait_for_log $mark {*Unable to partial resync with replica * for lack of backlog*} 10000
                wait_for_condition 100 100 {[regexp -all {state=online} [$p info replication]] == 2} else { fail "not back" }
                wait_for_ofs_sync [srv 0 client] $p
                assert_equal 1 [s -2 sync_full]
                assert_equal [$p debug digest] [r debug digest]
            }

            test {the soft limit closes a replica that stays above it} {
                $p config set repl-backlog-size 16kb client-output-buffer-limit "replica 0 200kb 1"
                $p config resetstat
                set start [clock milliseconds]
                pause_process [srv 0 pid]
                fill_stream $p 600 20000
                wait_for_condition 100 50 {[s -2 client_output_buffer_limit_disconnections] == 1} else { fail "not closed" }
                assert_morethan_equal [expr {[clock milliseconds] - $start}] 1000
                resume_process [srv 0 pid]
                $p config set client-output-buffer-limit "replica 256mb 64mb 60"
                wait_for_condition 100 100 {[regexp -all {state=online} [$p info replication]] == 2} else { fail "not back" }
            }

            test {the backlog follows its size, lazily} {
                $p config set repl-backlog-size 4mb
                fill_stream $p 300 20000
                wait_for_ofs_sync [srv 0 client] $p
                assert_range [s -2 repl_backlog_histlen] 4000000 5000000
                assert_equal 4194304 [s -2 repl_backlog_size]
                $p config set repl-backlog-size 16kb
                fill_stream $p 5 20000
                wait_for_ofs_sync [srv 0 client] $p
                wait_for_condition 50 100 {[s -2 repl_backlog_histlen] < 300000} else { fail "it stays: [s -2 repl_backlog_histlen]" }
                assert_equal [expr {[s -2 master_repl_offset] + 1}] [expr {[s -2 repl_backlog_first_byte_offset] + [s -2 repl_backlog_histlen]}]
                assert_error {ERR CONFIG SET failed*} {$p config set repl-backlog-size 0}
            }
        }
    }
}

start_server [list tags {"repl dual-channel-replication external:skip needs:debug"} overrides $dual] {
    set p [srv client]
    start_server [list overrides $dual] {
        set r [srv client]
        # Each write waits until the replica has the one before: what is measured is what the
        # primary keeps, and not how far a busy machine has let it run ahead. The amount is
        # bounded: past its limit for buffered data a replica rightly stops reading.
        test {a synchronisation costs the primary no memory to speak of} {
            $p debug populate 10000 key: 1000
            $p config set rdb-key-save-delay 200 repl-backlog-size 16kb
            set value [string repeat x 100000]
            $p set one $value
            set before [s -1 used_memory]
            $r replicaof {*}[at -1]
            set child [hold_dual_transfer -1]
            set start [s -1 master_repl_offset]
            set most 0
            for {set i 0} {$i < 100} {incr i} {
                $p set one $value
                wait_for_condition 500 5 {[s -1 mem_total_replication_buffers] < 400000} else { fail "the stream is kept: [s -1 mem_total_replication_buffers]" }
                set most [expr {max($most, [s -1 used_memory])}]
            }
            assert {[has_row $p *state=bg_transfer,*type=main-channel*]}
            # Far more has been written than it may cost.
            assert_morethan [expr {[s -1 master_repl_offset] - $start}] 10000000
            assert_lessthan [expr {$most - $before}] 1500000
            resume_process $child
            assert_dual_done $p $r
        }
    }
}
