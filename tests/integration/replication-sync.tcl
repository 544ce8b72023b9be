# Full synchronisations: to disk, to sockets, shared, delayed, given up; and the
# stream behind them. Holds the acceptance items 5-8, 10, 11, 13 and 49 (classic).

proc waiting_replica {level args} {
    set c [wire_replica [srv $level host] [srv $level port] capa eof capa psync2 {*}$args]
    wire_send $c PSYNC ? -1
    return $c
}

start_server {tags {"repl external:skip"} overrides {save "" repl-diskless-sync no}} {
    populate 1000 key: 100

    test {to disk: length, content, and the stream at once} {
        set c [waiting_replica 0]
        assert_match +FULLRESYNC* [wire_reply $c]
        assert_match {$[0-9]*} [wire_line $c]
        # Without an ACK the stream flows already.
        r set streamed 1
        wait_for_condition 100 20 {
            [wire::fill $c] && [string match *streamed* $wire::buffer($c)]
        } else { fail "no stream behind a snapshot from disk" }
        assert_match {*slave0:ip=127.0.0.1,*,state=online,*,type=replica*} [r info replication]
        wire_close $c
    }

    test {to sockets: marks, and nothing behind them before the first ACK} {
        r config set repl-diskless-sync yes
        set c [waiting_replica 0]
        assert_match +FULLRESYNC* [wire_reply $c]
        set payload [wire_payload $c]
        assert_equal eof [dict get $payload kind]
        assert_match {[0-9a-f]*} [dict get $payload mark]
        assert_equal 40 [string length [dict get $payload mark]]
        r set streamed 2
        assert_equal 1 [wire_silent $c 300]
        wire_send $c REPLCONF ACK 0
        assert_equal {set streamed 2} [wire_write $c]
        wait_replica_online r
        wire_close $c
    }

    # How early an ACK may come depends on when the end of the child is noticed; the
    # replica's next one comes anyway.
    test {an ACK that comes before the end of the child is noticed does no harm} {
        set c [waiting_replica 0]
        wire_payload_after_fullresync $c
        wire_send $c REPLCONF ACK 0
        wait_replica_online r
        wire_send $c REPLCONF ACK 0
        r set streamed 3
        assert_equal {set streamed 3} [wire_write $c]
        wire_close $c
    }

    # The reference makes the same mark for all transfers of a process.
    test {each transfer has a mark of its own} {
        r config set repl-diskless-sync yes
        set marks {}
        foreach i {1 2} {
            set c [waiting_replica 0]
            assert_match +FULLRESYNC* [wire_reply $c]
            lappend marks [dict get [wire_payload $c] mark]
            wire_close $c
        }
        assert_not_equal {*}$marks
    } {} {peer:skip}

    test {without the eof capability the snapshot goes by disk} {
        set c [wire_open [srv host] [srv port]]
        wire_raw $c "SYNC\r\n"
        assert_equal disk [dict get [wire_payload $c] kind]
        wire_close $c
    }

    test {the tools: cli --rdb and --replica} {
        set file [tmpfile dump]
        exec {*}[valkeycli [srv host] [srv port]] --rdb $file 2>@1
        set channel [open $file rb]
        assert_equal REDIS0011 [read $channel 9]
        close $channel
        if {$::VALKEY_CHECK_RDB_BIN ne ""} {
            assert_match {*RDB looks OK*} [exec $::VALKEY_CHECK_RDB_BIN $file]
        }
    } {} {needs:tool:cli}

    test {a SYNC client is never dropped for missing ACKs, a PSYNC one is} {
        r config set repl-diskless-sync no repl-timeout 2
        set old [wire_open [srv host] [srv port]]
        wire_raw $old "SYNC\r\n"
        wire_payload $old
        set mark [log_mark]
        set c [waiting_replica 0]
        wire_payload_after_fullresync $c
        wait_for_log $mark {*Disconnecting timedout replica (streaming sync): 127.0.0.1:*} 6000
        wire_closed $c
        r set streamed 4
        assert_equal {set streamed 4} [wire_write $old]
        r config set repl-timeout 60
        wire_close $c
        wire_close $old
    }

    test {a bare newline is a sign of life} {
        r config set repl-diskless-sync no repl-timeout 2
        set mark [log_mark]
        foreach c {alive silent} {
            set $c [waiting_replica 0]
            wire_payload_after_fullresync [set $c]
        }
        # One that has begun to wait later than the other one is given up later.
        wait_for_condition 100 100 {
            [wire_raw $alive "\r\n"] eq "" && [string match {*Disconnecting timedout replica (streaming sync)*} [logs::from {*}$mark]]
        } else { fail "nobody is given up" }
        wire_closed $silent
        wire_raw $alive "\r\n"
        assert_equal 1 [s connected_slaves]
        assert_equal 1 [regexp -all {Disconnecting timedout replica} [logs::from {*}$mark]]
        r config set repl-timeout 60
        wire_close $alive
        wire_close $silent
    }

    # ---- when a snapshot starts, and who shares it ----

    test {newlines once per second during the delay} {
        r config set repl-diskless-sync yes repl-diskless-sync-delay 3
        set mark [log_mark]
        set start [clock milliseconds]
        set c [waiting_replica 0]
        wait_for_log $mark {*Delay next BGSAVE for diskless SYNC*}
        assert_match {*slave0:*,state=wait_bgsave,offset=0,lag=0,type=replica*} [r info replication]
        set newlines 0
        while {[set line [wire_line $c]] eq ""} {
            incr newlines
        }
        assert_match +FULLRESYNC* $line
        assert_range $newlines 2 5
        assert_morethan [expr {[clock milliseconds] - $start}] 2000
        wire_close $c
    }

    test {those who come within the delay share a snapshot; enough of them end it} {
        r config set repl-diskless-sync yes repl-diskless-sync-delay 3600 repl-diskless-sync-max-replicas 3
        wait_for_condition 50 100 {[s rdb_bgsave_in_progress] == 0 && [s connected_slaves] == 0} else { fail "busy" }
        set forks [s total_forks]
        set mark [log_mark]
        set all {}
        foreach i {1 2 3} {
            lappend all [waiting_replica 0]
        }
        set lines [lmap c $all {wire_reply $c}]
        assert_match +FULLRESYNC* [lindex $lines 0]
        assert_equal 1 [llength [lsort -unique $lines]]
        assert_equal 1 [llength [lsort -unique [lmap c $all {wire_payload $c}]]]
        wait_for_log $mark {*Starting BGSAVE for SYNC with target: replicas sockets using: normal sync*}
        wait_for_log $mark {*Background RDB transfer started by pid * to pipe through parent process*}
        wait_for_log $mark {*Background RDB transfer terminated with success*}
        wait_for_log $mark {*Streamed RDB transfer with replica * succeeded (socket). Waiting for REPLCONF ACK from replica to enable streaming*}
        foreach c $all {
            wire_send $c REPLCONF ACK 0
        }
        wait_for_log $mark {*Synchronization with replica * succeeded*}
        assert_equal [expr {$forks + 1}] [s total_forks]
        foreach c $all {
            wire_close $c
        }
        r config set repl-diskless-sync-delay 0 repl-diskless-sync-max-replicas 0
    }

    test {different wishes do not share: two snapshots, one after the other} {
        r config set repl-diskless-sync yes rdb-key-save-delay 1000
        set forks [s total_forks]
        set a [waiting_replica 0]
        assert_match +FULLRESYNC* [wire_reply $a]
        set child [hold_child 0]
        set mark [log_mark]
        set b [wire_replica [srv host] [srv port] capa eof rdb-only 1 rdb-filter-only functions]
        wire_send $b SYNC
        wait_for_log $mark {*Current BGSAVE has socket target. Waiting for next BGSAVE for SYNC*}
        r config set rdb-key-save-delay 0
        resume_process $child
        assert_morethan [string length [dict get [wire_payload $a] rdb]] 10000
        assert_lessthan [string length [dict get [wire_payload $b] rdb]] 1000
        assert_equal [expr {$forks + 2}] [s total_forks]
        wire_close $a
        wire_close $b
    }

    test {different wishes do not share when they come within the delay either} {
        r config set repl-diskless-sync yes repl-diskless-sync-delay 1
        wait_for_condition 50 100 {[s rdb_bgsave_in_progress] == 0} else { fail "busy" }
        set forks [s total_forks]
        set a [waiting_replica 0]
        set b [wire_replica [srv host] [srv port] capa eof rdb-only 1 rdb-filter-only functions]
        wire_send $b SYNC
        assert_match +FULLRESYNC* [wire_reply $a]
        assert_morethan [string length [dict get [wire_payload $a] rdb]] 10000
        assert_lessthan [string length [dict get [wire_payload $b] rdb]] 1000
        assert_equal [expr {$forks + 2}] [s total_forks]
        wire_close $a
        wire_close $b
        r config set repl-diskless-sync-delay 0
    }

    test {a second replica attaches to the save to disk, at the same offset} {
        r config set repl-diskless-sync no rdb-key-save-delay 1000
        wait_for_condition 50 100 {[s rdb_bgsave_in_progress] == 0} else { fail "busy" }
        set forks [s total_forks]
        set a [waiting_replica 0]
        set first [wire_reply $a]
        assert_match +FULLRESYNC* $first
        set child [hold_child 0]
        r set streamed 5
        set mark [log_mark]
        set b [waiting_replica 0]
        wait_for_log $mark {*Waiting for end of BGSAVE for SYNC*}
        assert_equal $first [wire_reply $b]
        resume_process $child
        foreach c [list $a $b] {
            assert_equal disk [dict get [wire_payload $c] kind]
            assert_equal {set streamed 5} [wire_write $c]
            wire_close $c
        }
        assert_equal [expr {$forks + 1}] [s total_forks]
    }

    test {who can do less than the one that waits does not attach} {
        r config set repl-diskless-sync no rdb-key-save-delay 1000
        wait_for_condition 50 100 {[s rdb_bgsave_in_progress] == 0} else { fail "busy" }
        set forks [s total_forks]
        set a [waiting_replica 0]
        assert_match +FULLRESYNC* [wire_reply $a]
        set child [hold_child 0]
        set mark [log_mark]
        set b [wire_open [srv host] [srv port]]
        wire_raw $b "SYNC\r\n"
        wait_for_log $mark {*Can't attach the replica to the current BGSAVE. Waiting for next BGSAVE for SYNC*}
        resume_process $child
        foreach c [list $a $b] {
            assert_equal disk [dict get [wire_payload $c] kind]
            wire_close $c
        }
        assert_equal [expr {$forks + 2}] [s total_forks]
        r config set rdb-key-save-delay 0
    }

    test {a save of the user is not attached to when no replica waits for it} {
        r config set rdb-key-save-delay 1000
        r bgsave
        set child [hold_child 0]
        r config set rdb-key-save-delay 0
        set mark [log_mark]
        set c [waiting_replica 0]
        wait_for_log $mark {*Can't attach the replica to the current BGSAVE. Waiting for next BGSAVE for SYNC*}
        resume_process $child
        wire_payload_after_fullresync $c
        wire_close $c
    } {} {needs:save}

    test {a child that is killed: its replicas are closed} {
        set kinds {no yes}
        r config set rdb-key-save-delay 5000
        foreach diskless $kinds {
            wait_for_condition 100 50 {[s rdb_bgsave_in_progress] == 0} else { fail "busy" }
            r config set repl-diskless-sync $diskless
            set mark [log_mark]
            set c [waiting_replica 0]
            assert_match +FULLRESYNC* [wire_reply $c]
            exec kill -9 [get_child_pid 0]
            wire_closed $c
            wait_for_log $mark {*SYNC failed. BGSAVE child returned an error*}
            wire_close $c
            assert_equal {} [glob -nocomplain -directory [file dirname [srv stdout]] temp-*]
        }
    }

    test {a dump file that is gone when it is to be sent: its replicas are closed} {
        r config set repl-diskless-sync no rdb-key-save-delay 1000
        wait_for_condition 100 50 {[s rdb_bgsave_in_progress] == 0} else { fail "busy" }
        set dump [file join [file dirname [srv stdout]] [lindex [r config get dbfilename] 1]]
        set mark [log_mark]
        set c [waiting_replica 0]
        assert_match +FULLRESYNC* [wire_reply $c]
        set child [hold_child 0]
        file delete $dump
        pause_process [srv pid]
        resume_process $child
        wait_for_condition 100 50 {[file exists $dump]} else { fail "the child does not end" }
        file delete $dump
        resume_process [srv pid]
        wire_closed $c
        wait_for_log $mark {*SYNC failed. Can't open/stat DB after BGSAVE: No such file or directory*}
        wire_close $c
    }

    # The reference sends whatever is called by the new name.
    test {a dump file that is renamed in the configuration meanwhile is the one that is sent} {
        set dir [file dirname [srv stdout]]
        r config set rdb-key-save-delay 0 dbfilename other.rdb
        r save
        r config set rdb-key-save-delay 1000 dbfilename dump.rdb
        r set only here
        set c [waiting_replica 0]
        assert_match +FULLRESYNC* [wire_reply $c]
        set child [hold_child 0]
        r config set dbfilename other.rdb
        resume_process $child
        assert_match *only*here* [dict get [wire_payload $c] rdb]
        wire_close $c
        r config set dbfilename dump.rdb
        r del only
    } {1} {peer:skip}

    # The reference misses the end of the last replica when it comes right after the start.
    test {all replicas of a transfer gone: the child ends} {
        r config set repl-diskless-sync yes rdb-key-save-delay 10000
        set mark [log_mark]
        set c [waiting_replica 0]
        assert_match +FULLRESYNC* [wire_reply $c]
        assert_equal 1 [s rdb_bgsave_in_progress]
        wire_close $c
        wait_for_condition 100 20 {[s rdb_bgsave_in_progress] == 0} else { fail "the child goes on" }
        wait_for_log $mark {*Diskless rdb transfer, last replica dropped, killing fork child.*}
        r config set rdb-key-save-delay 0
        set _ {}
    } {} {peer:skip}
    wire_close_all
}

# Real replicas: every way to load, and the offsets afterwards.
foreach {diskless load} {no disabled yes disabled yes on-empty-db yes swapdb} {
    start_server [list tags {"repl external:skip"} overrides [list save "" repl-diskless-sync $diskless]] {
        set primary [srv client]
        start_server [list overrides [list save "" repl-diskless-load $load]] {
            test "a full synchronisation under writes: diskless $diskless, load $load" {
                createComplexDataset $primary 300 useexpire
                if {$load ne "on-empty-db"} {
                    r set old data
                }
                $primary config set key-load-delay 0
                set writes [start_write_load [srv -1 host] [srv -1 port] 30]
                r replicaof [srv -1 host] [srv -1 port]
                wait_for_sync r
                wait_replica_online $primary
                stop_write_load $writes
                wait_load_handlers_disconnected -1
                wait_for_ofs_sync r $primary
                assert_equal [debug_digest -1] [debug_digest]
                assert_equal {} [r get old]
                assert_equal 1 [s -1 sync_full]
            } {} {needs:debug}

            if {$load eq "disabled"} {
                test "offsets agree everywhere after all kinds of writes: diskless $diskless" {
                    r replicaof [srv -1 host] [srv -1 port]
                    wait_for_sync r
                    $primary config set repl-ping-replica-period 1
                    set expired [s -1 expired_keys]
                    for {set db 0} {$db < 16} {incr db 5} {
                        $primary select $db
                        $primary set k $db
                        $primary multi
                        $primary incr n
                        $primary lpush l a b c
                        $primary exec
                        $primary set gone soon px 20
                    }
                    $primary select $::dbnum
                    # Their ends are in the stream as well.
                    wait_for_condition 50 100 {[s -1 expired_keys] >= $expired + 4} else { fail "nothing expires" }
                    set before [s -1 master_repl_offset]
                    wait_for_condition 50 100 {[s -1 master_repl_offset] > $before} else { fail "no PING in the stream" }
                    $primary config set repl-ping-replica-period 3600
                    wait_for_condition 50 100 {
                        [regexp {slave0:.*offset=(\d+),} [$primary info replication] - acked]
                        && $acked == [s -1 master_repl_offset]
                        && [s slave_repl_offset] == $acked && [s slave_read_repl_offset] == $acked
                        && [s master_repl_offset] == $acked
                    } else { fail "offsets differ" }
                    assert_equal $acked [lindex [$primary role] 2 0 2]
                    assert_equal $acked [lindex [r role] 4]
                    assert_equal [debug_digest -1] [debug_digest]
                } {} {needs:debug}
            }
        }
    }
}

# Whose files are made for synchronisations alone may have them removed.
foreach {save kept} {{} 0 {3600 1000000} 1} {
    start_server [list tags {"repl external:skip"} overrides [list save $save repl-diskless-sync no rdb-del-sync-files yes]] {
        start_server [list overrides [list save $save rdb-del-sync-files yes]] {
            test "rdb-del-sync-files with save points '$save'" {
                set marks [list [log_mark -1] [log_mark]]
                set dumps [lmap level {-1 0} {file join [file dirname [srv $level stdout]] dump.rdb}]
                r replicaof [srv -1 host] [srv -1 port]
                wait_for_sync r
                wait_replica_online [srv -1 client]
                foreach dump $dumps {
                    wait_for_condition 50 100 {[file exists $dump] == $kept} else { fail "$dump: [file exists $dump]" }
                }
                foreach mark $marks text {
                    "Removing the RDB file used to feed replicas in a persistence-less instance"
                    "Removing the RDB file obtained from the primary. This replica has persistence disabled"
                } {
                    assert_equal [expr {!$kept}] [string match *$text* [logs::from {*}$mark]]
                }
            }
        }
    }
}

# A child that held the listening socket would keep the port as long as it lives.
start_server {tags {"repl external:skip needs:save"} overrides {save ""}} {
    test {who dies during a save can be started on the same port while the child goes on} {
        populate 1000 key: 10
        r config set rdb-key-save-delay 100000
        r bgsave
        set child [get_child_pid 0]
        expect_end
        exec kill -9 [srv pid]
        wait_for_condition 100 20 {![process_is_alive [srv pid]]} else { fail "alive" }
        assert_equal 1 [process_is_alive $child]
        restart_server 0 true false
        assert_equal PONG [r ping]
        exec kill -9 $child
    }
}

test {a delay longer than the replica's timeout: newlines keep it waiting} {
    start_server {tags {"repl external:skip"} overrides {save "" repl-diskless-sync-delay 4}} {
        start_server {overrides {save "" repl-timeout 2}} {
            r replicaof [srv -1 host] [srv -1 port]
            wait_for_sync r 100
            assert_equal 1 [s -1 sync_full]
        }
    }
}

# The reference keeps signs in a set that was big, and its replica makes a listpack of it, which has none.
test {zeros of a sorted set that was big are the same on the replica} {
    start_server {tags {"repl external:skip needs:debug"} overrides {save "" repl-diskless-sync-delay 0}} {
        start_server {overrides {save ""}} {
            set primary [srv -1 client]
            for {set i 0} {$i < 200} {incr i} { $primary zadd big [expr {-$i}] member:$i }
            $primary zunionstore zeros 1 big weights 0
            $primary zremrangebyrank zeros 3 -1
            r replicaof [srv -1 host] [srv -1 port]
            wait_for_sync r
            assert_equal [$primary zrange zeros 0 -1 withscores] [r zrange zeros 0 -1 withscores]
            assert_equal [debug_digest -1] [debug_digest]
            $primary zadd zeros -0 signed
            $primary zadd big -0 signed
            wait_for_ofs_sync $primary r
            assert_equal {0 0} [list [r zscore zeros signed] [r zscore big signed]]
            assert_equal [debug_digest -1] [debug_digest]
        }
    }
} {} {peer:skip}
