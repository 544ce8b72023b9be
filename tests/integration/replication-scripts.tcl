# Scripts that come by the stream, as primaries before effects were replicated sent them: the
# test plays such a primary. And what of a script goes to replicas, what to the log.

set ::replid [string repeat 0123456789 4]

# Read requests off CHANNEL, answer as a primary, until one globs LAST: its words.
proc agree {channel last} {
    while 1 {
        set words [wire_words [wire_request $channel]]
        if {[string match $last $words]} {
            return $words
        }
        wire_raw $channel [expr {$words eq "PING" ? "+PONG\r\n" : "+OK\r\n"}]
    }
}

# The server follows the test with an empty dataset, from offset 1000 on: port and connection.
proc followed {} {
    r replicaof no one
    lassign [wire_listen] - port
    r replicaof 127.0.0.1 $port
    set m [wire_accept $port]
    agree $m PSYNC*
    set rdb "REDIS0011\xff[string repeat \x00 8]"
    wire_raw $m "+FULLRESYNC $::replid 1000\r\n\$[string length $rdb]\r\n$rdb"
    wait_for_condition 500 10 {[s master_link_status] eq "up"} else {fail "the link is not up"}
    return [list $port $m]
}

# The bytes of requests.
proc stream {args} {
    set bytes ""
    foreach words $args {
        append bytes "*[llength $words]\r\n"
        foreach word $words {append bytes "\$[string length $word]\r\n$word\r\n"}
    }
    return $bytes
}

proc wait_until_busy {} {
    wait_for_condition 500 10 {
        [catch {r ping} message] == 1 && [string match "BUSY*" $message]
    } else {
        fail "the script is not busy"
    }
}

proc wait_for_offset {offset} {
    wait_for_condition 1000 10 {
        [catch {s slave_repl_offset} now] == 0 && $now == $offset
    } else {
        fail "the replica is at [catch {s slave_repl_offset} now]: $now, not at $offset"
    }
}

# Adds to n, and takes its time.
set script {redis.call('incr', 'n') local x = 0 for i = 1, tonumber(ARGV[1]) do x = x + i end redis.call('incr', 'n')}

start_server {tags {"repl scripting external:skip singledb:skip"} overrides {busy-reply-threshold 20 save "" propagation-error-behavior ignore}} {
    test {a long script of the stream does not keep others from being answered} {
        lassign [followed] port m
        set bytes [stream {select 9} {set a 1} [list eval $script 0 20000000] {set c 1} {incr n}]
        wire_raw $m $bytes
        wait_until_busy
        assert_error {BUSY *} {r get a}
        assert_error {UNKILLABLE The busy script was sent by a master instance in the context of replication and cannot be killed.} {r script kill}
        assert_error {UNKILLABLE The busy script was sent by a master instance*} {r function kill}
        wait_for_offset [expr {1000 + [string length $bytes]}]
        assert_equal {1 1 3} [list [r get a] [r get c] [r get n]]
        # The stream goes on.
        set more [stream {set d 1}]
        wire_raw $m $more
        wait_for_offset [expr {1000 + [string length $bytes$more]}]
        assert_equal 1 [r get d]
        wire_close $m
        r replicaof no one
    } {OK}

    test {long scripts of a transaction of the stream, and what comes meanwhile} {
        lassign [followed] port m
        set function "#!lua name=slow\nredis.register_function('slow', function(keys, args) local x = 0 for i = 1, tonumber(args\[1]) do x = x + i end return redis.call('append', 'log', 'f') end)"
        set bytes [stream {select 9} [list function load replace $function] multi {append log a} [list eval $script 0 10000000] {fcall slow 0 10000000} {append log b} exec [list eval $script 0 10000000] {append log c}]
        # Half a command, too.
        set more [stream {append log d} {append log e}]
        wire_raw $m $bytes[string range $more 0 9]
        wait_until_busy
        wire_raw $m [string range $more 10 end]
        wait_for_offset [expr {1000 + [string length $bytes$more]}]
        assert_equal {afbcde 4} [list [r get log] [r get n]]
        wire_close $m
        r replicaof no one
    } {OK}

    test {a script of the stream that fails late is told in the log} {
        lassign [followed] port m
        set mark [log_mark]
        wire_raw $m [stream {select 9} [list eval "local x = 0 for i = 1, 5000000 do x = x + i end error('late')" 0] {set after 1}]
        wait_for_log $mark "*== CRITICAL == This replica is sending an error to its primary: *late script: *"
        wait_for_condition 500 10 {[catch {r get after} value] == 0 && $value eq 1} else {fail "the stream does not go on"}
        wire_close $m
        r replicaof no one
    } {OK}

    # The reference forgets the connection before the script has ended, and counts the command twice or never.
    test {a script whose connection ends is counted once} {
        lassign [followed] port m
        set bytes [stream {select 9} [list eval $script 0 20000000]]
        wire_raw $m $bytes
        wait_until_busy
        wire_close $m
        set m [wire_accept $port 10000]
        set words [agree $m PSYNC*]
        assert_equal [list PSYNC $::replid [expr {1001 + [string length $bytes]}]] $words
        wire_raw $m "+CONTINUE\r\n[stream {incr n}]"
        wait_for_condition 500 10 {[catch {r get n} value] == 0 && $value == 3} else {fail "n is [r get n]"}
        wire_close $m
        r replicaof no one
    } {OK} {peer:skip}
}

start_server {tags {"repl scripting external:skip"} overrides {appendonly yes save "" auto-aof-rewrite-percentage 0}} {
    test {set_repl chooses who sees the effects: replicas, the log, both or nobody} {
        r set first 1
        set repl [attach_to_replication_stream]
        set before [s master_repl_offset]
        r eval {redis.set_repl(redis.REPL_AOF) redis.call('set', 'log', 1)} 0
        assert_equal $before [s master_repl_offset]
        r eval {redis.set_repl(redis.REPL_REPLICA) redis.call('set', 'replicas', 1)} 0
        r eval {redis.set_repl(redis.REPL_NONE) redis.call('set', 'nobody', 1)} 0
        r eval {redis.call('set', 'both', 1)} 0
        r eval {
            redis.set_repl(redis.REPL_AOF) redis.call('set', 'log', 2) redis.call('incr', 'log')
            redis.set_repl(redis.REPL_ALL) redis.call('incr', 'both')
            redis.set_repl(redis.REPL_REPLICA) redis.call('incr', 'replicas')
        } 0
        r set last 1
        assert_replication_stream $repl {
            {select *} {set replicas 1} {set both 1}
            multi {incr both} {incr replicas} exec
            {set last 1}
        }
        assert_aof_content [get_last_incr_aof_path r] {
            {select *} {set first 1} {set log 1} {set both 1}
            multi {set log 2} {incr log} {incr both} exec
            {set last 1}
        }
        close_replication_stream $repl
    } {}
}
