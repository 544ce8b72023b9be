# CLIENT CAPA REDIRECT: a replica sends clients that can follow to its primary.

source tests/helpers/dual-channel.tcl

set calm {save "" repl-diskless-sync-delay 0}

# A client of this level that follows redirections.
proc following {level} {
    set client [valkey_client $level]
    $client client capa redirect
    return $client
}

# A deferred one, on which these commands have been called.
proc deferred_following {level args} {
    set client [valkey_deferring_client $level]
    foreach command [list {client capa redirect} {*}$args] {
        $client {*}$command
        $client read
    }
    return $client
}

# Level -1 is the primary of level 0.
proc one_follows {} {
    if {[s -1 role] eq "slave"} {
        # While it loads it may not be told anything.
        wait_for_sync [srv -1 client]
        r -1 replicaof no one
    }
    r replicaof {*}[at -1]
    wait_for_sync [srv client]
    wait_replica_online [srv -1 client]
    wait_for_ofs_sync [srv client] [srv -1 client]
}

start_server [list tags {"repl external:skip"} overrides $calm] {
    set primary [srv client]
    start_server [list overrides $calm] {
        set elsewhere "REDIRECT [join [at -1] :]"

        test {CLIENT CAPA takes any words, and wants one} {
            assert_error {ERR wrong number of arguments for 'client|capa' command} {r client capa}
            assert_equal OK [r client capa no-such-capability]
            assert_equal OK [r client capa no-such-capability redirect another]
            reconnect
        }

        test {reads and writes are redirected, everything else is answered} {
            one_follows
            set client [following 0]
            foreach command {{set k v} {get k} {dbsize} {keys *} {scan 0} {randomkey} {flushall} {swapdb 0 1} {blpop l 1}
                    {xread block 1 streams s 0} {object encoding k} {memory usage k} {touch k} {function flush} {lolwut}} {
                assert_error $elsewhere {$client {*}$command}
            }
            foreach command {{ping} {publish ch m} {watch k} {unwatch} {client id} {info keyspace} {command getkeys get k}
                    {config get maxmemory} {script exists a} {function list} {object help}} {
                $client {*}$command
            }
            # What is wrong anyway is said first.
            assert_error {ERR wrong number of arguments for 'get' command} {$client get}
            assert_error {ERR unknown command*} {$client nosuchcommand}
            # Who has not asked for it is served as ever.
            assert_equal {} [r get k]
            assert_error {READONLY *} {r set k v}
            $client close
        }

        test {READONLY lets reads pass, READWRITE and RESET end that} {
            one_follows
            set client [following 0]
            $client readonly
            assert_equal {} [$client get k]
            assert_error $elsewhere {$client set k v}
            $client readwrite
            assert_error $elsewhere {$client get k}
            $client readonly
            $client reset
            # The capability is the client's, whoever it is by then.
            assert_error $elsewhere {$client get k}
            $client close
        }

        test {the refusal counts as one} {
            one_follows
            r config resetstat
            set client [following 0]
            catch {$client get k}
            assert_match {calls=0,*,rejected_calls=1,failed_calls=0} [cmdrstat get r]
            assert_match {count=1} [errorrstat REDIRECT r]
            $client close
        }

        test {in a transaction the first redirected command spoils it} {
            one_follows
            set client [following 0]
            $client multi
            assert_equal QUEUED [$client ping]
            assert_error $elsewhere {$client get k}
            assert_equal QUEUED [$client ping]
            assert_error {EXECABORT Transaction discarded because of previous errors.} {$client exec}
            $client readonly
            $client multi
            $client get k
            assert_equal {{}} [$client exec]
            $client close
        }

        test {a transaction that was queued on a primary is redirected as a whole} {
            r replicaof no one
            set reader [following 0]
            $reader watch k
            $reader multi
            $reader get k
            set writer [following 0]
            $writer readonly
            $writer multi
            $writer set k v
            set neither [following 0]
            $neither multi
            $neither ping
            one_follows
            assert_error $elsewhere {$reader exec}
            assert_error {ERR EXEC without MULTI} {$reader exec}
            assert_error $elsewhere {$writer exec}
            assert_equal PONG [$neither exec]
            foreach client [list $reader $writer $neither] { $client close }
        }

        test {who waits when the role changes is told that, not where to go} {
            r replicaof no one
            set client [deferred_following 0]
            $client blpop l 0
            wait_for_blocked_client
            r replicaof {*}[at -1]
            assert_error {UNBLOCKED *} {$client read}
            $client close
            wait_for_sync [srv client]
        }

        test {without a primary nobody is sent away} {
            one_follows
            set client [following 0]
            assert_error $elsewhere {$client get k}
            r replicaof no one
            assert_equal OK [$client set k v]
            assert_equal v [$client get k]
            $client close
        }

        # The replica stands still, so that the failover stays under way as long as it has to.
        foreach {how after} {done redirected abort served} {
            test "while a failover is under way clients wait, then they are $after" {
                one_follows
                wait_for_condition 50 100 {[string match {*lag=[01]*} [s -1 slave0]]} else { fail "no acknowledgement" }
                set transaction [deferred_following -1 multi {set k 1}]
                pause_process [srv pid]
                $primary set ahead of
                assert_equal OK [$primary failover to {*}[at 0] timeout 100 force]
                wait_for_condition 50 100 {[s -1 master_failover_state] eq "failover-in-progress"} else { fail "no failover" }
                set waiting {}
                foreach {setup command} {{} {get k} {} {set k 2} readonly {set k 3} multi {get k}} {
                    set client [deferred_following -1 {*}$setup]
                    $client {*}$command
                    lappend waiting $client
                }
                $transaction exec
                lappend waiting $transaction
                # They count as blocked.
                wait_for_blocked_clients_count 5 100 50 -1
                # Who reads here on purpose, or keeps to itself, is served.
                set reader [following -1]
                $reader readonly
                $reader get k
                assert_equal PONG [$reader ping]
                $reader close
                if {$how eq "abort"} { assert_equal OK [$primary failover abort] }
                resume_process [srv pid]
                wait_for_condition 50 100 {[s -1 master_failover_state] eq "no-failover"} else { fail "not over" }
                foreach client $waiting {
                    if {$how eq "abort"} {
                        $client read
                    } else {
                        assert_error "REDIRECT [join [at 0] :]" {$client read}
                    }
                    $client close
                }
            }
        }
    }
}
