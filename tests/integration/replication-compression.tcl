# Snapshot and stream, compressed between two servers that both want it. What is on the wire is looked at as well.

# What has come on a raw connection so far, and what comes until the deadline at the latest.
proc read_more {channel data deadline awaited} {
    append data [read $channel]
    if {[eof $channel]} { fail "the connection ended after: [string range $data 0 300]" }
    if {[clock milliseconds] > $deadline} { fail "'$awaited' did not come, but: [string range $data 0 300]" }
    # The pause between two looks.
    after 1
    return $data
}

# Waits until what has come on a raw connection since the last time ends with this; returns it, behind what came before.
proc await_bytes {channel end {data ""}} {
    set deadline [expr {[clock milliseconds] + 20000}]
    while {[string range $data end-[expr {[string length $end] - 1}] end] ne $end} {
        set data [read_more $channel $data $deadline $end]
    }
    return $data
}

# A raw connection to a server, with a request for compression that it answers with this line.
proc ask_to_compress {answer} {
    set channel [socket [srv host] [srv port]]
    fconfigure $channel -translation binary -blocking 0
    puts -nonewline $channel "REPLCONF capa eof capa psync2 capa lz4\r\n"
    flush $channel
    assert_equal "$answer\r\n" [await_bytes $channel "\r\n"]
    return $channel
}

# Asks for a synchronisation on it; returns the mark, and what came between the mark's line and its end.
proc full_sync {channel} {
    puts -nonewline $channel "PSYNC ? -1\r\n"
    flush $channel
    # The line of the mark may come with others, and with what follows it.
    set deadline [expr {[clock milliseconds] + 20000}]
    set head ""
    while {![regexp {\$EOF:(.{40})\r\n} $head -> mark]} {
        set head [read_more $channel $head $deadline "a mark"]
    }
    set begin [string first "\$EOF:$mark\r\n" $head]
    set snapshot [await_bytes $channel $mark [string range $head $begin+47 end]]
    return [list $mark $snapshot]
}

# What INFO and REPLICATION STATUS tell of the compression of a client's link to its primary.
proc compression_of_link {client} {
    set link [dict get [$client replication status] primary]
    return [dict get $link compression]
}

set compressed {save "" repl-compression lz4 rdbcompression no repl-diskless-sync-delay 0 loglevel debug}

start_server [list tags {"repl external:skip tls:skip needs:debug peer:skip"} overrides $compressed] {
    test {a snapshot and the stream behind it are sent as blocks} {
        r set big [string repeat "again and " 100000]
        set channel [ask_to_compress "+OK lz4"]
        lassign [full_sync $channel] mark snapshot
        # A million bytes of text that repeats; the mark is a block of its own, too short to be compressed.
        assert {[string length $snapshot] < 50000}
        assert_equal "\x28\x00\x00\x80$mark" [string range $snapshot end-43 end]
        puts -nonewline $channel "REPLCONF ACK 0\r\n"
        flush $channel
        r set small value
        set stream [await_bytes $channel "value\r\n"]
        binary scan $stream i length
        assert {$length < 0}
        assert_equal [string length $stream] [expr {4 + ($length & 0x7fffffff)}]
        assert_match "*SELECT*small*" $stream
        close $channel
    }

    test {who does not want it is sent plain bytes} {
        r set big [string repeat "again and " 1000]
        r config set repl-compression no
        set channel [ask_to_compress "+OK"]
        lassign [full_sync $channel] mark snapshot
        assert_match "REDIS0011*again and again*" $snapshot
        close $channel
        r config set repl-compression lz4
        assert_equal {repl-compression lz4} [r config get repl-compression]
        assert_error {ERR CONFIG SET failed*must be one of*} {r config set repl-compression zip}
    }

    test {a partial synchronisation is compressed from its first byte} {
        # Somebody has to have come for there to be a backlog.
        set first [ask_to_compress "+OK lz4"]
        full_sync $first
        close $first
        r set one 1
        set channel [ask_to_compress "+OK lz4"]
        set id [status r master_replid]
        set from [expr {[status r master_repl_offset] + 1}]
        puts -nonewline $channel "PSYNC $id $from\r\n"
        flush $channel
        assert_match "+CONTINUE $id\r\n" [await_bytes $channel "\r\n"]
        r set two [string repeat 2 5000]
        r set three 3
        set stream [await_bytes $channel "three\r\n\$1\r\n3\r\n"]
        assert {[string length $stream] < 500}
        close $channel
    }
}

foreach {dual diskless load} {yes yes swapdb  yes yes disabled  no yes swapdb  no yes disabled  no no disabled} {
    set kind "two channels $dual, without a file $diskless, loaded $load"
    set settings [concat $compressed [list dual-channel-replication-enabled $dual repl-diskless-sync $diskless repl-diskless-load $load]]
    start_server [list tags {"repl dual-channel-replication external:skip needs:debug peer:skip"} overrides $settings] {
        set p [srv client]
        start_server [list overrides $settings] {
            start_server [list overrides $settings] {
                test "compressed ($kind): replicas and their replicas have the same data" {
                    $p debug populate 2000 key 500
                    populate 500 noise 100
                    [srv -1 client] replicaof [srv -2 host] [srv -2 port]
                    wait_for_sync [srv -1 client]
                    r replicaof [srv -1 host] [srv -1 port]
                    wait_for_sync r
                    for {set k 0} {$k < 200} {incr k} { $p set stream:$k [string repeat "value $k " $k] }
                    wait_for_ofs_sync r $p
                    assert_equal [$p debug digest] [[srv -1 client] debug digest]
                    assert_equal [$p debug digest] [r debug digest]
                    assert_equal lz4 [compression_of_link r]
                    assert_equal lz4 [dict get [lindex [dict get [$p replication status] replicas] 0] compression]
                }

                test "compressed ($kind): a link that breaks goes on, compressed" {
                    set p [srv -2 client]
                    set m [srv -1 client]
                    if {[status $m master_link_status] ne "up"} {
                        $m replicaof [srv -2 host] [srv -2 port]
                        wait_for_sync $m
                    }
                    set full [s -2 sync_full]
                    foreach round {1 2 3} {
                        $p set before:$round [string repeat b 10000]
                        $m client kill type master
                        $p set after:$round [string repeat a 10000]
                        wait_for_sync $m
                        wait_for_ofs_sync $m $p
                        assert_equal [$p debug digest] [$m debug digest]
                    }
                    assert_equal $full [s -2 sync_full]
                    assert_equal lz4 [compression_of_link $m]
                }
            }
        }
    }
}

foreach {ours theirs} {lz4 no no lz4} {
    start_server [list tags {"repl external:skip needs:debug peer:skip"} overrides [list save "" repl-compression $ours]] {
        set p [srv client]
        start_server [list overrides [list save "" repl-compression $theirs]] {
            test "a primary with $ours and a replica with $theirs do not compress" {
                $p debug populate 100 key 500
                r replicaof [srv -1 host] [srv -1 port]
                wait_for_sync r
                $p set a b
                wait_for_ofs_sync r $p
                assert_equal [$p debug digest] [r debug digest]
                assert_equal no [compression_of_link r]
            }
        }
    }
}

start_server [list tags {"repl dual-channel-replication external:skip needs:debug peer:skip"} overrides [concat $compressed {dual-channel-replication-enabled yes repl-snapshot-spool 100mb}]] {
    set p [srv client]
    start_server [list overrides [concat $compressed {dual-channel-replication-enabled yes}]] {
        start_server [list overrides {save "" dual-channel-replication-enabled yes}] {
            test {a snapshot that is kept goes compressed to one and plain to another} {
                $p debug populate 2000 key 500
                [srv -1 client] replicaof [srv -2 host] [srv -2 port]
                wait_for_sync [srv -1 client]
                r replicaof [srv -2 host] [srv -2 port]
                wait_for_sync r
                $p set last one
                wait_for_ofs_sync r $p
                wait_for_ofs_sync [srv -1 client] $p
                assert_equal 1 [s -2 total_forks]
                assert_equal [$p debug digest] [[srv -1 client] debug digest]
                assert_equal [$p debug digest] [r debug digest]
                assert_equal {lz4 no} [list [compression_of_link [srv -1 client]] [compression_of_link r]]
            }
        }
    }
}
