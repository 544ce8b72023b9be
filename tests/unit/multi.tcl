# MULTI, EXEC, DISCARD, WATCH: queueing, refusals, broken watches, what replicas see.

start_server {tags {"multi"}} {
    test {commands are queued and run together} {
        r del l
        r multi
        assert_equal QUEUED [r rpush l a b]
        assert_equal QUEUED [r lrange l 0 -1]
        assert_equal QUEUED [r ping]
        assert_equal {2 {a b} PONG} [r exec]
    }

    test {TIME stands still in a transaction} {
        r multi
        r time
        r eval {for i = 1, 300000 do end return redis.call('time')} 0
        r time
        assert_equal 1 [llength [lsort -unique [r exec]]]
    }

    test {DISCARD forgets the queue} {
        r set k v
        r multi
        r del k
        assert_equal OK [r discard]
        assert_equal v [r get k]
    }

    test {what has no place is refused} {
        assert_error {ERR EXEC without MULTI} {r exec}
        assert_error {ERR DISCARD without MULTI} {r discard}
        r multi
        assert_error {EXECABORT Transaction discarded because of: wrong number of arguments*} {r exec x}
        assert_error {ERR EXEC without MULTI} {r exec}
        r multi
        assert_error {ERR Command not allowed inside a transaction} {r multi}
        assert_error {EXECABORT*} {r exec}
        r multi
        assert_error {ERR Command not allowed inside a transaction} {r watch k}
        assert_error {EXECABORT*} {r exec}
        r multi
        r monitor
        assert_error {ERR MONITOR isn't allowed for DENY BLOCKING client} {r exec}
    }

    test {a command that cannot be queued aborts the transaction} {
        r set k v
        r multi
        catch {r nosuchcommand}
        assert_equal QUEUED [r set k broken]
        assert_error {EXECABORT*previous errors*} {r exec}
        r multi
        catch {r set k}
        assert_error {EXECABORT*} {r exec}
        assert_equal v [r get k]
    }

    test {EXEC is refused what its commands would be} {
        r set k v
        r multi
        r set k w
        set other [valkey_client]
        $other config set min-replicas-to-write 1
        assert_error {EXECABORT Transaction discarded because of: NOREPLICAS*} {r exec}
        r multi
        r get k
        assert_equal v [r exec]
        $other config set min-replicas-to-write 0
        $other close
    }

    test {a command that fails while running does not stop the others} {
        r del l
        r rpush l x
        r multi
        r set k one
        r incr l
        r set k2 two
        catch {r exec} error
        assert_match {*WRONGTYPE*} $error
        assert_equal {one two} [list [r get k] [r get k2]]
    } {} {cluster:skip}

    test {a watched key that changes breaks the transaction} {
        set other [valkey_client]
        r set k 1
        r watch k
        $other set k 2
        r multi
        r set k 3
        assert_equal {} [r exec]
        assert_equal 2 [r get k]
        # EXEC gave the watch up.
        $other set k 4
        r multi
        r ping
        assert_equal PONG [r exec]
        $other close
    }

    test {UNWATCH and DISCARD give watches up} {
        r watch k
        r set k 5
        r unwatch
        r multi
        r ping
        assert_equal PONG [r exec]
        r watch k
        r set k 6
        r multi
        r discard
        r multi
        r ping
        assert_equal PONG [r exec]
    }

    test {a change that changes nothing breaks nothing} {
        r set k v
        r watch k
        r del nosuchkey
        r expire nosuchkey 10
        r multi
        r ping
        assert_equal PONG [r exec]
    } {} {cluster:skip}

    test {a watched key that expires breaks the transaction} {
        r flushall
        # Long enough to be watched before it expires, on any machine.
        r set k v px 1000
        r watch k
        wait_for_condition 100 50 {[r dbsize] == 0} else {fail "k never expired"}
        r multi
        r ping
        assert_equal {} [r exec]
    }

    test {a watched key that has expired breaks the transaction, be it still there} {
        r debug set-active-expire 0
        r set k v px 500
        r watch k
        r debug sleep 0.51
        assert_equal 1 [r dbsize]
        r multi
        r ping
        r readraw 1
        assert_equal *-1 [r exec]
        r readraw 0
        r debug set-active-expire 1
    } {OK} {needs:debug}

    test {a key that had expired before WATCH breaks nothing} {
        r debug set-active-expire 0
        r set k v px 1
        r debug sleep 0.005
        r watch k
        r debug set-active-expire 1
        r multi
        r ping
        assert_equal PONG [r exec]
    } {} {needs:debug}

    test {a key that comes expired with SWAPDB breaks nothing} {
        r flushall
        r debug set-active-expire 0
        r select 10
        r set k v px 1
        r debug sleep 0.005
        r select 9
        r watch k
        r swapdb 9 10
        r multi
        r ping
        assert_equal PONG [r exec]
        r debug set-active-expire 1
    } {OK} {needs:debug singledb:skip}

    test {deleting a key that had expired before WATCH breaks nothing either} {
        r debug set-active-expire 0
        foreach command {{get k} {del k} {swapdb 9 10}} {
            r set k v px 1
            r debug sleep 0.005
            r watch k
            r {*}$command
            r multi
            r ping
            assert_equal PONG [r exec] $command
        }
        # But making it anew does.
        r set k v px 1
        r debug sleep 0.005
        r watch k
        r set k w
        r debug set-active-expire 1
        r multi
        r ping
        r exec
    } {} {needs:debug singledb:skip}

    test {a broken watch watches nothing any more} {
        r watch k
        assert_equal 1 [s watching_clients]
        r set k v
        assert_equal 0 [s watching_clients]
        assert_equal 0 [s total_watched_keys]
        r multi
        r ping
        r exec
    } {}

    test {FLUSHALL breaks watches of keys that were there} {
        r set k v
        r watch k
        r flushall
        r multi
        r ping
        assert_equal {} [r exec]
        r watch k
        r flushall
        r multi
        r ping
        assert_equal PONG [r exec]
    }

    test {blocking commands do not block inside} {
        r del l
        r multi
        r blpop l 0
        r ping
        assert_equal {{} PONG} [r exec]
    }

    # The reference announces replies that it then leaves out.
    foreach {queued inside behind} {
        {{ping 1} {client reply off} {ping 2}} {1 OK 2} {}
        {{ping 1} {client reply off} {ping 2} {client reply on} {ping 3}} {1 OK 2 OK 3} {next}
        {{ping 1} {client reply skip} {ping 2}} {1 OK 2} {}
        {{client reply skip}} OK {}
        {{client reply skip} {client reply on}} {OK OK} next
        {{ping 1} {replconf ack 0} {ping 2}} {1 OK 2} {next}
    } {
        test "EXEC sends the replies that it has announced: [join $queued {, }]" {
            set c [valkey_deferring_client]
            $c multi
            foreach command $queued { $c {*}$command }
            $c exec
            assert_equal OK [$c read]
            foreach command $queued { assert_equal QUEUED [$c read] }
            assert_equal $inside [$c read]
            # Only then does it count what was said about replies.
            $c ping next
            $c client reply on
            if {$behind ne ""} { assert_equal $behind [$c read] }
            assert_equal OK [$c read]
            $c close
        } {} {peer:skip}
    }

    test {counters of a transaction} {
        r watch k
        assert_equal 1 [s watching_clients]
        assert_equal 1 [s total_watched_keys]
        r unwatch
        assert_equal 0 [s watching_clients]
        set c [valkey_client]
        set id [$c client id]
        $c multi
        assert_match {*flags=x * multi=0 *} [r client list id $id]
        $c ping
        assert_match {*flags=x * multi=1 *} [r client list id $id]
        $c close
    } {} {external:skip}

    test {replicas get the transaction as one, and only if it wrote} {
        r del k l
        set repl [attach_to_replication_stream]
        r multi
        r set k v
        r ping
        r rpush l a
        r exec
        r multi
        r get k
        r exec
        r multi
        r set k w
        r exec
        assert_replication_stream $repl {
            {multi} {select *} {set k v} {rpush l a} {exec}
            {set k w}
        }
        close_replication_stream $repl
    } {} {needs:repl}

    test {what is queued counts as memory of the client} {
        set c [valkey_client]
        $c client setname queues
        $c multi
        foreach {bytes command} {
            12 {ping}
            32 {get k}
            61 {set k 1}
            81 {ping {}}
        } {
            $c {*}$command
            assert_match "* multi-mem=$bytes *" [regexp -inline {[^\n]*name=queues [^\n]*} [r client list]]
        }
        set total {name=queues [^\n]*tot-mem=(\d+)}
        regexp $total [r client list] - before
        $c set k [string repeat x 100000]
        regexp $total [r client list] - after
        assert_morethan $after [expr {$before + 100000}]
        # The reference sums up from time to time.
        wait_for_condition 100 50 {[s mem_clients_normal] > 100000} else {
            fail "clients take [s mem_clients_normal] bytes"
        }
        $c discard
        assert_match {* multi=-1 *multi-mem=0 *} [regexp -inline {[^\n]*name=queues [^\n]*} [r client list]]
        $c close
    }

    test {a client that queues more than client-query-buffer-limit is closed} {
        set limit [lindex [r config get client-query-buffer-limit] 1]
        r config set client-query-buffer-limit 2mb
        set closed [s client_query_buffer_limit_disconnections]
        set mark [log_mark]
        set c [valkey_client]
        $c multi
        for {set i 0} {$i < 20} {incr i} {
            $c set k [string repeat x 100000]
        }
        assert_error * {$c set k [string repeat x 100000]}
        wait_for_log $mark "*Closing client that reached max query buffer length: *multi=2*"
        assert_equal [expr {$closed + 1}] [s client_query_buffer_limit_disconnections]
        $c close
        r config set client-query-buffer-limit $limit
    } {OK} {external:skip}

    test {a transaction that will be refused keeps nothing} {
        set c [valkey_client]
        $c client setname queues
        $c multi
        $c set k [string repeat x 100000]
        catch {$c nosuchcommand}
        $c set k [string repeat x 100000]
        assert_match {* multi=0 *multi-mem=0 *} [regexp -inline {[^\n]*name=queues [^\n]*} [r client list]]
        assert_error EXECABORT* {$c exec}
        $c close
    }

    # Once each key was compared with all before it, which took minutes. The reference still does that.
    test {watching many keys costs no more than so many} {
        set keys {}
        for {set i 0} {$i < 400000} {incr i} {lappend keys k$i}
        set c [valkey_client]
        $c watch {*}$keys
        assert_equal 400000 [s total_watched_keys]
        $c watch {*}$keys k0 k0
        assert_equal 400000 [s total_watched_keys]
        r set k399999 x
        $c multi
        $c ping
        assert_equal {} [$c exec]
        assert_equal 0 [s total_watched_keys]
        $c close
    } {} {peer:skip timeout:60}

    test {many clients that watch one key, and some that give it up} {
        r set k v
        set clients {}
        for {set i 0} {$i < 40} {incr i} {
            set c [valkey_client]
            $c watch k
            $c multi
            $c ping
            lappend clients $c
        }
        set i 0
        foreach c $clients {
            if {$i % 3 == 0} {$c close}
            if {$i % 3 == 1} {
                $c discard
                $c multi
                $c ping
            }
            incr i
        }
        assert_equal 1 [s total_watched_keys]
        r set k w
        set i 0
        foreach c $clients {
            if {$i % 3 == 1} {assert_equal PONG [$c exec]}
            if {$i % 3 == 2} {
                assert_equal {} [$c exec]
            }
            if {$i % 3} {$c close}
            incr i
        }
        assert_equal 0 [s total_watched_keys]
    }
}

# What may change between a command's queueing and EXEC, how to change it back, and what EXEC says then to each of some
# transactions; the error counts once, as EXECABORT.
foreach {what change back commands refusal} {
    {a stale replica may not serve}
        {$other config set replica-serve-stale-data no; $other replicaof 127.0.0.1 1}
        {$other replicaof no one; $other config set replica-serve-stale-data yes}
        {{get k} {ping} {dbsize}} {MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.}
    {a replica is not written to}
        {$other replicaof 127.0.0.1 1}
        {$other replicaof no one}
        {{set k w} {del k}} {READONLY You can't write against a read only replica.}
    {memory is full}
        {$other config set maxmemory 1}
        {$other config set maxmemory 0}
        {{set k w} {rpush l a}} {OOM command not allowed when used memory > 'maxmemory'.}
    {too few replicas are near}
        {$other config set min-replicas-to-write 1}
        {$other config set min-replicas-to-write 0}
        {{set k w} {del k}} {NOREPLICAS Not enough good replicas to write.}
    {it cannot save}
        {
            file mkdir [file join [lindex [$other config get dir] 1] folder.rdb full]
            $other config set save {3600 1}
            $other bgsave
            waitForBgsave $other
            assert_equal err [status $other rdb_last_bgsave_status]
        }
        {$other config set save {}}
        {{set k w} {del k}} {MISCONF Valkey is configured to save RDB snapshots, but it's currently unable to persist to disk.*}
} {
    start_server {tags {"multi external:skip needs:repl needs:save"} overrides {save "" dbfilename folder.rdb}} {
        test "EXEC looks again at the state of the server: $what" {
            r set k v
            set other [valkey_client]
            foreach command $commands {
                r multi
                r client id
                r {*}$command
                eval $change
                $other config resetstat
                assert_error "EXECABORT Transaction discarded because of: $refusal" {r exec}
                assert_error {ERR EXEC without MULTI} {r exec}
                assert_match *calls=1,*rejected_calls=1,failed_calls=1 [cmdrstat exec r]
                assert_match *count=1* [errorrstat EXECABORT r]
                eval $back
            }
            assert_equal v [r get k]
            # What is allowed all the same still is, among it what asks for nothing.
            r multi
            r client getname
            r publish nobody x
            eval $change
            assert_equal {{} 0} [r exec]
            r multi
            assert_equal {} [r exec]
            $other close
        }
    }
}
