# EVAL and its kin, SCRIPT, and what scripts may do: conversions, errors, the sandbox, effects, rights, statistics.

# The words of a script's error without what tells which script it was.
proc script_error {args} {
    if {![catch {{*}$args} message]} {
        error "no error but: $message"
    }
    regsub { script: [0-9a-f]{40}, on } $message { on } message
    return $message
}

# The bytes of a reply to one request of a connection of its own that speaks this protocol.
proc raw_eval {protocol args} {
    set channel [raw_socket [srv host] [srv port]]
    fconfigure $channel -translation binary
    puts -nonewline $channel "HELLO $protocol\r\n"
    set request "*[llength $args]\r\n"
    foreach word $args {
        append request "\$[string length $word]\r\n$word\r\n"
    }
    puts -nonewline $channel $request
    puts -nonewline $channel "*2\r\n\$4\r\nECHO\r\n\$8\r\nthe-end!\r\nQUIT\r\n"
    flush $channel
    set all [read $channel]
    close $channel
    set end [string first "\$8\r\nthe-end!\r\n" $all]
    # What HELLO says ends with an empty list of modules.
    set start [string first "modules\r\n*0\r\n" $all]
    return [string range $all [expr {$start + 13}] [expr {$end - 1}]]
}

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
        assert_equal 19 [llength [r script help]]
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

start_server {tags {"scripting peer:skip"}} {
    # The reference ends with these, or lets one client's script reach another's.
    test {what an error has not got is not looked for} {
        assert_equal {ERR unknown error on @user_script:1.} [script_error r eval {error({})} 0]
        assert_equal {ERR unknown error on @user_script:1.} [script_error r eval {error(setmetatable({}, {__index = error}))} 0]
    }

    test {nobody changes what all scripts share} {
        foreach script {
            {setfenv(0, {})}
            {getmetatable('').__index = function() return 1 end}
            {local p = newproxy(true) getmetatable(p).__gc = function() redis.call('set', 'late', 1) end}
        } {
            catch {r eval $script 0}
            assert_equal xx [r eval {return ('x'):rep(2)} 0]
        }
        r script flush
        assert_equal 0 [r exists late]
    }

    test {ranges that overflow are refused} {
        assert_match "*too many results to unpack*" [script_error r eval {unpack({}, 0, 2147483647)} 0]
        assert_match "*too many results to unpack*" [script_error r eval {unpack({}, -2, 2147483647)} 0]
    }

    test {an error is one line, whatever is in it} {
        assert_match "-ERR user_script:1: a  +INJ script: *\r\n" [raw_eval 2 EVAL "error('a\\r\\n+INJ')" 0]
        assert_equal 1 [regexp -all {\n} [raw_eval 2 EVAL "return {err = 'a\\r\\n+INJ\\r\\n:1'}" 0]]
    }

    test {a script that wants all memory gets an error, and the next one works} {
        foreach script {
            {local t = {} while true do t[#t + 1] = ('x'):rep(100000) .. #t end}
            {local t = {} while true do t = {t} end}
        } {
            assert_match "*not enough memory*" [script_error r eval $script 0]
            assert_equal 1000000 [r eval {return #('x'):rep(1000000)} 0]
        }
    }
}

# A script that runs until it is killed, of a client of its own, once others are told that the server is busy.
proc busy_client {args} {
    set client [valkey_deferring_client]
    $client {*}$args
    wait_for_condition 100 20 {
        [catch {r ping} message] == 1 && [string match "BUSY*" $message]
    } else {
        fail "the script is not busy"
    }
    return $client
}

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

    test {time stands still for a busy script as well} {
        set client [busy_client eval {
            redis.call('set', 'short', 'v', 'px', 1)
            local before = redis.call('time')
            local i = 0
            while i < 3000000 do i = i + 1 end
            local after = redis.call('time')
            return {redis.call('get', 'short'), before[1] == after[1] and before[2] == after[2]}
        } 0]
        assert_equal {v 1} [$client read]
        $client close
    } {} {peer:skip}

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
        r del n
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

# Classes of past vulnerabilities: the answer is an error or the right value, and the server goes on.
start_server {tags {"scripting"}} {
    foreach {name script pattern} {
        {struct sizes} {return struct.pack('c99999999999', 'x')} {*}
        {struct integers} {return struct.pack('i33', 1)} {*integral size 33 is larger than limit of 32*}
        {struct offsets} {return struct.unpack('s', 'abc', -1)} {*}
        {bit.tohex of the least number} {return bit.tohex(1, -2147483648)} {00000001}
        {cjson nesting} {local t = {} for i = 1, 1001 do t = {t} end return cjson.encode(t)} {*Cannot serialise, excessive nesting (1001)*}
        {cjson decoding} {return cjson.decode(('['):rep(1001))} {*Found too many nested data structures (1001) at character 1001*}
        {cmsgpack cut short} {return cmsgpack.unpack(('\146'):rep(10))} {*}
        {long brackets} {return tostring(loadstring('return [' .. ('='):rep(100000) .. '[x'))} {nil}
        {syntax levels} {return tostring(loadstring(('('):rep(300) .. '1' .. (')'):rep(300)))} {nil}
        {chunks under a hasty collector} {for i = 1, 200 do collectgarbage('setpause', 0) loadstring('return ' .. i, 'chunk' .. i) end return 'fine'} {fine}
        {many values} {return select('#', unpack({}, 1, 7000))} {7000}
        {deep recursion} {local function f() return f() + 1 end return f()} {*stack overflow*}
        {loops of metatables} {local t = setmetatable({}, {}) getmetatable(t).__index = t return t.x} {*loop in gettable*}
        {format widths} {return string.format('%99999d', 1)} {*invalid format (width or precision too long)*}
        {inconsistent orders} {local t = {} for i = 1, 100 do t[i] = i end table.sort(t, function() return true end) return 'sorted'} {*}
        {no debug} {debug.getinfo(1)} {*nonexistent global variable 'debug'*}
        {no package} {return package} {*nonexistent global variable 'package'*}
        {no io} {return io} {*nonexistent global variable 'io'*}
        {no require} {return require('x')} {*nonexistent global variable 'require'*}
        {no dofile} {return dofile('x')} {*nonexistent global variable 'dofile'*}
        {no os.execute} {return os.execute('x')} {*attempt to call field 'execute' (a nil value)*}
        {metatables of simple values} {return tostring(getmetatable(1)) .. tostring(getmetatable(true)) .. tostring(getmetatable(print == nil and 1 or 1))} {*}
    } {
        test "hostile scripts: $name" {
            catch {r eval $script 0} message
            assert_match $pattern $message
            r function load replace "#!lua name=hostile\nredis.register_function('hostile', function() $script end)"
            catch {r fcall hostile 0} message
            assert_match $pattern $message
            assert_equal PONG [r ping]
        }
    }

    test {a connection gets one reply for each script, whatever bytes it is about} {
        set channel [raw_socket [srv host] [srv port]]
        fconfigure $channel -translation binary
        set requests ""
        set count 0
        foreach byte {0 10 13 36 42 43 45 58 255} {
            foreach template {
                {return %s} {error(%s)} {return {err = %s}} {return {ok = %s}} {return {big_number = %s}} {error({err = %s})}
                {return redis.error_reply(%s)} {return redis.status_reply(%s)} {return redis.call(%s)} {return _G[%s]}
                {return {verbatim_string = {format = %s, string = %s}}} {redis.setresp(3) return {map = {[%s] = %s}}}
            } {
                set text [format {'a\%03d\013\010+x'} $byte]
                set script [string map [list %s $text] $template]
                append requests "*3\r\n\$4\r\nEVAL\r\n\$[string length $script]\r\n$script\r\n\$1\r\n0\r\n"
                append requests "*2\r\n\$4\r\nECHO\r\n\$8\r\n[format %08d $count]\r\n"
                incr count
            }
        }
        puts -nonewline $channel "$requests*1\r\n\$4\r\nQUIT\r\n"
        flush $channel
        set replies [read $channel]
        close $channel
        # Between two echoes stands one frame: a line, or a string of the length that it tells.
        set at 0
        for {set number 0} {$number < $count} {incr number} {
            set mark "\$8\r\n[format %08d $number]\r\n"
            set end [string first $mark $replies $at]
            assert {$end >= $at}
            set frame [string range $replies $at [expr {$end - 1}]]
            if {[string index $frame 0] in {+ - :}} {
                assert_equal 1 [regexp -all {\n} $frame] $frame
            }
            set at [expr {$end + [string length $mark]}]
        }
        assert_equal "+OK\r\n" [string range $replies $at end]
    } {} {peer:skip}
}
