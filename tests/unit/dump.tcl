# DUMP and RESTORE: payloads, options, refusals, expiry, events, propagation, WATCH and clients that wait.

# The payload of a key in a value of TYPE; the key is gone afterwards.
proc payload_of {type} {
    r del tmp
    switch $type {
        string {r set tmp [string repeat ab 50]}
        integer {r set tmp 12345}
        list {r rpush tmp 1 b [string repeat c 100]}
        set {r sadd tmp 1 b c}
        intset {r sadd tmp 1 2 70000}
        hash {r hset tmp f v 1 2}
        zset {r zadd tmp 1 a 2.5 b inf c}
        stream {
            r xadd tmp 1-1 f v
            r xgroup create tmp g 0
            r xreadgroup group g alice streams tmp >
        }
    }
    set payload [r dump tmp]
    r del tmp
    return $payload
}

start_server {tags {"dump"}} {
    foreach type {string integer list set intset hash zset stream} {
        test "DUMP and RESTORE of a $type" {
            set payload [payload_of $type]
            r del k
            assert_equal OK [r restore k 0 $payload]
            assert_equal $payload [r dump k]
            assert_equal -1 [r ttl k]
        }
    }

    foreach {type settings} {
        list {list-max-listpack-size 2}
        set {set-max-listpack-entries 0}
        intset {set-max-intset-entries 0 set-max-listpack-entries 0}
        hash {hash-max-listpack-entries 1}
        zset {zset-max-listpack-entries 0}
    } {
        test "RESTORE into the other encoding - $type" {
            set payload [payload_of $type]
            set before {}
            foreach {name value} $settings {
                lappend before $name [lindex [r config get $name] 1]
                r config set $name $value
            }
            r del k
            r restore k 0 $payload
            set encoding [r object encoding k]
            r config set {*}$before
            assert {$encoding in {quicklist hashtable skiplist}}
            r del again
            r restore again 0 [r dump k]
            assert_equal [debug_digest_value k] [debug_digest_value again]
        } {} {needs:debug}
    }

    test {RESTORE-ASKING restores like RESTORE} {
        r set from value
        r del to
        assert_equal OK [r restore-asking to 0 [r dump from]]
        assert_equal value [r get to]
        assert_error {BUSYKEY*} {r restore-asking to 0 [r dump from]}
    } {} {cluster:skip}

    test {DUMP of a missing key} {
        r del nokey
        r dump nokey
    } {}

    test {DUMP compresses as rdbcompression says} {
        r set k [string repeat x 1000]
        set short [string length [r dump k]]
        r config set rdbcompression no
        set long [string length [r dump k]]
        r config set rdbcompression yes
        assert {$short < 100 && $long > 1000}
    }

    test {Payloads of older versions are taken, of newer ones refused} {
        r del k
        # SET k 10 in versions 1 and 11 of the format, and in one that is yet to come.
        assert_error {ERR DUMP payload version or checksum are wrong} {r restore k 0 "\x00\xC0\n\x0C\x00\x07@\xEA6\xF31\x8A2"}
        r restore k 0 "\x00\xC0\n\x0B\x00\x07@\xEA6\xF31\x8A2"
        r restore k 0 "\x00\x05hello\x01\x00W6>E\x97\xd4kY" replace
        r restore k 0 "\x00\x05hello\x05\x00%m\xe6:\xc4\xe7\x7f(" replace
        r get k
    } {hello}

    test {RESTORE refuses what DUMP has not made} {
        r set k v
        set payload [payload_of string]
        foreach bad [list "" x [string range $payload 0 end-1] "x$payload" [string replace $payload 1 1 z]] {
            assert_error {ERR DUMP payload version or checksum are wrong} {r restore k 0 $bad replace}
        }
        # Sound frames around nothing, half a string, an empty list, and a type that is none.
        foreach bad [list "\x0b\x004D\xe13\xf2\xe0KS" "\x01\x00\x0b\x002'\x98\xbf\x91\x88\xaa\xdf" "\x08\x00\x0b\x00\xa8\x11t2\xa3:\$\x99"] {
            assert_error {ERR Bad data format} {r restore k 0 $bad replace}
        }
        r get k
    } {v}

    test {DEBUG SET-SKIP-CHECKSUM-VALIDATION} {
        r del k
        set payload "\x00\x05hello\x0b\x0012345678"
        assert_error {ERR DUMP payload version or checksum are wrong} {r restore k 0 $payload}
        r debug set-skip-checksum-validation 1
        assert_equal OK [r restore k 0 $payload]
        assert_error {ERR DUMP payload version or checksum are wrong} {r restore k 0 "\x00\x05hello\x0c\x0012345678" replace}
        r debug set-skip-checksum-validation 0
        r get k
    } {hello} {needs:debug}

    test {sanitize-dump-payload refuses members that come twice} {
        # A listpack of a and a, in the frame of a set.
        set payload "\x14\x0d\x0d\x00\x00\x00\x02\x00\x81a\x02\x81a\x02\xff\x0b\x0012345678"
        r debug set-skip-checksum-validation 1
        foreach mode {yes clients} {
            r config set sanitize-dump-payload $mode
            assert_error {ERR Bad data format} {r restore k 0 $payload replace}
        }
        r config set sanitize-dump-payload no
        r debug set-skip-checksum-validation 0
    } {OK} {needs:debug}

    test {RESTORE wants REPLACE where a key is} {
        set payload [payload_of string]
        r set k v
        assert_error {BUSYKEY Target key name already exists.} {r restore k 0 $payload}
        assert_error {BUSYKEY*} {r restore k x bad}
        assert_equal v [r get k]
        assert_equal OK [r restore k 0 $payload replace]
        assert_equal [string repeat ab 50] [r get k]
    }

    test {RESTORE refuses options and times} {
        set payload [payload_of string]
        r set k v
        foreach options {foo idletime {freq} {idletime 1 freq 1} {freq 1 idletime 1} {replace absttl 1}} {
            assert_error {ERR syntax error} {r restore k 0 $payload {*}$options}
        }
        assert_error {ERR Invalid IDLETIME value, must be >= 0} {r restore k 0 $payload idletime -1}
        foreach freq {-1 256} {
            assert_error {ERR Invalid FREQ value, must be >= 0 and <= 255} {r restore k 0 $payload freq $freq}
        }
        assert_error {ERR value is not an integer or out of range} {r restore k x $payload replace}
        assert_error {ERR Invalid TTL value, must be >= 0} {r restore k -1 $payload replace}
        r get k
    } {v}

    test {RESTORE with a time to live} {
        set payload [payload_of string]
        r restore k 100000 $payload replace
        assert_range [r pttl k] 1 100000
        r restore k 4102444800000 $payload replace absttl
        assert_equal 4102444800000 [r pexpiretime k]
        r restore k 0 $payload replace absttl
        r ttl k
    } {-1}

    test {RESTORE with a time that has passed leaves no key} {
        set payload [payload_of string]
        r set k v
        assert_equal OK [r restore k 1 $payload replace absttl]
        assert_equal OK [r restore new 1 $payload absttl]
        r exists k new
    } {0}

    test {IDLETIME and FREQ count under the policy that is theirs} {
        set payload [payload_of string]
        r config set maxmemory-policy allkeys-lru
        r restore k 0 $payload replace idletime 1000
        assert_range [r object idletime k] 1000 1030
        r restore k 0 $payload replace freq 100
        assert_range [r object idletime k] 0 30
        r config set maxmemory-policy allkeys-lfu
        r restore k 0 $payload replace freq 100
        assert_range [r object freq k] 95 100
        r restore k 0 $payload replace idletime 1000
        assert_range [r object freq k] 0 5
        r config set maxmemory-policy noeviction
    } {OK}

    test {RESTORE tells of it} {
        set payload [payload_of string]
        r del k
        r config set notify-keyspace-events EAn
        set events [valkey_deferring_client]
        psubscribe $events *
        r restore k 0 $payload
        r restore k 0 $payload replace
        r restore k 1 $payload replace absttl
        r restore k 1 $payload replace absttl
        set told [told_events $events]
        $events close
        r config set notify-keyspace-events ""
        set told
    } {new k restore k new k restore k del k}

    test {RESTORE breaks a WATCH and serves clients that wait} {
        set payload [payload_of list]
        r del k
        set waiting [valkey_deferring_client]
        $waiting blpop k 0
        wait_for_blocked_client
        r watch k
        set other [valkey_client]
        $other restore k 0 $payload
        assert_equal {k 1} [$waiting read]
        r multi
        r ping
        assert_equal {} [r exec]
        $waiting close
        $other close
    }

    test {RESTORE is propagated with its time as an absolute one} {
        set payload [payload_of integer]
        r del k
        r config set lazyfree-lazy-server-del yes
        set repl [attach_to_replication_stream]
        r restore k 0 $payload
        assert_error {BUSYKEY*} {r restore k 0 $payload}
        r restore k 100000 $payload REPLACE IDLETIME 5
        r restore k 4102444800000 $payload replace absttl
        r restore k 1 $payload replace absttl
        r restore k 1 $payload replace absttl
        r config set lazyfree-lazy-server-del no
        r set k v
        r restore k 1 $payload replace absttl
        r config set lazyfree-lazy-server-del yes
        assert_replication_stream $repl {
            {select *}
            {restore k 0 *}
            {restore k 1[0-9]* REPLACE IDLETIME 5 ABSTTL}
            {restore k 4102444800000 * replace absttl}
            {unlink k}
            {set k v}
            {del k}
        }
        close_replication_stream $repl
    } {} {needs:repl}

    test {RESTORE REPLACE takes an expired key for one that is there} {
        set payload [payload_of integer]
        r debug set-active-expire 0
        r del k other
        set repl [attach_to_replication_stream]
        foreach key {k other} { r set $key v px 1 }
        after 5
        r restore k 0 $payload replace
        r restore other 0 $payload
        assert_replication_stream $repl {
            {select *}
            {set k v PXAT *}
            {set other v PXAT *}
            {restore k 0 * replace}
            {multi}
            {unlink other}
            {restore other 0 *}
            {exec}
        }
        close_replication_stream $repl
        r debug set-active-expire 1
    } {OK} {needs:debug needs:repl}
}
