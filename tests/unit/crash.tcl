# Signals and crashes: what ends the process, what does not, and the report that is left in the log.

proc server_log {} {
    set file [open [srv 0 stdout]]
    set text [read $file]
    close $file
    return $text
}

# Waits until the log holds the glob; returns the log.
proc wait_log {glob} {
    wait_for_condition 100 50 {[string match $glob [server_log]]} else {
        fail "no '$glob' in: [server_log]"
    }
    return [server_log]
}

foreach {what how pattern} {
    "DEBUG SEGFAULT"  {catch {r debug segfault}}            {*crashed by signal: 11*}
    "DEBUG PANIC"     {catch {r debug panic}}               {*Software Failure*Guru Meditation*}
    "DEBUG ASSERT"    {catch {r debug assert}}              {*ASSERTION FAILED*==>*is not true*}
    "a signal SEGV"   {exec kill -SEGV [srv 0 pid]}         {*crashed by signal: 11*Killed by PID: *}
    "a signal ABRT"   {exec kill -ABRT [srv 0 pid]}         {*crashed by signal: 6*Killed by PID: *}
} {
    start_server {tags {"logging external:skip needs:debug"} overrides {crash-memcheck-enabled no}} {
        test "a report is left of $what" {
            expect_crash
            uplevel #0 $how
            set text [wait_log {*=== VALKEY BUG REPORT END.*}]
            assert_match {*=== VALKEY BUG REPORT START: *------ STACK TRACE ------*} $text
            assert_match $pattern $text
            wait_for_condition 50 50 {![process_is_alive [srv 0 pid]]} else {
                fail "it lives on"
            }
        }
    }
}

start_server {tags {"logging external:skip"} overrides {crash-log-enabled no}} {
    test {without a report a crash ends the process all the same} {
        expect_crash
        exec kill -SEGV [srv 0 pid]
        wait_for_condition 50 50 {![process_is_alive [srv 0 pid]]} else {
            fail "it lives on"
        }
        assert_no_match {*BUG REPORT*} [server_log]
    }
}

start_server {tags {"logging external:skip"} overrides {crash-memcheck-enabled no}} {
    test {the report can be switched off and on} {
        expect_crash
        r config set crash-log-enabled no
        r config set crash-log-enabled yes
        exec kill -SEGV [srv 0 pid]
        wait_log {*=== VALKEY BUG REPORT END.*}
    }
}

start_server {tags {"logging external:skip"}} {
    test {SIGHUP and SIGPIPE are ignored, SIGALRM shows where the process is} {
        exec kill -HUP [srv 0 pid]
        exec kill -PIPE [srv 0 pid]
        exec kill -ALRM [srv 0 pid]
        wait_log {*Received SIGALRM*STACK TRACE*}
        assert_equal PONG [r ping]
    }

    test {SIGTERM is told, the files go, and the last line says so} {
        expect_end
        exec kill -TERM [srv 0 pid]
        wait_log {*:signal-handler (*) Received SIGTERM scheduling shutdown...*User requested shutdown...*Removing the unix socket file.*ready to exit, bye bye...*}
        wait_for_condition 50 50 {![process_is_alive [srv 0 pid]]} else {
            fail "it lives on"
        }
        assert {![file exists [srv 0 unixsocket]]}
    }
}

foreach behaviour {panic panic-on-replicas} {
    start_server {tags {"logging repl external:skip needs:debug"}} {
        set primary [srv 0 client]
        set host [srv 0 host]
        set port [srv 0 port]
        start_server [list overrides [list propagation-error-behavior $behaviour crash-memcheck-enabled no]] {
            test "a replica that cannot follow its primary ends, with propagation-error-behavior $behaviour" {
                expect_crash
                $primary config set repl-diskless-sync-delay 0
                r replicaof $host $port
                wait_for_sync r
                $primary set k v
                $primary debug replicate lpush k x
                set text [wait_log {*=== VALKEY BUG REPORT END.*}]
                assert_match "*== CRITICAL == This replica is sending an error to its primary: *WRONGTYPE*after processing the command 'lpush'*" $text
                assert_match "*Guru Meditation: This replica panicked sending an error to its primary after processing the command 'lpush'*" $text
                wait_for_condition 50 50 {![process_is_alive [srv 0 pid]]} else {
                    fail "it lives on"
                }
                assert_equal PONG [$primary ping]
            }
        }
    }
}

start_server {tags {"logging repl external:skip needs:debug"}} {
    set primary [srv 0 client]
    set host [srv 0 host]
    set port [srv 0 port]
    start_server {overrides {propagation-error-behavior ignore}} {
        test {a replica goes on with propagation-error-behavior ignore} {
            $primary config set repl-diskless-sync-delay 0
            r replicaof $host $port
            wait_for_sync r
            r config set hide-user-data-from-log yes
            $primary set k v
            $primary debug replicate lpush k x
            $primary set after it
            wait_for_ofs_sync $primary r
            assert_equal it [r get after]
            assert_equal 1 [s unexpected_error_replies]
            verify_log_message 0 "*hide-user-data-from-log is on, skip logging backlog content to avoid spilling user data.*" 0
        }

        test {what came in front of an error is shown where the log may hold data} {
            $primary config set repl-diskless-sync-delay 0
            r replicaof $host $port
            wait_for_sync r
            r config set hide-user-data-from-log no
            # All but the last 256 bytes is left out.
            $primary set long [string repeat x 300]
            $primary set k "\x01\""
            set mark [log_mark]
            $primary debug replicate lpush k x
            wait_for_log $mark {*== CRITICAL ==*}
            wait_for_log $mark {*Latest backlog is: '"x*x?r?n?3?r?n$3?r?nset?r?n$1?r?nk?r?n$2?r?n?x01?"?r?n*"'*}
        }
    }
}
