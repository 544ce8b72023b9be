# A Sentinel that reaches its servers by TLS alone, and these each other.

tags {"tls repl failover slow external:skip tls:skip needs:tool:valkey-sentinel needs:local-process"} {

# What a server needs that is spoken to by TLS; its port for that goes into the variable PORT of the caller.
proc by_tls {port} {
    upvar 1 $port tls_port
    set tls_port [find_available_port]
    dict merge [secure::config] [list tls-port $tls_port tls-replication yes save "" appendonly no]
}

# Runs CODE with a Sentinel that watches the server at PORT under the name `it`; `sentinel` is a client of it.
proc with_sentinel {port code} {
    set dir [tmpdir sentinel]
    set own [find_available_port]
    set file [open [file join $dir sentinel.conf] w]
    dict for {key value} [dict merge [secure::config] [list port 0 tls-port $own tls-replication yes dir $dir]] {
        puts $file "$key $value"
    }
    puts $file "sentinel monitor it 127.0.0.1 $port 1"
    puts $file "sentinel down-after-milliseconds it 1000"
    puts $file "sentinel failover-timeout it 5000"
    close $file
    set pid [exec valkey-sentinel [file join $dir sentinel.conf] > [file join $dir log] 2>@1 &]
    try {
        upvar 1 sentinel sentinel
        eventually 10000 {![catch {set sentinel [valkey 127.0.0.1 $own 0 1]}]}
        uplevel 1 $code
        $sentinel close
    } finally {
        exec kill -9 $pid
    }
}

# Whether it has what was written to the new one. It may have closed its clients once more.
proc arrived_at_the_former_primary {} {
    if {[catch {r -1 get after} value]} {
        catch {reconnect -1}
        return 0
    }
    expr {$value eq 1}
}

start_server [list overrides [by_tls ::first_port]] {
    start_server [list overrides [by_tls ::second_port]] {
        test {a Sentinel fails over from a primary that is silent to its replica, all by TLS} {
            r -1 set k v
            r replicaof 127.0.0.1 $::first_port
            wait_for_sync r
            wait_for_ofs_sync r [srv -1 client]
            with_sentinel $::first_port {
                eventually 20000 {[dict get [$sentinel sentinel primary it] num-slaves] == 1}
                eventually 20000 {[dict get [lindex [$sentinel sentinel replicas it] 0] master-link-status] eq "ok"}
                pause_process [srv -1 pid]
                try {
                    eventually 30000 {[$sentinel sentinel get-master-addr-by-name it] eq "127.0.0.1 $::second_port"}
                } finally {
                    resume_process [srv -1 pid]
                }
                # It has closed all clients of both.
                reconnect
                assert_equal {master v} [list [s role] [r get k]]
                r set after 1
                # The former primary is told to follow.
                eventually 60000 {[arrived_at_the_former_primary]}
                assert_equal {slave up} [list [s -1 role] [s -1 master_link_status]]
            }
        }
    }
}
}
