# Keyspace events: which are published for what, under which classes.

# The next events that `client` receives, as `event key` words.
proc next_events {client count} {
    set events {}
    for {set i 0} {$i < $count} {incr i} {
        lassign [$client read] kind pattern channel key
        lappend events [list [lindex [split $channel :] 1] $key]
    }
    return $events
}

start_server {tags {"pubsub keyspace"}} {
    test {classes are set by letters and shown in a fixed order} {
        r config set notify-keyspace-events Kx
        assert_equal {notify-keyspace-events xK} [r config get notify-keyspace-events]
        r config set notify-keyspace-events KEA
        assert_equal {notify-keyspace-events AKE} [r config get notify-keyspace-events]
        assert_error {ERR CONFIG SET failed*} {r config set notify-keyspace-events KEq}
        r config set notify-keyspace-events ""
        assert_equal {notify-keyspace-events {}} [r config get notify-keyspace-events]
    }

    test {keyspace and keyevent channels} {
        r config set notify-keyspace-events KEA
        set c [valkey_deferring_client]
        psubscribe $c {__key*}
        r set foo bar
        assert_equal {pmessage __key* __keyspace@9__:foo set} [$c read]
        assert_equal {pmessage __key* __keyevent@9__:set foo} [$c read]
        $c close
    } {} {singledb:skip}

    test {only the chosen classes are published} {
        r config set notify-keyspace-events E$
        r del l s
        set c [valkey_deferring_client]
        psubscribe $c {__key*}
        r rpush l a
        r set s v
        r expire s 100
        r append s x
        assert_equal {{set s} {append s}} [next_events $c 2]
        r config set notify-keyspace-events El
        r set s v
        r lpush l b
        assert_equal {{lpush l}} [next_events $c 1]
        $c close
    }

    test {events of strings and generic commands} {
        r config set notify-keyspace-events EA
        r flushall
        set c [valkey_deferring_client]
        psubscribe $c {__keyevent*}
        r set k 1
        r incr k
        r setrange k 2 x
        r expire k 100
        r persist k
        r rename k k2
        r copy k2 k3
        r del k2
        assert_equal {
            {set k} {incrby k} {setrange k} {expire k} {persist k} {rename_from k} {rename_to k2} {copy_to k3} {del k2}
        } "\n            [next_events $c 9]\n        "
        r set k v ex 10
        assert_equal {{set k} {expire k}} [next_events $c 2]
        r getdel k
        assert_equal {{del k}} [next_events $c 1]
        foreach {command events} {
            {append k 1} {append k} {append k 2} {append k} {getset k 1} {set k} {incrby k 2} {incrby k} {decr k} {incrby k}
            {incrbyfloat k 1} {incrbyfloat k} {getex k ex 100} {expire k} {getex k persist} {persist k} {getex k persist} {}
            {getex k exat 1} {del k} {setex k 100 v} {set k expire k} {mset k 1 l 2} {set k set l} {msetnx k 1 m 2} {}
            {setnx m 1} {set m} {set m 1 keepttl} {set m} {setrange n 2 x} {setrange n} {getrange n 0 1} {} {set m 1 nx} {}
        } {
            r {*}$command
            assert_equal $events [told_events $c] $command
        }
        $c close
    } {} {cluster:skip}

    test {events of containers, the last element takes the key along} {
        r flushall
        set c [valkey_deferring_client]
        psubscribe $c {__keyevent*}
        r rpush l a b
        r lpop l 2
        assert_equal {{rpush l} {lpop l} {del l}} [next_events $c 3]
        r sadd s a
        r srem s a
        assert_equal {{sadd s} {srem s} {del s}} [next_events $c 3]
        r hset h f v
        r hdel h f
        assert_equal {{hset h} {hdel h} {del h}} [next_events $c 3]
        r zadd z 1 a
        r zrem z a
        assert_equal {{zadd z} {zrem z} {del z}} [next_events $c 3]
        r sadd s a a
        r sadd s a
        r srem s nosuch
        r set x y
        assert_equal {{sadd s} {set x}} [next_events $c 2]
        $c close
    }

    test {an expired key is announced when it goes} {
        r config set notify-keyspace-events Ex
        set c [valkey_deferring_client]
        psubscribe $c {__keyevent*}
        r psetex k 10 v
        assert_equal {{expired k}} [next_events $c 1]
        $c close
    }

    test {new keys and misses have classes that A leaves out} {
        r config set notify-keyspace-events Emn
        r del k
        set c [valkey_deferring_client]
        psubscribe $c {__keyevent*}
        r get k
        assert_equal {{keymiss k}} [next_events $c 1]
        r set k v
        r set k w
        r get k
        r del k
        r set k v
        assert_equal {{new k} {new k}} [next_events $c 2]
        r flushall
        foreach command {{rpush l a} {sadd s a} {hset h f v} {zadd z 1 a} {xadd x * f v} {sunionstore u s} {copy u v}} {
            told_events $c
            r {*}$command
            r {*}$command
            set key [lindex $command [expr {[lindex $command 0] eq "copy" ? 2 : 1}]]
            assert_equal [list new $key] [told_events $c] $command
        }
        $c close
    }
}
