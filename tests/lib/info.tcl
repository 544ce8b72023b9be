# INFO, CONFIG, OBJECT and the waits built on them.

# The value of a field in the text of INFO or CLUSTER INFO; empty when missing.
proc getInfoProperty {text field} {
    if {[regexp -line -- "^[regsub -all {[][*+?{}()|.^$\\]} $field {\\&}]:(.*?)\r?\$" $text - value]} {
        return $value
    }
    return ""
}

proc status {client field} {
    getInfoProperty [{*}$client info] $field
}

proc s {args} {
    set level 0
    if {[string is integer -strict [lindex $args 0]]} {
        set args [lassign $args level]
    }
    status [srv $level client] [lindex $args 0]
}

proc CI {n field} {
    getInfoProperty [R $n cluster info] $field
}

# The statistics text of one command, error or latency histogram.
proc cmdrstat {command client} {
    if {[regexp "\r\ncmdstat_$command:(.*?)\r\n" [{*}$client info commandstats] - value]} {
        return $value
    }
}

proc errorrstat {name client} {
    if {[regexp "\r\nerrorstat_$name:(.*?)\r\n" [{*}$client info errorstats] - value]} {
        return $value
    }
}

proc latencyrstat_percentiles {command client} {
    if {[regexp "\r\nlatency_percentiles_usec_$command:(.*?)\r\n" [{*}$client info latencystats] - value]} {
        return $value
    }
}

# CONFIG SET on the innermost server; MAYFAIL `mayfail` forgives an error.
proc config_set {parameter value {options {}}} {
    if {[catch {r config set $parameter $value} message] && "mayfail" ni $options} {
        error $message
    }
}

# CONFIG SET, returning the old value.
proc config_get_set {parameter value {options {}}} {
    set old [lindex [r config get $parameter] 1]
    config_set $parameter $value $options
    return $old
}

# ---- waits ----

proc waitForBgsave {client} {
    wait_until_zero $client rdb_bgsave_in_progress
}

proc waitForBgrewriteaof {client} {
    wait_until_zero $client {aof_rewrite_in_progress aof_rewrite_scheduled}
}

# A save that a test makes slow takes its time; none takes a minute.
proc wait_until_zero {client fields} {
    set start [clock milliseconds]
    set pause 2
    while 1 {
        set text [{*}$client info persistence]
        set busy 0
        foreach field $fields {
            set value [getInfoProperty $text $field]
            if {$value ne "" && $value ne "0"} {
                set busy 1
            }
        }
        if {!$busy} {
            return
        }
        if {[waits::over $start 60000]} {
            fail "after a minute one of $fields is still not 0"
        }
        after $pause
        set pause [expr {min(50, $pause * 2)}]
    }
}

proc wait_for_sync {client {tries 50} {delay 100}} {
    wait_for_condition $tries $delay {[status $client master_link_status] eq "up"} else {
        fail "replica didn't sync in time"
    }
}

# Both replication offsets are the same.
proc wait_for_ofs_sync {one other} {
    wait_for_condition 50 100 {
        [status $one master_repl_offset] eq [status $other master_repl_offset]
    } else {
        fail "replica offset didn't match in time"
    }
}

proc wait_replica_online {client {replica 0} {tries 50} {delay 100}} {
    wait_for_condition $tries $delay {
        [string match "*slave$replica:*,state=online*" [{*}$client info replication]]
    } else {
        fail "replica $replica is not online"
    }
}

proc verify_replica_online {client replica tries} {
    wait_replica_online $client $replica $tries 100
}

proc wait_done_loading {client} {
    wait_for_condition 50 100 {![catch {{*}$client ping} reply] && $reply eq "PONG"} else {
        fail "Loading DB is taking too much time."
    }
}

proc wait_lazyfree_done {client} {
    wait_for_condition 50 100 {[status $client lazyfree_pending_objects] == 0} else {
        fail "lazyfree isn't done"
    }
}

proc wait_for_blocked_client {{level 0}} {
    wait_for_condition 50 100 {[s $level blocked_clients] ne 0} else {
        fail "no blocked clients"
    }
}

proc wait_for_blocked_clients_count {count {tries 100} {delay 10} {level 0}} {
    wait_for_condition $tries $delay {[s $level blocked_clients] == $count} else {
        fail "Timeout waiting for blocked clients"
    }
}

proc wait_for_watched_clients_count {count {tries 100} {delay 10} {level 0}} {
    wait_for_condition $tries $delay {[s $level watching_clients] == $count} else {
        fail "Timeout waiting for watching clients"
    }
}

proc wait_for_value_to_propegate_to_replica {primary replica key} {
    wait_for_condition 50 100 {[{*}$primary get $key] eq [{*}$replica get $key]} else {
        fail "value of $key did not reach the replica"
    }
}

# ---- objects ----

proc debug_digest {{level 0}} {
    if {$::ignoredigest || "needs:debug" in $::denytags} {
        return ignored
    }
    r $level debug digest
}

proc debug_digest_value {key {level 0}} {
    if {$::ignoredigest || "needs:debug" in $::denytags} {
        return ignored
    }
    lindex [r $level debug digest-value $key] 0
}

# MEMORY USAGE, or 1 where the allocator makes it meaningless.
proc memory_usage {key} {
    if {![string match {*jemalloc*} [s mem_allocator]]} {
        return 1
    }
    r memory usage $key
}
