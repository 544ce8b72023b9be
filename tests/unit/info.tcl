# INFO: sections, counters of commands and errors, figures that follow what happens.

start_server {tags {"info external:skip"}} {
    test {sections are chosen by name, in any case, several at once} {
        assert_match "# Server*" [r info server]
        set info [r info CPU sErVeR cpu]
        assert_equal {{# Server} {# CPU}} [regexp -all -inline {# \w+} $info]
        assert_equal {} [r info nosuchsection]
    }

    test {default, all and everything} {
        set usual [regexp -all -inline {# \w+} [r info]]
        assert_equal $usual [regexp -all -inline {# \w+} [r info default]]
        assert_equal {{# Server} {# Clients} {# Memory} {# Persistence} {# Stats} {# Replication} {# CPU} {# Modules} {# Errorstats} {# Cluster} {# Keyspace}} $usual
        foreach name {all everything} {
            set all [regexp -all -inline {# \w+} [r info $name]]
            assert_equal 13 [llength $all]
            assert {"# Commandstats" in $all && "# Latencystats" in $all}
        }
        assert_match "*# Server*# Commandstats*" [r info default commandstats]
    }

    test {the server section tells the truth} {
        assert_equal [srv port] [s tcp_port]
        assert_equal [srv pid] [s process_id]
        assert_equal standalone [s server_mode]
        assert_equal 40 [string length [s run_id]]
        assert_range [expr {[s server_time_usec] / 1000000 - [clock seconds]}] -5 5
        lassign [expr {$::tls ? {listener2 tls} : {listener0 tcp}}] row kind
        assert_match "name=$kind,bind=127.0.0.1*port=*" [s $row]
    }

    test {what clients of another product read has the name they look for} {
        assert_equal {standalone {}} [list [s server_mode] [s redis_mode]]
        r config set extended-redis-compatibility yes
        assert_equal {{} standalone} [list [s server_mode] [s redis_mode]]
        assert_equal redis [dict get [r hello] server]
        assert_equal [s redis_version] [dict get [r hello] version]
        r config set extended-redis-compatibility no
        assert_equal {standalone {}} [list [s server_mode] [s redis_mode]]
        assert_equal {valkey 8.0.1} [list [dict get [r hello] server] [dict get [r hello] version]]
    }

    test {the build has an identity, the same as that of -v} {
        assert_match {*malloc=* bits=64 build=*} [set line [exec [s executable] -v]]
        assert_equal [s redis_build_id] [regexp -inline {[0-9a-f]+$} $line]
        assert_equal [s mem_allocator] [lindex [regexp -inline {malloc=(\S+)} $line] 1]
    }

    test {calls, failures and refusals are counted per command} {
        r config resetstat
        r set k v
        catch {r incr k}
        catch {r incr}
        r config get nothing
        assert_match {calls=1,usec=*,rejected_calls=0,failed_calls=0} [cmdrstat set r]
        assert_match {calls=1,usec=*,rejected_calls=1,failed_calls=1} [cmdrstat incr r]
        # Refused before it ran: a container without its subcommand, and who is not subscribed to anything.
        assert_error {ERR wrong number of arguments for 'object' command} {r object}
        assert_match {calls=0,usec=*,rejected_calls=1,failed_calls=0} [cmdrstat object r]
        assert_error {NOSUB *} {r unsubscribe}
        assert_match {calls=0,usec=*,rejected_calls=1,failed_calls=0} [cmdrstat unsubscribe r]
        assert_match {calls=1,*} [cmdrstat {config\|get} r]
        assert_equal {} [cmdrstat get r]
    }

    test {errors are counted by their code} {
        r config resetstat
        catch {r nosuchcommand}
        catch {r incr}
        r rpush l x
        catch {r incr l}
        assert_equal {count=2} [errorrstat ERR r]
        assert_equal {count=1} [errorrstat WRONGTYPE r]
        assert_equal 3 [s total_error_replies]
        r config resetstat
        assert_equal 0 [s total_error_replies]
        assert_equal {} [errorrstat ERR r]
    } {} {needs:config-resetstat}

    test {errors inside of a transaction are counted once each} {
        r del l
        r rpush l x
        r config resetstat
        r multi
        r incr l
        r incr l
        catch {r exec}
        assert_equal {count=2} [errorrstat WRONGTYPE r]
        r multi
        catch {r nosuchcommand}
        catch {r exec}
        assert_equal {count=1} [errorrstat EXECABORT r]
    }

    test {latency percentiles are those that were chosen} {
        r config resetstat
        r get k
        assert_match {*latency_percentiles_usec_get:p50=*,p99=*,p99.9=*} [r info latencystats]
        r config set latency-tracking-info-percentiles "0.0 50.0 100.0"
        assert_match {*latency_percentiles_usec_get:p0=*,p50=*,p100=*} [r info latencystats]
        r config set latency-tracking no
        r config resetstat
        r get k
        assert_no_match {*usec_get*} [r info latencystats]
        r config set latency-tracking yes
    }

    test {LATENCY HISTOGRAM of what ran} {
        r config resetstat
        r set k v
        r get k
        r get k
        set histogram [r latency histogram get nosuch]
        assert_equal get [lindex $histogram 0]
        assert_equal {calls 2} [lrange [lindex $histogram 1] 0 1]
        set rows [lindex $histogram 1 3]
        assert_equal 2 [lindex $rows end]
        assert_equal {get set} [lsort [dict keys [r latency histogram set get]]]
        assert_equal {} [r latency histogram nosuch]
    } {} {needs:latency}

    test {the keyspace section counts keys and expiring keys} {
        r flushall
        r set a 1
        r set b 2 ex 100
        assert_match {*db9:keys=2,expires=1,avg_ttl=*} [r info keyspace]
        r flushall
        assert_equal "# Keyspace" [string trim [r info keyspace]]
    } {} {singledb:skip}

    test {hits, misses and changes} {
        r config resetstat
        set before [s rdb_changes_since_last_save]
        r set k v
        r get k
        r get nosuch
        assert_equal {1 1} [list [s keyspace_hits] [s keyspace_misses]]
        assert_equal [expr {$before + 1}] [s rdb_changes_since_last_save]
        r config resetstat
        r object encoding k
        r object encoding nosuch
        assert_equal {1 1} [list [s keyspace_hits] [s keyspace_misses]]
        r sadd set{t} a
        foreach command {sinterstore sunionstore sdiffstore} {
            r config resetstat
            r $command to{t} set{t} none{t}
            assert_equal {1 1} [list [s keyspace_hits] [s keyspace_misses]] $command
        }
    }

    test {every change counts, and nothing else} {
        r flushall
        r set e v
        foreach {changes command} {
            1 {set k v} 0 {set k v nx} 0 {set no v xx} 1 {getex k ex 100} 0 {getex k} 1 {persist k} 0 {persist k}
            1 {expire k 100} 0 {expire k 10 gt} 1 {getdel k} 0 {getdel k} 2 {mset k 1 l 2} 0 {msetnx m 1 k 2} 1 {append k x}
            1 {setrange k 0 y} 0 {setrange k 0 ""} 1 {rename k l} 0 {renamenx l e} 1 {copy l m} 0 {copy l m} 1 {move m 10}
            2 {del e l no} 1 {incr n} 1 {unlink n}
            3 {rpush l a b c} 0 {rpushx no a} 1 {lset l 0 x} 1 {linsert l before x a} 0 {linsert l before no a} 2 {lpop l 2}
            0 {lpop l 0} 2 {rpush l c c} 3 {lrem l 0 c} 0 {lrem l 0 c} 3 {lpush l a b c} 1 {ltrim l 1 -1} 1 {lmove l m left left}
            2 {lmpop 1 l left count 9} 1 {blpop m 0}
            2 {hset h a 1 b 2} 2 {hset h a 1 b 2} 0 {hsetnx h a 1} 1 {hincrby h a 1} 1 {hincrbyfloat h a 1} 2 {hdel h a b c} 0 {hdel h a}
            3 {sadd s a b c} 0 {sadd s a} 2 {srem s a b d} 2 {smove s t c} 0 {smove s t c} 5 {sadd t 1 2 3 4 5} 1 {spop t} 2 {spop t 2}
            1 {sunionstore s t} 3 {spop t 10} 1 {sinterstore s s t} 0 {sinterstore s s t}
            3 {zadd z 1 a 2 b 3 c} 2 {zadd z 1 a 3 b 4 d} 0 {zadd z 1 a} 1 {zincrby z 1 a} 0 {zincrby z 0 a} 1 {zrem z a e}
            3 {zadd z 1 e 2 f 9 g} 2 {zpopmin z 2} 2 {zmpop 1 z max count 2} 1 {zrangestore y z 0 -1} 1 {zremrangebyrank z 0 -2}
            1 {bzpopmin z 0} 1 {zunionstore y 1 z} 0 {zunionstore y 1 z}
            1 {xadd x 1-1 f v} 1 {xadd x 2-1 f v} 1 {xadd x maxlen 2 3-1 f v} 1 {xtrim x maxlen 1} 0 {xtrim x maxlen 1} 1 {xadd x 3-2 f v} 1 {xadd x 3-3 f v} 2 {xtrim x minid 3-3} 1 {xdel x 3-3} 1 {xadd x 3-4 f v}
            1 {xadd x 4-1 f v} 1 {xadd x 5-1 f v} 1 {xsetid x 9-9} 1 {xgroup create x g 0} 1 {xgroup setid x g 0}
            1 {xgroup createconsumer x g c} 0 {xgroup createconsumer x g c} 1 {xreadgroup group g c count 2 streams x >}
            2 {xreadgroup group g d streams x >} 1 {xreadgroup group g c streams x 0} 2 {xclaim x g c 0 3-4 5-1} 0 {xclaim x g c 0 6-1}
            3 {xautoclaim x g c 0 0} 2 {xack x g 3-4 4-1 6-1} 2 {xdel x 3-4 4-1 6-1} 1 {xgroup delconsumer x g d} 0 {xgroup delconsumer x g d}
            1 {xgroup destroy x g} 0 {xgroup destroy x g} 3 {mset a 1 b 2 c 3} 0 {publish c m} 1 {swapdb 9 9} 4 {flushdb} 1 {flushall} 0 {flushall}
        } {
            set before [s rdb_changes_since_last_save]
            r {*}$command
            assert_equal $changes [expr {[s rdb_changes_since_last_save] - $before}] $command
        }
    } {} {singledb:skip}

    test {clients are counted} {
        set before [s connected_clients]
        set c [valkey_client]
        assert_equal [expr {$before + 1}] [s connected_clients]
        $c watch a b
        assert_equal {1 2} [list [s watching_clients] [s total_watched_keys]]
        $c unwatch
        $c close
        set d [valkey_deferring_client]
        $d blpop a b 0
        wait_for_blocked_client
        assert_equal {1 2} [list [s blocked_clients] [s total_blocking_keys]]
        assert_equal 0 [s clients_in_timeout_table]
        $d close
        set d [valkey_deferring_client]
        $d blpop c 1000
        wait_for_condition 50 100 {[s clients_in_timeout_table] == 1} else {fail "no timeout is watched"}
        assert_equal 0 [s total_blocking_keys_on_nokey]
        $d close
        # The end of its key, too, is news to who waits for a group.
        r xgroup create stream g 0 mkstream
        set d [valkey_deferring_client]
        $d xreadgroup group g c block 0 streams stream >
        wait_for_condition 50 100 {[s total_blocking_keys_on_nokey] == 1} else {fail "nobody waits for the stream"}
        $d close
        wait_for_condition 50 100 {[s blocked_clients] == 0} else {fail "still blocked"}
    }

    test {memory figures hang together} {
        r set big [string repeat x 1000000]
        assert_morethan [s used_memory] 1000000
        set text [r info memory]
        assert_morethan_equal [getInfoProperty $text used_memory_peak] [getInfoProperty $text used_memory]
        assert_morethan [s used_memory_dataset] 900000
        assert_morethan [s used_memory_rss] 0
        assert_match {*%} [s used_memory_peak_perc]
        r del big
    }

    test {a primary without replicas} {
        assert_equal {master 0 no-failover -1} [list [s role] [s connected_slaves] [s master_failover_state] [s second_repl_offset]]
        assert_equal 40 [string length [s master_replid]]
        assert_equal [string repeat 0 40] [s master_replid2]
    }
}

start_server {tags {"info external:skip"} overrides {slowlog-log-slower-than 0}} {
    # Calls and failures of a command.
    proc counted {command} {
        regexp {calls=(\d+),.*failed_calls=(\d+)} [cmdrstat $command r] _ calls failed
        return [list $calls $failed]
    }

    test {a command that waits counts once, when it is answered} {
        set c [valkey_deferring_client]
        $c client id
        set id [$c read]
        $c blpop key 0.01
        $c read
        assert_equal {1 0} [counted blpop]
        $c blpop key 0
        wait_for_blocked_client
        assert_equal {1 0} [counted blpop]
        r rpush key x
        $c read
        assert_equal {2 0} [counted blpop]
        foreach {how failed} {timeout 0 error 1} {
            $c blpop key 0
            wait_for_blocked_client
            r client unblock $id $how
            catch {$c read}
        }
        assert_equal {4 1} [counted blpop]
        assert_equal count=1 [getInfoProperty [r info errorstats] errorstat_UNBLOCKED]
        $c close
    }

    test {it is slow by what it has run, not by how long it waited} {
        r slowlog reset
        r config set latency-tracking yes
        set c [valkey_deferring_client]
        $c blpop key 0.05
        $c read
        set entry [lsearch -inline -index 3 [r slowlog get -1] {blpop key 0.05}]
        assert_range [lindex $entry 2] 0 40000
        $c close
    }
}

start_server {tags {"info external:skip"}} {
    test {the section Debug is shown to those who name it} {
        assert_no_match {*# Debug*} [r info everything]
        r set a b
        set text [r info debug]
        assert_match "# Debug\r\n*" $text
        foreach field {eventloop_duration_aof_sum eventloop_duration_cron_sum eventloop_duration_max} {
            assert_range [getInfoProperty $text $field] 0 100000000
        }
        assert_morethan_equal [getInfoProperty $text eventloop_cmd_per_cycle_max] 1
        assert_match "*# Cluster*# Debug*" [r info cluster debug]
    }
}
