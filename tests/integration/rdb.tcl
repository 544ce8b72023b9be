# Snapshots in a file: what is saved is what is loaded; broken files are refused; a
# child that fails leaves nothing.

proc rdb_path {{level 0}} {
    file join [file dirname [srv $level stdout]] dump.rdb
}

proc rdb_bytes {{level 0}} {
    logs::from [rdb_path $level] 0
}

proc write_rdb {bytes {level 0}} {
    set channel [open [rdb_path $level] wb]
    puts -nonewline $channel $bytes
    close $channel
}

proc temp_files {{level 0}} {
    glob -nocomplain -directory [file dirname [srv $level stdout]] temp-*
}

start_server {tags {"rdb external:skip needs:debug needs:save"} overrides {save "" enable-protected-configs yes}} {
    test {data of every type come back, in every database} {
        createComplexDataset r 500
        r select 3
        r set in three
        r select 0
        r set binary "\x00\xff\r\n\x80"
        r set number 12345
        r set text [string repeat "compressible " 1000]
        r rpush biglist {*}[lrepeat 2000 [string repeat x 50]]
        for {set i 0} {$i < 600} {incr i} {
            r hset bighash field:$i $i
            r zadd bigzset $i.5 member:$i
            r sadd bigset element:$i
            r sadd intset $i
        }
        r select $::dbnum
        set digest [debug_digest]
        set size [r dbsize]
        r save
        restart_server 0 true false
        assert_equal $digest [debug_digest]
        assert_equal $size [r dbsize]
        r select 3
        assert_equal three [r get in]
        r select 0
        assert_equal "\x00\xff\r\n\x80" [r get binary]
        assert_encoding int number
        r select $::dbnum
    }

    test {DEBUG RELOAD is a save and a load} {
        set digest [debug_digest]
        r debug reload
        assert_equal $digest [debug_digest]
    }

    test {times to live come back; what expired meanwhile does not} {
        r flushall
        r set forever 1
        r set long 1 px 100000000
        r hset hash f v
        r pexpireat hash 4102444800123
        r debug set-active-expire 0
        r set short 1 px 1
        r debug sleep 0.005
        r save
        set mark [log_mark]
        restart_server 0 true false
        wait_for_log $mark {*Done loading RDB, keys loaded: 3, keys expired: 1*}
        assert_equal 3 [r dbsize]
        assert_equal -1 [r pttl forever]
        assert_range [r pttl long] 99000000 100000000
        assert_equal 4102444800123 [r pexpiretime hash]
    }

    test {how long a key has been idle, and how often it was used, come back} {
        r flushall
        r config set maxmemory-policy allkeys-lru
        r set key v
        eventually 5000 {[r object idletime key] >= 2}
        r debug reload
        assert_morethan_equal [r object idletime key] 2
        r config set maxmemory-policy allkeys-lfu lfu-log-factor 0
        r del key
        r set key v
        foreach _ {1 2 3} {
            r get key
        }
        set used [r object freq key]
        assert_morethan $used 5
        r debug reload
        assert_equal $used [r object freq key]
        r config set maxmemory-policy noeviction lfu-log-factor 10
    } {OK} {slow}

    test {the file's head, its metadata and its check} {
        r save
        set bytes [rdb_bytes]
        assert_match "REDIS0011\xfa\x0avalkey-ver\x058.0.1\xfa\x0aredis-bits\xc0\x40\xfa\x05ctime*used-mem*aof-base*" $bytes
        assert_equal "\xff" [string index $bytes end-8]
        if {$::VALKEY_CHECK_RDB_BIN ne ""} {
            assert_match {*RDB looks OK*} [exec $::VALKEY_CHECK_RDB_BIN [rdb_path]]
        }
    }

    test {an empty dataset} {
        r flushall
        r save
        restart_server 0 true false
        assert_equal 0 [r dbsize]
    }

    test {LASTSAVE and the counter of changes} {
        r set k v
        assert_equal 1 [s rdb_changes_since_last_save]
        r save
        assert_equal 0 [s rdb_changes_since_last_save]
        assert_range [expr {[clock seconds] - [r lastsave]}] 0 5
        assert_equal ok [s rdb_last_bgsave_status]
    }

    test {BGSAVE under a load of writes saves one moment} {
        r flushall
        populate 300 key: 100
        r config set rdb-key-save-delay 1000
        # Two keys that change together in a transaction.
        r mset one 0 two 0
        set forks [s total_forks]
        assert_match {Background saving started*} [r bgsave]
        set child [hold_child 0]
        assert_equal 1 [s rdb_bgsave_in_progress]
        assert_error {ERR Background save already in progress} {r bgsave}
        assert_error {ERR Background save already in progress} {r save}
        for {set i 1} {$i <= 200} {incr i} {
            r mset one $i two $i key:$i changed
            r del key:[expr {$i / 2 + 200}]
        }
        r config set rdb-key-save-delay 0
        resume_process $child
        waitForBgsave r
        assert_equal [expr {$forks + 1}] [s total_forks]
        assert_morethan [s rdb_changes_since_last_save] 200
        # SIGKILL, so that the end saves nothing.
        expect_end
        exec kill -9 [srv pid]
        restart_server 0 true false
        assert_equal {0 0} [r mget one two]
        assert_equal 302 [r dbsize]
        assert_equal [string repeat A 100] [r get key:100]
    }

    test {a killed child: the old file stays, no temporary one does, and the state says so} {
        r config set rdb-key-save-delay 0
        populate 100
        r save
        r config set rdb-key-save-delay 100000
        set before [rdb_bytes]
        r set k new
        set mark [log_mark]
        r bgsave
        exec kill -9 [get_child_pid 0]
        waitForBgsave r
        wait_for_log $mark {*Background saving terminated by signal 9*}
        assert_equal err [s rdb_last_bgsave_status]
        assert_equal $before [rdb_bytes]
        assert_equal {} [temp_files]
        r config set rdb-key-save-delay 0
        r bgsave
        waitForBgsave r
        assert_equal ok [s rdb_last_bgsave_status]
    }

    test {a terminal that closes ends neither the server nor a save} {
        populate 100
        r config set rdb-key-save-delay 5000
        r bgsave
        set child [hold_child 0]
        r config set rdb-key-save-delay 0
        exec kill -HUP [srv pid] $child
        resume_process $child
        waitForBgsave r
        assert_equal ok [s rdb_last_bgsave_status]
    }

    test {BGSAVE where nothing can be written} {
        set dir [file dirname [rdb_path]]
        r config set dbfilename missing.rdb
        r config set rdb-key-save-delay 0
        file mkdir $dir/missing.rdb/full
        r bgsave
        waitForBgsave r
        assert_equal err [s rdb_last_bgsave_status]
        assert_equal {} [temp_files]
        # Where save points are set, writes stop, and PING tells of it.
        r config set save "1000 1000"
        assert_error {MISCONF*} {r set k v}
        assert_error {MISCONF*} {r ping}
        assert_equal {} [r get none]
        r config set stop-writes-on-bgsave-error no
        assert_equal {OK PONG} [list [r set k v] [r ping]]
        r config set stop-writes-on-bgsave-error yes save ""
        assert_equal PONG [r ping]
        file delete -force $dir/missing.rdb
        r config set dbfilename dump.rdb
        assert_equal OK [r save]
    }

    test {save points save by themselves, and at the end} {
        r config set save "1 1"
        set last [r lastsave]
        r set k saved
        wait_for_condition 100 50 {[s rdb_changes_since_last_save] == 0 && [s rdb_bgsave_in_progress] == 0} else { fail "not saved" }
        assert_equal ok [s rdb_last_bgsave_status]
        r config set save ""
    }

    test {a save that fails says why, and is counted} {
        set dir [lindex [r config get dir] 1]
        file mkdir $dir/taken/x
        set old [lindex [r config get dbfilename] 1]
        r config set dbfilename taken
        r config resetstat
        set mark [log_mark]
        assert_error {ERR} {r save}
        wait_for_log $mark {*Error moving temp DB file temp-*.rdb on the final destination taken (in server root dir *): Is a directory*}
        assert_equal {1 ok} [list [s rdb_saves] [s rdb_last_bgsave_status]]
        set mark [log_mark]
        r bgsave
        waitForBgsave r
        wait_for_log $mark {*Error moving temp DB file *}
        wait_for_log $mark {*Background saving error*}
        assert_equal {2 err} [list [s rdb_saves] [s rdb_last_bgsave_status]]
        r config set dbfilename $old
        r save
        assert_equal {3 ok} [list [s rdb_saves] [s rdb_last_bgsave_status]]
        r config resetstat
        assert_equal 0 [s rdb_saves]
        file delete -force $dir/taken
    }

    test {files go to the folder the server is in, whatever it is called by now} {
        set dir [file dirname [rdb_path]]
        file mkdir $dir/before
        r config set dir $dir/before
        file rename $dir/before $dir/after
        assert_equal [list dir $dir/after] [r config get dir]
        r save
        assert {[file exists $dir/after/dump.rdb]}
        file delete $dir/after/dump.rdb
        r bgsave
        waitForBgsave r
        assert_equal ok [s rdb_last_bgsave_status]
        assert {[file exists $dir/after/dump.rdb]}

        # A folder that is gone has no name.
        file delete -force $dir/after
        assert_equal {dir {}} [r config get dir]
        set mark [log_mark]
        assert_error {ERR} {r save}
        wait_for_log $mark {*Failed opening the temp RDB file temp-*.rdb (in server root dir unknown) for saving: No such file or directory*}
        r config set dir $dir
        assert_equal OK [r save]
    }

    test {SHUTDOWN SAVE and NOSAVE} {
        r set k one
        restart_server 0 true false 1 save
        assert_equal one [r get k]
        r set k two
        restart_server 0 true false 1 nosave
        assert_equal one [r get k]
    }
}

# A server that is to load BYTES and must refuse: it ends and logs what the regexp PATTERN finds.
proc refuses {bytes pattern} {
    set dir [tmpdir refused]
    set channel [open $dir/dump.rdb wb]
    puts -nonewline $channel $bytes
    close $channel
    set config [open $dir/valkey.conf w]
    puts $config "port 0\nsave \"\"\ndir $dir\nunixsocket $dir/socket\nloglevel debug"
    close $config
    catch {exec timeout 10 $::VALKEY_SERVER_BIN $dir/valkey.conf > $dir/stdout 2> $dir/stderr}  - options
    set code [dict get $options -errorcode]
    assert_not_equal NONE $code
    assert_not_equal 124 [lindex $code 2] "it started"
    set log [logs::from $dir/stdout 0][logs::from $dir/stderr 0]
    assert {[regexp -nocase -- $pattern $log]} $log
    file delete -force $dir
}

start_server {tags {"rdb external:skip corruption needs:save"} overrides {save "" rdbcompression no}} {
    test {a broken file is refused at the start, and the log says why} {
        for {set i 0} {$i < 100} {incr i} {
            r set key:$i [string repeat $i 20]
        }
        r rpush list a b c
        r save
        set good [rdb_bytes]
        set size [string length $good]
        # One byte short, cut in half, head alone.
        foreach end [list [expr {$size - 2}] [expr {$size / 2}] 8] {
            refuses [string range $good 0 $end] \
                {Short read or OOM loading DB\. Unrecoverable error, aborting now\..*-> Unexpected EOF reading RDB file\n}
        }
        refuses "" {Short read or OOM loading DB\..*-> Unexpected EOF reading RDB file\n}
        refuses NOTANRDB0011[string range $good 9 end] \
            {Wrong signature trying to load DB from file\n.*Fatal error loading the DB, check server logs\. Exiting\.\n}
        refuses REDIS9999[string range $good 9 end] \
            {Can't handle RDB format version 9999\n.*Fatal error loading the DB, check server logs\. Exiting\.\n}
        # One bit in a value.
        set at [string first 50505050 $good]
        refuses [string replace $good $at $at 6] \
            {Wrong RDB checksum expected: .*Aborting now\.\n.*-> RDB CRC error\n}
        # A type that does not exist, in place of the first opcode of the keys.
        set at [string first "\xfb" $good]
        refuses [string replace $good $at $at \xf0] {error|corrupt|invalid|unknown|unexpected|short read}
    }

    test {files of old versions and unknown metadata are read} {
        write_rdb "REDIS0006\xfe\x00\x00\x01k\x01v\xff[string repeat \x00 8]"
        restart_server 0 true false 1 nosave
        r select 0
        assert_equal v [r get k]
        set mark [log_mark]
        write_rdb "REDIS0011\xfa\x07unknown\x05thing\xfe\x00\xfb\x02\x01\xfc\x7b\x00\x00\x00\x00\x00\x00\x00\x00\x03old\x01v\x00\x01k\xc0\x7b\xff[string repeat \x00 8]"
        restart_server 0 true false 1 nosave
        r select 0
        assert_equal 123 [r get k]
        assert_equal 0 [r exists old]
        assert_equal 1 [r dbsize]
        wait_for_log $mark {*RDB file was saved with checksum disabled: no check performed.*}
    }
}

start_server {tags {"rdb external:skip needs:save"} overrides {save "" rdbchecksum no}} {
    test {without a check the file ends in zeros, and is loaded} {
        r set k v
        r save
        assert_equal \xff[string repeat \x00 8] [string range [rdb_bytes] end-8 end]
        restart_server 0 true false
        assert_equal v [r get k]
    }
}
