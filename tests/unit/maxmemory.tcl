# maxmemory: which keys go, when, how hard eviction tries, what replicas and subscribers see of it.

# Writes COUNT keys of about 100 bytes, those of which the number is odd with an expiry.
proc fill {count} {
    set rd [valkey_deferring_client]
    for {set i 0} {$i < $count} {incr i} {
        if {$i % 2} {
            $rd set key:$i [string repeat x 100] ex 10000
        } else {
            $rd set key:$i [string repeat x 100]
        }
        if {$i % 500 == 499} {
            for {set j 0} {$j < 500} {incr j} {$rd read}
        }
    }
    $rd close
}

# Takes the limit back, and all keys.
proc start_over {} {
    r config set maxmemory 0
    r flushall
    r config resetstat
}

start_server {tags {"maxmemory external:skip needs:config-maxmemory"}} {
    foreach policy {allkeys-lru allkeys-lfu allkeys-random volatile-lru volatile-lfu volatile-random volatile-ttl} {
        test "keys go without further ado until memory fits ($policy)" {
            start_over
            r config set maxmemory-policy $policy
            fill 10000
            set limit [expr {[s used_memory] - 250000}]
            r config set maxmemory $limit
            # No command is refused for what is still under way.
            assert_equal OK [r set another key]
            eventually 5000 {[s used_memory] < $limit + 65536}
            assert_morethan [s evicted_keys] 500
            eventually 5000 {[r dbsize] + [s evicted_keys] == 10001}
            if {[string match volatile* $policy]} {
                for {set i 0} {$i < 10000} {incr i 100} {
                    assert_equal 1 [r exists key:$i]
                }
            }
        }
    }

    foreach policy {noeviction volatile-lru volatile-ttl} {
        test "what takes memory is refused when nothing can go ($policy)" {
            start_over
            r config set maxmemory-policy $policy
            r mset a 1 b 2
            r config set maxmemory 1
            assert_error {OOM command not allowed when used memory > 'maxmemory'.} {r set a 2}
            assert_error OOM* {r lpush l x}
            assert_equal {1 2} [list [r get a] [r get b]]
            r multi
            assert_error OOM* {r incr a}
            assert_error EXECABORT* {r exec}
            assert_equal {1 0} [list [r del a] [s evicted_keys]]
        }
    }

    test {how long memory has been above its limit is told} {
        start_over
        r config set maxmemory-policy noeviction
        assert_equal {0 0} [list [s total_eviction_exceeded_time] [s current_eviction_exceeded_time]]
        set mark [log_mark]
        r config set maxmemory 1
        wait_for_log $mark {*WARNING: the new maxmemory value set via CONFIG SET (1) is smaller than the current memory usage*}
        r ping
        eventually 5000 {[s current_eviction_exceeded_time] > 0}
        r config set maxmemory 0
        r config set maxmemory 1gb
        r ping
        assert_equal 0 [s current_eviction_exceeded_time]
        assert_morethan [s total_eviction_exceeded_time] 0
    }

    test {the least used of the keys looked at goes} {
        start_over
        r config set maxmemory-policy allkeys-lfu maxmemory-samples 64 lfu-log-factor 0
        # Names of their own: the reference remembers candidates from before.
        for {set i 0} {$i < 10} {incr i} {
            r set counted:$i x
            if {$i != 7} {r get counted:$i}
        }
        r config set maxmemory-eviction-tenacity 0
        set events [valkey_deferring_client]
        r config set notify-keyspace-events Ee
        psubscribe $events __key*
        r config set maxmemory [expr {[s used_memory] - 1}]
        assert_equal {pmessage __key* __keyevent@9__:evicted counted:7} [$events read]
        $events close
        r config set notify-keyspace-events "" maxmemory-samples 5 lfu-log-factor 10 maxmemory-eviction-tenacity 10
        r exists counted:7
    } {0} {singledb:skip}

    foreach {policy command} {volatile-ttl {r expire $key [expr {1000 - ($i == 7)}]} allkeys-lru {if {$i != 7} {r touch $key}}} {
        test "the first key to go ($policy)" {
            start_over
            r config set maxmemory-policy $policy maxmemory-samples 64
            for {set i 0} {$i < 10} {incr i} {
                r set $policy:$i x
            }
            eventually 5000 {[r object idletime $policy:9] >= 2}
            for {set i 0} {$i < 10} {incr i} {
                set key $policy:$i
                eval $command
            }
            r config set maxmemory-eviction-tenacity 0
            set events [valkey_deferring_client]
            r config set notify-keyspace-events Ee
            psubscribe $events __key*
            r config set maxmemory [expr {[s used_memory] - 1}]
            assert_equal "pmessage __key* __keyevent@9__:evicted $policy:7" [$events read]
            $events close
            r config set notify-keyspace-events "" maxmemory-samples 5 maxmemory-eviction-tenacity 10 maxmemory 0
        } {OK} {singledb:skip slow}
    }

    test {a replica evicts nothing by itself, unless told to} {
        start_over
        r config set maxmemory-policy allkeys-random
        r mset a 1 b 2 c 3
        r replicaof 127.0.0.1 1
        r config set maxmemory 1
        r get a
        assert_equal {3 0} [list [r dbsize] [s evicted_keys]]
        r config set replica-ignore-maxmemory no
        eventually 5000 {[r get a] eq "" && [r dbsize] == 0}
        r config set replica-ignore-maxmemory yes maxmemory 0
        r replicaof no one
    } {OK} {cluster:skip}

    test {replicas see each eviction on its own, before what caused it} {
        start_over
        r config set maxmemory-policy allkeys-random
        r set a [string repeat x 200000]
        set repl [attach_to_replication_stream]
        r config set maxmemory [expr {[s used_memory] - 100000}]
        eventually 5000 {[r dbsize] == 0}
        r multi
        r set b x
        r set c x
        r exec
        assert_replication_stream $repl {
            {select *}
            {unlink a}
            {multi}
            {set b x}
            {set c x}
            {exec}
        }
        r config set maxmemory [expr {[s used_memory] + 100000}]
        r del b c
        r setrange a 300000 x
        r set d x
        assert_replication_stream $repl {
            {del b c}
            {setrange a *}
            {unlink a}
            {set d x}
        }
        close_replication_stream $repl
        r config set maxmemory 0
    } {OK} {needs:repl}
}
