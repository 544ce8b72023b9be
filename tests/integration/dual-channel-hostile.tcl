# Dual channel synchronisation with a primary that answers what it should not, on either
# connection: each time a logged end of the attempt, both connections closed, nothing
# left, and another attempt. The test plays the primary. Holds the acceptance items 47,
# 52, 55 and 60 (dual channel).

source tests/helpers/dual-channel.tcl

set id [string repeat 0123456789 4]
set mark [string repeat fedcba9876 4]
set empty $::wire::empty_rdb

# Read requests off CHANNEL, answer +OK (or +PONG) to all, until one globs LAST.
proc agree {channel last} {
    while 1 {
        set words [wire_words [wire_request $channel]]
        if {[string match $last $words]} {
            return $words
        }
        wire_raw $channel [expr {$words eq "PING" ? "+PONG" : "+OK"}]\r\n
    }
}

# Both connections of the first attempt of a new link, the second one having sent SYNC, and the port they go to.
proc both_channels {{level 0}} {
    lassign [wire_listen] - port
    r $level replicaof 127.0.0.1 $port
    set m [wire_accept $port 15000]
    agree $m PSYNC*
    wire_raw $m +DUALCHANNELSYNC\r\n
    set d [wire_accept $port]
    agree $d SYNC
    return [list $m $d $port]
}

# The attempt ends: both connections are closed, and the line is in the log.
proc assert_given_up {mark m d pattern} {
    wire_closed $m
    wire_closed $d
    wire_close $m
    wire_close $d
    wait_for_log $mark $pattern
    assert_equal {} [temp_files 0]
}

start_server [list tags {"repl dual-channel-replication external:skip needs:debug"} overrides $dual] {
    set r [srv client]
    r set old data

    # The reference leaves connections and temporary files behind.
    foreach {reply line} [list \
        "-LOADING busy" "*Received unexpected \$ENDOFF response: -LOADING busy*" \
        "-NOMASTERLINK no" "*Received unexpected \$ENDOFF response: -NOMASTERLINK no*" \
        "-BUSY x" "*Received unexpected \$ENDOFF response: -BUSY x*" \
        "\$100" "*Received unexpected \$ENDOFF response: \$100*" \
        "\$ENDOFF:1 $id 0" "*Received unexpected \$ENDOFF response*" \
        "\$ENDOFF:-1 $id 0 1" "*Received unexpected \$ENDOFF response*" \
        "\$ENDOFF:1 short 0 1" "*Received unexpected \$ENDOFF response*" \
        "\$ENDOFF:1 $id x 1" "*Received unexpected \$ENDOFF response*" \
        "\$ENDOFF:99999999999999999999 $id 0 1" "*Received unexpected \$ENDOFF response*" \
        [string repeat x 5000] "*Bad protocol from PRIMARY, a line of the handshake has no end*" \
    ] {
        test "instead of the snapshot's offset: [string range $reply 0 30]" {
            lassign [both_channels] m d port
            set since [log_mark]
            wire_raw $d $reply\r\n
            assert_given_up $since $m $d $line
            assert_equal data [r get old]
        } undefined {peer:skip}
    }

    foreach {bytes line} [list \
        "hello\r\n" "*Bad protocol from PRIMARY, the first byte is not '\$'*" \
        "-ERR no snapshot\r\n" "*PRIMARY aborted replication with an error: ERR no snapshot*" \
        "\$EOF:short\r\n" "*Bad protocol from PRIMARY*" \
        "\$EOF:$mark\r\ngarbage$mark" "*Failed trying to load the PRIMARY synchronization DB*" \
        "\$EOF:$mark\r\n[string range $empty 0 end-1]$mark" "*Failed trying to load the PRIMARY synchronization DB*" \
    ] {
        test "instead of the snapshot: [string map {\r {} \n {}} [string range $bytes 0 20]] ([string length $bytes] bytes)" {
            lassign [both_channels] m d port
            set since [log_mark]
            wire_raw $d "\$ENDOFF:0 $id 0 7\r\n$bytes"
            assert_equal {REPLCONF set-rdb-client-id 7} [wire_words [wire_request $m]]
            assert_given_up $since $m $d $line
            wait_for_log $since {*Aborting dual channel sync*}
            # At once, for the first time.
            wait_for_log $since {*Reconnecting to PRIMARY 127.0.0.1:* after failure*}
        } undefined {peer:skip}
    }

    test {a snapshot cut off} {
        lassign [both_channels] m d port
        set since [log_mark]
        wire_raw $d "\$ENDOFF:0 $id 0 7\r\n\$EOF:$mark\r\nREDIS0011"
        assert_equal {REPLCONF set-rdb-client-id 7} [wire_words [wire_request $m]]
        wire_close $d
        wire_closed $m
        wire_close $m
        wait_for_log $since {*I/O error trying to sync with PRIMARY*}
        wait_for_log $since {*Aborting dual channel sync*}
        # Another thread than the one that writes the log has the file.
        eventually 5000 {[temp_files 0] eq ""}
    } undefined {peer:skip}

    foreach {reply result line} [list \
        "-ERR Unrecognized RDB client id 7" -1 "*Primary does not understand REPLCONF identify: -ERR Unrecognized RDB client id 7*" \
        "+OK +FULLRESYNC" 3 "*Full resync from primary: $id:0*" \
        "+OK -ERR x" 4 "*Primary does not support PSYNC or is in error state (reply: -ERR x)*" \
        "+OK -LOADING" 5 "*Primary is currently unable to PSYNC but should be in the future: -LOADING*" \
        "+OK -NOMASTERLINK" 5 "*Primary is currently unable to PSYNC but should be in the future: -NOMASTERLINK*" \
        "+OK +DUALCHANNELSYNC" 6 "*PSYNC is not possible, initialize RDB channel.*" \
        "+OK close" 5 "*Primary did not reply to PSYNC, will try later*" \
    ] {
        test "the main connection is not let in: $reply" {
            lassign [both_channels] m d port
            wire_raw $d "\$ENDOFF:0 $id 0 7\r\n"
            set since [log_mark]
            assert_equal {REPLCONF set-rdb-client-id 7} [wire_words [wire_request $m]]
            if {[string match +OK* $reply]} {
                wire_raw $m +OK\r\n
                assert_equal "PSYNC $id 1" [wire_words [wire_request $m]]
                set reply [string range $reply 4 end]
                if {$reply eq "+FULLRESYNC"} { append reply " $id 0" }
            }
            if {$reply eq "close"} {
                wire_close $m
                wire_closed $d
                wire_close $d
                wait_for_log $since $line
            } else {
                wire_raw $m $reply\r\n
                assert_given_up $since $m $d $line
            }
            wait_for_log $since "*Aborting dual channel sync. Main channel psync result $result*"
        } undefined {peer:skip}
    }

    test {garbage amid the stream: the link ends, and the data are asked for anew} {
        r config set propagation-error-behavior ignore
        lassign [both_channels] m d port
        wire_raw $d "\$ENDOFF:0 $id 0 7\r\n\$EOF:$mark\r\n$empty$mark"
        wire_request $m
        wire_raw $m +OK\r\n
        wire_request $m
        wire_raw $m "+CONTINUE $id\r\n[resp::encode {SET good 1}]"
        wait_for_sync r
        wire_raw $m "*x\r\n"
        wire_closed $m
        wire_close $m
        set m [wire_accept $port 10000]
        # From where it was the same garbage would come again.
        assert_equal "PSYNC ? -1" [agree $m PSYNC*]
        wire_close $m
        r config set propagation-error-behavior panic
    } undefined {peer:skip}

    test {without the permission to synchronise: it says so, and does not hammer} {
        set since [log_mark]
        lassign [both_channels] m d port
        wire_raw $d "-NOPERM User default has no permissions to run the 'sync' command\r\n"
        assert_given_up $since $m $d {*Received unexpected $ENDOFF response: -NOPERM*}
        wait_for_log $since {*it needs the permissions +psync +replconf +ping and, for dual channel, +sync. Trying again in 10 seconds.*}
        # The time is what is being tested.
        set end [expr {[clock milliseconds] + 2500}]
        while {[clock milliseconds] < $end} { update; after 10 }
        assert_equal {} $wire::accepted($port)
        r replicaof no one
    } undefined {peer:skip}
    wire_close_all
}

# Promoted with new data and without the main connection, it must not let a replica of
# the old data go on as if nothing had happened. (The reference does.)
start_server [list tags {"repl dual-channel-replication external:skip needs:debug"} overrides $dual] {
    start_server [list overrides $dual] {
        test {promotion between the snapshot and the stream: former replicas start over} {
            r -1 set old data
            r replicaof {*}[at -1]
            wait_for_sync r
            wait_for_ofs_sync [srv client] [srv -1 client]
            pause_process [srv pid]
            lassign [both_channels -1] m d port
            set since [log_mark -1]
            wire_raw $d "\$ENDOFF:[s -1 master_repl_offset] $id 0 7\r\n\$EOF:$mark\r\n$empty$mark"
            wait_for_log $since {*Finished with success*}
            r -1 replicaof no one
            assert_equal 0 [r -1 dbsize]
            r -1 set new data
            resume_process [srv pid]
            wait_for_sync r
            wait_for_ofs_sync [srv client] [srv -1 client]
            assert_equal [r -1 debug digest] [r debug digest]
            assert_equal data [r get new]
            wire_close_all
        } undefined {peer:skip}
    }
}
