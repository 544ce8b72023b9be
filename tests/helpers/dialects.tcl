# What the unit on the dialects of replication needs: data of every type, their contents in
# words that do not depend on the server, and servers of other families. Sourced by it.
#
# Servers that nobody has to have: PEER_VALKEY9, PEER_REDIS8 and PEER_REDIS7 in the environment
# name their programs; without one of them what needs it is skipped.

# Their programs, what they are called, and their directives: on one connection, on two.
set peers [dict create \
    PEER_VALKEY9 {title "Valkey 9" one {dual-channel-replication-enabled no} two {dual-channel-replication-enabled yes}} \
    PEER_REDIS8 {title "Redis 8" one {repl-rdb-channel no} two {repl-rdb-channel yes}} \
    PEER_REDIS7 {title "Redis 7.0" one {} two {}}]

# Redis 7.0 does not tell its replicas, also of its own, how many entries XREADGROUP has read.
set ::with_entries_read 1

# The program of a peer; empty when there is none.
proc peer_program {name} {
    if {![info exists ::env($name)] || ![file executable $::env($name)]} {
        return ""
    }
    file normalize $::env($name)
}

# Keys of every type in every encoding, streams with groups, a library, two databases, an
# expiry; where fields may expire, hashes in the forms for that, of which none does any more.
proc every_type {client} {
    set c $client
    {*}$c select 0
    {*}$c set str:int 12345
    {*}$c set str:raw "hello\r\n\x00world"
    {*}$c set str:lzf [string repeat abc 200]
    {*}$c set str:ttl x
    {*}$c pexpireat str:ttl 4102444800123
    {*}$c rpush list:packed a b 1 -70000
    {*}$c rpush list:plain [string repeat p 9000] q
    for {set i 0} {$i < 200} {incr i} {
        {*}$c rpush list:nodes [string repeat element:$i 10]
        {*}$c sadd set:table member:$i
        {*}$c hset hash:table field:$i value:$i
        {*}$c zadd zset:skiplist [expr {$i * 1.5}] member:$i
    }
    {*}$c hset hash:table long [string repeat v 100]
    {*}$c sadd set:ints 1 2 300000
    {*}$c sadd set:packed a b 3
    {*}$c hset hash:packed f v n 17
    {*}$c zadd zset:packed 1 a 2.5 b -inf c
    foreach id {1-1 2-1 3-1} {
        {*}$c xadd stream $id field value:$id other 7
    }
    {*}$c xdel stream 2-1
    {*}$c xgroup create stream group 0
    {*}$c xreadgroup group group alice count 1 streams stream >
    {*}$c xgroup createconsumer stream group bob
    {*}$c pfadd hyperloglog a b c
    {*}$c setbit bits 77 1
    {*}$c geoadd geo 13.361389 38.115556 Palermo
    {*}$c hset hash:packed-once f1 v1 f2 22
    {*}$c hset hash:table-once long [string repeat w 100] f1 v1
    foreach key {hash:packed-once hash:table-once} {
        # Not every server has these.
        if {![catch {{*}$c hpexpireat $key 4102444800123 fields 1 f1}]} {
            {*}$c hpersist $key fields 1 f1
        }
    }
    {*}$c function load replace "#!lua name=lib\nredis.register_function('fn', function(keys, args) return args\[1\] end)"
    {*}$c select 9
    {*}$c set in:nine 1
    {*}$c select 0
}

# Replies to many commands that are sent at once.
proc replies_of {client commands} {
    {*}$client deferred 1
    foreach words $commands {
        {*}$client {*}$words
    }
    set replies [lmap words $commands {{*}$client read}]
    {*}$client deferred 0
    return $replies
}

# The command that reads all of a value.
proc read_command {type key} {
    switch -- $type {
        string { return [list get $key] }
        list { return [list lrange $key 0 -1] }
        set { return [list smembers $key] }
        hash { return [list hgetall $key] }
        zset { return [list zrange $key 0 -1 withscores] }
        stream { return [list xrange $key - +] }
        default { return [list type $key] }
    }
}

# What a value is, whatever holds it; READ is the reply to its command.
proc canonical {client key type read} {
    switch -- $type {
        set { return [lsort $read] }
        hash { return [lsort -stride 2 $read] }
        zset {
            # Redis 7.0 prints 17 digits of a score, others as many as it takes.
            return [lmap {member score} $read {list $member [expr {double($score)}]}]
        }
        stream {
            set groups [lmap group [{*}$client xinfo groups $key] {
                set name [dict get $group name]
                list $name [dict get $group last-delivered-id] \
                    [expr {$::with_entries_read ? [dict get $group entries-read] : ""}] \
                    [{*}$client xpending $key $name] \
                    [lsort [lmap consumer [{*}$client xinfo consumers $key $name] {dict get $consumer name}]]
            }]
            set info [{*}$client xinfo stream $key]
            return [list $read [lsort $groups] [dict get $info last-generated-id] \
                [dict get $info max-deleted-entry-id] [dict get $info entries-added]]
        }
    }
    return $read
}

# All keys of the selected database, in pieces.
proc each_keys {client var body} {
    upvar 1 $var keys
    set cursor 0
    while 1 {
        lassign [{*}$client scan $cursor count 1000] cursor keys
        uplevel 1 $body
        if {$cursor == 0} {
            break
        }
    }
}

# All that a server holds, in order: a dict of database and key to type, value and expiry, and the libraries.
proc contents {client {databases 10}} {
    set found {}
    for {set db 0} {$db < $databases} {incr db} {
        {*}$client select $db
        each_keys $client keys {
            set types [replies_of $client [lmap key $keys {list type $key}]]
            set values [replies_of $client [lmap key $keys type $types {read_command $type $key}]]
            set times [replies_of $client [lmap key $keys {list pexpiretime $key}]]
            foreach key $keys type $types value $values time $times {
                dict set found [list $db $key] [list $type [canonical $client $key $type $value] $time]
            }
        }
    }
    {*}$client select 0
    dict set found libraries [lsort [lmap library [{*}$client function list withcode] {dict get $library library_code}]]
    return [lsort -stride 2 $found]
}

# Nothing expires while contents are compared.
proc persist_all {client {databases 10}} {
    for {set db 0} {$db < $databases} {incr db} {
        {*}$client select $db
        each_keys $client keys {
            replies_of $client [lmap key $keys {list persist $key}]
        }
    }
    {*}$client select 0
}

# Writes of every type and of one key, on a level's server; returns what stop_load wants.
proc start_load {level} {
    list [start_bg_complex_data {*}[at $level] 9 1000000] [start_one_key_write_load {*}[at $level] 120 one]
}

proc stop_load {level loads} {
    foreach load $loads {
        stop_write_load $load
    }
    wait_load_handlers_disconnected $level
    persist_all [srv $level client]
}

# Both hold the same, and something. What differs is told by name.
proc assert_same_contents {one other {keys_min 1}} {
    set a [contents $one]
    set b [contents $other]
    set differ {}
    foreach key [lsort -unique [concat [dict keys $a] [dict keys $b]]] {
        if {![dict exists $a $key] || ![dict exists $b $key] || [dict get $a $key] ne [dict get $b $key]} {
            lappend differ $key
        }
    }
    if {[llength $differ]} {
        set key [lindex $differ 0]
        foreach side {a b} {
            set value($side) [expr {[dict exists [set $side] $key] ? [dict get [set $side] $key] : "nothing"}]
        }
        # From where they differ on.
        set at 0
        while {$at < [string length $value(a)] && [string index $value(a) $at] eq [string index $value(b) $at]} {
            incr at
        }
        fail "[llength $differ] keys differ, '[string range $key 0 60]' for one, at $at: '[string range $value(a) $at $at+100]' and '[string range $value(b) $at $at+100]'"
    }
    assert_morethan_equal [dict size $a] $keys_min
}

# The bytes of a file among the assets.
proc asset {name} {
    set channel [open [file join $harness::tests_dir assets $name] rb]
    set bytes [read $channel]
    close $channel
    return $bytes
}

# The stream flows and all of it is applied.
proc wait_caught_up {primary replica} {
    wait_for_condition 300 100 {
        [status $replica master_link_status] eq "up"
        && [status $primary master_repl_offset] == [status $replica master_repl_offset]
        && [has_row $primary "*state=online*"]
    } else {
        fail "the replica does not catch up: [replica_rows $primary], link [status $replica master_link_status]"
    }
}
