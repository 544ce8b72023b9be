# maxmemory-clients: the clients that take most memory are closed when all together take too much.

set mb 1048576

proc evicted {} {
    return [s evicted_clients]
}

proc wait_evicted {count} {
    wait_for_condition 100 20 {[evicted] == $count} else {
        fail "evicted [evicted] clients instead of $count: [r client list]"
    }
}

start_server {tags {"client-eviction external:skip"}} {
    r client no-evict on
    r config set maxmemory-clients [expr {3 * $mb}]

    test {a request that grows and grows} {
        set before [evicted]
        set c [valkey_client]
        $c write "*3\r\n\$3\r\nSET\r\n\$1\r\nk\r\n\$[expr {8 * $mb}]\r\n"
        catch {
            for {set i 0} {$i < 8} {incr i} {
                $c write [string repeat x $mb]
                $c flush
            }
        }
        wait_evicted [expr {$before + 1}]
        assert_error * {$c read}
        $c close
    }

    test {commands queued by MULTI} {
        set before [evicted]
        set c [valkey_client]
        $c multi
        catch {
            for {set i 0} {$i < 10} {incr i} {
                $c set k [string repeat x $mb]
            }
        }
        wait_evicted [expr {$before + 1}]
        $c close
    }

    test {replies that nobody reads} {
        r set big [string repeat x [expr {2 * $mb}]]
        set before [evicted]
        set c [valkey_deferring_client]
        # It may be closed before it has asked for all of them.
        catch {
            for {set i 0} {$i < 20} {incr i} {$c get big}
        }
        wait_evicted [expr {$before + 1}]
        $c close
        r del big
    }

    # Over TLS the reference counts the names only when the client speaks again.
    test {names that are watched and listened to} {
        foreach line {{watch %} {subscribe %} {psubscribe %} {ssubscribe %}} {
            set before [evicted]
            set c [valkey_deferring_client]
            catch {
                for {set i 0} {$i < 10} {incr i} {
                    $c {*}[string map [list % "$i[string repeat x $mb]"] $line]
                    $c flush
                }
            }
            wait_evicted [expr {$before + 1}]
            $c close
        }
    } undefined {peer-tls:skip}

    test {the largest go first, and no more than needed} {
        r config set maxmemory-clients 0
        set before [evicted]
        set clients {}
        foreach size {1 2 3 8} {
            set c [valkey_client]
            $c client setname c$size
            $c multi
            $c set k [string repeat x [expr {$size * $mb}]]
            lappend clients $c
        }
        # The buffers that the requests came through count as well until they are given back, which takes the reference seconds.
        wait_for_condition 200 50 {![regexp {name=c\d [^\n]*qbuf-free=\d{5}} [r client list]]} else {
            fail "large buffers stay: [r client list]"
        }
        r config set maxmemory-clients [expr {13 * $mb}]
        wait_evicted [expr {$before + 1}]
        assert_no_match {*name=c8 *} [r client list]
        foreach name {c1 c2 c3} {assert_match "*name=$name *" [r client list]}
        r config set maxmemory-clients [expr {4 * $mb}]
        wait_for_condition 100 20 {![string match {*name=c3 *} [r client list]]} else {
            fail "the largest stays: [r client list]"
        }
        assert_match {*name=c1 *} [r client list]
        foreach c $clients {$c close}
    }

    test {NO-EVICT spares a client, also when it alone is too large} {
        r config set maxmemory-clients [expr {3 * $mb}]
        set before [evicted]
        set c [valkey_client]
        $c client no-evict on
        $c multi
        for {set i 0} {$i < 5} {incr i} {$c set k [string repeat x $mb]}
        assert_equal 5 [llength [$c exec]]
        assert_equal $before [evicted]
        $c multi
        for {set i 0} {$i < 5} {incr i} {$c set k [string repeat x $mb]}
        # It may be closed before it has said a word, and over TLS before it is open.
        set refused [catch {wire_open [srv host] [srv port]} other]
        wait_evicted [expr {$before + 1}]
        if {!$refused} {
            wire_closed $other
            wire_close $other
        }
        assert_equal 5 [llength [$c exec]]
        $c close
    }

    test {a percentage of maxmemory} {
        r config set maxmemory [expr {100 * $mb}] maxmemory-clients 3%
        assert_equal {maxmemory-clients 3%} [r config get maxmemory-clients]
        set before [evicted]
        set c [valkey_client]
        $c multi
        catch {
            for {set i 0} {$i < 10} {incr i} {$c set k [string repeat x $mb]}
        }
        wait_evicted [expr {$before + 1}]
        $c close
        r config set maxmemory 0
        set c [valkey_client]
        $c multi
        for {set i 0} {$i < 5} {incr i} {$c set k [string repeat x $mb]}
        $c exec
        assert_equal [expr {$before + 1}] [evicted]
        $c close
    } {} {needs:config-maxmemory}

    test {DEBUG CLIENT-EVICTION sorts clients by size} {
        r config set maxmemory-clients 0
        assert_error {ERR maxmemory-clients is disabled.} {r debug client-eviction}
        r config set maxmemory-clients 100mb
        set lines [split [string trim [r debug client-eviction]] \n]
        assert_equal 19 [llength $lines]
        assert_match {bucket          0 -      32767: tot-mem: *, clients: *} [lindex $lines 0]
        assert_match {bucket 4294967296+            : tot-mem:          0, clients: 0} [lindex $lines end]
        r config set maxmemory-clients 0
    } {OK} {needs:debug}
}
