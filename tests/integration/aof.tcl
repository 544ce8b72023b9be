# The append-only file: what is appended, what is loaded, what a start does about damage.

tags {"external:skip aof"} {

set dir [tmpdir aof]
set folder [file join $dir appendonlydir]
set incr [file join $folder appendonly.aof.1.incr.aof]
set defaults [list dir $dir appendonly yes save {}]

# A log of one increment with these commands, and no base.
proc one_incr {folder bytes} {
    file delete -force -- $folder
    create_aof $folder appendonly.aof.1.incr.aof {
        append_to_aof $bytes
    }
    create_aof_manifest $folder appendonly.aof.manifest {
        append_to_manifest "file appendonly.aof.1.incr.aof seq 1 type i\n"
    }
}

proc commands {args} {
    set bytes ""
    foreach command $args {
        append bytes [format_command {*}$command]
    }
    return $bytes
}

# The server does not start, and its log says so.
proc refused {pattern} {
    upvar 1 defaults defaults
    set server [start_server [list overrides $defaults keep_persistence true wait_ready false]]
    wait_for_condition 100 50 {
        ![is_alive [dict get $server pid]]
    } else {
        kill_server $server
        fail "the server started"
    }
    set log [catalog::read_file [dict get $server stdout]]
    assert_match $pattern $log
    kill_server $server
}

start_server {overrides {appendonly yes save ""}} {
    test {a log begins with a base, an increment and a manifest} {
        set manifest [file join [aof::dir r] appendonly.aof.manifest]
        assert_aof_manifest_content $manifest {
            {file appendonly.aof.1.base.rdb seq 1 type b}
            {file appendonly.aof.1.incr.aof seq 1 type i}
        }
        assert_equal 1 [s aof_enabled]
    }

    # Over TLS the reference writes its log behind the replies, at times as late as a second.
    test {effects are appended, with SELECT where the database changes and whole transactions} {
        r flushall
        r select 9
        r set k v ex 100
        r spop none
        r get k
        r publish c m
        r incrbyfloat f 1.5
        r multi
        r rpush l 1
        r select 3
        r sadd s a
        r exec
        r select 9
        r multi
        r incr n
        r exec
        assert_aof_content [get_last_incr_aof_path r] {
            {select 9} {flushall*} {set k v PXAT *} {set f 1.5 KEEPTTL}
            {multi} {rpush l 1} {select 3} {sadd s a} {exec} {select 9} {incr n} {}
        }
    } undefined {peer-tls:skip}

    test {everything is there after a restart} {
        createComplexDataset r 300
        set digest [debug_digest]
        restart_server 0 true false
        wait_done_loading r
        assert_equal $digest [debug_digest]
    } {} {needs:debug}

    # Over TLS the reference loses what it has acknowledged, up to all of it.
    test {nothing acknowledged is lost by kill -9} {
        expect_end
        for {set i 0} {$i < 100} {incr i} {
            r set kept:$i $i
        }
        set pid [srv 0 pid]
        exec kill -9 $pid
        restart_server 0 true false
        wait_done_loading r
        assert_equal 99 [r get kept:99]
        assert_equal 0 [r get kept:0]
    } undefined {peer-tls:skip}

    test {DEBUG LOADAOF gives the same data} {
        set digest [debug_digest]
        r debug loadaof
        assert_equal $digest [debug_digest]
    } {} {needs:debug}
}

one_incr $folder [commands {select 9} {set a 1} {multi} {select 1} {set b 2} {set c 3} {exec}]
start_server_aof {} {
    test {a log of increments alone is loaded} {
        wait_done_loading r
        assert_equal 1 [r get a]
        r select 1
        assert_equal 2 [r get b]
        r select $::dbnum
    }
}

test {a tail that is cut off is dropped, and what follows survives} {
    set whole [commands {select 9} {set a 1} {set b 2}]
    set unit [commands {multi} {set x 1} {set y 1} {exec}]
    foreach cut {1 20 50 80} {
        one_incr $folder $whole[string range $unit 0 $cut]
        start_server_aof {} {
            wait_done_loading r
            assert_equal 2 [r dbsize]
            r set after $cut
        }
        start_server_aof {} {
            wait_done_loading r
            assert_equal $cut [r get after]
            assert_equal "" [r get x]
        }
    }
} {} {peer:skip}

test {a cut tail is refused if that is wanted} {
    one_incr $folder [string range [commands {set a 1} {set b 2}] 0 end-3]
    set defaults [concat $defaults {aof-load-truncated no}]
    refused {*Unexpected end of file reading the append only file appendonly.aof.1.incr.aof*}
    set defaults [lrange $defaults 0 end-2]
}

test {zeros behind the last record are dropped} {
    one_incr $folder [commands {select 9} {set a 1}][string repeat \x00 5000]
    start_server_aof {} {
        wait_done_loading r
        assert_equal 1 [r get a]
    }
} {} {peer:skip}

test {garbage is refused with its place} {
    one_incr $folder [commands {set a 1}]garbage[commands {set b 1}]
    refused {*Bad file format reading the append only file appendonly.aof.1.incr.aof*}
}

test {an unknown command is refused} {
    one_incr $folder [commands {set a 1} {nosuch thing}]
    refused {*Unknown command 'nosuch' reading the append only file appendonly.aof.1.incr.aof*}
}

test {a cut file that others follow is refused and left alone} {
    one_incr $folder [string range [commands {set a 1} {set b 2}] 0 end-3]
    create_aof $folder appendonly.aof.2.incr.aof {
        append_to_aof [commands {set c 3}]
    }
    create_aof_manifest $folder appendonly.aof.manifest {
        append_to_manifest "file appendonly.aof.1.incr.aof seq 1 type i\n"
        append_to_manifest "file appendonly.aof.2.incr.aof seq 2 type i\n"
    }
    set size [file size $incr]
    refused {*the truncated file is not the last file*}
    assert_equal $size [file size $incr]
} {} {peer:skip}

test {a file that the manifest names and that is not there is refused} {
    one_incr $folder ""
    file delete $incr
    refused {*Unable to obtain the AOF file appendonly.aof.1.incr.aof length. stat: No such file or directory*}
}

foreach {name manifest pattern} {
    empty "" {*Found an empty AOF manifest*}
    broken "nonsense\n" {*Invalid AOF manifest file format*}
    path "file ../x seq 1 type i\n" {*File can't be a path, just a filename*}
    bases "file a seq 1 type b\nfile b seq 2 type b\n" {*Found duplicate base file information*}
    order "file a seq 2 type i\nfile b seq 1 type i\n" {*Found a non-monotonic sequence number*}
    type "file a seq 1 type x\n" {*Unknown AOF file type*}
} {
    test "a manifest that makes no sense is refused: $name" {
        one_incr $folder [commands {set a 1}]
        create_aof_manifest $folder appendonly.aof.manifest {
            append_to_manifest $manifest
        }
        refused $pattern
    }
}

test {data that no manifest names are not passed over} {
    one_incr $folder [commands {set a 1}]
    file delete [file join $folder appendonly.aof.manifest]
    refused {*there are AOF files that no manifest names: appendonly.aof.1.incr.aof*}
    assert_equal 1 [file exists $incr]
} {} {peer:skip}

test {a log of one file moves into the folder} {
    file delete -force -- $folder
    create_aof $dir appendonly.aof {
        append_to_aof [commands {select 9} {set old 1}]
    }
    start_server_aof {} {
        wait_done_loading r
        assert_equal 1 [r get old]
        assert_equal 0 [file exists [file join $dir appendonly.aof]]
        assert_aof_manifest_content [file join $folder appendonly.aof.manifest] {
            {file appendonly.aof seq 1 type b}
            {file appendonly.aof.1.incr.aof seq 1 type i}
        }
        r set new 2
    }
    start_server_aof {} {
        wait_done_loading r
        assert_equal 2 [r dbsize]
    }
}

test {a dump file beside no log is loaded, and a log begins with it} {
    file delete -force -- $folder
    set defaults [list dir $dir appendonly no save {}]
    start_server_aof {} {
        r set dumped 1
        r save
    }
    set defaults [list dir $dir appendonly yes save {}]
    start_server_aof {} {
        wait_done_loading r
        assert_equal 1 [r get dumped]
        r set logged 2
        verify_log_message 0 {*There is no append-only file: the data of dump.rdb are loaded*} 0
    }
    file delete [file join $dir dump.rdb]
    start_server_aof {} {
        wait_done_loading r
        assert_equal 2 [r dbsize]
    }
} {} {peer:skip needs:save}

test {annotations are passed over, stamps are written} {
    one_incr $folder "#TS:1600000000\r\n[commands {select 9} {set a 1}]# anything\r\n[commands {set b 1}]"
    set defaults [concat $defaults {aof-timestamp-enabled yes}]
    start_server_aof {} {
        wait_done_loading r
        assert_equal 2 [r dbsize]
        r set c 1
        assert_match "*#TS:*" [string range [catalog::read_file $incr] 60 end]
    }
    set defaults [lrange $defaults 0 end-2]
}

test {keys whose time has come while nobody was there expire by themselves} {
    one_incr $folder [commands {select 9} {set gone 1 PXAT 1000} {set stays 1}]
    start_server_aof {} {
        wait_done_loading r
        eventually 5000 {[r dbsize] == 1}
        assert_equal "" [r get gone]
        assert_match {*unlink*gone*} [string tolower [catalog::read_file $incr]]
    }
}

test {PING is answered, and most is refused, while a log is loaded} {
    set log [commands {select 9}]
    for {set i 0} {$i < 2000} {incr i} {
        append log [commands [list set key:$i [string repeat x 100]]]
    }
    one_incr $folder [string repeat $log 40]
    start_server [list overrides $defaults keep_persistence true wait_ready false] {
        wait_for_condition 2000 1 {
            [catch {
                set c [valkey [srv 0 host] [srv 0 port]]
                if {[catch {$c get key:1} text]} {
                    assert_match LOADING* $text
                }
                set loading [string match *loading:1* [$c info persistence]]
                $c close
            }] == 0 && !$loading
        } else {
            fail "the log is not loaded"
        }
        set c [valkey [srv 0 host] [srv 0 port]]
        $c select 9
        assert_equal 2000 [$c dbsize]
        $c close
    }
} {} {peer:skip}

foreach form {preamble commands} {
    file delete -force -- $folder
    file copy -- [file join $::harness::tests_dir assets aof-redis-7.0 $form] $folder
    start_server_aof {} {
        test "a log of Redis 7.0 is loaded, and goes on: $form" {
            wait_done_loading r
            assert_equal 7204565384aa491ebc504ae201f4a2beed6db6d2 [debug_digest]
            assert_equal {{1-1 alice}} [lmap entry [r xpending incr:stream group - + 10] {lrange $entry 0 1}]
            assert_equal {4102444800 42} [list [r expiretime base:expires] [r fcall answer 0]]
            r set own 1
            set digest [debug_digest]
            restart_server 0 true false
            wait_done_loading r
            assert_equal $digest [debug_digest]
            r bgrewriteaof
            waitForBgrewriteaof r
            r debug loadaof
            assert_equal $digest [debug_digest]
        } {} {needs:debug}
    }
}

file delete -force -- $dir
}
