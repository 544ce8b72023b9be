# A disk that fails: the kernel's calls for the log return EIO, as strace has them do, until it lets go of the server.

# Whether strace may attach to a process that is not its own: in some containers nobody may.
proc can_trace {} {
    if {[auto_execok strace] eq ""} { return 0 }
    set sleeper [exec sleep 60 &]
    set refused [catch {exec timeout --signal=INT 1 strace -o /dev/null -p $sleeper} said]
    exec kill $sleeper
    return [expr {!$refused || [string match *attached* $said]}]
}

if {![can_trace]} {
    puts "strace cannot attach to processes here: what a disk does that fails is not tried"
    return
}

tags {"external:skip aof needs:tool:strace needs:local-process needs:linux"} {

# From here on these calls for the file that the server is writing fail with EIO. Returns what `recover` ends that with.
proc fail_calls {calls} {
    set file [file join [lindex [r config get dir] 1] appendonlydir appendonly.aof.1.incr.aof]
    set tracer [open |[list strace -f -p [srv 0 pid] -o /dev/null -P $file -e trace=$calls -e inject=$calls:error=EIO 2>@1] r]
    fconfigure $tracer -blocking 0
    set said ""
    eventually 10000 {[string match {*attached*} [append said [read $tracer]]]}
    return $tracer
}

# The disk is whole again.
proc recover {tracer} {
    exec kill [pid $tracer]
    fconfigure $tracer -blocking 1
    # It says that it was told to end.
    catch {read $tracer}
    catch {close $tracer}
}

# Counts up until that is refused; the last number that was acknowledged.
proc count_until_refused {} {
    set acknowledged 0
    set start [clock milliseconds]
    while {![catch {r incr counter} reply]} {
        set acknowledged $reply
        if {[waits::over $start 10000]} {
            fail "$acknowledged writes were taken, the last one 10 s after the first"
        }
    }
    assert_match {MISCONF Errors writing to the AOF file: Input/output error} $reply
    return $acknowledged
}

# What is on the disk after a crash: everything acknowledged, and perhaps the one that was refused.
proc assert_counted {acknowledged} {
    wait_done_loading r
    assert_range [r get counter] $acknowledged [expr {$acknowledged + 1}]
}

start_server {overrides {appendonly yes save "" appendfsync always}} {
    foreach {calls what line} {
        fdatasync {a sync}
            {*Can't persist AOF for fsync error when the AOF fsync policy is 'always': Input/output error. Exiting...*}
        write,pwrite64 {a write}
            {*Can't recover from AOF write error when the AOF fsync policy is 'always'. Exiting...*}
    } {
        test "with always $what that fails ends the server, and nobody is answered" {
            expect_end
            r flushall
            r incr counter
            set mark [log_mark]
            set tracer [fail_calls $calls]
            set rd [valkey_deferring_client]
            $rd incr counter
            assert_error * {$rd read}
            wait_for_log $mark $line 10000
            recover $tracer
            restart_server 0 true false
            assert_counted 1
            r flushall
        }
    }
}

start_server {overrides {appendonly yes save "" appendfsync everysec}} {
    test {with everysec writes are refused when a sync fails, and reads go on} {
        expect_end
        r flushall
        r set k v
        set mark [log_mark]
        set tracer [fail_calls fdatasync]
        set acknowledged [count_until_refused]
        wait_for_log $mark {*Fail to fsync the AOF file: Input/output error*} 10000
        assert_equal err [s aof_last_write_status]
        assert_error {MISCONF Errors writing to the AOF file: Input/output error} {r ping}
        assert_equal v [r get k]
        recover $tracer
        exec kill -9 [srv 0 pid]
        restart_server 0 true false
        assert_counted $acknowledged
    }

    # There it is refused for ever.
    test {with everysec a disk that syncs again is written to, without help} {
        expect_end
        r flushall
        set tracer [fail_calls fdatasync]
        set acknowledged [count_until_refused]
        recover $tracer
        eventually 5000 {![catch {r incr counter}]}
        assert_equal ok [s aof_last_write_status]
        # What was in doubt is on the disk, too.
        assert_equal {1 0} [r waitaof 1 0 10000]
        set acknowledged [r get counter]
        exec kill -9 [srv 0 pid]
        restart_server 0 true false
        wait_done_loading r
        assert_equal $acknowledged [r get counter]
    } {} {peer:skip}

    # There the write that meets the error is acknowledged, and lost.
    test {with everysec a write that fails is not acknowledged, and goes on when the disk does} {
        expect_end
        r flushall
        set tracer [fail_calls write,pwrite64]
        set acknowledged [count_until_refused]
        recover $tracer
        reconnect
        eventually 5000 {![catch {r incr counter}]}
        set acknowledged [r get counter]
        exec kill -9 [srv 0 pid]
        restart_server 0 true false
        wait_done_loading r
        assert_equal $acknowledged [r get counter]
    } {} {peer:skip}
}
}
