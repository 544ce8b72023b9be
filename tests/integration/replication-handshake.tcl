# The handshake of replication, byte for byte: the test plays the primary for a
# server that replicates, and the replica for a server that serves.
# Holds the acceptance items 1-4, 8 and 9 of replication.

# Read requests off CHANNEL and answer with REPLIES (a dict of glob to raw reply)
# until one globs LAST, which stays unanswered. Returns the bytes of all.
proc handshake {channel last {replies {}}} {
    set seen {}
    while 1 {
        set bytes [wire_request $channel]
        lappend seen $bytes
        set words [wire_words $bytes]
        if {[string match $last $words]} {
            return $seen
        }
        set reply +OK
        dict for {pattern other} $replies {
            if {[string match $pattern $words]} {
                set reply $other
            }
        }
        wire_raw $channel $reply\r\n
    }
}

proc encoded {commands} {
    lmap words $commands {resp::encode $words}
}

set pong {PING +PONG}
set id [string repeat 0123456789 4]
# One key: from=primary.
set rdb "REDIS0011\xfe\x00\x00\x04from\x07primary\xff[string repeat \x00 8]"

# Let the server replicate from a port of the test's. Returns the port and the connection,
# on which nothing has been answered yet.
proc replicate_from_test {} {
    r replicaof no one
    lassign [wire_listen] - port
    r replicaof 127.0.0.1 $port
    return [list $port [wire_accept $port]]
}

# The same, with a full synchronisation done: the history ID from offset 1000 on, and RDB.
proc synchronise_from_test {id rdb} {
    lassign [replicate_from_test] port link
    handshake $link PSYNC* {PING +PONG}
    wire_raw $link "\n\n+FULLRESYNC $id 1000\r\n"
    wire_raw $link "\n$[string length $rdb]\r\n$rdb"
    wait_for_sync r
    r select 0
    return [list $port $link]
}

start_server {tags {"repl external:skip"} overrides {save ""}} {
    test {a primary that turns replica shakes hands and asks with its own history} {
        r set k v
        set own [s master_replid]
        lassign [replicate_from_test] port link
        assert_equal [encoded [list PING \
            [list REPLCONF listening-port [srv port]] \
            {REPLCONF capa eof capa psync2} \
            {REPLCONF version 8.0.1} \
            [list PSYNC $own 1]]] [handshake $link PSYNC* $pong]
        assert_match {slave 127.0.0.1 * handshake *} [r role]
        wire_close $link
    }

    test {NOMASTERLINK and LOADING instead of a synchronisation: it tries again} {
        lassign [replicate_from_test] port link
        foreach reply {{-NOMASTERLINK Can't SYNC} {-LOADING busy}} {
            handshake $link PSYNC* $pong
            wire_raw $link $reply\r\n
            wire_closed $link
            wire_close $link
            set link [wire_accept $port]
        }
    }

    test {an error instead of PONG: it tries again; NOAUTH is good enough} {
        lassign [replicate_from_test] port link
        handshake $link PING
        wire_raw $link "-LOADING wait\r\n"
        wire_closed $link
        wire_close $link
        set link [wire_accept $port]
        handshake $link PSYNC* {PING {-NOAUTH Authentication required.}}
        wire_close $link
    }

    test {errors to REPLCONF do not matter} {
        lassign [replicate_from_test] port link
        handshake $link PSYNC* {PING +PONG REPLCONF* {-ERR what?}}
    }

    test {a snapshot of known length, then the stream, which is acknowledged} {
        r replicaof no one
        r set k v
        lassign [synchronise_from_test $id $rdb] port link
        assert_equal 1000 [s master_repl_offset]
        assert_equal $id [s master_replid]
        assert_equal [string repeat 0 40] [s master_replid2]
        assert_equal primary [r get from]
        # Nothing else, in no database.
        assert_equal {} [r get k]
        assert_match "# Keyspace\r\ndb0:keys=1,expires=0,*" [r info keyspace]
        assert_no_match *keys=*keys=* [r info keyspace]
        assert_equal [resp::encode {REPLCONF ACK 1000}] [wire_request $link]
        set command [resp::encode {SET streamed yes}]
        wire_raw $link [resp::encode {SELECT 0}]$command
        wait_for_condition 50 20 {[r get streamed] eq "yes"} else { fail "the stream is not applied" }
        set ofs [expr {1000 + 23 + [string length $command]}]
        assert_equal $ofs [s master_repl_offset]
        assert_equal $ofs [s slave_repl_offset]
    }

    test {GETACK is answered at once, and counts} {
        lassign [synchronise_from_test $id $rdb] port link
        set getack [resp::encode {REPLCONF GETACK *}]
        set ofs [expr {1000 + [string length $getack]}]
        wire_raw $link $getack
        # An ACK of the cron may come first.
        wait_for_condition 20 1 {
            [wire_request $link] eq [resp::encode [list REPLCONF ACK $ofs]]
        } else { fail "no ACK for GETACK" }
    }

    test {inside MULTI nothing counts as applied before EXEC} {
        lassign [synchronise_from_test $id $rdb] port link
        wire_raw $link [resp::encode {SELECT 0}]
        set ofs 1023
        set getack [resp::encode {REPLCONF GETACK *}]
        set begin [resp::encode MULTI][resp::encode {SET inside yes}]
        wire_raw $link $begin$getack
        wait_for_condition 50 20 {[s slave_read_repl_offset] > $ofs + [string length $begin]} else { fail "not read" }
        assert_equal $ofs [s slave_repl_offset]
        assert_equal {} [r get inside]
        wire_raw $link [resp::encode EXEC]
        incr ofs [expr {[string length $begin] + [string length $getack] + [string length [resp::encode EXEC]]}]
        wait_for_condition 50 20 {[s slave_repl_offset] == $ofs} else { fail "EXEC not counted" }
        assert_equal yes [r get inside]
    }

    test {after a cut it asks for the next byte; CONTINUE with a new id renames the history} {
        lassign [synchronise_from_test $id $rdb] port link
        wire_raw $link [resp::encode {SELECT 0}]
        set ofs 1023
        wait_for_condition 50 20 {[s slave_repl_offset] == $ofs} else { fail "not applied" }
        wire_close $link
        set link [wire_accept $port]
        set asked [wire_words [lindex [handshake $link PSYNC* $pong] end]]
        assert_equal [list PSYNC $id [expr {$ofs + 1}]] $asked
        set next [string repeat a 40]
        wire_raw $link "+CONTINUE $next\r\n[resp::encode {SET after cut}]"
        wait_for_condition 50 20 {[r get after] eq "cut"} else { fail "not continued" }
        assert_equal $next [s master_replid]
        assert_equal $id [s master_replid2]
        assert_equal [expr {$ofs + 1}] [s second_repl_offset]
        assert_equal up [s master_link_status]
    }

    test {a cut amid a command or a transaction: what was not applied comes again, once} {
        lassign [synchronise_from_test $id $rdb] port link
        wire_raw $link [resp::encode {SELECT 0}]
        wait_for_condition 50 20 {[s slave_repl_offset] == 1023} else { fail "not applied" }
        foreach part [list \
            [string range [resp::encode {INCR cuts}] 0 12] \
            [resp::encode MULTI][resp::encode {INCR cuts}]] {
            set ofs [s slave_repl_offset]
            wire_raw $link $part
            wait_for_condition 50 20 {[s slave_read_repl_offset] == $ofs + [string length $part]} else { fail "not read" }
            wire_close $link
            set link [wire_accept $port]
            set asked [wire_words [lindex [handshake $link PSYNC* $pong] end]]
            assert_equal [list PSYNC $id [expr {$ofs + 1}]] $asked
            set whole [resp::encode MULTI][resp::encode {INCR cuts}][resp::encode EXEC]
            wire_raw $link "+CONTINUE\r\n$whole"
            wait_for_condition 50 20 {[s slave_repl_offset] == $ofs + [string length $whole]} else { fail "not applied" }
        }
        assert_equal 2 [r get cuts]
    }

    test {a stream that breaks the protocol is not followed, and never continued} {
        # What else this suite asks for is covered with commands that fail.
        r config set propagation-error-behavior ignore
        lassign [synchronise_from_test $id $rdb] port link
        set client_error "*Protocol error (%s) from client: *. Query buffer during protocol error: '%s'*"
        foreach {bytes said violation excerpt} {
            "FLUSHALL\r\n" "*WARNING: Receiving inline protocol from primary, primary stream corruption?*"
            "Master using the inline protocol. Desync?" FLUSHALL..
            "*x\r\n" "*== CRITICAL == This replica is sending an error to its primary: 'Protocol error: invalid multibulk length' after processing the command '<unknown>'*"
            "invalid mbulk count" {\*x..}
        } {
            set mark [log_mark]
            wire_raw $link [subst -nocommands -novariables $bytes]
            wait_for_log $mark [format $client_error $violation $excerpt]
            assert_match $said [logs::from {*}$mark]
            assert_equal primary [r get from]
            wire_close $link
            set link [wire_accept $port]
            assert_equal {PSYNC ? -1} [wire_words [lindex [handshake $link PSYNC* $pong] end]]
            wire_raw $link "+FULLRESYNC $id 1000\r\n"
            wire_raw $link "$[string length $rdb]\r\n$rdb"
            wait_for_sync r
            r select 0
        }
    }

    test {an unknown PSYNC falls back to an inline SYNC} {
        lassign [replicate_from_test] port link
        handshake $link PSYNC* $pong
        wire_raw $link "-ERR unknown command 'PSYNC'\r\n"
        assert_equal "SYNC\r\n" [wire_request $link]
        wire_close $link
    }

    test {a snapshot between marks, cut anywhere} {
        lassign [replicate_from_test] port link
        handshake $link PSYNC* $pong
        set mark [string repeat 0123456789abcdef 3]
        set mark [string range $mark 0 39]
        wire_raw $link "+FULLRESYNC $id 5\r\n\$EOF:$mark\r\nREDIS0011\xfe\x00\x00\x01m\x04mark\xff"
        wait_for_condition 50 20 {[s master_sync_in_progress] == 1} else { fail "no transfer" }
        foreach piece [list [string repeat \x00 8][string range $mark 0 10] [string range $mark 11 38]] {
            wire_raw $link $piece
            update
        }
        assert_equal 1 [s master_sync_in_progress]
        wire_raw $link [string index $mark 39]
        wait_for_sync r
        r select 0
        assert_equal mark [r get m]
        assert_equal [resp::encode {REPLCONF ACK 5}] [wire_request $link]
    }

    test {a payload that is none is refused, and the dataset kept} {
        r replicaof no one
        r set m mark
        lassign [replicate_from_test] port link
        foreach payload {"hello\r\n" "-ERR no snapshot today\r\n"} {
            handshake $link PSYNC* $pong
            wire_raw $link "+FULLRESYNC $id 5\r\n$payload"
            wire_closed $link
            wire_close $link
            assert_equal mark [r get m]
            set link [wire_accept $port]
        }
    }

    test {a snapshot that ends early is refused, and the dataset kept} {
        r replicaof no one
        r set m mark
        lassign [replicate_from_test] port link
        handshake $link PSYNC* $pong
        wire_raw $link "+FULLRESYNC $id 5\r\n\$1000\r\nREDIS0011"
        wait_for_condition 50 20 {[s master_sync_in_progress] == 1} else { fail "no transfer" }
        wire_close $link
        wait_for_condition 50 20 {[s master_sync_in_progress] == 0} else { fail "not given up" }
        assert_equal mark [r get m]
    }

    test {REPLICAOF to the same target says so; NO ONE ends it} {
        lassign [replicate_from_test] port link
        assert_equal {OK Already connected to specified master} [r replicaof 127.0.0.1 $port]
        assert_error {ERR Invalid master port} {r replicaof 127.0.0.1 70000}
        r replicaof no one
        assert_equal master [s role]
    }
    wire_close_all
}

# Everything a handshake may carry; and a server that starts as a replica has no history.
lassign [wire_listen] - port
start_server [list tags {"repl external:skip"} overrides [list save "" \
        replicaof "127.0.0.1 $port" masterauth secret masteruser ann \
        replica-announce-port 1234 replica-announce-ip 10.1.2.3 dual-channel-replication-enabled yes]] {
    test {the optional parts of the handshake, and no history to ask with} {
        set link [wire_accept $port]
        assert_equal [encoded {PING {AUTH ann secret} {REPLCONF listening-port 1234}
            {REPLCONF ip-address 10.1.2.3} {REPLCONF capa eof capa psync2 capa dual-channel}
            {REPLCONF version 8.0.1} {PSYNC ? -1}}] [handshake $link PSYNC* $pong]
        wire_close $link
    }

    # The reference announces no address there, and breaks off when the parameter has changed.
    test {the snapshot's connection says as much, whatever the parameter says by then} {
        set link [wire_accept $port]
        handshake $link PSYNC* $pong
        r config set dual-channel-replication-enabled no
        wire_raw $link "+DUALCHANNELSYNC\r\n"
        set channel [wire_accept $port]
        assert_equal [encoded {{AUTH ann secret} {REPLCONF capa eof rdb-only 1 rdb-channel 1 listening-port 1234
            ip-address 10.1.2.3 version 8.0.1}}] [handshake $channel REPLCONF*]
        r config set dual-channel-replication-enabled yes
        wire_close $channel
        wire_closed $link
        wire_close $link
    } {} {peer:skip}

    test {a refused AUTH: it tries again} {
        r config set primaryuser ""
        set link [wire_accept $port]
        set seen [handshake $link AUTH* $pong]
        assert_equal [resp::encode {AUTH secret}] [lindex $seen end]
        wire_raw $link "-WRONGPASS invalid\r\n"
        wire_closed $link
    }
    wire_close_all
}

# ---- the test as replica ----

start_server {tags {"repl external:skip"} overrides {save "" repl-diskless-sync no}} {
    set server [list [srv host] [srv port]]
    r set k v

    test {forms of REPLCONF and their replies} {
        set c [wire_open {*}$server]
        foreach {words reply} {
            {} +OK
            {listening-port} {-ERR syntax error}
            {capa eof capa} {-ERR syntax error}
            {listening-port 6400} +OK
            {listening-port x} {-ERR value is not an integer or out of range}
            {ip-address 10.0.0.9} +OK
            {capa eof capa psync2} +OK
            {capa nonsense} +OK
            {version 8.0.1} +OK
            {version 7.2.4} +OK
            {version eight} {-ERR Unrecognized version format: eight}
            {rdb-only 1} +OK
            {rdb-only 0} +OK
            {rdb-only 2} {-ERR value is out of range, value must between 0 and 1}
            {rdb-filter-only functions} +OK
            {rdb-filter-only {}} +OK
            {rdb-filter-only keys} {-ERR Unsupported rdb-filter-only option: keys}
            {rdb-filter-only {"functions}} {-ERR Missing rdb-filter-only values}
            {rdb-channel 1} +OK
            {rdb-channel 0} +OK
            {rdb-channel 2} {-ERR value is out of range, value must between 0 and 1}
            {set-rdb-client-id 123456} {-ERR Unrecognized RDB client id 123456}
            {no-such-option 1} {-ERR Unrecognized REPLCONF option: no-such-option}
            {capa eof ip-address 10.0.0.9 listening-port 1} +OK
        } {
            assert_equal $reply [wire_call $c REPLCONF {*}$words] $words
        }
        assert_equal "-ERR REPLCONF ip-address provided by replica instance is too long: 300 bytes" \
            [wire_call $c REPLCONF ip-address [string repeat x 300]]
        wire_close $c
    }

    test {ACK and GETACK have no reply} {
        set c [wire_open {*}$server]
        wire_send $c REPLCONF ACK 5
        wire_send $c REPLCONF ACK 5 FACK 5
        wire_send $c REPLCONF GETACK *
        assert_equal +PONG [wire_call $c PING]
        wire_close $c
    }

    test {an option before a failing one stays} {
        set c [wire_open {*}$server]
        assert_match -ERR* [wire_call $c REPLCONF listening-port 6555 nonsense 1]
        set mark [log_mark]
        wire_send $c PSYNC ? -1
        wait_for_log $mark {*Replica 127.0.0.1:6555 asks for synchronization*}
        wire_payload_after_fullresync $c
        wire_close $c
    }

    test {PSYNC ? -1 is a full synchronisation that counts no failed partial one} {
        wait_for_condition 50 20 {[s connected_slaves] == 0} else { fail "still a replica" }
        r config resetstat
        set c [wire_replica {*}$server listening-port 1 capa eof capa psync2]
        wire_send $c PSYNC ? -1
        assert_equal "+FULLRESYNC [s master_replid] [s master_repl_offset]" [wire_reply $c]
        set payload [wire_payload $c]
        assert_equal disk [dict get $payload kind]
        assert_match "REDIS0011*repl-stream-db*repl-id*[s master_replid]*repl-offset*" [dict get $payload rdb]
        assert_equal {1 0 0} [list [s sync_full] [s sync_partial_ok] [s sync_partial_err]]
        wire_close $c
    }

    test {PSYNC and SYNC are refused behind replies that are still to be sent} {
        foreach request {{PSYNC ? -1} SYNC} {
            set other [wire_open {*}$server]
            wire_raw $other "PING\r\n$request\r\n"
            assert_equal +PONG [wire_reply $other]
            assert_equal "-ERR SYNC and PSYNC are invalid with pending output" [wire_reply $other]
            wire_close $other
        }
    }

    test {a replica that asks again is ignored} {
        r config resetstat
        set c [wire_replica {*}$server capa eof capa psync2]
        wire_send $c PSYNC ? -1
        wire_payload_after_fullresync $c
        wire_send $c PSYNC ? -1
        assert_equal 1 [wire_silent $c 100]
        wire_close $c
        assert_equal 1 [s sync_full]
    }

    test {an id that starts with ? counts as none; a wrong one counts; both go full} {
        r config resetstat
        foreach {asked errors} [list ?x 0 [string repeat b 40] 1] {
            set mark [log_mark]
            set c [wire_replica {*}$server capa eof capa psync2]
            wire_send $c PSYNC $asked 1
            assert_match "+FULLRESYNC [s master_replid] *" [wire_reply $c]
            assert_equal $errors [s sync_partial_err]
            wait_for_log $mark [expr {$errors ? "*Partial resynchronization not accepted: Replication ID mismatch\
                (Replica asked for '$asked', my replication IDs are '[s master_replid]' and '[string repeat 0 40]')*"
                : "*Full resync requested by replica*"}]
            wire_payload $c
            wire_close $c
        }
        assert_equal 2 [s sync_full]
    }

    test {the own id and the next byte: CONTINUE with the id for psync2, bare without} {
        # The first replica of all makes the backlog.
        set c [wire_replica {*}$server capa eof capa psync2]
        wire_send $c PSYNC ? -1
        wire_payload_after_fullresync $c
        wire_close $c
        r config resetstat
        foreach {capas reply} [list {capa eof capa psync2} "+CONTINUE [s master_replid]" {capa eof} +CONTINUE] {
            set c [wire_replica {*}$server {*}$capas]
            wire_send $c PSYNC [string toupper [s master_replid]] [expr {[s master_repl_offset] + 1}]
            assert_equal $reply [wire_reply $c]
            r incr n
            assert_equal {incr n} [wire_write $c]
            wire_close $c
        }
        assert_equal {0 2 0} [list [s sync_full] [s sync_partial_ok] [s sync_partial_err]]
    }

    test {an offset beyond the end, and one that is no number} {
        set mark [log_mark]
        set c [wire_replica {*}$server capa eof capa psync2]
        wire_send $c PSYNC [s master_replid] [expr {[s master_repl_offset] + 2}]
        assert_match +FULLRESYNC* [wire_reply $c]
        wait_for_log $mark {*Warning: replica * tried to PSYNC with an offset that is greater than the primary replication offset*}
        wire_close $c
        set c [wire_replica {*}$server capa eof capa psync2]
        assert_match {-ERR value is not an integer or out of range} [wire_call $c PSYNC [s master_replid] x]
        assert_equal "-ERR PSYNC FAILOVER can't be sent to a master." [wire_call $c PSYNC [s master_replid] 1 FAILOVER]
        assert_match "-ERR wrong number of arguments for 'psync' command" [wire_call $c PSYNC ?]
        assert_match "-ERR wrong number of arguments for 'sync' command" [wire_call $c SYNC now]
        wire_close $c
    }

    test {SYNC: the payload without a FULLRESYNC line} {
        set c [wire_open {*}$server]
        wire_raw $c "SYNC\r\n"
        assert_equal disk [dict get [wire_payload $c] kind]
        r incr n
        assert_equal {incr n} [wire_write $c]
        wire_close $c
    }

    test {rdb-only: closed after the snapshot} {
        foreach command {{SYNC} {PSYNC ? -1}} {
            set c [wire_replica {*}$server rdb-only 1 capa eof]
            wire_send $c {*}$command
            if {$command ne "SYNC"} {
                assert_match +FULLRESYNC* [wire_reply $c]
            }
            assert_match REDIS0011* [dict get [wire_payload $c] rdb]
            wire_closed $c
            wire_close $c
        }
    }

    test {rdb-filter-only: no keys, the header alone too; only with the eof capability} {
        r set somekey somevalue
        foreach filter {functions {}} {
            set c [wire_replica {*}$server rdb-only 1 rdb-filter-only $filter capa eof]
            wire_send $c SYNC
            set payload [wire_payload $c]
            assert_equal eof [dict get $payload kind]
            assert_equal 0 [string match *somekey* [dict get $payload rdb]]
            wire_closed $c
            wire_close $c
        }
        set c [wire_replica {*}$server rdb-only 1 rdb-filter-only functions]
        assert_equal {-ERR Filtered replica requires EOF capability} [wire_call $c SYNC]
        wire_close $c
    }

    test {a replica that uses the connection as a client is dropped} {
        set c [wire_replica {*}$server capa eof capa psync2]
        wire_send $c PSYNC ? -1
        wire_payload_after_fullresync $c
        wire_send $c GET k
        wire_closed $c
        wire_close $c
    }

    test {garbage from a replica ends it, and is not answered amid its stream} {
        set c [wire_replica {*}$server capa eof capa psync2]
        wire_send $c PSYNC ? -1
        wire_payload_after_fullresync $c
        wire_raw $c "*x\r\n"
        wire_closed $c
        assert_equal "" $wire::buffer($c)
        wire_close $c
    }
    wire_close_all
}

start_server {tags {"repl external:skip"} overrides {save ""}} {
    start_server {overrides {save ""}} {
        # The first host is a name, which takes longer: its connection is there when it is not wanted any more, and
        # took the place of the second one, whose handshake then stood still until the timeout.
        test {of two connections begun one after the other the one asked for last is used} {
            set target [list [srv -1 host] [srv -1 port]]
            for {set i 0} {$i < 30} {incr i} {
                r write [resp::encode [list replicaof localhost [srv -1 port]]]
                r write [resp::encode {replicaof no one}]
                r write [resp::encode [concat replicaof $target]]
                r flush
                assert_equal {OK OK OK} [list [r read] [r read] [r read]]
                wait_for_sync r
                assert_equal [lindex $target 0] [s master_host]
                r replicaof no one
            }
        }
    }
}

# The load of a snapshot of one key takes no time: it may be over while the bytes behind the
# snapshot are still looked at. Now and then they were lost.
start_server {tags {"repl external:skip"} overrides {save ""}} {
    test {the stream right behind a small snapshot arrives whole, time after time} {
        lassign [wire_listen] - port
        r select 0
        for {set i 0} {$i < 100} {incr i} {
            set more [resp::encode [list incr n:$i]]
            set stream [resp::encode {select 0}]$more$more$more
            r replicaof 127.0.0.1 $port
            set link [wire_accept $port]
            handshake $link PSYNC* $pong
            wire_raw $link "+FULLRESYNC $id 0\r\n\$[string length $rdb]\r\n$rdb$stream"
            for {set n 0} {$n < 20} {incr n} { wire_raw $link $more }
            wait_for_condition 500 2 {![catch {r get n:$i} n] && $n eq "23"} else { fail "the stream came to $n in attempt $i" }
            r replicaof no one
            wire_close $link
        }
    } {} {singledb:skip}
}

# With other errors the asker falls back to an old protocol and asks again.
start_server {tags {"repl external:skip"} overrides {save ""}} {
    foreach stale {yes no} {
        test "a replica without its primary tells who asks for a synchronisation so (replica-serve-stale-data $stale)" {
            r config set replica-serve-stale-data $stale
            r replicaof 127.0.0.1 [ports::next]
            foreach command {SYNC {PSYNC ? -1} {PSYNC 0123456789012345678901234567890123456789 1}} {
                set c [wire_open [srv host] [srv port]]
                assert_equal "-NOMASTERLINK Can't SYNC while not connected with my master" [wire_call $c {*}$command]
                wire_call $c MULTI
                assert_equal "-ERR Command not allowed inside a transaction" [wire_call $c {*}$command]
                wire_close $c
            }
            r replicaof no one
        } {OK} {peer:skip}
    }
}

# What a replica acknowledges is what it would not have to be sent again: WAIT and the choice of a new primary rest on it.
start_server {tags {"repl external:skip"} overrides {save ""}} {
    foreach {what part rest} [list \
        {half a command} [string range [resp::encode {INCR counted}] 0 12] [string range [resp::encode {INCR counted}] 13 end] \
        {an open transaction} [resp::encode MULTI][resp::encode {INCR counted}] [resp::encode EXEC] \
        {an open transaction and half a command} \
            [resp::encode MULTI][resp::encode {INCR counted}][string range [resp::encode {GET x}] 0 8] \
            [string range [resp::encode {GET x}] 9 end][resp::encode EXEC] \
    ] {
        test "an acknowledgement does not count what was received but not applied: $what" {
            lassign [wire_listen] - port
            r replicaof no one
            r replicaof 127.0.0.1 $port
            set link [wire_accept $port]
            handshake $link PSYNC* $pong
            wire_raw $link "+FULLRESYNC $id 1000\r\n"
            set rdb "REDIS0011\xff[string repeat \x00 8]"
            wire_raw $link "\$[string length $rdb]\r\n$rdb"
            wait_for_sync r
            wire_raw $link [resp::encode {SELECT 0}]$part
            set applied [expr {1000 + [string length [resp::encode {SELECT 0}]]}]
            set read [expr {$applied + [string length $part]}]
            wait_for_condition 50 20 {[s slave_read_repl_offset] == $read} else { fail "not read" }
            # The first may have been under way when the bytes came; the next one was not.
            set acked [lmap _ {1 2} {lindex [wire_words [wire_request $link]] 2}]
            while {[lindex $acked end-1] < $applied} {
                lappend acked [lindex [wire_words [wire_request $link]] 2]
            }
            assert_equal $applied [lindex $acked end]
            assert_equal $applied [s slave_repl_offset]
            # Nor do its own replicas get it, whose offset that is.
            assert_equal $applied [s master_repl_offset]
            wire_raw $link $rest
            wait_for_condition 20 1 {
                [lindex [wire_words [wire_request $link]] 2] == $read + [string length $rest]
            } else { fail "not acknowledged" }
            r select 0
            assert_equal 1 [r get counted]
            wire_close_all
        }
    }
}
