# Random accidents during synchronisations and streams, under a load of writes: killed
# connections and processes, processes that stand still, changes of mind about whom to
# follow and how. The sequence is the same in every run. Whatever happened, after a
# while all have the same data, and nothing is left.

source tests/helpers/dual-channel.tcl

# One of the words.
proc any {args} {
    lindex $args [expr {int(rand() * [llength $args])}]
}

# A command to a server that may be busy with standing still or coming back. (The TLS of Tcl needs the word `try`.)
proc tell {level args} {
    catch { r $level {*}$args }
}

# Let LEVEL stand still for a moment.
proc stand_still {level} {
    set pid [srv $level pid]
    pause_process $pid
    set end [expr {[clock milliseconds] + int(rand() * 700)}]
    # The time is the accident.
    while {[clock milliseconds] < $end} { after 10 }
    resume_process $pid
}

proc accident {primary replica} {
    switch [any kill-link kill-link kill-child stand-still flip other switch-dual switch-disk load delay limit slow backlog] {
        kill-link {
            set ids [regexp -all -inline -line {id=(\d+) [^\n]*cmd=(?:psync|sync|replconf) } [r $primary client list]]
            set ids [lmap {line id} $ids {set id}]
            if {[llength $ids]} { tell $primary client kill id [any {*}$ids] }
        }
        kill-child {
            foreach pid [split [exec sh -c "pgrep -P [srv $primary pid] || true"] \n] {
                catch { exec kill -9 $pid }
            }
        }
        stand-still { stand_still [any $primary $replica] }
        flip {
            for {set i 0} {$i < 5} {incr i} {
                tell $replica replicaof no one
                tell $replica replicaof {*}[at $primary]
            }
        }
        other { tell $replica replicaof 127.0.0.1 1 }
        switch-dual { tell [any $primary $replica] config set dual-channel-replication-enabled [any yes no] }
        switch-disk { tell $primary config set repl-diskless-sync [any yes yes no] }
        load { tell $replica config set repl-diskless-load [any disabled swapdb on-empty-db] }
        delay { tell $primary config set repl-diskless-sync-delay [any 0 0 1] }
        limit { tell [any $primary $replica] config set client-output-buffer-limit "replica [any 256mb 1mb 100kb] 0 0" }
        slow { tell $primary config set rdb-key-save-delay [any 0 100 500]; tell $replica config set key-load-delay [any 0 50 200] }
        backlog { tell $primary config set repl-backlog-size [any 16kb 1mb 10mb] }
    }
    # Always back to its primary.
    tell $replica replicaof {*}[at $primary]
}

# The reference's replica may fail an assertion, or stand still for seconds.
start_server [list tags {"repl dual-channel-replication external:skip needs:debug slow"} \
        overrides [concat $dual {repl-backlog-size 100kb repl-timeout 5}]] {
    start_server [list overrides [concat $dual {repl-timeout 5}]] {
        start_server [list overrides [concat $dual {repl-timeout 5}]] {
            test {random accidents under writes: the data agree in the end, and nothing is left} {
                expr {srand(20241)}
                set p [srv -2 client]
                populate 1000 key: 500 -2
                foreach level {0 -1} { r $level replicaof {*}[at -2] }
                set writes [start_write_load {*}[at -2] 300]
                set types [start_bg_complex_data {*}[at -2] 9 100000000]
                for {set i 0} {$i < 60} {incr i} {
                    accident -2 [any 0 -1]
                    set end [expr {[clock milliseconds] + int(rand() * 300)}]
                    while {[clock milliseconds] < $end} { after 10 }
                }
                stop_write_load $writes
                stop_bg_complex_data $types
                wait_load_handlers_disconnected -2
                # Some keys have a time to live: none may go between one digest and the next.
                r -2 debug set-active-expire 0
                r -2 config set rdb-key-save-delay 0 repl-diskless-sync-delay 0 client-output-buffer-limit "replica 256mb 64mb 60"
                foreach level {0 -1} {
                    # A snapshot that was begun before may take its time, on both sides.
                    wait_for_condition 1200 100 {
                        ![catch { r $level config set key-load-delay 0 client-output-buffer-limit "replica 256mb 64mb 60" }]
                        && ![catch { r $level replicaof {*}[at -2] }]
                    } else { fail "level $level does not listen" }
                    # A link that comes up after a long load may have been given up by the primary long before.
                    wait_for_condition 1200 100 {
                        [s $level master_link_status] eq "up" && [s $level master_repl_offset] == [s -2 master_repl_offset]
                    } else { fail "level $level is not in step" }
                    assert_equal [r -2 debug digest] [r $level debug digest]
                    assert_equal {0 0} [list [s $level replicas_repl_buffer_size] [s $level panics_caught]]
                    assert_no_match {*CRITICAL*} [logs::from [srv $level stdout] 0]
                }
                wait_for_condition 200 50 {[regexp -all {state=online} [r -2 info replication]] == 2 && [s -2 connected_slaves] == 2} else { fail "rows: [replica_rows $p]" }
                wait_for_condition 100 50 {[s -2 rdb_bgsave_in_progress] == 0} else { fail "a snapshot goes on" }
                wait_for_condition 100 50 {[s -2 replicas_waiting_psync] == 0} else { fail "somebody is waited for" }
                assert_equal "" [exec sh -c "pgrep -P [srv -2 pid] || true"]
                foreach level {0 -1 -2} { assert_equal {} [temp_files $level] }
            } undefined {peer:skip timeout:600}
        }
    }
}
