# client-output-buffer-limit: clients whose output grows too large, and what becomes of it.

# Number of connections the server has open, its own files left out.
proc connections {} {
    return [s connected_clients]
}

proc disconnections {} {
    return [s client_output_buffer_limit_disconnections]
}

start_server {tags {"obuf-limits external:skip"} overrides {save ""}} {
    r set big [string repeat x 3000000]

    test {a reply beyond the hard limit is not sent at all} {
        r config set client-output-buffer-limit "normal 1000000 0 0"
        set before [disconnections]
        set mark [log_mark]
        set c [valkey_client]
        assert_error {I/O error reading reply} {$c get big}
        wait_for_log $mark {*Client id=* scheduled to be closed ASAP for overcoming of output buffer limits.*}
        $c close
        assert_equal [expr {$before + 1}] [disconnections]
        r config set client-output-buffer-limit "normal 0 0 0"
    }

    test {the commands of a transaction are all carried out, whatever becomes of the reply} {
        r config set client-output-buffer-limit "normal 1000000 0 0"
        r del key
        set c [valkey_client]
        $c multi
        $c get big
        $c set key value
        assert_error {I/O error reading reply} {$c exec}
        assert_equal value [r get key]
        $c close
        r config set client-output-buffer-limit "normal 0 0 0"
    }

    test {a subscriber that does not read is closed at the limit of its class} {
        r config set client-output-buffer-limit "pubsub 1000000 0 0"
        set before [disconnections]
        set c [valkey_deferring_client]
        subscribe $c channel
        set message [string repeat m 100000]
        wait_for_condition 2000 1 {[r publish channel $message] == 0} else {
            fail "it goes on: [r client list]"
        }
        assert_equal [expr {$before + 1}] [disconnections]
        $c close
        r config set client-output-buffer-limit "pubsub 32mb 8mb 60"
    }

    test {a soft limit holds only after its time} {
        r config set client-output-buffer-limit "pubsub 0 100000 2"
        set c [valkey_deferring_client]
        subscribe $c channel
        set message [string repeat m 100000]
        set started [clock milliseconds]
        for {set i 0} {$i < 100} {incr i} {r publish channel $message}
        assert_equal 1 [lindex [r pubsub numsub channel] 1]
        wait_for_condition 100 100 {[lindex [r pubsub numsub channel] 1] == 0} else {
            fail "it goes on: [r client list]"
        }
        assert_morethan_equal [expr {[clock milliseconds] - $started}] 1500
        $c close
        r config set client-output-buffer-limit "pubsub 32mb 8mb 60"
    }

    test {who has been below the soft limit meanwhile has all of its time again} {
        r config set client-output-buffer-limit "pubsub 0 100000 4"
        set c [valkey_deferring_client]
        subscribe $c channel
        set message [string repeat m 100000]
        set started [clock milliseconds]
        foreach round {1 2} {
            for {set i 0} {$i < 100} {incr i} {r publish channel $message}
            assert_match {*omem=[1-9]*} [r client list type pubsub]
            if {$round == 2} break
            for {set i 0} {$i < 100} {incr i} {
                assert_equal $message [lindex [$c read] 2]
            }
            wait_for_condition 100 20 {[string match {*omem=0 *} [r client list type pubsub]]} else { fail "it is not sent" }
            # The time of the first round is over before the second one begins. In between there is
            # something to send, which is looked at and is little.
            wait_for_condition 200 50 {[clock milliseconds] - $started > 5000} else { fail "time stands still" }
            assert_equal 1 [r publish channel [string repeat m 50000]]
        }
        assert_equal 1 [r publish channel $message]
        $c close
        r config set client-output-buffer-limit "pubsub 32mb 8mb 60"
    } {OK} {slow}

    test {a killed client that does not read is gone, with all it has not read} {
        set before [connections]
        set c [valkey_deferring_client]
        $c client id
        set id [$c read]
        for {set i 0} {$i < 20} {incr i} {$c get big}
        wait_for_condition 100 20 {[regexp { omem=[1-9]\d+ } [r client list id $id]]} else {
            fail "all of it was taken: [r client list id $id]"
        }
        assert_equal 1 [r client kill id $id]
        # Another one may have been on its way out before.
        wait_for_condition 100 20 {[connections] <= $before && [string trim [r client list id $id]] eq ""} else {
            fail "its connection stays"
        }
        $c close
    }

    test {random elements without end come to one at the output limit} {
        r del h z s i
        r hset h a b
        r zadd z 1 x
        r sadd s x y z
        r sadd i 1 2 3
        r config set client-output-buffer-limit "normal 1000000 0 0"
        set before [disconnections]
        set asked 0
        foreach command {
            {hrandfield h} {hrandfield h % withvalues} {zrandmember z} {zrandmember z % withscores} {srandmember s} {srandmember i}
        } {
            foreach count {-999999999 -4611686018427387903} {
                if {![string match *%* $command]} {append command { %}}
                set c [valkey_client]
                assert_error {I/O error*} {$c {*}[string map [list % $count] $command]}
                $c close
                incr asked
            }
        }
        set c [valkey_client]
        assert_error {I/O error*} {$c srandmember s -9223372036854775807}
        $c close
        # Inside of a transaction all commands run nevertheless.
        r del n
        set c [valkey_client]
        $c multi
        $c incr n
        $c srandmember s -9223372036854775807
        $c incr n
        assert_error {I/O error*} {$c exec}
        $c close
        assert_equal 2 [r get n]
        assert_equal [expr {$before + $asked + 2}] [disconnections]
        r config set client-output-buffer-limit "normal 0 0 0"
        # Nothing to choose from is not much.
        list [r hrandfield none -9223372036854775807] [r zrandmember none -9223372036854775807] \
            [r srandmember none -9223372036854775807]
    } {{} {} {}}

    # Once a count was refused that could have been large. The reference goes on until there is no memory left.
    test {random elements without end come to one also without a limit} {
        r del s
        r sadd s [string repeat x 1000000]
        r config set client-output-buffer-limit "normal 0 0 0"
        set before [disconnections]
        set c [valkey_client]
        assert_error {I/O error*} {$c srandmember s -9223372036854775807}
        $c close
        assert_equal [expr {$before + 1}] [disconnections]
        r del s
    } {1} {peer:skip}

    test {a pipeline of large replies is answered in order} {
        r del l
        for {set i 0} {$i < 20} {incr i} {r rpush l [string repeat $i 50000]}
        set c [valkey_deferring_client]
        for {set i 0} {$i < 20} {incr i} {
            $c lrange l 0 -1
            $c ping $i
        }
        for {set i 0} {$i < 20} {incr i} {
            assert_equal 20 [llength [$c read]]
            assert_equal $i [$c read]
        }
        $c close
        r del l
    }
}

start_server {tags {"obuf-limits external:skip"} overrides {save ""}} {
    test {what large requests and replies have taken is given back} {
        set start [s used_memory]
        set words {}
        for {set i 0} {$i < 100000} {incr i} {lappend words word:$i}
        r sadd key {*}$words
        assert_equal 100000 [llength [r smembers key]]
        set c [valkey_client]
        $c watch {*}[lrange $words 0 9999]
        $c unwatch
        $c subscribe {*}[lrange $words 0 9999]
        $c close
        set c [valkey_deferring_client]
        $c blpop {*}$words 0
        wait_for_blocked_client
        $c close
        # A request that never becomes whole.
        set c [wire_open [srv host] [srv port]]
        wire_raw $c "*100000\r\n\$3\r\nDEL\r\n[string repeat "\$5\r\nabcde\r\n" 90000]"
        wire_close $c
        r config set client-output-buffer-limit "normal 100000 0 0"
        set c [valkey_client]
        assert_error {I/O error*} {$c smembers key}
        $c close
        r config set client-output-buffer-limit "normal 0 0 0"
        r unlink key
        wait_for_condition 200 50 {[s used_memory] < 2 * $start} else {
            fail "[s used_memory] bytes are in use, [set start] were at the start"
        }
    }
}
