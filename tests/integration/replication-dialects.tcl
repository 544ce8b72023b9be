# Replication with servers of other families and versions: what Redis 8 writes into a snapshot
# (RDB version 12), its own way of a full synchronisation on two connections, from both ends, and
# replicas that read older snapshots only. In the first half the test plays the other server,
# from bytes that such servers were seen to send; in the second half there are real ones, where
# PEER_VALKEY9, PEER_REDIS8 and PEER_REDIS7 in the environment name them.
#
# assets/redis-8.rdb is the dump file of a redis-server 8.0.6 after `every_type`.

source tests/helpers/dual-channel.tcl
source tests/helpers/dialects.tcl

set id [string repeat 0123456789 4]
set mark [string repeat fedcba9876 4]
# What a key looks like to Redis 8 when a field of it expires: a file's head, the key, the end.
set head "REDIS0012\xfa\x09redis-ver\x058.0.6\xfe\x00"
set expiring "\x18\x01h\x7b\xd8\xc3\x2c\xbb\x03\x00\x00\x02\x00\x01a\x01b\x01\x01f\x01v"
set vectors "\x07\x01v\x81\xbd\xe7\x2d\xa2\xbb\x1e\xb4\x00\x02\x01\x00"
set tail "\xff[string repeat \x00 8]"

# Read requests off CHANNEL, answer as a primary that is no Valkey, until one globs LAST. Returns
# the words of all.
proc agree_as_redis {channel last} {
    set seen {}
    while 1 {
        set words [wire_words [wire_request $channel]]
        lappend seen $words
        if {[string match $last $words]} {
            return $seen
        }
        set reply +OK
        if {$words eq "PING"} {
            set reply +PONG
        } elseif {[lindex $words 1] eq "version"} {
            set reply "-ERR Unrecognized REPLCONF option: version"
        }
        wire_raw $channel $reply\r\n
    }
}

# Have the server follow the test, up to its PSYNC: the port, and the connection.
proc followed_by {client} {
    {*}$client replicaof no one
    lassign [wire_listen] - port
    {*}$client replicaof 127.0.0.1 $port
    set m [wire_accept $port]
    agree_as_redis $m PSYNC*
    return [list $port $m]
}

# A full synchronisation on one connection with this snapshot, which ends at offset 1000.
proc send_snapshot {m rdb} {
    set mark [string repeat fedcba9876 4]
    wire_raw $m "+FULLRESYNC [string repeat 0123456789 4] 1000\r\n\$EOF:$mark\r\n$rdb$mark"
}

# Follow nobody, hold nothing.
proc away {client} {
    leave $client
    {*}$client function flush
    {*}$client select 0
    return ""
}

# Both connections of an attempt, the second one having sent PSYNC: main, snapshot.
proc both_of_redis {port m} {
    wire_raw $m "+RDBCHANNELSYNC 77\r\n"
    set d [wire_accept $port]
    agree_as_redis $d PSYNC*
    return [list $m $d]
}

start_server [list tags {"repl external:skip needs:debug"} overrides [concat $dual {propagation-error-behavior ignore}]] {
    set r [srv client]

    test {a DUMP payload of RDB version 12 is refused} {
        # Of SET k 10, by Redis 8.0.6: of version 12, and right but for that.
        set checksum "\xa5\xe9\x63\x85\xf4\x84\xfd\xf2"
        assert_error {*payload version or checksum are wrong*} {r restore other 0 "\x00\xc0\x0a\x0c\x00$checksum"}
        # And a type that came with it is none in a payload of version 11.
        r set k 10
        set payload [r dump k]
        assert_error {*} {r restore other 0 "\x18[string range $payload 1 end]"}
        assert_equal 0 [r exists other]
    }

    test {a command of the stream that is not known is logged by name, and the link goes on} {
        r select 0
        lassign [followed_by $r] port m
        set log [log_mark 0]
        send_snapshot $m $::wire::empty_rdb
        wait_for_sync $r
        wire_send $m SELECT 0
        wire_send $m HPEXPIREAT h 4102444800123 FIELDS 1 f
        wire_send $m SET after 1
        wait_for_log $log {*== CRITICAL == This replica is sending an error to its primary: 'unknown command 'HPEXPIREAT', with args beginning with: 'h' *}
        wait_for_condition 100 20 {[r exists after]} else { fail "the link does not go on" }
        assert_equal up [s master_link_status]
        wire_close $m
    }

    test {a snapshot of RDB version 12 with every type is loaded} {
        lassign [followed_by $r] port m
        send_snapshot $m [asset redis-8.rdb]
        wait_for_sync $r
        set sent [contents $r]
        wire_close $m
        leave $r
        r function flush
        every_type $r
        set made [contents $r]
        dict for {key value} $made {
            assert_equal [list $key $value] [list $key [expr {[dict exists $sent $key] ? [dict get $sent $key] : "missing"}]]
        }
        assert_equal [dict size $made] [dict size $sent]
        away $r
    } {} {peer:skip}

    foreach {what value line} {
        "a field that expires" expiring "*reading offset 48, function at hash-metadata -> field 'f' expires (at 4102444800123 ms), and fields that expire are not supported*key 'h' in DB 0*"
        "a value of a module" vectors "*function at module -> The RDB file contains module data I can't load: no matching module type 'vectorset'*key 'v' in DB 0*"
    } {
        test "a snapshot with $what is refused by name and place, and asked for again" {
            lassign [followed_by $r] port m
            set log [log_mark 0]
            send_snapshot $m $head[set $value]$tail
            wait_for_log $log $line
            wire_close $m
            set m [wire_accept $port 15000]
            agree_as_redis $m PSYNC*
            send_snapshot $m $::wire::empty_rdb
            wait_for_sync $r
            assert_equal 0 [r dbsize]
            wire_close $m
            away $r
        } {} {peer:skip}
    }

    test {only a primary that does not know REPLCONF version is told of Redis's two connections} {
        r replicaof no one
        lassign [wire_listen] - port
        r replicaof 127.0.0.1 $port
        set m [wire_accept $port]
        set words [agree_as_redis $m PSYNC*]
        assert_equal [list PING [list REPLCONF listening-port [srv port]] \
            {REPLCONF capa eof capa psync2 capa dual-channel} {REPLCONF version 8.0.1} \
            {REPLCONF capa rdb-channel-repl}] [lrange $words 0 end-1]
        wire_close $m
        # A Valkey hears what it has always heard.
        set m [wire_accept $port 15000]
        set words {}
        while {![string match PSYNC* [lindex $words end]]} {
            lappend words [wire_words [wire_request $m]]
            wire_raw $m [expr {[lindex $words end] eq "PING" ? "+PONG" : "+OK"}]\r\n
        }
        assert_equal [list PING [list REPLCONF listening-port [srv port]] \
            {REPLCONF capa eof capa psync2 capa dual-channel} {REPLCONF version 8.0.1}] [lrange $words 0 end-1]
        wire_close $m
        # Nor does anybody hear of it without the feature.
        r config set dual-channel-replication-enabled no
        set m [wire_accept $port 15000]
        assert_equal 0 [llength [lsearch -all [agree_as_redis $m PSYNC*] *rdb-channel-repl*]]
        # What has not been offered is not understood.
        wire_raw $m "+RDBCHANNELSYNC 77\r\n"
        assert_equal SYNC [wire_words [wire_request $m]]
        wire_close $m
        r config set dual-channel-replication-enabled yes
        away $r
    } {} {peer:skip}

    test {a full synchronisation on two connections as Redis 8 has it} {
        r select 0
        foreach load {disabled swapdb} {
            r config set repl-diskless-load $load
            lassign [followed_by $r] port m
            wire_raw $m "+RDBCHANNELSYNC 77\r\n"
            set d [wire_accept $port]
            assert_equal [list [list REPLCONF capa eof rdb-only 1 rdb-channel 1 main-ch-client-id 77 listening-port [srv port]] {PSYNC ? -1}] \
                [agree_as_redis $d PSYNC*]
            # The stream may be ahead of the snapshot's beginning; keepalives go to its connection.
            wire_raw $d "\n\n"
            wire_send $m SELECT 0
            wire_send $m SET early 1
            wire_raw $d "+FULLRESYNC $id 1000\r\n"
            set rdb [asset redis-8.rdb]
            wire_raw $d "\$EOF:$mark\r\n[string range $rdb 0 4999]"
            wire_send $m INCR early
            wait_for_condition 100 20 {[s replicas_repl_buffer_size] > 0 && [s master_sync_in_progress]} else { fail "nothing is buffered" }
            wire_raw $d "[string range $rdb 5000 end]$mark"
            wire_closed $d
            wait_for_sync $r
            wait_for_condition 100 20 {[r get early] == 2} else { fail "the buffered stream is not applied" }
            assert_equal 200 [r llen list:nodes]
            assert_equal 1 [llength [r function list]]
            # Offsets go on from the snapshot's, and so does the next connection.
            set applied [s slave_repl_offset]
            assert_equal [expr {1000 + [string length [resp::encode {SELECT 0}][resp::encode {SET early 1}][resp::encode {INCR early}]]}] $applied
            wire_close $m
            set m [wire_accept $port 15000]
            assert_equal [list PSYNC $id [expr {$applied + 1}]] [lindex [agree_as_redis $m PSYNC*] end]
            wire_raw $m "+CONTINUE $id\r\n"
            wire_send $m SET late 1
            wait_for_condition 100 20 {[r get late] == 1} else { fail "the stream does not go on" }
            wire_close $m
            leave $r
        }
        r config set repl-diskless-load disabled
        away $r
    } {} {peer:skip}

    foreach {where reply line} {
        d "-ERR Unrecognized RDB client id: 77" {*RDB channel from primary: -ERR Unrecognized RDB client id: 77*}
        d "+CONTINUE" {*Unexpected reply to PSYNC on the RDB channel from primary: +CONTINUE*}
        d "+FULLRESYNC short 1" {*Unexpected reply to PSYNC on the RDB channel from primary: +FULLRESYNC short 1*}
        d "-LOADING busy" {*Unexpected reply to PSYNC on the RDB channel from primary: -LOADING busy*}
        d "-NOPERM no" {*refuses to synchronize this replica's user*}
        d close {*Failed to read response from the server*}
        d header-close {*I/O error reading bulk count from PRIMARY*}
        d payload-close {*I/O error trying to sync with PRIMARY*}
        d bad-header {*Bad protocol from PRIMARY*}
        m close {*Aborting dual channel sync*}
        m payload-close {*Aborting dual channel sync*}
    } {
        test "two connections as Redis has them: $reply on the [dict get {d second m first} $where] one ends the attempt" {
            lassign [followed_by $r] port m
            set log [log_mark 0]
            lassign [both_of_redis $port $m] m d
            set start "+FULLRESYNC $id 1000\r\n"
            switch -- $reply {
                close { wire_close [set $where] }
                header-close { wire_raw $d $start; wire_close $d }
                payload-close { wire_raw $d "$start\$EOF:$mark\r\nREDIS0012"; wait_for_log $log {*receiving streamed RDB*}; wire_close [set $where] }
                bad-header { wire_raw $d "${start}x\r\n" }
                default { wire_raw $d $reply\r\n }
            }
            wait_for_log $log $line
            foreach channel [list $m $d] {
                if {[info exists wire::buffer($channel)]} {
                    wire_closed $channel
                }
            }
            wait_for_condition 100 20 {[temp_files 0] eq {}} else { fail "left: [temp_files 0]" }
            # The next attempt begins from the front. Without a permission it takes its time.
            if {![string match -NOPERM* $reply]} {
                set m [wire_accept $port 15000]
                agree_as_redis $m PSYNC*
                send_snapshot $m $::wire::empty_rdb
                wait_for_sync $r
            }
            wire_close_all
            away $r
        } {} {peer:skip}
    }

    test {an answer that names no connection is none: SYNC on one} {
        foreach reply {+RDBCHANNELSYNC "+RDBCHANNELSYNC x" "+RDBCHANNELSYNC -1" "+RDBCHANNELSYNC 99999999999999999999"} {
            lassign [followed_by $r] port m
            wire_raw $m $reply\r\n
            assert_equal SYNC [wire_words [wire_request $m]]
            wire_close $m
        }
        leave $r
    }
}

# A replica of Redis 8: the words it says on either connection.
proc redis_replica {host port} {
    set m [wire_open $host $port]
    assert_equal +PONG [wire_call $m PING]
    assert_equal +OK [wire_call $m REPLCONF listening-port 7777]
    assert_equal +OK [wire_call $m REPLCONF capa eof capa psync2 capa rdb-channel-repl]
    return $m
}

proc redis_snapshot_channel {host port main} {
    set d [wire_open $host $port]
    assert_equal +OK [wire_call $d REPLCONF capa eof rdb-only 1 rdb-channel 1 main-ch-client-id $main listening-port 7777]
    return $d
}

start_server [list tags {"repl external:skip needs:debug"} overrides $dual] {
    set p [srv client]

    test {a replica of Redis 8 is served on two connections} {
        r config set repl-diskless-sync-delay 2
        r set k v
        set m [redis_replica {*}[at 0]]
        assert_match {+RDBCHANNELSYNC *} [set line [wire_call $m PSYNC ? -1]]
        set main [lindex $line 1]
        set d [redis_snapshot_channel {*}[at 0] $main]
        # A second one cannot have the same main connection.
        set other [wire_open {*}[at 0]]
        assert_equal "-ERR Unrecognized RDB client id: $main" [wire_call $other REPLCONF main-ch-client-id $main]
        wire_close $other
        wire_send $d PSYNC ? -1
        # While the snapshot is put off, both are alive, and only the second one is told so.
        assert_equal "" [wire_line $d]
        assert_equal "" $wire::buffer($m)
        assert_match "+FULLRESYNC [s master_replid] *" [set line [wire_reply $d]]
        set offset [lindex $line 2]
        r set during 1
        set stream [resp::encode {SELECT 9}][resp::encode {set during 1}]
        assert_equal $stream [wire_bytes $m [string length $stream]]
        assert {[has_row $p *state=bg_transfer,*type=main-channel*]}
        set payload [wire_payload $d]
        assert_match REDIS0011* [dict get $payload rdb]
        assert_equal eof [dict get $payload kind]
        wire_closed $d
        assert {[has_row $p *state=bg_transfer,*type=main-channel*]}
        assert_equal 0 [s replicas_waiting_psync]
        wire_send $m REPLCONF ACK $offset
        wait_for_condition 100 20 {[has_row $p *port=7777,state=online,offset=$offset,*type=replica*]} else { fail "not online: [replica_rows $p]" }
        wire_close $m
        # Back within the backlog there is no second one.
        set m [redis_replica {*}[at 0]]
        assert_equal "+CONTINUE [s master_replid]" [wire_call $m PSYNC [s master_replid] [expr {$offset + 1}]]
        assert_equal $stream [wire_bytes $m [string length $stream]]
        r config set repl-diskless-sync-delay 0
        wire_close_all
    } {} {peer:skip}

    test {when either connection of a replica of Redis 8 is lost, nothing is left of both} {
        foreach lost {m d} {
            set m [redis_replica {*}[at 0]]
            set main [lindex [wire_call $m PSYNC ? -1] 1]
            set d [redis_snapshot_channel {*}[at 0] $main]
            populate 2000 key: 1000
            r config set rdb-key-save-delay 1000
            wire_send $d PSYNC ? -1
            assert_match +FULLRESYNC* [wire_reply $d]
            wait_dual_transfer $p
            wire_close [set $lost]
            if {$lost eq "d"} {
                # Its snapshot has failed: the main connection is of no use.
                wire_closed $m 20000
            } else {
                wire_close $d
            }
            wait_for_condition 200 50 {[s connected_slaves] == 0 && [s rdb_bgsave_in_progress] == 0} else { fail "something is left: [replica_rows $p]" }
            r config set rdb-key-save-delay 0
            wire_close_all
        }
        away $p
    } {} {peer:skip}

    test {a main connection that is none is refused by its number} {
        set d [wire_open {*}[at 0]]
        assert_equal "-ERR Unrecognized RDB client id: 4711" [wire_call $d REPLCONF main-ch-client-id 4711]
        assert_equal "-ERR Unrecognized RDB client id: -1" [wire_call $d REPLCONF main-ch-client-id -1]
        assert_equal "-ERR value is not an integer or out of range" [wire_call $d REPLCONF main-ch-client-id x]
        # Its own.
        assert_equal +OK [wire_call $d REPLCONF capa rdb-channel-repl]
        set own [lindex [wire_call $d PSYNC ? -1] 1]
        assert_equal "-ERR Unrecognized RDB client id: $own" [wire_call $d REPLCONF main-ch-client-id $own]
        wire_close_all
    } {} {peer:skip}

    test {without dual channel, or without diskless snapshots, Redis 8 is served on one connection} {
        foreach {name value other} {dual-channel-replication-enabled no yes repl-diskless-sync no yes} {
            r config set $name $value
            set m [redis_replica {*}[at 0]]
            assert_match +FULLRESYNC* [wire_call $m PSYNC ? -1]
            wire_payload $m
            wire_close $m
            r config set $name $other
        }
    }

    test {who names no version and drops its snapshot gets the next one as Redis 7.0 reads it} {
        r flushall
        r sadd packed a b c
        r xadd stream 1-1 f v
        r xgroup create stream g 0
        r xreadgroup group g alice streams stream >
        set versions {}
        # Redis says nothing of its version; what it cannot load it drops, and asks again.
        foreach words {{} {} {} {version 8.0.1} {}} {
            set m [wire_replica {*}[at 0] listening-port 7778 capa eof capa psync2 {*}$words]
            wire_send $m PSYNC ? -1
            set rdb [dict get [wire_payload_after_fullresync $m] rdb]
            lappend versions [string range $rdb 5 8]
            wait_for_condition 100 20 {[has_row $p *port=7778,state=online*]} else { fail "not online: [replica_rows $p]" }
            if {[llength $versions] == 3} {
                # The older one is whole.
                assert_equal 0 [regexp {[\x14\x15]\x06(packed|stream)} $rdb]
                wire_send $m REPLCONF ACK [s master_repl_offset]
            }
            wire_close $m
            wait_for_condition 100 20 {[s connected_slaves] == 0} else { fail "still there" }
        }
        assert_equal {0011 0010 0010 0011 0010} $versions
        wire_close_all
    } {} {peer:skip}
}

start_server [list tags {"repl rdb external:skip"} overrides {save ""}] {
    test {a dump file of Redis 8 is loaded at start} {
        set r [srv client]
        every_type $r
        set made [contents $r]
        r flushall
        r function flush
        file copy -force [file join $harness::tests_dir assets redis-8.rdb] [file join [file dirname [srv stdout]] dump.rdb]
        restart_server 0 true false
        set r [srv client]
        assert_equal $made [contents $r]
    } {} {peer:skip}

    test {a dump file with what we cannot hold ends the start, and says where it is} {
        foreach {value line} [list \
            $expiring "*function at hash-metadata -> field 'f' expires (at 4102444800123 ms)*key 'h' in DB 0*" \
            $vectors "*no matching module type 'vectorset'*key 'v' in DB 0*"] {
            set dir [tmpdir refused]
            set channel [open $dir/dump.rdb wb]
            puts -nonewline $channel $head$value$tail
            close $channel
            set channel [open $dir/valkey.conf w]
            puts $channel "port 0\nsave \"\"\ndir $dir\nunixsocket $dir/socket"
            close $channel
            catch {exec timeout 10 $::VALKEY_SERVER_BIN $dir/valkey.conf >$dir/stdout 2>$dir/stderr} - options
            assert_equal {CHILDSTATUS 1} [lreplace [dict get $options -errorcode] 1 1]
            assert_match $line [logs::from $dir/stdout 0]
            file delete -force $dir
        }
    } {} {peer:skip}
}

# Full and partial synchronisations with PEER, as replica and as primary of the server under test, and a chain.
dict for {name peer} $peers {
    set title [dict get $peer title]
    set program [peer_program $name]
    if {$program eq ""} {
        test "$title: synchronisations both ways" {
            skip "Needs the program of $title, named by $name in the environment"
        } {} {peer:skip}
        continue
    }
    foreach {channels two} {"one connection" no "two connections" yes} {
        if {$two && ![llength [dict get $peer two]]} continue
        set settings [dict get $peer [expr {$two ? "two" : "one"}]]
        start_server [list tags {"repl external:skip needs:debug tls:skip peer:skip"} overrides [concat $dual {propagation-error-behavior ignore}]] {
            set ours [srv client]
            r config set dual-channel-replication-enabled $two
            start_server [list server $program config minimal.conf overrides [concat {save "" bind 127.0.0.1 repl-diskless-sync-delay 0} $settings]] {
                set theirs [srv client]
                set ::with_entries_read [expr {$name ne "PEER_REDIS7"}]
                foreach {direction primary replica level} [list "from $title" $theirs $ours 0 "to $title" $ours $theirs -1] {
                    test "$direction, $channels: full synchronisation under writes" {
                        foreach c [list $ours $theirs] { leave $c }
                        every_type $primary
                        {*}$primary config resetstat
                        populate 2000 key: 100 $level
                        {*}$primary config set rdb-key-save-delay 200
                        set log [log_mark [expr {-1 - $level}]]
                        set loads [start_load $level]
                        {*}$replica replicaof {*}[at $level]
                        wait_for_sync $replica 300
                        {*}$primary config set rdb-key-save-delay 0
                        stop_load $level $loads
                        wait_caught_up $primary $replica
                        assert_same_contents $primary $replica 2000
                        # Redis 7.0 does not read what it is sent first, and may have left before the end of it is noticed.
                        set tries [expr {$name eq "PEER_REDIS7" && $primary eq $ours ? {2 3} : {1}}]
                        assert {[status $primary sync_full] in $tries}
                        set lines [logs::from {*}$log]
                        assert_equal [string is true $two] [string match {*PSYNC is not possible, initialize RDB channel.*} $lines]
                    }

                    test "$direction, $channels: partial resynchronisation under writes" {
                        {*}$replica replicaof {*}[at $level]
                        wait_for_sync $replica 300
                        wait_caught_up $primary $replica
                        {*}$primary config resetstat
                        set loads [start_load $level]
                        {*}$primary client kill type replica
                        wait_for_condition 200 50 {[status $primary sync_partial_ok] == 1} else { fail "no partial resynchronisation" }
                        stop_load $level $loads
                        wait_caught_up $primary $replica
                        assert_same_contents $primary $replica
                        assert_equal 0 [status $primary sync_full]
                    }
                }
            }
        }
    }
}

set ::with_entries_read 1

# Moving from Redis 8: follow it while it is written to, catch up, and take over.
set program [peer_program PEER_REDIS8]
if {$program ne ""} {
    start_server [list tags {"repl external:skip needs:debug tls:skip peer:skip"} overrides [concat $dual {propagation-error-behavior ignore}]] {
        set ours [srv client]
        start_server [list server $program config minimal.conf overrides {save "" bind 127.0.0.1 repl-diskless-sync-delay 0 repl-rdb-channel yes}] {
            set theirs [srv client]
            # Nobody selects a database for those at the end: it comes with the snapshot.
            test {a chain of Redis 8, this server and Redis 8, which meets the stream in another database} {
                start_server [list server $program config minimal.conf overrides {save "" bind 127.0.0.1 repl-diskless-sync-delay 0 repl-rdb-channel yes}] {
                    set last [srv client]
                    set first [srv -1 client]
                    set middle [srv -2 client]
                    foreach c [list $middle $first] { leave $c }
                    every_type $first
                    {*}$middle replicaof {*}[at -1]
                    wait_caught_up $first $middle
                    {*}$first select 5
                    {*}$first incr n
                    {*}$last replicaof {*}[at -2]
                    wait_for_sync $last 300
                    {*}$first incr n
                    {*}$first select 0
                    wait_caught_up $first $middle
                    wait_caught_up $middle $last
                    assert_same_contents $first $middle
                    assert_same_contents $first $last
                    assert_match {*initialize RDB channel.*} [logs::from [srv stdout] 0]
                    {*}$middle replicaof no one
                }
            }

            test {a Redis 8 under writes of every kind is left for good} {
                foreach c [list $ours $theirs] { leave $c }
                every_type $theirs
                populate 5000 key: 100
                set loads [start_load 0]
                {*}$theirs config set rdb-key-save-delay 200
                {*}$ours replicaof {*}[at 0]
                wait_for_sync $ours 600
                {*}$theirs config set rdb-key-save-delay 0
                # It follows for a while.
                set offset [status $theirs master_repl_offset]
                wait_for_condition 300 50 {[status $ours slave_repl_offset] > $offset + 100000} else { fail "it does not follow" }
                stop_load 0 $loads
                wait_caught_up $theirs $ours
                {*}$ours replicaof no one
                assert_same_contents $theirs $ours 5000
                assert_no_match {*CRITICAL*} [logs::from [srv -1 stdout] 0]
                # From here on it is a primary like others, which the old one can follow.
                {*}$ours set moved 1
                {*}$ours config resetstat
                {*}$theirs replicaof {*}[at -1]
                wait_for_sync $theirs 600
                wait_caught_up $ours $theirs
                assert_same_contents $ours $theirs 5000
                assert_equal {0 1} [list [status $ours sync_full] [status $ours sync_partial_ok]]
            }
        }
    }
}
