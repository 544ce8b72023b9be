# A synchronisation of a gigabyte while clients write: dual channel beside the classic way
# under the same load and the same limits. Holds the acceptance items 56, 57 and 59.
# With --verbose the figures are printed.

source tests/helpers/dual-channel.tcl

# Write 10 MB per second to PRIMARY (a level) until CONDITION holds, and read keys meanwhile.
# Returns the 99th percentile of the reads' times in microseconds, the most memory used,
# the seconds and the bytes written.
proc write_until {primary seconds_max condition} {
    set load [valkey_deferring_client $primary]
    set value [string repeat w 10000]
    set times {}
    set most 0
    set bytes 0
    set start [clock microseconds]
    while {![uplevel 1 [list expr $condition]]} {
        set elapsed [expr {([clock microseconds] - $start) / 1e6}]
        if {$elapsed > $seconds_max} {
            fail "$seconds_max seconds have not been enough for $condition"
        }
        if {$bytes <= $elapsed * 10000000} {
            for {set i 0} {$i < 20} {incr i} {
                $load set written:[expr {int(rand() * 1000)}] $value
            }
            for {set i 0} {$i < 20} {incr i} { $load read }
            incr bytes 200000
        }
        set before [clock microseconds]
        r $primary get key::[expr {int(rand() * 1000000)}]
        lappend times [expr {[clock microseconds] - $before}]
        if {[llength $times] % 50 == 0} {
            set most [expr {max($most, [s $primary used_memory])}]
        }
    }
    $load close
    set times [lsort -integer $times]
    return [dict create p99 [lindex $times [expr {[llength $times] * 99 / 100}]] most $most \
        seconds [expr {([clock microseconds] - $start) / 1e6}] bytes $bytes]
}

start_server [list tags {"repl dual-channel-replication external:skip needs:debug large-memory slow"} overrides [concat $dual {
    repl-backlog-size 1mb client-output-buffer-limit "replica 32mb 0 0" rdb-key-save-delay -10
}]] {
    set p [srv client]
    start_server [list overrides [concat $dual {client-output-buffer-limit "replica 4gb 0 0"}]] {
        set r [srv client]
        # The reference's replica does not read while it loads: the limit is met, and it starts over.
        test {a gigabyte under writes: dual channel succeeds at the first attempt where the classic way goes in circles} {
            $p debug populate 1000000 key: 1000
            assert_morethan [s -1 used_memory] 1000000000
            set begun [clock milliseconds]
            set quiet [write_until -1 60 {[clock milliseconds] - $begun > 5000}]
            set data [s -1 used_memory]

            foreach c [list $p $r] { $c config set dual-channel-replication-enabled no }
            $r replicaof {*}[at -1]
            set classic [write_until -1 300 {[s -1 client_output_buffer_limit_disconnections] >= 2}]
            assert_equal down [s master_link_status]
            leave $r
            wait_for_condition 600 50 {[s -1 rdb_bgsave_in_progress] == 0 && [s -1 connected_slaves] == 0} else { fail "the classic synchronisation goes on" }

            foreach c [list $p $r] { $c config set dual-channel-replication-enabled yes }
            $p config resetstat
            $r replicaof {*}[at -1]
            set dual_channel [write_until -1 300 {[s master_link_status] eq "up" && [s replicas_repl_buffer_size] == 0}]
            assert_dual_done $p $r 120
            assert_equal {1 1 0} [list [s -1 sync_full] [s -1 sync_partial_ok] [s -1 client_output_buffer_limit_disconnections]]

            # The load was more than the limit, and the primary has kept none of it.
            assert_morethan [dict get $dual_channel bytes] 33554432
            set grown [expr {[dict get $dual_channel most] - $data}]
            assert_lessthan $grown [expr {[dict get $classic most] - $data}]
            # The load goes into the replica's buffer.
            assert_morethan [s replicas_repl_buffer_peak] [expr {[dict get $dual_channel bytes] / 4}]
            if {$::verbose} {
                puts stderr "classic: [expr {[dict get $classic most] - $data}] bytes of memory more, dual channel $grown; peak of the replica's buffer [s replicas_repl_buffer_peak]"
                puts stderr "99th percentile in microseconds: [dict get $quiet p99] without, [dict get $classic p99] classic, [dict get $dual_channel p99] dual channel, which took [dict get $dual_channel seconds] s for [dict get $dual_channel bytes] bytes written"
            }
            # A busy machine has its own say in this; but nothing may hold up the others for long.
            if {!$::no_latency} {
                assert_lessthan [dict get $dual_channel p99] [expr {max([dict get $classic p99], [dict get $quiet p99]) + 10000}]
            }
        } undefined {peer:skip timeout:900}
    }
}
