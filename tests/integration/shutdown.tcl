# A shutdown that waits for its replicas: what it says, what it holds back, and how it is called off.

source tests/helpers/dual-channel.tcl

set calm {save "" repl-diskless-sync-delay 0 shutdown-timeout 1000}

# Level 0 stands still and lacks a write of level -1.
proc fall_behind {} {
    r replicaof {*}[at -1]
    wait_for_sync [srv client]
    wait_replica_online [srv -1 client]
    wait_for_ofs_sync [srv client] [srv -1 client]
    wait_for_condition 50 100 {[string match {*lag=[01]*} [s -1 slave0]]} else { fail "no acknowledgement" }
    pause_process [srv pid]
    r -1 set ahead of
}

start_server [list tags {"repl shutdown external:skip"} overrides $calm] {
    set primary [srv client]
    start_server [list overrides $calm] {
        test {while a shutdown waits INFO tells how long it may yet take} {
            fall_behind
            assert_equal {} [s -1 shutdown_in_milliseconds]
            set client [valkey_deferring_client -1]
            $client shutdown
            wait_for_condition 50 100 {[s -1 shutdown_in_milliseconds] ne {}} else { fail "no shutdown" }
            assert_range [s -1 shutdown_in_milliseconds] 1 1000000
            assert_equal OK [$primary shutdown abort]
            assert_error {ERR Errors trying to SHUTDOWN. Check logs.} {$client read}
            assert_equal {} [s -1 shutdown_in_milliseconds]
            assert_error {ERR No shutdown in progress.} {$primary shutdown abort}
            $client close
            resume_process [srv pid]
        }

        test {whoever asks for a second shutdown waits for the first one} {
            fall_behind
            set mark [log_mark -1]
            set before [count_message_lines [srv -1 stdout] "User requested shutdown"]
            set clients {}
            foreach words {{} now {nosave force}} {
                set client [valkey_deferring_client -1]
                $client shutdown {*}$words
                lappend clients $client
                wait_for_blocked_clients_count [llength $clients] 100 50 -1
            }
            exec kill -TERM [srv -1 pid]
            wait_for_log $mark "*Received SIGTERM scheduling shutdown*"
            assert_equal OK [$primary shutdown abort]
            foreach client $clients {
                assert_error {ERR Errors trying to SHUTDOWN. Check logs.} {$client read}
                $client close
            }
            assert_equal [expr {$before + 1}] [count_message_lines [srv -1 stdout] "User requested shutdown"]
            resume_process [srv pid]
        }

        test {CLIENT UNPAUSE does not let writes pass that a shutdown holds back} {
            fall_behind
            set client [valkey_deferring_client -1]
            $client shutdown
            wait_for_blocked_client -1
            set writer [valkey_deferring_client -1]
            $writer set k v
            wait_for_blocked_clients_count 2 100 50 -1
            $primary client unpause
            assert_equal PONG [$primary ping]
            wait_for_blocked_clients_count 2 100 50 -1
            assert_equal OK [$primary shutdown abort]
            assert_error {ERR Errors*} {$client read}
            assert_equal OK [$writer read]
            $client close
            $writer close
            resume_process [srv pid]
        }

        test {the end of a failover leaves a client's pause alone, and the other way round} {
            fall_behind
            $primary client pause 1000000 write
            assert_equal OK [$primary failover]
            assert_equal OK [$primary failover abort]
            set writer [valkey_deferring_client -1]
            $writer set k v
            wait_for_blocked_client -1
            assert_equal OK [$primary failover]
            $primary client unpause
            assert_equal PONG [$primary ping]
            wait_for_blocked_client -1
            assert_equal OK [$primary failover abort]
            assert_equal OK [$writer read]
            $writer close
            resume_process [srv pid]
        }
    }
}
