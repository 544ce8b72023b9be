# Lists with waiting: BLPOP, BRPOP, BLMOVE, BRPOPLPUSH, BLMPOP; order of service, timeouts, transactions, propagation.

# The blocking forms that take one element off the head or tail of SOURCE: name, arguments, reply to element x.
set blocking_forms {
    blpop {SOURCE 0} {SOURCE x}
    brpop {SOURCE 0} {SOURCE x}
    blmove {SOURCE dst{t} left right 0} x
    brpoplpush {SOURCE dst{t} 0} x
    blmpop {0 1 SOURCE left} {SOURCE x}
}

# Starts a client that waits for a list at KEY with the blocking form NAME; TIMEOUT in seconds. One that a failed test
# has left behind goes first.
proc blocked_on {name key {timeout 0}} {
    catch {$::last_blocked close}
    wait_for_blocked_clients_count 0
    set client [valkey_deferring_client]
    set ::last_blocked $client
    switch $name {
        blpop - brpop {$client $name $key $timeout}
        blmove {$client blmove $key dst{t} left right $timeout}
        brpoplpush {$client brpoplpush $key dst{t} $timeout}
        blmpop {$client blmpop $timeout 1 $key left}
    }
    wait_for_blocked_client
    return $client
}

start_server {tags {"list"}} {
    foreach {name arguments reply} $blocking_forms {
        set arguments [string map {SOURCE src{t}} $arguments]
        set reply [string map {SOURCE src{t}} $reply]

        test "$name does not wait when there is an element" {
            r del src{t} dst{t}
            r rpush src{t} x
            assert_equal $reply [r $name {*}$arguments]
            r exists src{t}
        } {0}

        test "$name waits for a push" {
            r del src{t} dst{t}
            set rd [blocked_on $name src{t}]
            assert_equal 1 [r lpush src{t} x]
            assert_equal $reply [$rd read]
            assert_equal 0 [r exists src{t}]
            assert_equal 0 [s blocked_clients]
            $rd close
        }

        test "$name waits for a push inside a transaction" {
            r del src{t} dst{t}
            set rd [blocked_on $name src{t}]
            r multi
            r lpush src{t} x
            r exec
            assert_equal $reply [$rd read]
            $rd close
        }

        test "$name sees nothing of what a transaction takes back" {
            r del src{t} dst{t}
            set rd [blocked_on $name src{t}]
            r multi
            r lpush src{t} y
            r del src{t}
            r exec
            r lpush src{t} x
            assert_equal $reply [$rd read]
            $rd close
        }

        test "$name waits for a list that is renamed" {
            r del src{t} dst{t} other{t}
            set rd [blocked_on $name src{t}]
            r rpush other{t} x
            r rename other{t} src{t}
            assert_equal $reply [$rd read]
            $rd close
        }

        test "$name waits for a list that is copied" {
            r del src{t} dst{t} other{t}
            set rd [blocked_on $name src{t}]
            r rpush other{t} x
            r copy other{t} src{t}
            assert_equal $reply [$rd read]
            $rd close
        }

        test "$name goes on waiting when a key of another type comes" {
            r del src{t} dst{t}
            set rd [blocked_on $name src{t}]
            r set src{t} string
            assert_equal 1 [s blocked_clients]
            r del src{t}
            r zadd src{t} 1 x
            r del src{t}
            assert_equal 1 [s blocked_clients]
            r rpush src{t} x
            assert_equal $reply [$rd read]
            $rd close
        }

        test "$name refuses another type at once" {
            r del src{t} dst{t}
            r set src{t} string
            assert_error {WRONGTYPE*} {r $name {*}$arguments}
            r del src{t}
        } {1}

        test "$name gives a null array when the time is up" {
            r del src{t} dst{t}
            set rd [valkey_deferring_client]
            $rd readraw 1
            $rd $name {*}[regsub {\m0\M} $arguments 0.01]
            assert_equal {*-1} [$rd read]
            assert_equal 0 [s blocked_clients]
            $rd close
        }

        test "$name refuses bad timeouts" {
            foreach {timeout message} {
                x {ERR timeout is not a float or out of range}
                nan {ERR timeout is not a float or out of range}
                -1 {ERR timeout is negative}
                -0.5 {ERR timeout is negative}
                9223372036854775807 {ERR timeout is out of range}
                1e400 {ERR timeout is out of range}
                1e5000 {ERR timeout is not a float or out of range}
                -0.0011 {ERR timeout is negative}
            } {
                assert_error $message {r $name {*}[regsub {\m0\M} $arguments $timeout]}
            }
        }

        test "$name inside a transaction does not wait" {
            r del src{t} dst{t}
            r multi
            r $name {*}$arguments
            r exec
        } {{}}

        test "$name can be unblocked from outside" {
            r del src{t} dst{t}
            set rd [valkey_deferring_client]
            $rd client id
            set id [$rd read]
            $rd $name {*}$arguments
            wait_for_blocked_client
            assert_equal 1 [r client unblock $id]
            assert_equal {} [$rd read]
            $rd $name {*}$arguments
            wait_for_blocked_client
            assert_equal 1 [r client unblock $id error]
            assert_error {UNBLOCKED client unblocked via CLIENT UNBLOCK} {$rd read}
            $rd close
        }

        test "$name: a client that leaves no longer waits" {
            r del src{t} dst{t}
            set rd [blocked_on $name src{t}]
            $rd close
            wait_for_blocked_clients_count 0
            r rpush src{t} x
            r lrange src{t} 0 -1
        } {x}

        test "$name runs what the client sent behind it" {
            r del src{t} dst{t}
            set rd [blocked_on $name src{t}]
            $rd ping
            $rd llen src{t}
            r rpush src{t} x
            assert_equal [list $reply PONG 0] [list [$rd read] [$rd read] [$rd read]]
            $rd close
        }
    }

    test {clients are served in the order in which they came} {
        r del l
        set clients {}
        foreach name {blpop brpop blmpop blpop} {
            lappend clients [set rd [valkey_deferring_client]]
            if {$name eq "blmpop"} {$rd blmpop 0 1 l left} else {$rd $name l 0}
            wait_for_blocked_clients_count [llength $clients]
        }
        r rpush l a b c
        assert_equal {{l a} {l c} {l b}} [lmap rd [lrange $clients 0 2] {$rd read}]
        assert_equal 1 [s blocked_clients]
        r rpush l d
        assert_equal {l d} [[lindex $clients 3] read]
        foreach rd $clients {
            $rd close
        }
    }

    test {the first key that has elements is popped, in the order of the command} {
        r del a{t} b{t} c{t}
        r rpush b{t} 1
        r rpush c{t} 2
        assert_equal {b{t} 1} [r blpop a{t} b{t} c{t} 0]
        assert_equal {c{t} 2} [r brpop a{t} b{t} c{t} 0]
        set rd [valkey_deferring_client]
        $rd blpop a{t} b{t} a{t} c{t} 0
        wait_for_blocked_client
        r multi
        r rpush c{t} 3
        r rpush a{t} 1
        r exec
        assert_equal {a{t} 1} [$rd read]
        assert_equal {3} [r lrange c{t} 0 -1]
        $rd close
    } {} {cluster:skip}

    test {BLMPOP takes as many as there are, up to COUNT} {
        r del l
        set rd [valkey_deferring_client]
        $rd blmpop 0 2 nope l right count 3
        wait_for_blocked_client
        r rpush l 1 2 3 4 5
        assert_equal {l {5 4 3}} [$rd read]
        $rd blmpop 0 2 nope l left count 10
        assert_equal {l {1 2}} [$rd read]
        $rd close
        foreach {arguments message} {
            {0 0 l left} {ERR numkeys should be greater than 0}
            {0 1 l left count 0} {ERR count should be greater than 0}
            {0 1 l top} {ERR syntax error}
            {0 2 l left} {ERR syntax error}
            {0 1 l left count} {ERR syntax error}
        } {
            assert_error $message {r blmpop {*}$arguments}
        }
    } {} {cluster:skip}

    test {BLMOVE moves from and to the ends asked for} {
        foreach {from to left moved} {
            left left {2 3} {1 x} left right {2 3} {x 1} right left {1 2} {3 x} right right {1 2} {x 3}
        } {
            r del s{t} d{t}
            r rpush d{t} x
            set rd [valkey_deferring_client]
            $rd blmove s{t} d{t} $from $to 0
            wait_for_blocked_client
            r rpush s{t} 1 2 3
            $rd read
            assert_equal [list $left $moved] [list [r lrange s{t} 0 -1] [r lrange d{t} 0 -1]]
            $rd close
        }
        assert_error {ERR syntax error} {r blmove s{t} d{t} top left 0}
    }

    foreach name {blmove brpoplpush} {
        test "$name with a destination of another type fails when the element comes, and takes nothing" {
            r del src{t} dst{t}
            r set dst{t} string
            set rd [blocked_on $name src{t}]
            r rpush src{t} x
            assert_error {WRONGTYPE*} {$rd read}
            assert_equal x [r lrange src{t} 0 -1]
            $rd close
        }
    }

    test {a chain of BLMOVE is served at once} {
        r del a{t} b{t} c{t} d{t}
        set r1 [valkey_deferring_client]
        set r2 [valkey_deferring_client]
        set r3 [valkey_deferring_client]
        $r3 brpop d{t} 0
        wait_for_blocked_clients_count 1
        $r2 blmove b{t} d{t} left left 0
        wait_for_blocked_clients_count 2
        $r1 brpoplpush a{t} b{t} 0
        wait_for_blocked_clients_count 3
        r rpush a{t} x
        assert_equal {x x {d{t} x}} [list [$r1 read] [$r2 read] [$r3 read]]
        assert_equal 0 [r exists a{t} b{t} d{t}]
        foreach rd [list $r1 $r2 $r3] {
            $rd close
        }
    }

    test {BRPOPLPUSH onto its own source} {
        r del l
        set rd [valkey_deferring_client]
        $rd brpoplpush l l 0
        wait_for_blocked_client
        r rpush l a b
        assert_equal b [$rd read]
        $rd close
        r lrange l 0 -1
    } {b a}

    test {a client that waits for several keys is served by one} {
        r del a{t} b{t}
        set rd [valkey_deferring_client]
        $rd blpop a{t} b{t} 0
        wait_for_blocked_client
        r rpush b{t} 1
        assert_equal {b{t} 1} [$rd read]
        r rpush a{t} 2
        assert_equal {2} [r lrange a{t} 0 -1]
        $rd close
    }

    test {an expired list serves nobody} {
        r del l
        r debug set-active-expire 0
        r rpush l x
        r pexpire l 1
        wait_for_condition 100 10 {[r pttl l] == -2} else {fail "the list did not expire"}
        set rd [blocked_on blpop l]
        r rpush l y
        assert_equal {l y} [$rd read]
        $rd close
        r debug set-active-expire 1
    } {OK} {needs:debug}

    foreach {command push again reply forms} {
        {blpop k{t} 0} {rpush k{t} dead} {rpush k{t} alive} {k{t} alive} {{rpush k{t} alive} {lpop k{t}}}
        {blmove k{t} dst{t} left right 0} {rpush k{t} dead} {rpush k{t} alive} alive
            {{rpush k{t} alive} {lmove k{t} dst{t} left right}}
        {blmpop 0 2 other{t} k{t} left} {rpush k{t} dead} {rpush k{t} alive} {k{t} alive}
            {{rpush k{t} alive} {lpop k{t} 1}}
        {bzpopmin k{t} 0} {zadd k{t} 1 dead} {zadd k{t} 2 alive} {k{t} alive 2} {{zadd k{t} 2 alive} {zpopmin k{t}}}
        {bzmpop 0 1 k{t} max} {zadd k{t} 1 dead} {zadd k{t} 2 alive} {k{t} {{alive 2}}}
            {{zadd k{t} 2 alive} {zpopmax k{t} 1}}
        {xread block 0 streams k{t} $} {xadd k{t} 1-1 f dead} {xadd k{t} 2-1 f alive} {{k{t} {{2-1 {f alive}}}}}
            {{xadd k{t} 2-1 f alive}}
    } {
        test "what is pushed and expires within one transaction serves nobody: [lindex $command 0]" {
            r del k{t} dst{t} other{t}
            set repl [attach_to_replication_stream]
            set rd [valkey_deferring_client]
            $rd {*}$command
            wait_for_blocked_client
            r multi
            r {*}$push
            r pexpire k{t} 20
            r debug sleep 0.05
            r exec
            assert_equal 1 [s blocked_clients]
            r {*}$again
            assert_equal $reply [$rd read]
            # Its end is the first thing to travel behind the transaction, and alone.
            assert_replication_stream $repl [list multi {select *} $push {pexpireat k{t} *} exec {unlink k{t}} {*}$forms]
            close_replication_stream $repl
            $rd close
        } {} {needs:debug needs:repl}
    }

    test {clients that wait in another database are served after SWAPDB} {
        r flushall
        r select 10
        r rpush k hello
        r select 9
        set waiting [valkey_deferring_client]
        $waiting blpop k 0
        wait_for_blocked_client
        r swapdb 9 10
        assert_equal {k hello} [$waiting read]
        $waiting close
        r select 9
    } {OK} {singledb:skip}

    test {waiting commands reach the stream as their plain forms} {
        r flushall
        set repl [attach_to_replication_stream]
        set clients {}
        foreach {name count} {blpop 1 brpop 2 blmove 3 brpoplpush 4 blmpop 5} {
            lappend clients [set rd [valkey_deferring_client]]
            switch $name {
                blmove {$rd blmove src{t} dst{t} LEFT right 0}
                brpoplpush {$rd brpoplpush src{t} dst{t} 0}
                blmpop {$rd blmpop 0 1 src{t} right count 10}
                default {$rd $name src{t} 0}
            }
            wait_for_blocked_clients_count $count
        }
        r rpush src{t} 1 2 3 4 5 6
        foreach rd $clients {
            $rd read
            $rd close
        }
        r rpush src{t} a b
        r blpop src{t} 0
        r blmpop 0 1 src{t} left
        r blpop src{t} 0.01
        assert_replication_stream $repl {
            {select *} {rpush src{t} 1 2 3 4 5 6} {lpop src{t}} {rpop src{t}} {lmove src{t} dst{t} LEFT right}
            {rpoplpush src{t} dst{t}} {rpop src{t} 2} {rpush src{t} a b} {lpop src{t}} {lpop src{t} 1}
        }
        close_replication_stream $repl
    } {} {needs:repl}

    test {serving a client raises the events of the plain form} {
        r flushall
        r config set notify-keyspace-events Elg
        set events [valkey_deferring_client]
        psubscribe $events {__keyevent@*}
        set rd [valkey_deferring_client]
        $rd blmove s{t} d{t} left right 0
        wait_for_blocked_client
        r rpush s{t} x
        assert_equal x [$rd read]
        foreach {event key} {rpush s{t} rpush d{t} lpop s{t} del s{t}} {
            assert_match "*__:$event $key" [$events read]
        }
        $rd close
        $events close
        r config set notify-keyspace-events ""
    } {OK}

    test {a timeout a hair below zero waits for ever} {
        r del l
        set rd [blocked_on blpop l -0.0009]
        assert_equal 0 [s clients_in_timeout_table]
        r rpush l x
        assert_equal {l x} [$rd read]
        $rd close
    }

    test {a waiting command counts once, when it ends} {
        r del l
        r config resetstat
        set rd [blocked_on blpop l]
        assert_equal {} [cmdrstat blpop r]
        r rpush l x
        assert_equal {l x} [$rd read]
        assert_match {calls=1,*,rejected_calls=0,failed_calls=0} [cmdrstat blpop r]
        $rd blpop l 0.01
        assert_equal {} [$rd read]
        assert_match {calls=2,*,failed_calls=0} [cmdrstat blpop r]
        $rd client id
        set id [$rd read]
        $rd blpop l 0
        wait_for_blocked_client
        r client unblock $id error
        assert_error UNBLOCKED* {$rd read}
        assert_match {calls=3,*,failed_calls=1} [cmdrstat blpop r]
        $rd close
    } {} {needs:config-resetstat}

    test {a served client breaks the WATCH of another} {
        r del l
        set rd [blocked_on blpop l]
        set watcher [valkey_client]
        $watcher watch l
        r rpush l x
        assert_equal {l x} [$rd read]
        $watcher multi
        $watcher ping
        assert_equal {} [$watcher exec]
        $watcher close
        $rd close
    }

    # Once each key was compared with all before it, which took minutes.
    test {waiting for many keys costs no more than so many} {
        set keys {}
        for {set i 0} {$i < 400000} {incr i} {lappend keys k$i}
        r del k399999
        set rd [valkey_deferring_client]
        # Each of them twice, too.
        $rd blpop {*}$keys {*}$keys 0
        wait_for_condition 600 50 {[s blocked_clients] == 1} else {fail "it does not wait"}
        assert_equal 400000 [s total_blocking_keys]
        r rpush k399999 x
        assert_equal {k399999 x} [$rd read]
        assert_equal 0 [s total_blocking_keys]
        $rd close
    } {} {timeout:60}

    test {however many clients wait, each is served in its turn} {
        r del l
        set waiting {}
        for {set i 0} {$i < 40} {incr i} {
            set rd [valkey_deferring_client]
            $rd blpop l 0
            wait_for_blocked_clients_count [expr {$i + 1}]
            lappend waiting $rd
        }
        set left {}
        set i 0
        foreach rd $waiting {
            if {$i % 3 == 0} {
                $rd close
            } else {
                lappend left $rd
            }
            incr i
        }
        wait_for_blocked_clients_count [llength $left]
        set i 0
        # Some by one, some by one push for several.
        r rpush l 0
        r rpush l 1 2 3 4 5
        for {set i 6} {$i < [llength $left]} {incr i} {
            r multi
            r rpush l $i
            r exec
        }
        set i 0
        foreach rd $left {
            assert_equal [list l $i] [$rd read]
            $rd close
            incr i
        }
        assert_equal 0 [r exists l]
        assert_equal 0 [s total_blocking_keys]
    }
}
