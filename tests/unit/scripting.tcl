# EVAL and its kin: conversions, errors, the sandbox, flags, what may be called and what waits.

start_server {tags {"scripting"}} {
    foreach {script reply} {
        {return 1} 1
        {return 'x'} x
        {return 'x', 'y'} x
        {return 3.99} 3
        {return -3.99} -3
        {return 0/0} -9223372036854775808
        {return 1/0} -9223372036854775808
        {return 2^63} -9223372036854775808
        {return 2^53} 9007199254740992
        {return true} 1
        {return false} {}
        {return nil} {}
        {return} {}
        {} {}
        {return {}} {}
        {return {1, 2, {'a', {3}}}} {1 2 {a 3}}
        {return {1, nil, 3}} 1
        {return {a = 1}} {}
        {return {ok = 'fine'}} fine
        {return {err = 5}} {}
        {return {double = 3.25}} 3.25
        {return {double = 1e300}} 1e+300
        {return {big_number = '123'}} 123
        {return {verbatim_string = {format = 'txt', string = 'abc'}}} abc
        {return {map = {a = 1}}} {a 1}
        {return {set = {a = true}}} a
        {return function() end} {}
        {return coroutine.create(function() end)} {}
        {return cjson.null} {}
        {return setmetatable({1, 2}, {__index = error})} {1 2}
        {return redis.status_reply('fine')} fine
    } {
        test "EVAL converts what is returned: $script" {
            assert_equal $reply [r eval $script 0]
        }
    }

    foreach {script reply} {
        {return {double = 3}} ",3\r\n"
        {return {double = 1/0}} ",inf\r\n"
        {return {double = 0/0}} ",nan\r\n"
        {return {big_number = '12\r\n3'}} "(12  3\r\n"
        {return {verbatim_string = {format = 'a', string = 'bc'}}} "=6\r\na  :bc\r\n"
        {return {verbatim_string = {format = 'abcd', string = ''}}} "=4\r\nabc:\r\n"
        {return {map = {a = 1}}} "%1\r\n\$1\r\na\r\n:1\r\n"
        {return {set = {a = 1}}} "~1\r\n\$1\r\na\r\n"
        {return {true, false}} "*2\r\n:1\r\n_\r\n"
        {redis.setresp(3) return {true, false}} "*2\r\n#t\r\n#f\r\n"
        {return false} "_\r\n"
        {return {err = 'A\nB'}} "-A B\r\n"
        {return {ok = 'A\nB'}} "+A B\r\n"
        {return {err = 'a', ok = 'b', double = 1}} "-a\r\n"
        {return {ok = 'b', double = 1}} "+b\r\n"
        {return {double = 1, map = {}}} ",1\r\n"
        {return {map = {}, set = {}}} "%0\r\n"
    } {
        test "EVAL converts for RESP3: $script" {
            assert_equal $reply [raw_eval 3 EVAL $script 0]
        }
    }

    test {EVAL gets its keys and arguments, which are its own} {
        assert_equal {a b c} [r eval {return {KEYS[1], KEYS[2], ARGV[1]}} 2 a b c]
        assert_equal {1 x} [r eval {KEYS[3] = 'x' return {#ARGV, KEYS[3]}} 2 a b c]
        assert_equal 0 [r eval {return #KEYS + #ARGV} 0]
        assert_equal "\0\r\n\xff" [r eval {return ARGV[1]} 0 "\0\r\n\xff"]
    }

    test {words of EVAL are checked in order} {
        assert_error {ERR wrong number of arguments for 'eval' command} {r eval {return 1}}
        assert_error {ERR value is not an integer or out of range} {r eval {return 1} x}
        assert_error {ERR Number of keys can't be greater than number of args} {r eval {return 1} 1}
        assert_error {ERR Number of keys can't be negative} {r eval {return 1} -1}
        assert_error {ERR value is not an integer or out of range} {r eval {syntax error} x}
        assert_error {NOSCRIPT No matching script.} {r evalsha abc x}
        set unknown ffffffffffffffffffffffffffffffffffffffff
        assert_error {ERR value is not an integer or out of range} {r evalsha $unknown x}
        assert_error {NOSCRIPT No matching script.} {r evalsha $unknown 0}
        assert_error {NOSCRIPT No matching script.} {r evalsha_ro $unknown 0}
    }

    test {replies of commands become values} {
        r del h l s z
        r hset h f v
        r set s x
        foreach {script reply} {
            {return redis.call('set', 's', 'x').ok} OK
            {return type(redis.call('get', 'nosuch'))} boolean
            {return type(redis.call('lrange', 'nosuch', 0, -1))} table
            {return type(redis.call('strlen', 's'))} number
            {return redis.call('hgetall', 'h')} {f v}
            {redis.setresp(3) return redis.call('hgetall', 'h').map.f} v
            {redis.setresp(3) return type(redis.call('get', 'nosuch'))} nil
            {redis.call('zadd', 'z', 1.5, 'm') redis.setresp(3) return redis.call('zscore', 'z', 'm').double * 2} 3
            {return redis.call('zscore', 'z', 'm') * 2} 3
            {redis.call('sadd', 'l', 'a') redis.setresp(3) return tostring(redis.call('smembers', 'l').set.a)} true
            {return redis.pcall('incr', 's').err} {ERR value is not an integer or out of range}
            {return tostring(redis.pcall('incr', 's').ignore_error_stats_update)} true
        } {
            assert_equal $reply [r eval $script 0] $script
        }
    }

    test {DEBUG PROTOCOL shows every kind of reply to a script} {
        r debug set-disable-deny-scripts 1
        foreach {kind script reply} {
            attrib {return #v} 3
            bignum {return v.big_number} 1234567999999999999999999999999999999
            double {return v.double * 1000} 3141
            null {return tostring(v)} nil
            true {return tostring(v)} true
            false {return tostring(v)} false
            verbatim {return v.verbatim_string.format .. v.verbatim_string.string} "txtThis is a verbatim\nstring"
            integer {return v} 12345
            string {return v} {Hello World}
            array {return v} {0 1 2}
            set {return tostring(v.set[2])} true
            map {return tostring(v.map[2])} false
        } {
            if {$kind eq "attrib"} {
                set expected "Some real reply following the attribute"
                set script {return v}
            } else {
                set expected $reply
            }
            set body "redis.setresp(3) local v = redis.call('debug', 'protocol', '$kind') $script"
            assert_equal $expected [r eval $body 0] $kind
        }
        r debug set-disable-deny-scripts 0
    } {OK} {needs:debug}

    test {numbers become arguments as texts} {
        foreach {number text} {
            3.0 3 -0.0 0 1e17 100000000000000000 12345678901234567890 12345678901234567000 0.00001 0.00001
            1/3 0.3333333333333333 1e21 1e+21 1e-7 1e-7 1.234e-5 1.234e-5 2^62 4611686018427387904 2^63 9223372036854776000
            1/0 inf -1/0 -inf 0.1 0.1 -5.5 -5.5
        } {
            assert_equal $text [r eval "return redis.call('echo', $number)" 0] $number
        }
    }

    foreach {script error} {
        {error('boom')} {ERR user_script:1: boom on @user_script:1.}
        {error('boom', 0)} {ERR boom on @user_script:1.}
        "local function f() error('deep', 2) end\nf()" {ERR user_script:2: deep on @user_script:1.}
        "\n\nerror({err = 'My own'})" {My own on @user_script:3.}
        {error({err = 'word'})} {word on @user_script:1.}
        {error({err = 5})} {5 on @user_script:1.}
        {error(5)} {ERR user_script:1: 5 on @user_script:1.}
        {error()} {ERR nil on @user_script:1.}
        {error(true)} {ERR true on @user_script:1.}
        {redis.call('nosuch')} {ERR Unknown command called from script on @user_script:1.}
        {redis.call('config', 'nosuch')} {ERR Unknown command called from script on @user_script:1.}
        {redis.call('set', 'k')} {ERR Wrong number of args calling command from script on @user_script:1.}
        {redis.call('config')} {ERR Wrong number of args calling command from script on @user_script:1.}
        {redis.call()} {ERR Please specify at least one argument for this call on @user_script:1.}
        {redis.call('set', 'k', nil)} {ERR Command arguments must be strings or integers on @user_script:1.}
        {redis.call('set', 'k', {})} {ERR Command arguments must be strings or integers on @user_script:1.}
        {redis.call('set', 'k', true)} {ERR Command arguments must be strings or integers on @user_script:1.}
        {return foo} {ERR user_script:1: Script attempted to access nonexistent global variable 'foo' on @user_script:1.}
        {return _G.foo} {ERR user_script:1: Script attempted to access nonexistent global variable 'foo' on @user_script:1.}
        {foo = 1} {ERR user_script:1: Attempt to modify a readonly table on @user_script:1.}
        {function foo() end} {ERR user_script:1: Attempt to modify a readonly table on @user_script:1.}
        {redis.call = 1} {ERR user_script:1: Attempt to modify a readonly table on @user_script:1.}
        {KEYS = 1} {ERR user_script:1: Attempt to modify a readonly table on @user_script:1.}
        {string.rep = 1} {ERR user_script:1: Attempt to modify a readonly table on @user_script:1.}
        {getmetatable(_G).__index = 1} {ERR user_script:1: Attempt to modify a readonly table on @user_script:1.}
        {rawset(_G, 'foo', 1)} {ERR Attempt to modify a readonly table on @user_script:1.}
        {setmetatable(_G, {})} {ERR Attempt to modify a readonly table on @user_script:1.}
        {setmetatable(redis, {})} {ERR Attempt to modify a readonly table on @user_script:1.}
        {table.insert(redis, 1)} {ERR Attempt to modify a readonly table on @user_script:1.}
        {setfenv(redis.call, {})} {ERR user_script:1: 'setfenv' cannot change environment of given object on @user_script:1.}
        {getmetatable(_G).__index(1)} {ERR user_script:1: Wrong number of arguments to luaProtectedTableError on @user_script:1.}
        {getmetatable(_G).__index(1, {})} {ERR user_script:1: Second argument to luaProtectedTableError must be a string or number on @user_script:1.}
        {coroutine.yield()} {ERR attempt to yield across metamethod/C-call boundary on @user_script:1.}
        {unpack({}, 1, 8000)} {ERR user_script:1: too many results to unpack on @user_script:1.}
        {redis.sha1hex()} {ERR wrong number of arguments on @user_script:1.}
        {redis.log(1)} {ERR server.log() requires two arguments or more. on @user_script:1.}
        {redis.log('x', 'y')} {ERR First argument must be a number (log level). on @user_script:1.}
        {redis.log(4, 'y')} {ERR Invalid log level. on @user_script:1.}
        {redis.setresp()} {ERR server.setresp() requires one argument. on @user_script:1.}
        {redis.setresp(4)} {ERR RESP version must be 2 or 3. on @user_script:1.}
        {redis.set_repl()} {ERR server.set_repl() requires one argument. on @user_script:1.}
        {redis.set_repl(4)} {ERR Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE. on @user_script:1.}
        {redis.acl_check_cmd()} {ERR Please specify at least one argument for this call on @user_script:1.}
        {redis.acl_check_cmd('nosuch')} {ERR Invalid command passed to server.acl_check_cmd() on @user_script:1.}
        {redis.acl_check_cmd({})} {ERR Command arguments must be strings or integers on @user_script:1.}
        {local x = nil; x.y = 1} {ERR user_script:1: attempt to index local 'x' (a nil value) on @user_script:1.}
        {return redis.time()} {ERR user_script:1: attempt to call field 'time' (a nil value) on @user_script:1.}
        {return ('x'):rep()} {ERR user_script:1: bad argument #1 to 'rep' (number expected, got no value) on @user_script:1.}
        {return {} + 1} {ERR user_script:1: attempt to perform arithmetic on a table value on @user_script:1.}
        {syntax error} {ERR Error compiling script (new function): user_script:1: '=' expected near 'error'}
        "\n\nreturn (" {ERR Error compiling script (new function): user_script:3: unexpected symbol near '<eof>'}
        {local f <eof>} {ERR Error compiling script (new function): user_script:1: unexpected symbol near '<'}
    } {
        test "errors of scripts say what and where: $script" {
            assert_equal $error [script_error r eval $script 0]
        }
    }

    test {an error of a command is its script's} {
        r set s x
        assert_equal {WRONGTYPE Operation against a key holding the wrong kind of value on @user_script:1.} \
            [script_error r eval {redis.call('lpush', 's', 1)} 0]
        assert_equal {ERR user_script:1: ERR value is not an integer or out of range on @user_script:1.} \
            [script_error r eval {local ok, e = pcall(redis.call, 'incr', 's') error(e)} 0]
        assert_error {ERR value is not an integer or out of range} {r eval {return redis.pcall('incr', 's')} 0}
    }

    test {pcall hands out texts, xpcall what was raised} {
        assert_equal {ERR Unknown command called from script} [r eval {local ok, e = pcall(redis.call, 'nosuch') return e} 0]
        assert_equal table [r eval {local ok, e = xpcall(function() redis.call('nosuch') end, function(e) return type(e) end) return e} 0]
        assert_equal string [r eval {local ok, e = pcall(error, {err = 'x'}) return type(e)} 0]
        assert_equal table [r eval {local ok, e = pcall(error, {}) return type(e)} 0]
        assert_equal {attempt to call a boolean value} [r eval {local ok, e = pcall() return e} 0]
    }

    foreach {script reply} {
        {return redis.error_reply('My Err')} {My Err}
        {return redis.error_reply('-My Err')} {My Err}
        {return redis.error_reply('word')} {ERR word}
        {return redis.error_reply('-word')} {ERR word}
        {return redis.error_reply('')} {ERR }
        {return redis.error_reply('a\r\nb c')} {a  b c}
        {return redis.error_reply('a b\0c')} {a b}
        {return redis.error_reply(1)} {ERR wrong number or type of arguments}
        {return redis.error_reply('a', 'b')} {ERR wrong number or type of arguments}
        {return redis.status_reply()} {ERR wrong number or type of arguments}
        {return {err = 'a b'}} {a b}
    } {
        test "errors that are returned have no place: $script" {
            catch {r eval $script 0} message
            assert_equal $reply $message
        }
    }

    test {the sandbox has these globals and no others} {
        set globals {_G _VERSION KEYS ARGV __redis__err__handler assert bit cjson cmsgpack collectgarbage coroutine error
            gcinfo getfenv getmetatable ipairs load loadstring math newproxy next os pairs pcall rawequal rawget rawset redis
            select server setfenv setmetatable string struct table tonumber tostring type unpack xpcall}
        assert_equal [lsort $globals] [lsort [r eval {local t = {} for k in pairs(_G) do t[#t + 1] = k end return t} 0]]
        foreach {library members} {
            string {byte char dump find format gfind gmatch gsub len lower match rep reverse sub upper}
            table {concat foreach foreachi getn insert maxn remove setn sort}
            math {abs acos asin atan atan2 ceil cos cosh deg exp floor fmod frexp huge ldexp log log10 max min mod modf pi pow rad
                random randomseed sin sinh sqrt tan tanh}
            os clock
            coroutine {create resume running status wrap yield}
            bit {arshift band bnot bor bswap bxor lshift rol ror rshift tobit tohex}
            struct {pack size unpack}
            cmsgpack {_COPYRIGHT _DESCRIPTION _NAME _VERSION pack unpack unpack_limit unpack_one}
            cjson {_NAME _VERSION decode decode_invalid_numbers decode_max_depth encode encode_invalid_numbers encode_keep_buffer
                encode_max_depth encode_number_precision encode_sparse_array new null}
            redis {LOG_DEBUG LOG_NOTICE LOG_VERBOSE LOG_WARNING REDIS_VERSION REDIS_VERSION_NUM REPL_ALL REPL_AOF REPL_NONE
                REPL_REPLICA REPL_SLAVE SERVER_NAME VALKEY_VERSION VALKEY_VERSION_NUM acl_check_cmd breakpoint call debug
                error_reply log pcall replicate_commands set_repl setresp sha1hex status_reply}
        } {
            set found [r eval "local t = {} for k in pairs($library) do t\[#t + 1\] = k end return t" 0]
            assert_equal [lsort $members] [lsort $found] $library
        }
    }

    test {the server is known by both names, with its versions} {
        assert_equal 1 [r eval {return redis == server} 0]
        assert_equal {7.2.4 459268 8.0.1 524289 valkey} [r eval {
            return {redis.REDIS_VERSION, redis.REDIS_VERSION_NUM, redis.VALKEY_VERSION, redis.VALKEY_VERSION_NUM, redis.SERVER_NAME}
        } 0]
        assert_equal {0 1 2 3} [r eval {return {redis.LOG_DEBUG, redis.LOG_VERBOSE, redis.LOG_NOTICE, redis.LOG_WARNING}} 0]
        assert_equal {0 1 2 2 3} [r eval {
            return {redis.REPL_NONE, redis.REPL_AOF, redis.REPL_SLAVE, redis.REPL_REPLICA, redis.REPL_ALL}
        } 0]
        assert_equal 1 [r eval {return redis.replicate_commands()} 0]
        assert_equal {} [r eval {return redis.breakpoint()} 0]
        assert_equal 0 [r eval {return select('#', redis.debug('x'))} 0]
    }

    test {redis.sha1hex takes what it gets} {
        assert_equal da39a3ee5e6b4b0d3255bfef95601890afd80709 [r eval {return redis.sha1hex('')} 0]
        assert_equal e0e1f9fabfc9d4800c877a703b823ac0578ff8db [r eval {return redis.sha1hex('return 1')} 0]
        assert_equal [r eval {return redis.sha1hex('1.5')} 0] [r eval {return redis.sha1hex(1.5)} 0]
        assert_equal da39a3ee5e6b4b0d3255bfef95601890afd80709 [r eval {return redis.sha1hex({})} 0]
        foreach {length digest} {
            65536 fbadff70297af63cddef846e9006c774da8b7fb0
            65537 73e6b534aafc0df0abf8bed462d387cf503cd776
            1000003 2c79ebabe94e138f9859b037adf16fb6ecaf2996
        } {
            assert_equal $digest [r eval {return redis.sha1hex(('x'):rep(ARGV[1]))} 0 $length] $length
        }
    }

    test {what was raised deep inside of a coroutine comes out} {
        r set s x
        assert_equal x [r eval {return coroutine.wrap(function() return redis.call('get', 's') end)()} 0]
        assert_equal {ERR Unknown command called from script on @user_script:1.} \
            [script_error r eval {coroutine.wrap(function() redis.call('nosuch') end)()} 0]
    }

    test {binary chunks are no scripts} {
        assert_equal {} [r eval {return loadstring(string.dump(function() return 1 end))} 0]
        assert_equal 2 [r eval {return loadstring('return 1 + 1')()} 0]
    }

    test {no script leaves anything to the next} {
        foreach script {
            {setfenv(1, {}) x = 1}
            {local t = getmetatable(newproxy(true)) t.x = 1}
            {ARGV.x = 1}
            {local f = loadstring('local y = 1')()}
        } {
            catch {r eval $script 0}
            assert_match "*nonexistent global variable 'x'*" [script_error r eval {return x} 0]
            assert_equal 0 [r eval {return #ARGV} 0]
        }
    }

    test {tables that hold each other end in an error deep inside} {
        foreach script {{local a = {} a[1] = a return a} {local a = {map = {}} a.map.k = a return a}} {
            assert_match "*-ERR reached lua stack limit\r\n" [raw_eval 2 EVAL $script 0]
        }
        assert_equal PONG [r ping]
    }

    test {SORT BY a constant has an order in scripts} {
        r del s
        r sadd s c a e b d
        assert_equal {a b c d e} [r eval {return redis.call('sort', 's', 'by', '_')} 0]
        assert_equal {a b c d e} [r eval {return redis.call('sort', 's', 'by', 'nosort')} 0]
    }

    foreach command {{multi} {exec} {discard} {watch k} {unwatch} {subscribe c} {unsubscribe} {psubscribe c} {ssubscribe c} {monitor}
        {auth x} {hello} {reset} {quit} {eval {return 1} 0} {evalsha x 0} {fcall f 0} {script kill} {script load x} {function list}
        {function kill} {client id} {config get x} {acl whoami} {save} {bgsave} {shutdown} {replicaof no one} {role} {psync ? -1}
        {debug sleep 0} {module list} {latency latest} {failover}} {
        test "scripts may not call [lindex $command 0] ([join $command { }])" {
            set words [join [lmap word $command {string cat ' $word '}] ,]
            assert_equal {ERR This Redis command is not allowed from script on @user_script:1.} \
                [script_error r eval "redis.call($words)" 0]
        }
    }

    test {scripts may ask containers for help} {
        foreach command {client config script function acl} {
            assert_match "[string toupper $command] <subcommand>*" [r eval "return redis.call('$command', 'help')\[1\]" 0]
        }
    }

    test {what waits does not wait in a script} {
        r del nolist st
        foreach {command reply} {
            {'blpop', 'nolist', 0} {}
            {'brpop', 'nolist', 0} {}
            {'blmove', 'nolist', 'x', 'left', 'left', 0} {}
            {'brpoplpush', 'nolist', 'x', 0} {}
            {'blmpop', 0, 1, 'nolist', 'left'} {}
            {'bzpopmin', 'nolist', 0} {}
            {'bzpopmax', 'nolist', 0} {}
            {'bzmpop', 0, 1, 'nolist', 'min'} {}
            {'xread', 'block', 0, 'streams', 'st', '$'} {}
            {'wait', 5, 0} 0
        } {
            assert_equal $reply [r eval "return redis.call($command)" 0] $command
        }
        r rpush nolist a
        assert_equal {nolist a} [r eval {return redis.call('blpop', 'nolist', 0)} 0]
    }

    test {time stands still while a script runs} {
        assert_equal 1 [r eval {
            local a = redis.call('time')
            local n = 0
            for i = 1, 300000 do n = n + i end
            local b = redis.call('time')
            return a[1] == b[1] and a[2] == b[2]
        } 0]
        assert_equal {v 1} [r eval {
            redis.call('set', 'short', 'v', 'px', 1)
            local n = 0
            for i = 1, 1000000 do n = n + i end
            return {redis.call('get', 'short'), redis.call('pttl', 'short')}
        } 0]
    }

    test {TIME tells microseconds in a script, and never twice the same in two} {
        set times {}
        for {set i 0} {$i < 50} {incr i} {
            lassign [r eval {return redis.call('time')} 0] seconds micros
            lappend times [expr {$seconds * 1000000 + $micros}]
        }
        assert_equal $times [lsort -integer -unique $times]
    }

    test {SELECT in a script is the script's} {
        r select 9
        assert_equal x [r eval {redis.call('select', 10) redis.call('set', 'only10', 'x') return redis.call('get', 'only10')} 0]
        assert_equal {} [r get only10]
        r select 10
        assert_equal x [r getdel only10]
        r select 9
    } {OK} {singledb:skip}

    test {EVAL_RO writes nothing} {
        r set k v
        assert_equal v [r eval_ro {return redis.call('get', KEYS[1])} 1 k]
        foreach command {{'set', 'k', 'x'} {'publish', 'c', 'm'} {'spublish', 'c', 'm'} {'pfcount', 'k'} {'del', 'k'}} {
            assert_equal {ERR Write commands are not allowed from read-only scripts. on @user_script:1.} \
                [script_error r eval_ro "redis.call($command)" 0]
        }
        set sha [r script load {return redis.call('get', KEYS[1])}]
        assert_equal v [r evalsha_ro $sha 1 k]
    }

    test {flags of a script's first line are obeyed} {
        assert_equal 1 [r eval "#!lua\nreturn 1" 0]
        assert_equal 1 [r eval "#!lua flags=\nreturn 1" 0]
        assert_equal 1 [r eval "#!lua flags=no-writes flags=allow-oom,allow-stale,no-cluster,allow-cross-slot-keys\nreturn 1" 0]
        assert_equal 1 [r eval "#!lua \"flags=no-writes\"\r\nreturn 1" 0]
        assert_equal {ERR user_script:3: x on @user_script:3.} [script_error r eval "#!lua\n\nerror('x')" 0]
        assert_equal {ERR Write commands are not allowed from read-only scripts. on @user_script:2.} \
            [script_error r eval "#!lua flags=no-writes\nredis.call('set', 'k', 1)" 0]
        assert_error {ERR Can not execute a script with write flag using *_ro command.} {r eval_ro "#!lua\nreturn 1" 0}
        assert_equal 1 [r eval_ro "#!lua flags=no-writes\nreturn 1" 0]
    }

    foreach {line error} {
        "#!lua" {Invalid script shebang}
        "#!lua \"flags\n" {Invalid engine in script shebang}
        "#!LUA\n" {Unexpected engine in script shebang: #!LUA}
        "#! lua\n" {Unexpected engine in script shebang: #!}
        "#!not-lua\n" {Unexpected engine in script shebang: #!not-lua}
        "#!lua name=x\n" {Unknown lua shebang option: name=x}
        "#!lua Flags=\n" {Unknown lua shebang option: Flags=}
        "#!lua flags=bad\n" {Unexpected flag in script shebang: bad}
        "#!lua flags=no-writes,\n" {Unexpected flag in script shebang: }
        "#!lua flags=No-Writes\n" {Unexpected flag in script shebang: No-Writes}
    } {
        test "first lines that are wrong: [string map {\n \\n} $line]" {
            catch {r eval "${line}return 1" 0} message
            if {$line eq "#!lua"} {
                catch {r eval $line 0} message
            }
            assert_equal "ERR $error" $message
        }
    }
}
