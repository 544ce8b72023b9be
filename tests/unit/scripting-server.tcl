# Scripts and the server around them: SCRIPT and the cache, effects, statistics, rights, memory, replicas.

start_server {tags {"scripting"}} {
    test {SCRIPT LOAD, EXISTS, SHOW and FLUSH} {
        r script flush
        set sha [r script load {return 'loaded'}]
        assert_equal loaded [r evalsha $sha 0]
        assert_equal loaded [r evalsha [string toupper $sha] 0]
        assert_equal {1 0 1} [r script exists $sha ffffffffffffffffffffffffffffffffffffffff [string toupper $sha]]
        assert_equal {0 0} [r script exists a {}]
        assert_equal {return 'loaded'} [r script show $sha]
        set other [r script load "#!lua flags=no-writes\nreturn 1"]
        assert_equal "#!lua flags=no-writes\nreturn 1" [r script show $other]
        assert_error {NOSCRIPT No matching script.} {r script show x}
        foreach mode {{} async SYNC} {
            r script load {return 'loaded'}
            assert_equal OK [r script flush {*}$mode]
            assert_equal 0 [r script exists $sha]
            assert_error {NOSCRIPT No matching script.} {r evalsha $sha 0}
        }
    }

    test {SCRIPT refuses what it does not know} {
        assert_error {ERR wrong number of arguments for 'script' command} {r script}
        foreach {words error} {
            exists {wrong number of arguments for 'script|exists' command}
            load {wrong number of arguments for 'script|load' command}
            {flush x} {SCRIPT FLUSH only support SYNC|ASYNC option}
            {flush sync async} {SCRIPT FLUSH only support SYNC|ASYNC option}
            {kill x} {wrong number of arguments for 'script|kill' command}
            show {wrong number of arguments for 'script|show' command}
            {debug x} {Use SCRIPT DEBUG YES/SYNC/NO}
            {load {syntax error}} {Error compiling script (new function): user_script:1: '=' expected near 'error'}
            {load #!x} {Invalid script shebang}
            foo {unknown subcommand 'foo'. Try SCRIPT HELP.}
        } {
            assert_error "ERR $error" {r script {*}$words}
        }
        assert_equal OK [r script debug no]
        assert_error {NOTBUSY No scripts in execution right now.} {r script kill}
        # Ours has STATS, too.
        assert_range [llength [r script help]] 19 21
        assert_match "SCRIPT <subcommand>*" [lindex [r script help] 0]
    }

    test {what EVAL has compiled is cached, whatever became of it} {
        r script flush
        catch {r eval {error('x')} 0}
        catch {r eval {syntax error} 0}
        catch {r eval "#!lua flags=x\n" 0}
        catch {r eval_ro "#!lua\nreturn 5" 0}
        r multi
        r eval {return 'queued'} 0
        r discard
        assert_equal 2 [s number_of_cached_scripts]
    }

    test {scripts of EVAL go when there are too many, those that are loaded stay} {
        r script flush
        r config resetstat
        set loaded [r script load {return 'loaded'}]
        for {set n 0} {$n < 500} {incr n} {
            r eval "return $n" 0
        }
        assert_equal {501 0} [list [s number_of_cached_scripts] [s evicted_scripts]]
        r eval {return 0} 0
        r eval {return 500} 0
        assert_equal {501 1} [list [s number_of_cached_scripts] [s evicted_scripts]]
        set shas [lmap body {{return 0} {return 1} {return 2}} {r eval {return redis.sha1hex(ARGV[1])} 0 $body}]
        # The script that has just told the digests is one of them.
        assert_equal {1 0 0} [r script exists {*}$shas]
        assert_equal {501 2} [list [s number_of_cached_scripts] [s evicted_scripts]]
        assert_equal 1 [r script exists $loaded]
        # Loading takes a script out of the list for good.
        r script load {return 0}
        for {set n 1000} {$n < 1600} {incr n} {
            r eval "return $n" 0
        }
        assert_equal {1 1} [r script exists [lindex $shas 0] $loaded]
        assert_equal 502 [s number_of_cached_scripts]
        r script flush
        assert_equal 0 [s number_of_cached_scripts]
        r config resetstat
        assert_equal 0 [s evicted_scripts]
    } {} {needs:config-resetstat}

    test {INFO and MEMORY STATS tell of scripts} {
        r script flush
        r function flush
        foreach field {number_of_cached_scripts number_of_functions number_of_libraries} {
            assert_equal 0 [s $field] $field
        }
        r script load {return 'some script that takes a little memory'}
        assert_equal 1 [s number_of_cached_scripts]
        assert {[s used_memory_scripts_eval] > 0}
        assert {[s used_memory_vm_eval] > 10000}
        assert_equal [s used_memory_vm_eval] [s used_memory_lua]
        assert_equal [s used_memory_vm_total] [expr {[s used_memory_vm_eval] + [s used_memory_vm_functions]}]
        assert_equal [s used_memory_scripts] [expr {[s used_memory_scripts_eval] + [s used_memory_functions]}]
        assert_equal [s used_memory_scripts_eval] [dict get [r memory stats] lua.caches]
    }

    test {scripts stay when data go} {
        set sha [r script load {return 'stays'}]
        r flushall
        r debug reload
        assert_equal stays [r evalsha $sha 0]
    } {} {needs:debug needs:save}
}

start_server {tags {"scripting"}} {
    test {effects of a script travel together} {
        r del a b c
        set repl [attach_to_replication_stream]
        r eval {redis.call('SET', KEYS[1], 1) redis.call('incr', KEYS[1])} 1 a
        r eval {return redis.call('get', 'a')} 0
        r eval {redis.call('set', 'b', 1)} 0
        catch {r eval {redis.call('set', 'c', 1) redis.call('incr', 'c') error('x')} 0}
        r eval {redis.pcall('nosuch') redis.pcall('lpush', 'b', 1) redis.call('del', 'nosuch')} 0
        r eval {redis.set_repl(redis.REPL_NONE) redis.call('set', 'hidden', 1) redis.set_repl(redis.REPL_ALL) redis.call('set', 'seen', 1)} 0
        assert_replication_stream $repl {
            multi {select *} {set a 1} {incr a} exec
            {set b 1}
            multi {set c 1} {incr c} exec
            {set seen 1}
        }
        close_replication_stream $repl
    } {} {needs:repl}

    test {effects travel as what was done} {
        r del l s h
        r sadd s a
        r rpush l a
        set repl [attach_to_replication_stream]
        r eval {redis.call('spop', 's')} 0
        r eval {redis.call('blpop', 'l', 0)} 0
        r eval {redis.call('set', 'k', 1, 'ex', 100) redis.call('expire', 'k', 200) redis.call('incrbyfloat', 'k', 1.5)} 0
        assert_replication_stream $repl {
            {select *} {srem s a} {lpop l}
            multi {set k 1 PXAT *} {pexpireat k *} {set k 2.5 KEEPTTL} exec
        }
        close_replication_stream $repl
    } {} {needs:repl}

    test {a script in a transaction is part of it} {
        r del a b
        set repl [attach_to_replication_stream]
        r multi
        r set a 1
        r eval {redis.call('incr', 'a') return redis.call('incr', 'a')} 0
        r eval {error('x')} 0
        r get a
        catch {r exec} replies
        r multi
        r eval {redis.call('set', 'b', 1)} 0
        r exec
        assert_replication_stream $repl {
            multi {select *} {set a 1} {incr a} {incr a} exec
            {set b 1}
        }
        assert_equal {3 1} [list [r get a] [r get b]]
        close_replication_stream $repl
    } {} {needs:repl}

    test {databases that a script selects travel with its effects} {
        set repl [attach_to_replication_stream]
        r select 9
        r eval {redis.call('set', 'a', 1) redis.call('select', 10) redis.call('set', 'a', 2)} 0
        r set b 1
        assert_replication_stream $repl {{multi} {select 9} {set a 1} {select 10} {set a 2} {exec} {select 9} {set b 1}}
        close_replication_stream $repl
    } {} {needs:repl singledb:skip}

    test {nothing of SCRIPT travels} {
        set repl [attach_to_replication_stream]
        r script load {return 1}
        r script flush
        r set a 1
        assert_replication_stream $repl {{select *} {set a 1}}
        close_replication_stream $repl
    } {} {needs:repl}

    test {who waits is served when the script has ended} {
        r del l
        set waiting [valkey_deferring_client]
        $waiting blpop l 0
        wait_for_blocked_clients_count 1
        r eval {redis.call('rpush', 'l', 'a', 'b') redis.call('lpop', 'l')} 0
        assert_equal {l b} [$waiting read]
        $waiting close
    }

    test {a script breaks what others watch, and what its own client does} {
        set other [valkey_client]
        r set k 1
        $other watch k
        r eval {redis.call('set', 'k', 2)} 0
        $other multi
        $other ping
        assert_equal {} [$other exec]
        r watch k
        r eval {redis.call('set', 'k', 2)} 0
        r multi
        r ping
        assert_equal {} [r exec]
        $other close
    }

    test {MONITOR shows a script before its commands} {
        set monitor [valkey_deferring_client]
        $monitor monitor
        assert_equal OK [$monitor read]
        r eval {redis.call('set', KEYS[1], ARGV[1]) redis.pcall('nosuch') redis.pcall('multi')} 1 a 1
        assert_match {* "eval" "redis.call*" "1" "a" "1"} [$monitor read]
        assert_match {*lua\] "set" "a" "1"} [$monitor read]
        catch {r evalsha nosuch 0}
        assert_match {* "evalsha" "nosuch" "0"} [$monitor read]
        $monitor close
    }

    test {commands of scripts count, and their errors once} {
        r set s x
        r config resetstat
        r eval {redis.call('get', 's') redis.call('get', 's')} 0
        assert_match {calls=2,*} [cmdrstat get r]
        assert_match {calls=1,*,rejected_calls=0,failed_calls=0} [cmdrstat eval r]
        catch {r eval {redis.call('incr', 's')} 0}
        assert_match {calls=1,*,rejected_calls=0,failed_calls=1} [cmdrstat incr r]
        assert_match {calls=2,*,failed_calls=1} [cmdrstat eval r]
        assert_match {*count=1} [errorrstat ERR r]
        r eval {redis.pcall('incr', 's')} 0
        assert_match {calls=3,*,failed_calls=1} [cmdrstat eval r]
        assert_match {*count=2} [errorrstat ERR r]
        r eval {redis.pcall('get')} 0
        assert_match {calls=2,*,rejected_calls=1,failed_calls=0} [cmdrstat get r]
        catch {r eval {return {err = 'MINE x'}} 0}
        assert_match {*count=1} [errorrstat MINE r]
        assert_match {*count=3} [errorrstat ERR r]
        catch {r eval {redis.call('lpush', 's', 1)} 0}
        assert_match {*count=1} [errorrstat WRONGTYPE r]
        assert_equal 5 [s total_error_replies]
    } {} {needs:config-resetstat}

    test {commands of scripts are in the slow log, the script behind them} {
        r config set slowlog-log-slower-than 0
        r slowlog reset
        r eval {redis.call('set', 'a', 1)} 0
        set log [r slowlog get]
        r config set slowlog-log-slower-than 10000
        assert_equal {eval set} [lmap entry [lrange $log 0 1] {lindex $entry 3 0}]
    }

    test {a caching client is told of what a script has read for it} {
        set other [valkey_client]
        set tracking [valkey_deferring_client]
        $tracking hello 3
        $tracking read
        $tracking client tracking on
        $tracking read
        r set {key{t}} 1
        r set {other{t}} 1
        $tracking eval {return redis.call('get', KEYS[1])} 2 {key{t}} {other{t}}
        assert_equal 1 [$tracking read]
        r set {other{t}} 2
        r set {key{t}} 2
        assert_equal {invalidate key{t}} [$tracking read]
        $tracking close
        $other close
    }
}

start_server {tags {"scripting"}} {
    test {commands of a script need its caller's rights} {
        r acl setuser bob reset on nopass +@all -set ~allowed* resetchannels &c*
        set bob [valkey_client]
        $bob auth bob x
        assert_equal {ERR ACL failure in script: User bob has no permissions to run the 'set' command on @user_script:1.} \
            [script_error $bob eval {redis.call('set', 'allowed', 1)} 0]
        assert_equal {ERR ACL failure in script: No permissions to access a key on @user_script:1.} \
            [script_error $bob eval {redis.call('get', 'other')} 0]
        assert_equal {ERR ACL failure in script: No permissions to access a channel on @user_script:1.} \
            [script_error $bob eval {redis.call('publish', 'x', 1)} 0]
        assert_error {NOPERM No permissions to access a key} {$bob eval {return 1} 1 other}
        assert_equal {1 {} 1 {}} [$bob eval {
            return {redis.acl_check_cmd('get', 'allowed'), redis.acl_check_cmd('get', 'other'),
                redis.acl_check_cmd('publish', 'c', 1), redis.acl_check_cmd('set', 'allowed', 1)}
        } 0]
        set entry [lindex [r acl log] 0]
        assert_equal {toplevel key other} [list [dict get $entry context] [dict get $entry reason] [dict get $entry object]]
        set entry [lindex [r acl log] 1]
        assert_equal {lua channel x} [list [dict get $entry context] [dict get $entry reason] [dict get $entry object]]
        $bob close
        r acl deluser bob
    }

    test {declared keys are to be read and written, but for EVAL_RO} {
        r acl setuser bob reset on nopass +@all %R~k*
        set bob [valkey_client]
        $bob auth bob x
        assert_error {NOPERM No permissions to access a key} {$bob eval {return 1} 1 k}
        assert_equal 1 [$bob eval_ro {return 1} 1 k]
        $bob close
        r acl deluser bob
    }

    test {without memory scripts do what they say they need} {
        r set k v
        r config set maxmemory 1
        assert_error {OOM *} {r eval "#!lua\nreturn 1" 0}
        assert_equal 1 [r eval "#!lua flags=allow-oom\nreturn 1" 0]
        assert_equal OK [r eval "#!lua flags=allow-oom\nreturn redis.call('set', 'k', 1)" 0]
        assert_equal 1 [r eval "#!lua flags=no-writes\nreturn 1" 0]
        assert_equal 1 [r eval {return 1} 0]
        assert_equal 1 [r eval {return redis.call('get', 'k')} 0]
        assert_equal {OOM command not allowed when used memory > 'maxmemory'. on @user_script:1.} \
            [script_error r eval {redis.call('set', 'k', 2)} 0]
        assert_equal OK [r eval {redis.call('del', 'k') return redis.call('set', 'k', 2)} 0]
        r multi
        catch {r eval "#!lua\nreturn 1" 0} message
        assert_match {OOM *} $message
        assert_error {EXECABORT*} {r exec}
        r config set maxmemory 0
    } {OK} {needs:config-maxmemory}

    test {without good replicas scripts that may write are refused} {
        r config set min-replicas-to-write 1
        assert_error {NOREPLICAS *} {r eval "#!lua\nreturn 1" 0}
        assert_equal 1 [r eval "#!lua flags=no-writes\nreturn 1" 0]
        assert_equal 1 [r eval {return 1} 0]
        assert_equal {NOREPLICAS Not enough good replicas to write. on @user_script:1.} \
            [script_error r eval {redis.call('set', 'k', 1)} 0]
        r config set min-replicas-to-write 0
    }

    test {CLIENT PAUSE WRITE holds back scripts that may write} {
        set other [valkey_deferring_client]
        r client pause 60000 write
        assert_equal 1 [r eval "#!lua flags=no-writes\nreturn 1" 0]
        assert_equal 1 [r eval_ro {return 1} 0]
        $other eval {return 'waited'} 0
        wait_for_blocked_clients_count 1
        r client unpause
        assert_equal waited [$other read]
        $other close
    }

    test {redis.log writes to the log, one line each} {
        set mark [log_mark]
        r eval {redis.log(redis.LOG_WARNING, 'seen', 1, {}, 'again')} 0
        wait_for_log $mark "*seen 1 again*"
    } {*} {external:skip}

    test {cjson, cmsgpack, struct and bit are there} {
        assert_equal {[1,2,"x",{"a":1}]} [r eval {return cjson.encode({1, 2, 'x', {a = 1}})} 0]
        assert_equal zz [r eval {return cjson.decode(ARGV[1])[2].k} 0 {[1,{"k":"zz"}]}]
        assert_equal 9301a178c0 [binary encode hex [r eval {return cmsgpack.pack({1, 'x', nil and 1 or 5}):sub(1, 4) .. '\192'} 0]]
        assert_equal {258 3} [r eval {return {struct.unpack('>I2', struct.pack('>I2', 258))}} 0]
        assert_equal ffffffff [r eval {return bit.tohex(-1)} 0]
    }
}

start_server {tags {"scripting external:skip"}} {
    start_server {} {
        test {scripts on a replica} {
            r replicaof [srv -1 host] [srv -1 port]
            wait_for_sync r
            assert_error {READONLY *} {r eval "#!lua\nreturn 1" 0}
            assert_equal 1 [r eval "#!lua flags=no-writes\nreturn 1" 0]
            assert_equal 1 [r eval {return 1} 0]
            assert_equal {READONLY You can't write against a read only replica. on @user_script:1.} \
                [script_error r eval {redis.call('set', 'k', 1)} 0]
            r -1 eval {redis.call('set', KEYS[1], ARGV[1]) redis.call('append', KEYS[1], 'x')} 1 k v
            wait_for_ofs_sync r [srv -1 client]
            assert_equal vx [r get k]
        } {} {needs:repl}

        test {scripts on a replica that has lost its primary} {
            r config set replica-serve-stale-data no
            r replicaof 127.0.0.1 1
            assert_error {MASTERDOWN *} {r eval {return 1} 0}
            assert_error {MASTERDOWN *} {r eval "#!lua flags=no-writes\nreturn 1" 0}
            assert_equal 1 [r eval "#!lua flags=no-writes,allow-stale\nreturn 1" 0]
            assert_equal {ERR Can not execute the command on a stale replica on @user_script:2.} \
                [script_error r eval "#!lua flags=no-writes,allow-stale\nredis.call('get', 'k')" 0]
            r replicaof no one
        } {OK} {needs:repl}
    }
}
