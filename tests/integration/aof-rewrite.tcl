# Rewriting the append-only file, and switching it on and off while the server runs.

tags {"external:skip aof"} {

# Starts a child that takes some tenths of a second by SCRIPT, and stops it; its pid.
proc held {script} {
    r config set rdb-key-save-delay 300
    uplevel 1 $script
    set pid [hold_child 0]
    r config set rdb-key-save-delay 0
    return $pid
}

start_server {overrides {appendonly yes save "" auto-aof-rewrite-percentage 0}} {
    foreach form {yes no} {
        test "a rewrite keeps every kind of value: aof-use-rdb-preamble $form" {
            r config set aof-use-rdb-preamble $form
            r flushall
            createComplexDataset r 300 usetag
            r set short v px 1000000
            r zadd scores 0.1 a 1e300 b inf c -3 d
            for {set i 0} {$i < 200} {incr i} {
                r rpush many [string repeat x $i]
                r hset fields f:$i v:$i
            }
            r xadd stream 1-1 a 1
            r xadd stream 2-1 a 2 b 3
            r xgroup create stream g 0
            r xreadgroup group g alice count 1 streams stream >
            r xgroup createconsumer stream g bob
            r xgroup create empty g $ mkstream
            set digest [debug_digest]
            set pending [r xpending stream g]
            r bgrewriteaof
            waitForBgrewriteaof r
            assert_equal ok [s aof_last_bgrewrite_status]
            assert_match [expr {$form eq "yes" ? "*.base.rdb" : "*.base.aof"}] [get_base_aof_path r]
            r debug loadaof
            assert_equal $digest [debug_digest]
            restart_server 0 true false
            wait_done_loading r
            assert_equal $digest [debug_digest]
            assert_equal $pending [r xpending stream g]
        } {} {needs:debug}
    }

    test {after a rewrite the folder holds one base and one increment} {
        r bgrewriteaof
        waitForBgrewriteaof r
        # The history files go first, then the lines that name them.
        set manifest [file join [aof::dir r] appendonly.aof.manifest]
        eventually 5000 {[llength [glob [file join [aof::dir r] *]]] == 3 && ![string match {* type h*} [catalog::read_file $manifest]]}
        assert_aof_manifest_content $manifest {{file * type b} {file * type i}}
    }

    test {aof-disable-auto-gc keeps history until it is switched off} {
        r config set aof-disable-auto-gc yes
        r bgrewriteaof
        waitForBgrewriteaof r
        set manifest [file join [aof::dir r] appendonly.aof.manifest]
        assert_aof_manifest_content $manifest {{* type b} {* type h} {* type h} {* type i}}
        r config set aof-disable-auto-gc no
        eventually 5000 {[llength [glob [file join [aof::dir r] *]]] == 3}
    }

    test {writes during a rewrite are in the log once} {
        r flushall
        r set counter 0
        populate 2000
        set pid [held {r bgrewriteaof}]
        for {set i 0} {$i < 500} {incr i} {
            r incr counter
        }
        resume_process $pid
        waitForBgrewriteaof r
        restart_server 0 true false
        wait_done_loading r
        assert_equal 500 [r get counter]
    }

    test {only one rewrite at a time, and none beside a snapshot} {
        populate 1000
        set pid [held {r bgrewriteaof}]
        assert_equal 1 [s aof_rewrite_in_progress]
        assert_error {ERR Background append only file rewriting already in progress} {r bgrewriteaof}
        assert_error {ERR Another child process is active*} {r bgsave}
        assert_equal {Background saving scheduled} [r bgsave schedule]
        resume_process $pid
        waitForBgrewriteaof r
        waitForBgsave r
    } {} {needs:save}

    test {beside a snapshot a rewrite is scheduled, and begins behind it} {
        populate 1000
        # A save that was asked for before may begin at any moment.
        eventually 10000 {![catch {held {r bgsave}} pid]}
        assert_equal {Background append only file rewriting scheduled} [r bgrewriteaof]
        assert_equal 1 [s aof_rewrite_scheduled]
        set before [s aof_rewrites]
        resume_process $pid
        eventually 10000 {[s aof_rewrites] > $before && [s aof_rewrite_in_progress] == 0}
        assert_equal ok [s aof_last_bgrewrite_status]
    } {} {needs:save}

    test {inside of a transaction a rewrite is scheduled} {
        r multi
        r bgrewriteaof
        assert_equal {{Background append only file rewriting scheduled}} [r exec]
        eventually 10000 {[s aof_rewrite_scheduled] == 0 && [s aof_rewrite_in_progress] == 0}
    }

    test {a child that is killed leaves a log that can be loaded} {
        populate 1000
        r set before 1
        set pid [held {r bgrewriteaof}]
        r set during 1
        exec kill -9 $pid
        waitForBgrewriteaof r
        assert_equal err [s aof_last_bgrewrite_status]
        assert_equal 1 [s aof_rewrites_consecutive_failures]
        r set after 1
        assert_equal {} [glob -nocomplain -directory [lindex [r config get dir] 1] temp-*]
        restart_server 0 true false
        wait_done_loading r
        assert_equal {1 1 1} [r mget before during after]
        r bgrewriteaof
        waitForBgrewriteaof r
        assert_equal ok [s aof_last_bgrewrite_status]
    }

    test {growth begins a rewrite} {
        r config set auto-aof-rewrite-min-size 1mb
        set before [s aof_rewrites]
        set mark [log_mark]
        r config set auto-aof-rewrite-percentage 100
        for {set i 0} {$i < 30} {incr i} {
            r set same [string repeat x 100000]
        }
        wait_for_log $mark {*Starting automatic rewriting of AOF on *% growth*}
        eventually 10000 {[s aof_rewrites] > $before && [s aof_rewrite_in_progress] == 0}
        r config set auto-aof-rewrite-percentage 0
        assert_lessthan [s aof_current_size] 3000000
    }
}

start_server {overrides {appendonly no save ""}} {
    test {switched on while the server runs, the log begins with what there is} {
        r set before 1
        r config set appendonly yes
        r set after 1
        waitForBgrewriteaof r
        assert_equal 1 [s aof_enabled]
        r set later 1
        set manifest [file join [aof::dir r] appendonly.aof.manifest]
        assert_aof_manifest_content $manifest {
            {file appendonly.aof.1.base.rdb seq 1 type b}
            {file appendonly.aof.1.incr.aof seq 1 type i}
        }
        r debug loadaof
        assert_equal {1 1 1} [r mget before after later]
    } {} {needs:debug}

    test {switched off, nothing is appended, and the files stay} {
        r config set appendonly yes
        waitForBgrewriteaof r
        r config set appendonly no
        set size [file size [get_last_incr_aof_path r]]
        r set unseen 1
        assert_equal $size [file size [get_last_incr_aof_path r]]
        assert_equal 0 [s aof_enabled]
    }

    test {switched on again, numbers go on} {
        r config set appendonly yes
        waitForBgrewriteaof r
        set manifest [file join [aof::dir r] appendonly.aof.manifest]
        regexp {seq (\d+) type b} [catalog::read_file $manifest] -> number
        r config set appendonly no
        r config set appendonly yes
        waitForBgrewriteaof r
        # The files go first, and then their lines.
        eventually 5000 {[llength [split [string trim [catalog::read_file $manifest]] \n]] == 2}
        assert_equal 3 [llength [glob [file join [aof::dir r] *]]]
        incr number
        assert_aof_manifest_content $manifest [list \
            "file appendonly.aof.$number.base.rdb seq $number type b" \
            "file appendonly.aof.$number.incr.aof seq $number type i"]
    }

    test {switched off amid a rewrite, its child goes} {
        populate 1000
        r config set appendonly yes
        waitForBgrewriteaof r
        set mark [log_mark]
        r config set rdb-key-save-delay 10000
        r bgrewriteaof
        get_child_pid 0
        r config set rdb-key-save-delay 0 appendonly no
        wait_for_log $mark {*Killing running AOF rewrite child*}
        waitForBgrewriteaof r
        assert_equal 0 [s aof_enabled]
    }

    test {without a log a rewrite makes a base} {
        r bgrewriteaof
        waitForBgrewriteaof r
        set manifest [file join [aof::dir r] appendonly.aof.manifest]
        eventually 5000 {[llength [split [string trim [catalog::read_file $manifest]] \n]] == 1}
        assert_aof_manifest_content $manifest {{file * type b}}
    }

    test {a log that cannot begin takes back what is set beside it} {
        r config set appendonly no
        set folder [aof::dir r]
        file delete -force -- $folder
        close [open $folder w]
        set names {appendonly hz maxclients maxmemory save requirepass port}
        set before [lmap name $names {r config get $name}]
        set failed {ERR CONFIG SET failed (possibly related to argument 'appendonly') - Unable to turn on AOF. Check server logs.}
        set mark [log_mark]
        foreach pairs {
            {appendonly yes}
            {hz 33 maxclients 50 appendonly yes save "1 1"}
            {appendonly yes requirepass secret maxmemory 1}
        } {
            assert_error $failed {r config set {*}$pairs}
            assert_equal $before [lmap name $names {r config get $name}]
        }
        assert_error $failed {r config set port [find_available_port] appendonly yes}
        assert_equal $before [lmap name $names {r config get $name}]
        wait_for_log $mark {*Possibly related to new appendonly setting. Restoring previous settings.*}
        set other [valkey_client]
        assert_equal PONG [$other ping]
        $other close
        assert_equal {0 err} [list [s aof_enabled] [s aof_last_bgrewrite_status]]
        file delete -- $folder
        r config set hz 33 appendonly yes
        waitForBgrewriteaof r
        assert_equal {33 1 ok} [list [lindex [r config get hz] 1] [s aof_enabled] [s aof_last_bgrewrite_status]]
    }

    test {a log begins in the folder that the parameters name by then} {
        r config set appendonly yes
        waitForBgrewriteaof r
        r config set appendonly no
        set former [lindex [r config get dir] 1]
        set dir [file join $former elsewhere]
        file mkdir $dir
        r config set dir $dir appendonly yes
        waitForBgrewriteaof r
        assert_aof_manifest_content [file join $dir appendonlydir appendonly.aof.manifest] {
            {file * type b}
            {file * type i}
        }
        r config set appendonly no
        r config set dir $former
    }

    test {a shutdown waits for the first base, unless forced} {
        populate 1000
        set pid [held {r config set appendonly yes}]
        assert_error {ERR Errors trying to SHUTDOWN. Check logs.} {r shutdown nosave}
        resume_process $pid
        waitForBgrewriteaof r
        assert_equal PONG [r ping]
    }
}
}
