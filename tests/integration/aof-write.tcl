# Writing the append-only file: what is on the disk when a reply comes, WAITAOF, replicas.

tags {"external:skip aof"} {

start_server {overrides {appendonly yes save "" appendfsync always}} {
    test {with always WAITAOF has nothing to wait for} {
        r set k v
        assert_equal {1 0} [r waitaof 1 0 0]
    }

    test {pipelines and large values come in order} {
        set rd [valkey_deferring_client]
        for {set i 0} {$i < 200} {incr i} {
            $rd rpush list $i
        }
        $rd set big [string repeat x 3000000]
        $rd llen list
        for {set i 1} {$i <= 200} {incr i} {
            assert_equal $i [$rd read]
        }
        assert_equal OK [$rd read]
        assert_equal 200 [$rd read]
        $rd close
        r debug loadaof
        assert_equal 200 [r llen list]
        assert_equal 3000000 [r strlen big]
    } {} {needs:debug}

    test {messages and events come behind the sync that covers them} {
        r config set notify-keyspace-events KEA
        set rd [valkey_deferring_client]
        subscribe $rd {__keyevent@9__:set}
        r set seen 1
        assert_equal {message __keyevent@9__:set seen} [$rd read]
        set rb [valkey_deferring_client]
        $rb blpop queue 0
        wait_for_blocked_client
        r rpush queue v
        assert_equal {queue v} [$rb read]
        $rd close
        $rb close
    }
}

start_server {overrides {appendonly yes save "" appendfsync no}} {
    test {without syncs WAITAOF ends when its time is up} {
        r set k v
        assert_equal {0 0} [r waitaof 1 0 50]
    }
}

start_server {overrides {appendonly yes save "" appendfsync everysec}} {
    test {with everysec WAITAOF waits for the sync} {
        r set k v
        assert_equal {1 0} [r waitaof 1 0 0]
    }

    test {WAITAOF refuses what makes no sense} {
        assert_error {ERR value is out of range, value must between 0 and 1} {r waitaof 2 0 0}
        assert_error {ERR value is out of range, must be positive} {r waitaof 0 -1 0}
        assert_error {ERR timeout is negative} {r waitaof 0 0 -1}
    }

    test {WAITAOF waits for what a script has written that others had to wait for} {
        r config set appendfsync no busy-reply-threshold 1
        set rd [valkey_deferring_client]
        $rd eval {local i = 0 while i < 3000000 do i = i + 1 end return redis.call('incr', 'counter')} 0
        assert_match {[0-9]*} [$rd read]
        $rd waitaof 1 0 100
        assert_equal {0 0} [$rd read]
        $rd close
        r config set appendfsync everysec busy-reply-threshold 5000
    }

    test {switched off while somebody waits, the wait ends} {
        r config set appendfsync no
        r incr counter
        set rd [valkey_deferring_client]
        $rd incr counter
        $rd read
        $rd waitaof 1 0 0
        wait_for_blocked_client
        r config set appendonly no
        assert_error {ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.} {$rd read}
        $rd close
        r config set appendfsync everysec appendonly yes
        waitForBgrewriteaof r
    }

    test {INFO tells how the log stands} {
        foreach field {
            aof_current_size aof_base_size aof_pending_rewrite aof_buffer_length
            aof_pending_bio_fsync aof_delayed_fsync
        } {
            assert_match {[0-9]*} [s $field]
        }
        assert_equal ok [s aof_last_write_status]
    }

    test {INFO tells what is not synced} {
        r set k [string repeat x 1000]
        assert_match {[0-9]*} [s aof_unsynced_bytes]
        eventually 5000 {[s aof_unsynced_bytes] == 0}
        assert_equal 0 [s aof_unsynced_age_ms]
    } {} {peer:skip}

    test {INFO tells how long event loops have been writing the log} {
        r debug aof-flush-sleep 20000
        r config resetstat
        r set k v
        r set k w
        assert_morethan_equal [getInfoProperty [r info debug] eventloop_duration_aof_sum] 40000
        r debug aof-flush-sleep 0
        r config resetstat
        assert_lessthan [getInfoProperty [r info debug] eventloop_duration_aof_sum] 40000
    } {} {needs:debug}

    test {SHUTDOWN syncs the log} {
        r set last 1
        restart_server 0 true false
        wait_done_loading r
        assert_equal 1 [r get last]
    }
}

# Has the inner server follow the outer one, with a log that has begun anew.
proc follow_the_outer {} {
    if {[s role] eq "master"} {
        r replicaof [srv -1 host] [srv -1 port]
    }
    wait_for_sync r
    eventually 10000 {[s aof_enabled] == 1 && [s aof_rewrite_in_progress] == 0}
}

start_server {overrides {appendonly yes save ""}} {
    start_server {overrides {appendonly yes save ""}} {
        set primary [srv -1 client]
        test {a replica logs what it has taken from its primary, and what follows} {
            r -1 set before 1
            follow_the_outer
            r -1 set after 1
            r -1 multi
            r -1 incr a
            r -1 incr b
            r -1 exec
            wait_for_ofs_sync r $primary
            r debug loadaof
            assert_equal {1 1 1 1} [r mget before after a b]
        } {} {needs:repl needs:debug}

        test {WAITAOF counts the files of replicas} {
            follow_the_outer
            r -1 set k v
            assert_equal {1 1} [r -1 waitaof 1 1 10000]
            r -1 set k w
            assert_equal 1 [lindex [r -1 waitaof 0 1 10000] 1]
            assert_error {ERR WAITAOF cannot be used with replica instances*} {r waitaof 0 0 0}
        } {} {needs:repl}

        test {a replica without a log is not counted} {
            follow_the_outer
            r config set appendonly no
            r -1 set k x
            assert_equal 0 [lindex [r -1 waitaof 0 1 100] 1]
            r config set appendonly yes
            waitForBgrewriteaof r
        } {} {needs:repl}

        test {a replica that is started anew goes on where its log ends} {
            follow_the_outer
            r config rewrite
            set before [s -1 sync_full]
            r -1 set k y
            wait_for_ofs_sync r $primary
            restart_server 0 true false
            wait_done_loading r
            wait_for_sync r
            r -1 set k z
            wait_for_ofs_sync r $primary
            assert_equal z [r get k]
            assert_equal $before [s -1 sync_full]
            assert_morethan [s -1 sync_partial_ok] 0
        } {} {needs:repl peer:skip}

        test {a replica that was killed synchronises anew} {
            expect_end
            follow_the_outer
            r config rewrite
            set before [s -1 sync_full]
            r -1 set k killed
            wait_for_ofs_sync r $primary
            exec kill -9 [srv 0 pid]
            restart_server 0 true false
            wait_done_loading r
            wait_for_sync r
            wait_for_ofs_sync r $primary
            assert_equal killed [r get k]
            assert_equal [expr {$before + 1}] [s -1 sync_full]
        } {} {needs:repl}

        test {a replica that becomes a primary goes on with its log} {
            r -1 set after 1
            follow_the_outer
            wait_for_ofs_sync r $primary
            r replicaof no one
            r config rewrite
            r set own 1
            assert_equal 1 [s aof_enabled]
            restart_server 0 true false
            wait_done_loading r
            assert_equal {1 1} [r mget own after]
        } {} {needs:repl}
    }
}
}
