# What clients see of replication: acknowledgements, refusals, expiry on replicas.
# Holds the acceptance items 20 and 22.

source tests/helpers/dual-channel.tcl

start_server {tags {"repl external:skip needs:debug"} overrides {save "" repl-diskless-sync-delay 0 repl-ping-replica-period 3600}} {
    set p [srv client]
    start_server {overrides {save "" repl-diskless-sync-delay 0}} {
        set r [srv client]
        $r replicaof {*}[at -1]
        wait_for_sync $r
        wait_replica_online $p

        # ---- acknowledgements ----

        test {WAIT counts those that have the caller's last write, and no later one} {
            $p set k v
            assert_equal 1 [$p wait 1 5000]
            pause_process [srv pid]
            $p set k w
            # Nothing written by this client: nothing to wait for, whatever others have written.
            set other [valkey_client -1]
            assert_equal 1 [$other wait 1 1000]
            set start [clock milliseconds]
            assert_equal 0 [$p wait 1 100]
            assert_morethan_equal [expr {[clock milliseconds] - $start}] 100
            # Until it is there, however long that takes.
            set waiting [valkey_deferring_client -1]
            $waiting set k x
            $waiting read
            $waiting wait 1 0
            wait_for_blocked_client -1
            resume_process [srv pid]
            assert_equal 1 [$waiting read]
            assert_equal 1 [$p wait 1 5000]
            $waiting close
            $other close
        }

        test {an ACK of a replica that is not online yet counts for nothing} {
            $p config set repl-diskless-sync yes repl-diskless-sync-delay 60
            set c [wire_replica {*}[at -1] capa eof capa psync2]
            wire_send $c PSYNC ? -1
            wait_for_condition 50 20 {[has_row $p *state=wait_bgsave*]} else { fail "it does not wait: [replica_rows $p]" }
            wire_send $c REPLCONF ACK 999999999
            $p set k acked
            assert_equal 1 [$p wait 2 100]
            $p config set min-replicas-to-write 2
            assert_error {NOREPLICAS*} {$p set k x}
            $p config set min-replicas-to-write 0 repl-diskless-sync-delay 0
            wire_close $c
        }

        test {WAIT in a transaction does not wait} {
            pause_process [srv pid]
            $p multi
            $p set k y
            $p wait 1 0
            # What it asks about is the write before the transaction.
            assert_equal {OK 1} [$p exec]
            resume_process [srv pid]
        }

        test {WAIT and WAITAOF are not for replicas, and refuse what they cannot keep} {
            assert_error {ERR WAIT cannot be used with replica instances. Please also note that if a replica is configured to be writable (which is not the default) writes to replicas are just local and are not propagated.} {$r wait 1 100}
            assert_error {ERR WAITAOF cannot be used with replica instances.*} {$r waitaof 0 1 100}
            assert_error {ERR value is out of range, value must between 0 and 1} {$p waitaof 2 1 100}
            assert_error {ERR timeout is negative} {$p wait 1 -1}
            assert_error {ERR value is not an integer or out of range} {$p wait x 1}
            # The replica keeps no append-only file, so it acknowledges none.
            $p set k z
            assert_equal {0 0} [$p waitaof 0 1 100]
        }

        test {WAITAOF counts those that say that they have it on disk} {
            $p config set repl-diskless-sync no
            $p set k disk
            set offset [s -1 master_repl_offset]
            set c [wire_replica {*}[at -1] capa eof capa psync2]
            wire_send $c PSYNC ? -1
            wire_payload_after_fullresync $c
            wire_send $c REPLCONF ACK $offset
            assert_equal {0 0} [$p waitaof 0 1 100]
            wire_send $c REPLCONF ACK $offset FACK $offset
            assert_equal {0 1} [$p waitaof 0 1 5000]
            wire_close $c
            $p config set repl-diskless-sync yes
        }

        test {a client that is unblocked gets the count so far} {
            pause_process [srv pid]
            set waiting [valkey_deferring_client -1]
            $waiting client id
            set id [$waiting read]
            $waiting set k a
            $waiting read
            $waiting wait 1 0
            wait_for_blocked_client -1
            assert_equal 1 [$p client unblock $id]
            assert_equal 0 [$waiting read]
            resume_process [srv pid]
            $waiting close
        }

        # ---- refusals ----

        foreach load {disabled swapdb} {
            test "who waits for a key, or watches one, does not go on under another role or dataset: load $load" {
                $r replicaof no one
                $r config set repl-diskless-load $load
                $r flushall
                $r set watched 1
                set blocked [valkey_deferring_client]
                $blocked blpop list 0
                wait_for_blocked_client
                set watching [valkey_client]
                $watching watch watched
                $p set new 1
                # What is flushed before it is loaded has changed no key that was not there.
                set expecting [valkey_client]
                $expecting watch [expr {$load eq "swapdb" ? "new" : "watched"}]
                set caching [valkey_client]
                $caching hello 3
                $caching client tracking on
                $caching get watched
                $r replicaof {*}[at -1]
                assert_error {UNBLOCKED *} {$blocked read}
                wait_for_sync $r
                foreach c [list $watching $expecting] {
                    $c multi
                    $c ping
                    assert_equal {} [$c exec]
                    $c close
                }
                assert_equal invalidate [lindex [$caching read] 0]
                $caching close
                $blocked close
                wait_replica_online $p
            }
        }
        $r config set repl-diskless-load disabled

        test {min-replicas: writes are refused while too few replicas are near} {
            $p config set min-replicas-to-write 1 min-replicas-max-lag 1
            wait_for_condition 50 100 {![catch {$p set min ok}]} else { fail "refused" }
            assert_equal 1 [s -1 min_slaves_good_slaves]
            $p config set min-replicas-to-write 2
            assert_error {NOREPLICAS Not enough good replicas to write.} {$p set min no}
            assert_equal ok [$p get min]
            # Inside a transaction it is refused when queued.
            $p multi
            assert_error {NOREPLICAS*} {$p set min no}
            assert_error {EXECABORT*} {$p exec}
            $p config set min-replicas-to-write 1
            pause_process [srv pid]
            wait_for_condition 50 100 {[catch {$p set min no} error] && [string match NOREPLICAS* $error]} else { fail "not refused" }
            assert_equal 0 [s -1 min_slaves_good_slaves]
            resume_process [srv pid]
            wait_for_condition 50 100 {![catch {$p set min ok}]} else { fail "still refused" }
            $p config set min-replicas-to-write 0
            assert_equal "" [s -1 min_slaves_good_slaves]
        }

        test {READONLY: no client writes to a replica, unless it is told to} {
            assert_error {READONLY You can't write against a read only replica.} {$r set local 1}
            $r multi
            assert_error {READONLY*} {$r set local 1}
            assert_error {EXECABORT*} {$r exec}
            $r config set replica-read-only no
            assert_equal OK [$r set local 1]
            assert_equal 0 [$p exists local]
            $r del local
            $r config set replica-read-only yes
            assert_error {READONLY*} {$r flushall}
        }

        test {MASTERDOWN: stale data are served only if that is allowed} {
            $p set stale data
            wait_for_ofs_sync $r $p
            $r config set replica-serve-stale-data no
            assert_equal data [$r get stale]
            # The primary stands still: it accepts connections, but answers nothing.
            pause_process [srv -1 pid]
            $r client kill type primary
            wait_for_condition 50 50 {[s master_link_status] eq "down"} else { fail "the link is up" }
            set text "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'."
            foreach command {{get stale} ping dbsize} {
                assert_error $text {$r {*}$command}
            }
            # What does not depend on the data goes on.
            assert_match *role:slave* [$r info replication]
            assert_equal {replica-serve-stale-data no} [$r config get replica-serve-stale-data]
            assert_match {slave *} [$r role]
            assert_equal OK [$r select $::dbnum]
            $r config set replica-serve-stale-data yes
            assert_equal data [$r get stale]
            $r config set replica-serve-stale-data no
            resume_process [srv -1 pid]
            wait_for_condition 100 50 {![catch {$r get stale} value] && $value eq "data"} else { fail "no data" }
            $r config set replica-serve-stale-data yes
        }

        test {LOADING: nothing is served while the replica loads, but for what does not depend on the data} {
            populate 1000 key: 100 -1
            leave $r
            $r config set key-load-delay 10000 loading-process-events-interval-bytes 1024
            set queued [valkey_client]
            $queued multi
            $queued get k
            set mark [log_mark]
            $r replicaof {*}[at -1]
            wait_for_log $mark {*Loading DB in memory*} 10000
            wait_for_condition 50 20 {[s loading] == 1} else { fail "not loading" }
            set text "LOADING Valkey is loading the dataset in memory"
            foreach command {{get k} ping {replicaof no one} dbsize {psync ? -1}} {
                assert_error $text {$r {*}$command}
            }
            # Nor what was queued before.
            assert_error "EXECABORT Transaction discarded because of: $text" {$queued exec}
            $queued close
            assert_equal 0 [s async_loading]
            assert_match {slave * sync -1} [$r role]
            assert_equal {key-load-delay 10000} [$r config get key-load-delay]
            # It acts at once.
            $r config set key-load-delay 0
            wait_for_sync $r
            assert_equal [$p debug digest] [$r debug digest]
        }

        # ---- expiry ----

        test {what has expired is hidden by a replica, and deleted by its primary} {
            $p config set hz 100
            $p debug set-active-expire 0
            $p set short lived px 50
            $p hset h f v
            wait_for_ofs_sync $r $p
            set expired [s expired_keys]
            wait_for_condition 50 20 {[$r exists short] == 0} else { fail "it is seen" }
            assert_equal {} [$r get short]
            assert_equal -2 [$r ttl short]
            assert_equal none [$r type short]
            assert_equal {} [$r keys short]
            # It is there still.
            assert_equal [$p dbsize] [$r dbsize]
            assert_equal $expired [s expired_keys]
            # The primary's DEL removes it.
            set mark [s master_repl_offset]
            assert_equal 0 [$p exists short]
            wait_for_ofs_sync $r $p
            assert_equal [$p dbsize] [$r dbsize]
            assert_morethan [s master_repl_offset] $mark
            assert_equal $expired [s expired_keys]
            $p debug set-active-expire 1
        }

        test {the stream sees what has expired: the primary alone decides} {
            $p debug set-active-expire 0
            $p set n 1 px 1500
            wait_for_ofs_sync $r $p
            pause_process [srv pid]
            # Applied by the replica when its own clock says that the key has gone.
            $p incr n
            $p append n 5
            assert_morethan [$p pttl n] 0
            wait_for_condition 100 50 {[$p exists n] == 0} else { fail "it does not expire" }
            $p incr n
            resume_process [srv pid]
            wait_for_ofs_sync $r $p
            assert_equal [$p get n] [$r get n]
            assert_equal [$p debug digest] [$r debug digest]
            $p debug set-active-expire 1
        }

        test {a writable replica expires what its own clients wrote, and nothing else} {
            $r config set replica-read-only no
            $p debug set-active-expire 0
            $p set theirs 1 px 100
            wait_for_ofs_sync $r $p
            $r set own 1 px 100
            $r set kept 1 ex 1000
            assert_morethan_equal [s slave_expires_tracked_keys] 1
            wait_for_condition 50 50 {[$r exists own] == 0 && [$r exists theirs] == 0} else { fail "not expired" }
            wait_for_condition 50 50 {[s slave_expires_tracked_keys] <= 1} else { fail "still tracked" }
            # The primary's key is only hidden.
            assert_equal 2 [expr {[$r dbsize] - [$p dbsize] + 1}]
            $r del kept
            $r config set replica-read-only yes
            $p debug set-active-expire 1
            assert_equal 0 [$p exists theirs]
            wait_for_ofs_sync $r $p
            assert_equal [$p debug digest] [$r debug digest]
        }

        test {what a replica's own clients let expire is forgotten with the dataset} {
            $r config set replica-read-only no repl-diskless-load swapdb
            $r set own 1 ex 1000
            assert_morethan_equal [s slave_expires_tracked_keys] 1
            $p debug change-repl-id
            $p client kill type replica
            wait_for_condition 100 50 {[s master_replid] eq [s -1 master_replid] && [s master_link_status] eq "up"} else { fail "no new dataset" }
            assert_equal 0 [$r exists own]
            assert_equal 0 [s slave_expires_tracked_keys]
            $r config set replica-read-only yes repl-diskless-load disabled
        }

        test {bind-source-addr: the replica comes from there} {
            start_server {overrides {save "" bind-source-addr 127.0.0.2}} {
                r replicaof {*}[at -2]
                wait_for_sync r
                assert_match *:ip=127.0.0.2,* [$p info replication]
            }
        }
    }
}

start_server {tags {"repl external:skip needs:save"} overrides {save "" repl-diskless-sync-delay 0 repl-ping-replica-period 3600}} {
    set p [srv client]
    start_server {overrides {save "" repl-diskless-sync-delay 0}} {
        set r [srv client]

        test {a replica that cannot save refuses its clients, and follows only if it may} {
            $r replicaof {*}[at -1]
            wait_for_sync $r
            set dir [file join [file dirname [srv stdout]] gone]
            file mkdir $dir
            $r config set dir $dir replica-ignore-disk-write-errors yes
            file delete $dir
            $r config set save "3600 1000000"
            $r bgsave
            wait_for_condition 50 100 {[s rdb_last_bgsave_status] eq "err"} else { fail "it can save" }
            foreach words {{ping} {set k v}} {
                assert_error {MISCONF*} {$r {*}$words}
            }
            set mark [log_mark]
            $p set k v
            wait_for_log $mark {*Replica is applying a command even though it is unable to write to disk.*}
            wait_for_ofs_sync $r $p
            assert_equal v [$r get k]
            $r config set replica-ignore-disk-write-errors no
            expect_crash
            set pid [srv pid]
            $p set k w
            wait_for_condition 100 50 {![process_is_alive $pid]} else { fail "it goes on" }
            wait_for_log $mark {*Replica was unable to write command to disk.*}
        }
    }
}
