# What INFO, ROLE and CLIENT LIST say about replication, state by state.
# Holds the acceptance item 24 of replication.

# The names of the fields of INFO replication, in order, without the slave rows.
proc fields {client} {
    lmap {- name} [regexp -all -inline -line {^([a-z_0-9]+):} [{*}$client info replication]] {
        # What is ours alone has tests of its own (replication-status).
        if {[regexp {^(slave\d|repl_sync_|repl_settings_)} $name]} { continue }
        set name
    }
}

set common [list {*}{connected_slaves replicas_waiting_psync master_failover_state master_replid master_replid2
    master_repl_offset second_repl_offset repl_backlog_active repl_backlog_size
    repl_backlog_first_byte_offset repl_backlog_histlen}]
set replica_before [list {*}{master_host master_port master_link_status master_last_io_seconds_ago master_sync_in_progress
    slave_read_repl_offset slave_repl_offset replicas_repl_buffer_size replicas_repl_buffer_peak}]
set transfer [list {*}{master_sync_total_bytes master_sync_read_bytes master_sync_left_bytes master_sync_perc
    master_sync_last_io_seconds_ago}]
set replica_after {slave_priority slave_read_only replica_announced}

start_server {tags {"repl external:skip"} overrides {save "" repl-ping-replica-period 3600}} {
    set p [srv client]

    test {a primary nobody has replicated from} {
        assert_equal [concat role $common] [fields $p]
        assert_equal {master 0 0 0 0 -1} [list [s role] [s connected_slaves] [s master_repl_offset] \
            [s repl_backlog_active] [s repl_backlog_histlen] [s second_repl_offset]]
        assert_equal [list 0 10485760 [string repeat 0 40] no-failover] [list [s repl_backlog_first_byte_offset] \
            [s repl_backlog_size] [s master_replid2] [s master_failover_state]]
        assert_match {[0-9a-f]*} [s master_replid]
        assert_equal 40 [string length [s master_replid]]
        assert_equal {master 0 {}} [r role]
    }

    test {min_slaves_good_slaves appears with both options} {
        $p config set min-replicas-to-write 1
        assert_equal 0 [s min_slaves_good_slaves]
        assert_error {NOREPLICAS Not enough good replicas to write.} {r set k v}
        $p config set min-replicas-to-write 0
        assert_equal "" [s min_slaves_good_slaves]
    }

    test {rows of replicas: waiting, sending, online; announced address} {
        populate 200 key: 100
        $p config set repl-diskless-sync-delay 60
        set c [wire_replica [srv host] [srv port] listening-port 7777 ip-address 10.9.8.7 capa eof capa psync2]
        wire_send $c PSYNC ? -1
        wait_for_condition 50 20 {[s connected_slaves] == 1} else { fail "no replica" }
        assert_match "*\r\nslave0:ip=10.9.8.7,port=7777,state=wait_bgsave,offset=0,lag=0,type=replica\r\n*" [r info replication]
        assert_equal {} [lindex [r role] 2]
        assert_match {* flags=S * cmd=psync *} [r client list]
        $p config set repl-diskless-sync-delay 0
        wire_payload_after_fullresync $c
        wire_send $c REPLCONF ACK 0
        wait_for_condition 50 20 {[string match {*state=online,offset=*,lag=[01],type=replica*} [r info replication]]} else { fail "not online" }
        r set k v
        wire_send $c REPLCONF ACK [s master_repl_offset]
        wait_for_condition 50 20 {[r role] eq [list master [s master_repl_offset] \
            [list [list 10.9.8.7 7777 [s master_repl_offset]]]]} else { fail "ROLE: [r role]" }
        assert_match "*slave0:ip=10.9.8.7,port=7777,state=online,offset=[s master_repl_offset],lag=?,type=replica*" [r info replication]
        assert_match {* flags=S * cmd=replconf *} [r client list]
        assert_equal [s repl_backlog_histlen] [expr {[s master_repl_offset] - [s repl_backlog_first_byte_offset] + 1}]
        wire_close $c
        wait_for_condition 50 20 {[s connected_slaves] == 0} else { fail "still there" }
        # The backlog stays.
        assert_equal 1 [s repl_backlog_active]
    }

    test {a replica with its snapshot from disk passes send_bulk} {
        $p config set repl-diskless-sync no rdbcompression no
        $p debug populate 300 big 100000
        set c [wire_replica [srv host] [srv port] listening-port 7777 capa eof capa psync2]
        wire_send $c PSYNC ? -1
        wait_for_condition 200 20 {[string match *state=send_bulk,* [r info replication]]} else { fail "never: [r info replication]" }
        wire_close $c
        $p flushall
        $p config set repl-diskless-sync yes rdbcompression yes
    } {OK} {needs:debug}

    start_server {overrides {save ""}} {
        test {a replica without its primary} {
            set port [find_available_port $::baseport $::portcount]
            r replicaof 127.0.0.1 $port
            assert_equal [concat role $replica_before master_link_down_since_seconds $replica_after $common] [fields r]
            assert_equal [list slave 127.0.0.1 $port down -1 0] [list [s role] [s master_host] [s master_port] \
                [s master_link_status] [s master_last_io_seconds_ago] [s master_sync_in_progress]]
            assert_match [list slave 127.0.0.1 $port connect* -1] [r role]
            r config set replica-serve-stale-data no
            assert_error {MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.} {r get k}
            assert_error MASTERDOWN* {r ping}
            r config set replica-serve-stale-data yes
        }

        test {a replica that receives a snapshot} {
            populate 200 key: 100 -1
            $p config set rdb-key-save-delay 5000
            r replicaof [srv -1 host] [srv -1 port]
            set child [hold_child -1 {[s master_sync_in_progress] == 1}]
            assert_equal [concat role $replica_before $transfer master_link_down_since_seconds $replica_after $common] [fields r]
            assert_equal [list slave [srv -1 host] [srv -1 port] sync -1] [r role]
            assert_equal {1 1} [list [s -1 rdb_bgsave_in_progress] [s -1 connected_slaves]]
            resume_process $child
        }

        test {a replica that is connected} {
            r replicaof [srv -1 host] [srv -1 port]
            wait_for_sync r
            wait_replica_online $p
            $p config set rdb-key-save-delay 0
            assert_equal [concat role $replica_before $replica_after $common] [fields r]
            r config set replica-priority 7 replica-announced no
            assert_equal {slave up 0 7 1 0} [list [s role] [s master_link_status] [s master_sync_in_progress] \
                [s slave_priority] [s slave_read_only] [s replica_announced]]
            $p set k v
            wait_for_ofs_sync r $p
            assert_equal [list slave [srv -1 host] [srv -1 port] connected [s -1 master_repl_offset]] [r role]
            assert_equal [list [s -1 master_repl_offset] [s -1 master_repl_offset]] [list [s slave_repl_offset] [s slave_read_repl_offset]]
            assert_match {* flags=M *user=(superuser)*} [r client list]
            assert_range [s master_last_io_seconds_ago] 0 2
            assert_equal [list [s -1 master_replid] [string repeat 0 40]] [list [s master_replid] [s master_replid2]]
        }

        # The reference does not count the stream it sends.
        test {bytes in and out are counted} {
            r replicaof [srv -1 host] [srv -1 port]
            wait_for_sync r
            $p config resetstat
            r config resetstat
            $p set big [string repeat x 100000]
            wait_for_ofs_sync r $p
            wait_for_condition 50 20 {
                [s -1 total_net_repl_output_bytes] > 100000 && [s total_net_repl_input_bytes] > 100000
            } else { fail "not counted: [s -1 total_net_repl_output_bytes] out, [s total_net_repl_input_bytes] in" }
        } {} {peer:skip}

        test {a link that has broken} {
            r replicaof [srv -1 host] [srv -1 port]
            wait_for_sync r
            pause_process [srv -1 pid]
            r client kill type primary
            wait_for_condition 50 50 {[s master_link_status] eq "down"} else { fail "still up" }
            assert_range [s master_link_down_since_seconds] 0 3
            resume_process [srv -1 pid]
            wait_for_sync r
        }
    }
    wire_close_all
}

# ---- what synchronisations move, in bytes ----

foreach {mode diskless dual only} {{disk-based} no no {} diskless yes no {} {dual channel} yes yes peer:skip} {
    start_server [list tags {"repl external:skip"} overrides [list save "" rdbcompression no repl-ping-replica-period 3600 repl-diskless-sync $diskless repl-diskless-sync-delay 0 dual-channel-replication-enabled $dual]] {
        for {set i 0} {$i < 100} {incr i} {
            r set key:$i [string repeat $i 20000]
        }
        start_server [list overrides [list save "" dual-channel-replication-enabled $dual]] {
            test "a snapshot counts on both sides, $mode" {
                assert_equal 0 [s -1 total_net_repl_output_bytes]
                r replicaof [srv -1 host] [srv -1 port]
                wait_for_sync r
                wait_replica_online [srv -1 client]
                wait_for_condition 100 20 {[s -1 total_net_repl_output_bytes] == [s total_net_repl_input_bytes]} else {
                    fail "sent [s -1 total_net_repl_output_bytes], received [s total_net_repl_input_bytes]"
                }
                assert_morethan [s total_net_repl_input_bytes] 3000000
                assert_equal 0 [s total_net_repl_output_bytes]
                r replicaof no one
            } {OK} [list {*}$only]
        }
        test "what was sent of a snapshot counts while it flows, and when nothing comes of it, $mode" {
            wait_for_condition 100 20 {[s rdb_bgsave_in_progress] == 0} else { fail "the snapshot goes on" }
            r config resetstat
            r config set rdb-key-save-delay [expr {$diskless ? 20000 : 0}]
            set capabilities {capa eof}
            if {$dual} {
                lappend capabilities rdb-only 1 rdb-channel 1
            }
            set c [wire_replica [srv host] [srv port] {*}$capabilities]
            wire_send $c SYNC
            wait_for_condition 500 10 {[s total_net_repl_output_bytes] > 200000} else { fail "not counted: [s total_net_repl_output_bytes]" }
            if {$diskless} {
                assert_equal 1 [s rdb_bgsave_in_progress]
                exec kill -9 [get_child_pid 0]
            }
            wire_close $c
            wait_for_condition 100 20 {[s rdb_bgsave_in_progress] == 0 && [s connected_slaves] == 0} else { fail "it goes on" }
            set sent [s total_net_repl_output_bytes]
            assert_range $sent 200000 4000000
            r config set rdb-key-save-delay 0
        } {OK} [list external:skip {*}$only]
    }
}
