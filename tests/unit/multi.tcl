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
}
