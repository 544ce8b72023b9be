# What the units on dual channel synchronisation share. Sourced by them.

# Directives of a server that takes part.
set dual {save "" dual-channel-replication-enabled yes repl-diskless-sync yes repl-diskless-sync-delay 0
    rdbcompression no loglevel debug repl-ping-replica-period 3600}

# The rows of INFO replication for the replicas, as a list.
proc replica_rows {client} {
    regexp -all -inline -line {^slave\d+:[^\r]*} [{*}$client info replication]
}

proc has_row {client pattern} {
    expr {[lsearch -glob [replica_rows $client] $pattern] >= 0}
}

# Does a synchronisation of CLIENT's replicas have both connections, RDB flowing?
proc dual_transfer {client} {
    expr {[has_row $client *state=wait_bgsave,*type=rdb-channel*]
        && [has_row $client *state=bg_transfer,*type=main-channel*]}
}

proc wait_dual_transfer {client} {
    wait_for_condition 500 20 {[dual_transfer $client]} else { fail "no dual channel transfer: [replica_rows $client]" }
}

# Have the child of LEVEL stand still as soon as there is such a transfer; returns its pid.
proc hold_dual_transfer {level} {
    hold_child $level {[dual_transfer [srv $level client]]}
}

# During a transfer from PRIMARY to REPLICA (levels) that CHILD makes, and that is held: let
# the replica buffer a stream that takes it five seconds to apply, and load. It stands still
# amid the stream: the reference's answers nobody meanwhile.
proc begin_drain {primary replica child} {
    set mark [log_mark $replica]
    for {set i 0} {$i < 100} {incr i} {
        r $primary debug replicate debug sleep 0.05
        r $primary set drain:filler [string repeat x 100000]
        r $primary incr drained
    }
    wait_for_condition 500 20 {[s $replica replicas_repl_buffer_size] > 10000000} else { fail "little is buffered" }
    resume_process $child
    wait_for_log $mark {*Done loading RDB*} 20000
    pause_process [srv $replica pid]
    assert_no_match {*Successfully streamed replication data into memory*} [logs::from {*}$mark]
}

# One replica online, nothing left of the synchronisation, the same data.
proc assert_dual_done {primary replica {seconds 20}} {
    wait_for_condition [expr {$seconds * 10}] 100 {
        [lmap row [replica_rows $primary] {regexp -inline {state=online.*type=replica} $row}] ne {}
        && ![has_row $primary *state=wait*] && ![has_row $primary *state=bg_transfer*]
        && [status $replica master_link_status] eq "up"
    } else { fail "the synchronisation did not end: [replica_rows $primary]" }
    assert_equal 0 [status $primary replicas_waiting_psync]
    wait_for_ofs_sync $replica $primary
    assert_equal [{*}$primary debug digest] [{*}$replica debug digest]
    assert_equal 0 [status $replica replicas_repl_buffer_size]
}

# The host and port of a level, for REPLICAOF.
proc at {level} {
    list [srv $level host] [srv $level port]
}

# Leave the primary and forget its data.
proc leave {client} {
    {*}$client replicaof no one
    {*}$client flushall
}

proc temp_files {level} {
    glob -nocomplain -directory [file dirname [srv $level stdout]] temp-*
}

# ID of the client connection of a replica on its primary: `sync` (snapshot) or `psync` (main).
proc channel_id {client kind} {
    if {[regexp -line "^id=(\\d+) .*flags=S\\S* .* cmd=$kind " [{*}$client client list] - id]} {
        return $id
    }
    return ""
}
