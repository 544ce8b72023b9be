# What belongs to no family: OBJECT, MEMORY, TIME, SAVE and BGSAVE, FLUSHALL and the dump file,
# ROLE and WAIT without replicas, SHUTDOWN.

start_server {tags {"other"}} {
    test {OBJECT ENCODING, REFCOUNT and their refusals} {
        r mset int{t} 5 big{t} 123456789 short{t} abc
        assert_encoding int int{t}
        assert_encoding embstr short{t}
        r append short{t} d
        assert_encoding raw short{t}
        assert_equal {2147483647 1 1} [list [r object refcount int{t}] [r object refcount big{t}] \
            [r object refcount short{t}]]
        r mset last{t} 9999 next{t} 10000
        assert_equal {2147483647 1} [list [r object refcount last{t}] [r object refcount next{t}]]
        # A number that may be evicted by its use is nobody else's.
        r config set maxmemory 1gb maxmemory-policy allkeys-lru
        r set int{t} 5
        assert_equal 1 [r object refcount int{t}]
        r config set maxmemory 0 maxmemory-policy noeviction
        foreach sub {encoding refcount idletime freq} {
            assert_equal {} [r object $sub none{t}]
            assert_error "ERR wrong number of arguments for 'object|$sub' command" {r object $sub}
        }
        assert_error {ERR unknown subcommand 'nonsense'. Try OBJECT HELP.} {r object nonsense x}
        assert_error {ERR wrong number of arguments for 'object' command} {r object}
        assert_match {*ENCODING <key>*HELP*} [r object help]
    }

    test {OBJECT REFCOUNT of text that looks like a small number} {
        r setrange range{t} 0 5
        r set appended{t} 1
        r append appended{t} 2
        r set same{t} 5
        r append same{t} ""
        r incrbyfloat float{t} 5
        foreach {key value} {range{t} 5 appended{t} 12 same{t} 5 float{t} 5} {
            assert_equal [list $value 1] [list [r get $key] [r object refcount $key]] $key
        }
        # As a number it is shared again.
        foreach key {range{t} appended{t} float{t}} {
            r incr $key
            assert_equal 2147483647 [r object refcount $key] $key
        }
        foreach value {05 +5 -5 " 5" 5.0} {
            r set text{t} $value
            assert_equal 1 [r object refcount text{t}] $value
        }
    }

    test {what is loaded is held as the limits of now have it} {
        foreach {limit command encodings} {
            set-max-intset-entries {sadd k 1 2 3 4 5} {intset hashtable}
            set-max-listpack-entries {sadd k a b c d e} {listpack hashtable}
            hash-max-listpack-entries {hset k a 1 b 2 c 3 d 4 e 5} {listpack hashtable}
            zset-max-listpack-entries {zadd k 1 a 2 b 3 c 4 d 5 e} {listpack skiplist}
            list-max-listpack-size {rpush k a b c d e} {listpack quicklist}
        } {
            lassign $encodings small large
            r flushall
            set before [config_get_set $limit 5]
            r {*}$command
            set digest [debug_digest_value k]
            foreach {size encoding} [list 5 $small 4 $large 5 $small] {
                r config set $limit $size
                r debug reload
                assert_encoding $encoding k
                assert_equal $digest [debug_digest_value k]
            }
            r config set $limit $before
        }
    } {} {needs:debug needs:save external:skip}

    # The reference looks at the number of elements only.
    test {what is loaded is held as the limits of lengths have it, too} {
        foreach {limit command encodings} {
            set-max-listpack-value {sadd k 1 text} {listpack hashtable}
            hash-max-listpack-value {hset k text 1} {listpack hashtable}
            hash-max-listpack-value {hset k 1 text} {listpack hashtable}
            zset-max-listpack-value {zadd k 1 text} {listpack skiplist}
        } {
            lassign $encodings small large
            r flushall
            set before [config_get_set $limit 4]
            r {*}$command
            foreach {size encoding} [list 4 $small 3 $large 4 $small] {
                r config set $limit $size
                r debug reload
                assert_encoding $encoding k
            }
            r config set $limit $before
        }
    } {} {needs:debug needs:save external:skip peer:skip}

    test {DEBUG ERROR is no error for the statistics} {
        r config resetstat
        assert_error "FOO \xff bar" {r debug error "FOO \xff bar"}
        assert_equal {} [errorrstat FOO r]
        assert_match {calls=1,*,failed_calls=0} [cmdrstat debug r]
    } {} {needs:debug needs:config-resetstat}

    test {DEBUG OBJECT tells how often a key was used, after decay} {
        r set x v
        r config set lfu-decay-time 0
        assert [regexp { lru:(\d+) } [r debug object x] -> clock]
        assert_match "*lfu_freq:[expr {$clock & 255}] *" [r debug object x]
        r config set lfu-decay-time 1
        set minutes [expr {([clock seconds] / 60 - ($clock >> 8)) & 0xffff}]
        assert_match "*lfu_freq:[expr {max(0, ($clock & 255) - $minutes)}] *" [r debug object x]
    } {} {needs:debug}

    test {OBJECT FREQ and IDLETIME depend on the policy} {
        r set x v
        assert_range [r object idletime x] 0 1
        assert_error {ERR An LFU maxmemory policy is not selected*} {r object freq x}
        r config set maxmemory-policy allkeys-lfu
        r set x v
        assert_range [r object freq x] 0 10
        assert_error {ERR An LFU maxmemory policy is selected*} {r object idletime x}
        r config set maxmemory-policy noeviction
    } {OK}

    test {what counts as a use of a key, and what begins anew} {
        r flushall
        set policy [config_get_set maxmemory-policy allkeys-lfu]
        set factor [config_get_set lfu-log-factor 0]
        r sadd src a
        foreach {frequency key command} {
            5 k {set k v} 6 k {set k v} 7 k {get k} 8 k {setex k 100 v} 9 k {set k v nx} 10 k {set k v xx} 11 k {mset k v}
            12 k {setnx k v} 13 k {msetnx k v no v} 15 k {getset k v} 16 k {getex k ex 100} 17 k {append k x} 18 k {expire k 200}
            19 k {persist k} 20 k {persist k} 21 k {strlen k} 21 k {exists k} 21 k {type k} 21 k {ttl k} 22 k {touch k}
            5 f {incrbyfloat f 1.5} 6 f {incrbyfloat f 1} 23 k {sunionstore k src} 24 k {sadd k b} 5 l {rename k l} 6 l {scard l}
            5 m {copy l m} 7 l {exists l} 5 m {copy l m replace} 9 l {smembers l}
        } {
            r {*}$command
            assert_equal $frequency [r object freq $key] $command
        }
        r move l 10
        r select 10
        assert_equal 5 [r object freq l]
        r select 9
        # Every further use counts with a probability that lfu-log-factor lowers.
        r config set lfu-log-factor 1000000000
        r set rare v
        for {set i 0} {$i < 20} {incr i} {
            r get rare
        }
        assert_equal 6 [r object freq rare]
        r flushall
        r config set lfu-log-factor $factor maxmemory-policy $policy
    } {OK} {singledb:skip}

    test {looking at a key is no use of it, TOUCH is} {
        r set x v
        eventually 5000 {[r object idletime x] >= 2}
        r ttl x
        r exists x
        r type x
        assert_morethan_equal [r object idletime x] 2
        r client no-touch on
        r get x
        assert_morethan_equal [r object idletime x] 2
        r touch x
        assert_lessthan [r object idletime x] 2
        # Another name is a fresh start, whoever gives it.
        r set y v
        eventually 5000 {[r object idletime y] >= 2}
        r rename y z
        assert_lessthan [r object idletime z] 2
        r client no-touch off
    } {OK} {slow}

    test {MEMORY USAGE grows with the value; SAMPLES} {
        r set small v
        r set large [string repeat x 10000]
        assert_range [r memory usage small] 10 200
        assert_range [r memory usage large] 10000 30000
        for {set i 0} {$i < 1000} {incr i} {
            r rpush list [string repeat x 100]
        }
        assert_range [r memory usage list samples 0] 100000 300000
        assert_range [r memory usage list] 50000 300000
        set size [config_get_set list-max-listpack-size 1]
        r del list
        r rpush list a b c d e [string repeat x 10000]
        assert_lessthan [r memory usage list] 5000
        assert_morethan [r memory usage list samples 0] 10000
        r config set list-max-listpack-size $size
        assert_equal {} [r memory usage none]
        assert_error {ERR syntax error} {r memory usage list samples}
        assert_error {ERR syntax error} {r memory usage list samples -1}
        assert_error {ERR value is not an integer or out of range} {r memory usage list samples x}
        assert_error {ERR syntax error} {r memory usage list nonsense 1}
    }

    test {MEMORY STATS is a map with the figures clients look for} {
        r set x v
        set stats [r memory stats]
        foreach name {
            peak.allocated total.allocated startup.allocated replication.backlog clients.slaves
            clients.normal cluster.links aof.buffer lua.caches functions.caches
            overhead.db.hashtable.lut overhead.db.hashtable.rehashing overhead.total
            db.dict.rehashing.count keys.count keys.bytes-per-key dataset.bytes dataset.percentage
            peak.percentage allocator.allocated allocator.active allocator.resident allocator.muzzy
            allocator-fragmentation.ratio allocator-fragmentation.bytes allocator-rss.ratio
            allocator-rss.bytes rss-overhead.ratio rss-overhead.bytes fragmentation
            fragmentation.bytes
        } {
            assert {[dict exists $stats $name]}
        }
        assert_equal [r dbsize] [dict get $stats keys.count]
        assert {[dict exists $stats db.$::dbnum overhead.hashtable.main]}
        assert_morethan [dict get $stats total.allocated] 0
    } {} {external:skip}

    test {the figures of MEMORY STATS fit together} {
        r flushall
        foreach keys {0 1 3000} {
            if {$keys} { populate $keys key: 100 }
            r set with:ttl v ex 1000
            set stats [r memory stats]
            dict with stats {}
            set net [expr {${total.allocated} - ${startup.allocated}}]
            assert_equal ${dataset.bytes} [expr {${total.allocated} - ${overhead.total}}]
            assert_equal ${keys.bytes-per-key} [expr {${dataset.bytes} / ${keys.count}}]
            assert_lessthan [expr {abs(${dataset.percentage} - 100.0 * ${dataset.bytes} / $net)}] 0.01
            assert_lessthan [expr {abs(${peak.percentage} - 100.0 * ${total.allocated} / ${peak.allocated})}] 1
            set overhead ${startup.allocated}
            foreach name {replication.backlog clients.slaves clients.normal cluster.links aof.buffer lua.caches functions.caches} {
                incr overhead [dict get $stats $name]
            }
            dict for {name value} $stats {
                if {[regexp {^db\.\d+$} $name]} {
                    incr overhead [expr {[dict get $value overhead.hashtable.main] + [dict get $value overhead.hashtable.expires]}]
                }
            }
            assert_equal ${overhead.total} $overhead
            # What is on its way to a bigger table is part of the tables, if anything is.
            assert_equal [expr {${db.dict.rehashing.count} > 0}] [expr {${overhead.db.hashtable.rehashing} > 0}]
            assert_lessthan_equal ${overhead.db.hashtable.rehashing} ${overhead.db.hashtable.lut}
        }
    } {} {external:skip}

    test {MEMORY DOCTOR, PURGE, MALLOC-STATS, HELP} {
        # A server that has been at work may be told of issues: "Sam, I detected ...".
        assert_match {*Sam, *} [r memory doctor]
        set c [valkey_deferring_client]
        r set big [string repeat x 10000000]
        $c write "*2\r\n\$4\r\necho\r\n\$100000000\r\n[string repeat x 5000000]"
        $c flush
        wait_for_condition 50 50 {
            [string match "Sam, I detected a few issues*\n\n \\* Big client buffers: *" [r memory doctor]]
        } else {
            fail "not told of a big buffer: [r memory doctor]"
        }
        $c close
        r del big
        assert_equal OK [r memory purge]
        set report [r memory malloc-stats]
        assert_match "___ Begin jemalloc statistics ___*--- End jemalloc statistics ---\n" $report
        assert_match {*USAGE <key>*} [r memory help]
        assert_error {ERR unknown subcommand 'nonsense'. Try MEMORY HELP.} {r memory nonsense}
    }

    test {TIME is now} {
        lassign [r time] seconds micros
        assert_range $seconds [expr {[clock seconds] - 5}] [expr {[clock seconds] + 5}]
        assert_range $micros 0 999999
    }

    test {ROLE of a primary without replicas} {
        assert_match {master * {}} [r role]
    } {} {external:skip}

    test {WAIT and WAITAOF without replicas} {
        assert_equal 0 [r wait 0 0]
        assert_equal 0 [r wait -1 0]
        assert_equal 0 [r wait 1 10]
        assert_equal {0 0} [r waitaof 0 0 0]
        assert_equal {0 0} [r waitaof 0 1 10]
        assert_error {ERR value is not an integer or out of range} {r wait x 10}
        assert_error {ERR timeout is not an integer or out of range} {r wait 1 x}
        assert_error {ERR timeout is negative} {r wait 1 -1}
        assert_error {ERR value is out of range, value must between 0 and 1} {r waitaof 2 0 0}
        assert_error {ERR value is out of range, must be positive} {r waitaof 0 -1 0}
        assert_error {ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.} {
            r waitaof 1 0 0
        }
        r multi
        r wait 5 0
        r exec
    } {0} {external:skip}

    test {REPLCONF refuses what it does not know} {
        assert_equal OK [r replconf]
        assert_error {ERR syntax error} {r replconf capa}
        assert_error {ERR Unrecognized REPLCONF option: nonsense} {r replconf nonsense 1}
        assert_error {ERR Unrecognized REPLCONF option: a  b} {r replconf "a\r\nb" 1}
        assert_error {ERR value is not an integer or out of range} {r replconf listening-port x}
    }
}

start_server {tags {"other needs:repl external:skip"}} {
    test {WAIT counts the replicas that have acknowledged} {
        set replica [valkey_deferring_client]
        $replica psync ? -1
        # The snapshot and the stream come behind this line; acknowledging needs nothing of them.
        assert_match {FULLRESYNC *} [$replica read]
        wait_replica_online [srv 0 client]
        r set x 1
        assert_equal 0 [r wait 1 50]
        set rd [valkey_deferring_client]
        $rd set x 2
        $rd read
        $rd wait 1 0
        wait_for_blocked_client
        $replica replconf ack 1000000
        $replica flush
        assert_equal 1 [$rd read]
        assert_match {master * {{127.0.0.1 * *}}} [r role]
        $rd close
        $replica close
    }
}

start_server {tags {"other needs:save external:skip"} overrides {save ""}} {
    test {SAVE and BGSAVE write the dump file} {
        set dump [file join [lindex [r config get dir] 1] [lindex [r config get dbfilename] 1]]
        r set x v
        set before [r lastsave]
        assert_equal OK [r save]
        assert {[file exists $dump]}
        assert_equal 0 [s rdb_changes_since_last_save]
        file delete $dump
        assert_match {Background saving started} [r bgsave]
        waitForBgsave r
        assert {[file exists $dump]}
        assert_morethan_equal [r lastsave] $before
        assert_error {ERR syntax error} {r bgsave nonsense}
    }

    test {BGSAVE while one runs is refused; FLUSHALL stops it} {
        r config set rdb-key-save-delay 10000000
        populate 10
        assert_equal {Background saving started} [r bgsave]
        assert_equal 1 [s rdb_bgsave_in_progress]
        assert_error {ERR Background save already in progress} {r bgsave}
        assert_error {ERR Background save already in progress} {r bgsave schedule}
        assert_error {ERR Background save already in progress} {r save}
        r flushall
        eventually 5000 {[s rdb_bgsave_in_progress] == 0}
        r config set rdb-key-save-delay 0
        r dbsize
    } {0}

    test {FLUSHALL saves the empty dataset where save points are set} {
        r config set save "900 1"
        r set x v
        assert_morethan [s rdb_changes_since_last_save] 0
        r flushall
        assert_equal 0 [s rdb_changes_since_last_save]
        r set x v
        r flushdb
        assert_equal 2 [s rdb_changes_since_last_save]
        r config set save ""
    } {OK}

    test {BGSAVE in a transaction is scheduled} {
        r multi
        r bgsave
        assert_equal {{Background saving scheduled}} [r exec]
        eventually 5000 {[s rdb_bgsave_in_progress] == 0}
    }
}

start_server {tags {"other external:skip"}} {
    test {SHUTDOWN refuses what makes no sense} {
        assert_error {ERR syntax error} {r shutdown nonsense}
        assert_error {ERR syntax error} {r shutdown save nosave}
        assert_error {ERR syntax error} {r shutdown abort now}
        assert_error {ERR No shutdown in progress.} {r shutdown abort}
        assert_error {ERR No shutdown in progress.} {r shutdown abort abort}
        r ping
    } {PONG}
}

start_server {tags {"other external:skip needs:save"} overrides {save "3600 1000000"}} {
    test {SHUTDOWN NOSAVE FORCE ends it without a file, SAVE with one} {
        foreach {words kept} {{nosave force} 0 {save now} 1} {
            expect_end
            set pid [srv pid]
            r set k v
            assert_error {*I/O error*} {r shutdown {*}$words}
            wait_for_condition 50 50 {![process_is_alive $pid]} else { fail "it lives on" }
            restart_server 0 true false
            assert_equal $kept [r exists k] $words
        }
    }
}

start_server {tags {"other external:skip"}} {
    test {commands of cluster mode say that there is none} {
        assert_equal {OK OK} [list [r readonly] [r readwrite]]
        assert_error {ERR This instance has cluster support disabled} {r asking}
        foreach command {
            {addslots 1} {addslotsrange 1 2} bumpepoch {count-failure-reports x} {countkeysinslot 1} {delslots 1}
            {delslotsrange 1 2} failover flushslots {forget x} {getkeysinslot 1 1} help info {keyslot x} links
            {meet 127.0.0.1 1} myid myshardid nodes {replicas x} {replicate x} reset saveconfig {set-config-epoch 1}
            {setslot 1 stable} shards {slaves x} {slot-stats slotsrange 0 1} slots
        } {
            assert_error {ERR This instance has cluster support disabled} {r cluster {*}$command}
        }
        assert_error {ERR wrong number of arguments for 'cluster|getkeysinslot' command} {r cluster getkeysinslot 1}
        assert_error {ERR unknown subcommand 'nothing'. Try CLUSTER HELP.} {r cluster nothing}
    }
}

# What `ps` shows of a process.
proc process_title {pid} {
    set file [open /proc/$pid/cmdline rb]
    set title [string trimright [read $file] ".\0"]
    close $file
    return $title
}

start_server {tags {"other external:skip needs:linux"} overrides {save ""}} {
    test {the process title names address and port, and follows them} {
        set port [srv 0 port]
        assert_match "*valkey-server 127.0.0.1:$port" [process_title [srv 0 pid]]
        r config set proc-title-template "TEST {title} {listen-addr} {port} {tls-port} \{\{x\}"
        assert_match "TEST *valkey-server 127.0.0.1:$port $port 0 {x}" [process_title [srv 0 pid]]
        assert_error {*template format is invalid*} {r config set proc-title-template "{nothing}"}
        r config set proc-title-template "{title} {listen-addr} {server-mode}"
        r config set bind "* -::*"
        assert_match "*valkey-server \\*:$port" [process_title [srv 0 pid]]
        r config set bind 127.0.0.1
    } {*} {tls:skip}

    test {a snapshot child has a title of its own} {
        r set key value
        r config set rdb-key-save-delay 100000000
        r bgsave
        set child [get_child_pid 0]
        wait_for_condition 50 20 {[process_title $child] eq "valkey-rdb-bgsave 127.0.0.1:[srv 0 port]"} else {
            fail "its title is [process_title $child]"
        }
        r config set rdb-key-save-delay 0
        exec kill -9 $child
        waitForBgsave r
    } {} {needs:save tls:skip}
}

start_server {tags {"other external:skip needs:linux"} overrides {set-proc-title no}} {
    test {the command line stays where a title is not wanted} {
        assert_match "*[srv 0 config_file]*" [process_title [srv 0 pid]]
    }
}

start_server {tags {"other network external:skip"} overrides {save ""}} {
    test {other addresses on the same port, and another port: old clients and the unix socket stay} {
        set port [srv 0 port]
        r config set bind "* -::*"
        set c [valkey 127.0.0.1 $port]
        assert_equal PONG [$c ping]
        r config set bind 127.0.0.1
        assert_equal {bind 127.0.0.1} [r config get bind]
        # At once, also one right after another.
        for {set i 0} {$i < 20} {incr i} {
            r config set bind [lindex {"* -::*" 127.0.0.1} [expr {$i % 2}]]
            set next [valkey 127.0.0.1 $port]
            assert_equal PONG [$next ping]
            $next close
        }
        assert_error {*Failed to bind to specified addresses*} {r config set bind "192.0.2.1"}
        assert_equal {bind 127.0.0.1} [r config get bind]
        set again [valkey 127.0.0.1 $port]
        assert_equal PONG [$again ping]
        set fresh [find_available_port]
        r config set port $fresh
        set other [valkey 127.0.0.1 $fresh]
        assert_equal PONG [$other ping]
        wait_for_condition 50 20 {[catch {close [socket 127.0.0.1 $port]}]} else {
            fail "the old port is still served"
        }
        assert_equal PONG [$c ping]
        assert_equal PONG [exec {*}[valkeycli_unixsocket [srv 0 unixsocket]] ping]
        r config set port $port
        foreach client [list $c $again $other] {$client close}
    } {*} {tls:skip}
}

start_server {tags {"other external:skip needs:debug"}} {
    test {DEBUG MALLCTL reads and sets numbers of the allocator} {
        # As the allocator was built.
        assert {[r debug mallctl arenas.quantum] in {8 16}}
        assert_equal 0 [r debug mallctl opt.abort]
        set before [r debug mallctl arenas.muzzy_decay_ms 1234]
        assert_equal 1234 [r debug mallctl arenas.muzzy_decay_ms $before]
        assert_equal $before [r debug mallctl arenas.muzzy_decay_ms]
        assert_error {ERR No such file or directory} {r debug mallctl nope}
        assert_error {ERR Operation not permitted} {r debug mallctl arenas.narenas 5}
        assert_error {ERR Bad address} {r debug mallctl arenas.muzzy_decay_ms -5}
        assert_error {ERR value is not an integer*} {r debug mallctl arenas.muzzy_decay_ms soon}
    }

    test {DEBUG MALLCTL-STR reads and sets texts of the allocator} {
        assert_match 5.* [r debug mallctl-str version]
        set before [r debug mallctl-str arena.0.dss disabled]
        assert_equal disabled [r debug mallctl-str arena.0.dss $before]
        assert_error {ERR No such file or directory} {r debug mallctl-str nope}
        assert_error {ERR Invalid argument} {r debug mallctl-str opt.abort}
    }
}
