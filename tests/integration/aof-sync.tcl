# The append-only file of a replica: when it is off and when it goes on behind a full synchronisation that fails, and from when
# on it holds what another one has brought.

tags {"external:skip aof repl"} {

# Has the server of this block take part in a synchronisation whose snapshot is none.
proc fail_synchronisation {} {
    set mark [log_mark]
    lassign [wire_listen] - port
    r replicaof 127.0.0.1 $port
    set link [wire_accept $port]
    while 1 {
        switch -glob [wire_words [wire_request $link]] {
            PING { wire_raw $link +PONG\r\n }
            PSYNC* break
            default { wire_raw $link +OK\r\n }
        }
    }
    set end [string repeat e 40]
    wire_raw $link "+FULLRESYNC [string repeat a 40] 100\r\n\$EOF:$end\r\nREDIS0011\x05$end"
    wire_close_all
    wait_for_log $mark {*Failed trying to load the PRIMARY synchronization DB*} 10000
}

# A server with a log that holds `old`; it goes with the block.
proc begin_with_old {} {
    if {[s role] ne "master"} {
        r replicaof no one
    }
    waitForBgrewriteaof r
    r flushall
    r set old data
}

start_server {overrides {appendonly yes save "" repl-diskless-load swapdb}} {
    test {swapdb: the log goes on when a synchronisation fails, as the data do} {
        begin_with_old
        fail_synchronisation
        assert_equal {data 1 0} [list [r get old] [s aof_enabled] [s aof_rewrites]]
        r config set replica-read-only no
        r set own 1
        r config set replica-read-only yes
        exec kill -9 [srv 0 pid]
        expect_end
        restart_server 0 true false
        wait_done_loading r
        assert_equal {data 1} [r mget old own]
    } {} {peer:skip}

    test {swapdb: a promotion after a failed synchronisation has a log} {
        begin_with_old
        fail_synchronisation
        r replicaof no one
        waitForBgrewriteaof r
        assert_equal 1 [s aof_enabled]
        r set own 1
        r debug loadaof
        assert_equal {data 1} [r mget old own]
    } {} {needs:debug}
}

# Here the reference ends. (A snapshot that may be that of an empty dataset would be loaded beside the old data.)
start_server {
    tags {"peer:skip"}
    overrides {appendonly yes save "" repl-diskless-load disabled replica-refuse-empty-primary no}
} {
    test {with the old data flushed the log holds them until a promotion} {
        begin_with_old
        fail_synchronisation
        assert_equal {{} 0} [list [r get old] [s aof_enabled]]
        expect_end
        exec kill -9 [srv 0 pid]
        restart_server 0 true false
        wait_done_loading r
        assert_equal {data master 1} [list [r get old] [s role] [s aof_enabled]]
    }

    test {with the old data flushed a promotion begins a log with what there is} {
        begin_with_old
        fail_synchronisation
        r replicaof no one
        waitForBgrewriteaof r
        assert_equal {1 ok} [list [s aof_enabled] [s aof_last_bgrewrite_status]]
        r set own 1
        r debug loadaof
        assert_equal {{} 1} [r mget old own]
    } {} {needs:debug}
}

# Has the inner server follow the outer one, with a child that does not come to an end with the log's base.
proc follow_and_hold_the_base {} {
    r config set rdb-key-save-delay 10000000
    r replicaof [srv -1 host] [srv -1 port]
    wait_for_sync r
    eventually 10000 {[s aof_rewrite_in_progress] == 1}
}

# There the log is the old one until the base is complete.
start_server {tags {"repl peer:skip"} overrides {appendonly yes save ""}} {
    foreach {load pending own} {disabled 0 1 swapdb 1 {}} {
        start_server [list overrides [list appendonly yes save "" repl-diskless-load $load]] {
            test "repl-diskless-load $load: INFO tells whether the log holds what a synchronisation has brought" {
                expect_end
                r -1 set before 1
                r set old data
                follow_and_hold_the_base
                assert_equal "1 $pending" [list [s aof_enabled] [s aof_base_pending]]
                r replicaof no one
                r set own 1
                assert_equal [list [expr {!$pending}] 0] [r waitaof [expr {!$pending}] 0 0]
                exec kill -9 [srv 0 pid]
                restart_server 0 true false
                wait_done_loading r
                assert_equal $own [r get own]
                assert_equal [expr {$pending ? "data {}" : "{} 1"}] [r mget old before]
                assert_equal 0 [s aof_base_pending]
            }
        }
    }
}
}
