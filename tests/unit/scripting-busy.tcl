# Scripts that run for long: who is served meanwhile, and how they end.

start_server {tags {"scripting"} overrides {busy-reply-threshold 10}} {
    set busy {BUSY Valkey is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.}

    test {others are told while a script is busy, and it is killed} {
        set mark [log_mark]
        set client [busy_client eval {while true do end} 0]
        foreach command {ping {get k} {info} {config get x} {eval {return 1} 0} {function stats} {function list} {bgsave} {client list}} {
            assert_error $busy {r {*}$command} $command
        }
        assert_error {ERR unknown command *} {r nosuch}
        assert_error {ERR wrong number of arguments for 'get' command} {r get}
        assert_error $busy {r function kill}
        assert_error $busy {r shutdown}
        assert_error $busy {r shutdown save}
        assert_equal OK [r script kill]
        assert_error {ERR Script killed by user with SCRIPT KILL... script: 694a5fe1ddb97a4c6a1bf299d9537c7d3d0f84e7, on @user_script:1.} {$client read}
        assert_equal PONG [r ping]
        assert_error {NOTBUSY *} {r script kill}
        $client close
        wait_for_log $mark "*Slow script detected: still in execution after * milliseconds. You can try killing the script using the SCRIPT KILL command. Script name is: 694a5fe1ddb97a4c6a1bf299d9537c7d3d0f84e7.*"
        wait_for_log $mark "*Lua script killed by user with SCRIPT KILL.*"
    } {*} {external:skip}

    foreach script {
        {while true do pcall(function() while true do end end) end}
        {while true do redis.call('get', 'k') end}
        {while true do redis.pcall('nosuch') end}
        {coroutine.wrap(function() while true do end end)()}
        {local t = {} for i = 1, 1000 do t[i] = i end while true do table.sort(t, function(a, b) return a > b end) end}
        {while true do ('x'):rep(10000):gsub('x', function() return 'y' end) end}
        {setmetatable({}, {__index = function() while true do end end}).x = nil local y = setmetatable({}, {__index = function() while true do end end}).x}
    } {
        test "a script is killed wherever it is: $script" {
            r set k v
            set client [busy_client eval $script 0]
            assert_equal OK [r script kill]
            assert_error {ERR *} {$client read}
            $client close
            assert_equal v [r get k]
        }
    }

    test {transactions are refused while a script is busy} {
        set client [busy_client eval {while true do end} 0]
        assert_equal OK [r multi]
        assert_error $busy {r get k}
        assert_error "EXECABORT Transaction discarded because of: $busy" {r exec}
        assert_equal OK [r multi]
        assert_equal OK [r discard]
        assert_equal OK [r watch k]
        assert_equal OK [r unwatch]
        r script kill
        catch {$client read}
        $client close
        assert_equal PONG [r ping]
    }

    test {a script that has written is not killed} {
        r del n
        set client [busy_client eval {redis.call('set', 'n', 1) while redis.call('incr', 'n') < 100000 do end return 'done'} 0]
        assert_error {UNKILLABLE Sorry the script already executed write commands against the dataset. You can either wait*} {r script kill}
        assert_error {UNKILLABLE *} {r function kill}
        assert_equal done [$client read]
        assert_equal 100000 [r get n]
        $client close
    }

    test {what a busy script does travels together when it ends} {
        r del n
        set repl [attach_to_replication_stream]
        set client [busy_client eval {redis.call('set', 'n', 1) local i = 0 while i < 3000000 do i = i + 1 end redis.call('incr', 'n') return 'done'} 0]
        assert_equal done [$client read]
        r set after 1
        assert_replication_stream $repl {multi {select *} {set n 1} {incr n} exec {set after 1}}
        close_replication_stream $repl
        $client close
    } {} {needs:repl}

    test {a client that leaves leaves its script behind} {
        r del n
        set client [busy_client eval {redis.call('set', 'n', 1) local i = 0 while i < 5000000 do i = i + 1 end redis.call('incr', 'n')} 0]
        $client close
        wait_for_condition 500 20 {
            [catch {r get n} value] == 0 && $value eq 2
        } else {
            fail "the script did not end"
        }
    }

    test {what a client has sent behind its script runs afterwards} {
        set client [busy_client eval {local i = 0 while i < 3000000 do i = i + 1 end return 'first'} 0]
        $client ping
        $client echo x
        assert_equal {first PONG x} [list [$client read] [$client read] [$client read]]
        $client close
    }

    test {a busy script waits for TIME to come, while nothing expires for it} {
        set client [busy_client eval {
            redis.call('set', 'short', 'v', 'px', 1)
            local function now() local t = redis.call('time') return t[1] * 1000000 + t[2] end
            local before, steps = now(), 0
            while now() < before + 60000 and steps < 5000000 do steps = steps + 1 end
            return {redis.call('get', 'short'), redis.call('pttl', 'short'), now() >= before + 60000}
        } 0]
        assert_equal {v 1 1} [$client read]
        $client close
        wait_for_condition 100 20 {[r exists short] == 0} else {
            fail "the key has not expired"
        }
    }

    test {who waits and who watches hears of a busy script when it ends} {
        r del l
        set waiting [valkey_deferring_client]
        $waiting blpop l 0
        wait_for_blocked_clients_count 1
        set client [busy_client eval {redis.call('rpush', 'l', 'a', 'b') local i = 0 while i < 3000000 do i = i + 1 end redis.call('lpop', 'l') return 'done'} 0]
        assert_equal done [$client read]
        assert_equal {l b} [$waiting read]
        $waiting close
        $client close
    }

    test {a script in a transaction is killed, and the transaction goes on} {
        r del n
        r function load replace "#!lua name=busy\nredis.register_function('loop', function() while true do end end)"
        set client [valkey_deferring_client]
        foreach command {multi {set n 1} {eval {while true do end} 0} {incr n} {fcall loop 0} {eval {return 'last'} 0} ping} {
            $client {*}$command
            $client read
        }
        $client exec
        foreach kind {script function} {
            wait_for_condition 100 20 {
                [catch {r ping} message] == 1 && [string match -nocase "BUSY*$kind KILL*" $message]
            } else {
                fail "the $kind is not busy"
            }
            assert_equal OK [r $kind kill]
        }
        catch {$client read} message
        assert_match {ERR Script killed by user with SCRIPT KILL...*} $message
        assert_equal {2 PONG} [list [r get n] [r ping]]
        $client close
    }

    test {a transaction with a slow script is one on the stream} {
        # Nothing is to expire meanwhile.
        r flushall
        set repl [attach_to_replication_stream]
        set client [valkey_deferring_client]
        foreach command {multi {set n 1} {eval {redis.call('incr', 'n') local i = 0 while i < 3000000 do i = i + 1 end return 'slow'} 0} {incr n}} {
            $client {*}$command
            $client read
        }
        $client exec
        assert_equal {OK slow 3} [$client read]
        r set after 1
        assert_replication_stream $repl {multi {select *} {set n 1} {incr n} {incr n} exec {set after 1}}
        close_replication_stream $repl
        $client close
    } {} {needs:repl}

    test {functions are killed as functions} {
        r function load replace "#!lua name=busy\nredis.register_function('loop', function() while true do end end)"
        set client [busy_client fcall loop 1 k arg]
        set stats [r function stats]
        set running [dict get $stats running_script]
        assert_equal {loop {fcall loop 1 k arg}} [list [dict get $running name] [dict get $running command]]
        assert {[dict get $running duration_ms] >= 10}
        assert_error {BUSY Valkey is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE.} {r ping}
        assert_error {BUSY Valkey is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE.} {r script kill}
        assert_equal OK [r function kill]
        assert_error {ERR Script killed by user with SCRIPT KILL... script: loop, on @user_function:2.} {$client read}
        $client close
        assert_equal {} [dict get [r function stats] running_script]
    }

    test {a long reply comes complete behind a script that was busy} {
        set script {
            local i = 0 while i < 3000000 do i = i + 1 end
            local s, t = ('x'):rep(100000), {} for i = 1, 30 do t[i] = s end
            return {t, {err = 'ODD one'}, {1, 2, {3}}, 'end'}
        }
        set client [busy_client eval $script 0]
        assert_error {ODD one} {$client read}
        $client close
        set client [busy_client eval [string map {{{err = 'ODD one'}} t} $script] 0]
        lassign [$client read] first second third fourth
        assert_equal [lrepeat 30 [string repeat x 100000]] $first
        assert_equal $first $second
        assert_equal {{1 2 3} end} [list $third $fourth]
        assert_equal PONG [r ping]
        $client close
    }

    test {a long reply inside of a transaction comes in its place} {
        set script {
            local i = 0 while i < 3000000 do i = i + 1 end
            local s, t = ('x'):rep(100000), {} for i = 1, 30 do t[i] = s end return t
        }
        r set k v
        set client [valkey_deferring_client]
        $client multi
        $client get k
        $client eval $script 0
        $client eval $script 0
        $client get k
        assert_equal {OK QUEUED QUEUED QUEUED QUEUED} [list [$client read] [$client read] [$client read] [$client read] [$client read]]
        $client exec
        set t [lrepeat 30 [string repeat x 100000]]
        assert_equal [list v $t $t v] [$client read]
        $client close
    }

    test {others are told while a long script is compiled, which ends as others do} {
        set source "local t, x, y = nil, 1, 2 [string repeat {t = {a = 1, 'b', x, y + 1} } 100000] return KEYS\[1\]"
        set client [busy_client eval $source 1 key]
        assert_equal OK [r script kill]
        assert_error {ERR Script killed by user with SCRIPT KILL...} {$client read}
        set client [busy_client script load $source]
        set digest [$client read]
        assert_equal 1 [r script exists $digest]
        assert_equal key [r evalsha $digest 1 key]
        assert_equal $source [r script show $digest]
        set client2 [busy_client eval "$source )" 0]
        assert_error {ERR Error compiling script (new function): user_script:1: '<eof>' expected near ')'} {$client2 read}
        $client close
        $client2 close
        r script flush
        assert_equal 0 [r script exists $digest]
        assert_equal [list a PONG] [list [r eval {return KEYS[1]} 1 a] [r ping]]
    } {} {peer:skip}

    test {a threshold of nothing is never passed} {
        r config set busy-reply-threshold 0
        assert_equal done [r eval {local i = 0 while i < 3000000 do i = i + 1 end return 'done'} 0]
        assert_equal {lua-time-limit 0} [r config get lua-time-limit]
        r config set lua-time-limit 10
        assert_equal {busy-reply-threshold 10} [r config get busy-reply-threshold]
    }
}

start_server {tags {"scripting external:skip"} overrides {busy-reply-threshold 10}} {
    test {SHUTDOWN NOSAVE ends whatever a script has written} {
        set client [busy_client eval {redis.call('set', 'k', 1) while true do end} 0]
        expect_end
        catch {r shutdown nosave}
        wait_for_condition 100 50 {![is_alive [srv pid]]} else {
            fail "the server did not end"
        }
        $client close
    }
}
