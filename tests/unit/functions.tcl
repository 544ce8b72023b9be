# FUNCTION and FCALL: libraries, what is wrong with them, dumps, snapshots, replication.

# A library with one function that returns its own name.
proc library {name function {body {return 'NAME'}}} {
    return "#!lua name=$name\nredis.register_function('$function', function(keys, args) [string map [list NAME $function] $body] end)"
}

# Names of all functions, sorted.
proc function_names {client} {
    set names {}
    foreach library [$client function list] {
        foreach function [dict get $library functions] {
            lappend names [dict get $function name]
        }
    }
    return [lsort $names]
}

start_server {tags {"scripting"}} {
    test {a library is loaded, called, listed and deleted} {
        assert_equal lib [r function load [library lib f]]
        assert_equal f [r fcall f 0]
        assert_equal f [r fcall F 0]
        assert_equal {{library_name lib engine LUA functions {{name f description {} flags {}}}}} [r function list]
        assert_error {ERR Library not found} {r function delete LIB}
        assert_equal OK [r function delete lib]
        assert_error {ERR Library not found} {r function delete lib}
        assert_error {ERR Function not found} {r fcall f 0}
        assert_equal {} [r function list]
    }

    test {functions get keys and arguments as they are} {
        r function flush
        r function load [library lib f {return {#keys, #args, keys[1], args[1]}}]
        assert_equal [list 1 2 "k\0" "\r\n\xff"] [r fcall f 1 "k\0" "\r\n\xff" x]
        assert_equal {0 0} [r fcall f 0]
    }

    test {words of FCALL are checked in order} {
        r function flush
        r function load [library lib f]
        assert_error {ERR wrong number of arguments for 'fcall' command} {r fcall f}
        assert_error {ERR Function not found} {r fcall nosuch x}
        assert_error {ERR Bad number of keys provided} {r fcall f x}
        assert_error {ERR Number of keys can't be greater than number of args} {r fcall f 1}
        assert_error {ERR Number of keys can't be negative} {r fcall f -1}
    }

    test {variables of a library live from call to call} {
        r function flush
        r function load "#!lua name=lib
local count = 0
redis.register_function('next', function() count = count + 1 return count end)"
        assert_equal {1 2 3} [list [r fcall next 0] [r fcall next 0] [r fcall next 0]]
    }

    test {functions are registered with names, descriptions and flags} {
        r function flush
        r function load "#!lua name=lib
redis.register_function{function_name='f', callback=function() return redis.call('get', 'x') end,
    description='reads', flags={'no-writes', 'allow-stale'}}
redis.register_function{FUNCTION_NAME=5, CALLBACK=function() return 'five' end, Flags={'Allow-OOM'}}"
        assert_equal five [r fcall 5 0]
        set functions [dict get [lindex [r function list] 0] functions]
        set shown [lsort [lmap function $functions {list [dict get $function name] [dict get $function description] [dict get $function flags]}]]
        assert_equal {{5 {} allow-oom} {f reads {no-writes allow-stale}}} $shown
    }

    foreach {code error} {
        {return 1} {Missing library metadata}
        {#!lua name=a} {Invalid library metadata}
        "#!lua name=\"a\n" {Invalid library metadata}
        "#!lua\n" {Library name was not given}
        "#!lua name=a name=b\n" {Invalid metadata value, name argument was given multiple times}
        "#!lua name=a foo=b\n" {Invalid metadata value given: foo=b}
        "#!lua name=a flags=no-writes\n" {Invalid metadata value given: flags=no-writes}
        "#!lua name=a-b\n" {Library names can only contain letters, numbers, or underscores(_) and must be at least one character long}
        "#!lua name=\n" {Library names can only contain letters, numbers, or underscores(_) and must be at least one character long}
        "#!foo name=a\n" {Engine 'foo' not found}
        "#!lua name=there\n" {Library 'there' already exists}
        "#!lua name=a\nsyntax error" {Error compiling function: user_function:2: '=' expected near 'error'}
        "#!lua name=a\nreturn 1" {No functions registered}
        "#!lua name=a\nredis.register_function('Fthere', function() end)" {Function Fthere already exists}
        "#!lua name=a\nredis.call('ping')" {Error registering functions: ERR user_function:2: Script attempted to access nonexistent global variable 'call'}
        "#!lua name=a\nreturn string.rep" {Error registering functions: ERR user_function:2: Script attempted to access nonexistent global variable 'string'}
        "#!lua name=a\nx = 1" {Error registering functions: ERR user_function:2: Attempt to modify a readonly table}
        "#!lua name=a\nredis.register_function()" {Error registering functions: ERR wrong number of arguments to server.register_function}
        "#!lua name=a\nredis.register_function('f', function() end, 1)" {Error registering functions: ERR wrong number of arguments to server.register_function}
        "#!lua name=a\nredis.register_function('f')" {Error registering functions: ERR calling server.register_function with a single argument is only applicable to Lua table (representing named arguments).}
        "#!lua name=a\nredis.register_function({}, function() end)" {Error registering functions: ERR first argument to server.register_function must be a string}
        "#!lua name=a\nredis.register_function('f', 1)" {Error registering functions: ERR second argument to server.register_function must be a function}
        "#!lua name=a\nredis.register_function('f g', function() end)" {Error registering functions: ERR Library names can only contain letters, numbers, or underscores(_) and must be at least one character long}
        "#!lua name=a\nredis.register_function{function_name={}}" {Error registering functions: ERR function_name argument given to server.register_function must be a string}
        "#!lua name=a\nredis.register_function{description={}}" {Error registering functions: ERR description argument given to server.register_function must be a string}
        "#!lua name=a\nredis.register_function{callback=1}" {Error registering functions: ERR callback argument given to server.register_function must be a function}
        "#!lua name=a\nredis.register_function{flags=1}" {Error registering functions: ERR flags argument to server.register_function must be a table representing function flags}
        "#!lua name=a\nredis.register_function{flags={'bad'}}" {Error registering functions: ERR unknown flag given}
        "#!lua name=a\nredis.register_function{other=1}" {Error registering functions: ERR unknown argument given to server.register_function}
        "#!lua name=a\nredis.register_function{\[true\]=1}" {Error registering functions: ERR named argument key given to server.register_function is not a string}
        "#!lua name=a\nredis.register_function{callback=function() end}" {Error registering functions: ERR server.register_function must get a function name argument}
        "#!lua name=a\nredis.register_function{function_name='f'}" {Error registering functions: ERR server.register_function must get a callback argument}
        "#!lua name=a\nlocal f = function() end redis.register_function('f', f) redis.register_function('f', f)" {Error registering functions: ERR Function already exists in the library}
        "#!lua name=a\nredis.log(1)" {Error registering functions: ERR server.log() requires two arguments or more.}
    } {
        test "FUNCTION LOAD refuses [string map {\n \\n} $code]" {
            r function flush
            r function load [library there fthere]
            catch {r function load $code} message
            assert_equal "ERR $error" $message
            assert_equal fthere [function_names r]
        }
    }

    test {FUNCTION LOAD gives a body 500 ms} {
        r function flush
        catch {r function load "#!lua name=a\nwhile true do end"} message
        assert_equal {ERR Error registering functions: ERR FUNCTION LOAD timeout} $message
        assert_equal {} [r function list]
        assert_equal f [r function load [library f f]]
    }

    test {a library may log and know versions while it is loaded} {
        r function flush
        set mark [log_mark]
        r function load "#!lua name=lib\nredis.log(server.LOG_WARNING, 'loading by', redis.SERVER_NAME)\n[lindex [split [library x f] \n] 1]"
        wait_for_log $mark {*loading by valkey*}
    } {*} {external:skip}

    test {FUNCTION LOAD REPLACE changes all or nothing} {
        r function flush
        r function load [library a fa]
        r function load [library b fb]
        assert_error {ERR Library 'a' already exists} {r function load [library a new]}
        assert_error {ERR Function fb already exists} {r function load replace [library a fb]}
        assert_error {ERR No functions registered} {r function load REPLACE "#!lua name=a\nreturn 1"}
        assert_equal {fa fb} [function_names r]
        assert_equal fa [r fcall fa 0]
        assert_equal a [r function load replace [library a new]]
        assert_equal {fb new} [function_names r]
        assert_error {ERR Function not found} {r fcall fa 0}
        assert_error {ERR Unknown option given: other} {r function load other [library a x]}
    }

    test {errors in functions say which and where} {
        r function flush
        r function load [library lib Raises {error('boom')}]
        catch {r fcall raises 0} message
        assert_equal {ERR user_function:2: boom script: Raises, on @user_function:2.} $message
        r function load replace "#!lua name=lib\n\nredis.register_function('f', function() redis.call('nosuch') end)"
        catch {r fcall f 0} message
        assert_equal {ERR Unknown command called from script script: f, on @user_function:3.} $message
        r function load replace [library lib f {return foo}]
        catch {r fcall f 0} message
        assert_equal {ERR user_function:2: Script attempted to access nonexistent global variable 'foo' script: f, on @user_function:2.} $message
        r function load replace "#!lua name=lib\nlocal register = redis.register_function\nregister('f', function() register('g', function() end) end)"
        catch {r fcall f 0} message
        assert_equal {ERR server.register_function can only be called on FUNCTION LOAD command script: f, on @user_function:3.} $message
        r function load replace "#!lua name=lib\nredis.register_function('f', redis.log)"
        catch {r fcall f 0} message
        assert_equal {ERR First argument must be a number (log level).} $message
    }

    test {functions find these globals} {
        r function flush
        r function load [library lib f {local t = {} for k in pairs(_G) do t[#t + 1] = k end return t}]
        set globals {_G _VERSION assert bit cjson cmsgpack collectgarbage coroutine error gcinfo getfenv getmetatable ipairs load
            loadstring math newproxy next os pairs pcall rawequal rawget rawset redis select server setfenv setmetatable string
            struct table tonumber tostring type unpack xpcall}
        assert_equal [lsort $globals] [lsort [r fcall f 0]]
        r function load replace [library lib f {local t = {} for k in pairs(redis) do t[#t + 1] = k end return t}]
        set members {LOG_DEBUG LOG_NOTICE LOG_VERBOSE LOG_WARNING REDIS_VERSION REDIS_VERSION_NUM REPL_ALL REPL_AOF REPL_NONE
            REPL_REPLICA REPL_SLAVE SERVER_NAME VALKEY_VERSION VALKEY_VERSION_NUM acl_check_cmd call error_reply log pcall set_repl
            setresp sha1hex status_reply}
        assert_equal [lsort $members] [lsort [r fcall f 0]]
        r function load replace [library lib f {return {next(getfenv(1)) == nil, getmetatable(getfenv(1)).__index == _G}}]
        assert_equal {1 1} [r fcall f 0]
    }

    foreach body {{x = 1} {_G.x = 1} {redis.call = 1} {string.rep = 1} {getmetatable(_G).__index = 1} {getmetatable(_G).other = 1}} {
        test "functions cannot change what all share: $body" {
            r function flush
            r function load [library lib f $body]
            catch {r fcall f 0} message
            assert_equal {ERR user_function:2: Attempt to modify a readonly table script: f, on @user_function:2.} $message
        }
    }

    test {FCALL_RO calls what does not write} {
        r function flush
        r set k v
        r function load "#!lua name=lib
redis.register_function{function_name='reads', callback=function(keys) return redis.call('get', keys\[1\]) end, flags={'no-writes'}}
redis.register_function{function_name='lies', callback=function(keys) return redis.call('set', keys\[1\], 1) end, flags={'no-writes'}}
redis.register_function('writes', function(keys) return redis.call('set', keys\[1\], 1) end)"
        assert_equal v [r fcall_ro reads 1 k]
        assert_error {ERR Can not execute a script with write flag using \*_ro command.} {r fcall_ro writes 1 k}
        assert_error {ERR Write commands are not allowed from read-only scripts. script: lies, on @user_function:3.} {r fcall_ro lies 1 k}
        assert_error {ERR Write commands are not allowed from read-only scripts. script: lies, on @user_function:3.} {r fcall lies 1 k}
        assert_equal OK [r fcall writes 1 k]
    }

    test {without memory functions do what they say they need} {
        r function flush
        r function load "#!lua name=lib
redis.register_function('plain', function() return 1 end)
redis.register_function{function_name='reads', callback=function() return 1 end, flags={'no-writes'}}
redis.register_function{function_name='allowed', callback=function() return redis.call('set', 'k', 1) end, flags={'allow-oom'}}"
        r config set maxmemory 1
        assert_error {OOM *} {r fcall plain 0}
        assert_equal 1 [r fcall reads 0]
        assert_equal OK [r fcall allowed 0]
        assert_error {OOM *} {r function load [library other f]}
        r config set maxmemory 0
    } {OK} {needs:config-maxmemory}

    test {functions and scripts do not see each other} {
        r function flush
        r function load [library lib f {return 1}]
        catch {r eval {return f()} 0} message
        assert_match {*nonexistent global variable 'f'*} $message
    }

    test {FUNCTION LIST shows what was asked for} {
        r function flush
        r function load [library one f1]
        r function load [library two f2]
        assert_equal {one two} [lsort [lmap library [r function list] {dict get $library library_name}]]
        assert_equal one [lmap library [r function list libraryname ON*] {dict get $library library_name}]
        assert_equal {} [r function list LIBRARYNAME x*]
        assert_equal [library two f2] [dict get [lindex [r function list withcode libraryname two] 0] library_code]
        foreach {words error} {
            x {Unknown argument x}
            {withcode withcode} {Unknown argument withcode}
            {libraryname a libraryname b} {Unknown argument libraryname}
            libraryname {library name argument was not given}
        } {
            assert_error "ERR $error" {r function list {*}$words}
        }
    }

    test {a pattern that could take forever does not} {
        r function list libraryname [string repeat *a 10000]b
    }

    test {FUNCTION STATS counts} {
        r function flush
        assert_equal {running_script {} engines {LUA {libraries_count 0 functions_count 0}}} [r function stats]
        r function load "[library one f1]\n[lindex [split [library x f2] \n] 1]"
        r function load [library two f3]
        assert_equal {running_script {} engines {LUA {libraries_count 2 functions_count 3}}} [r function stats]
        assert_equal {2 3} [list [s number_of_libraries] [s number_of_functions]]
        assert {[s used_memory_functions] > 0}
        assert_equal [s used_memory_functions] [dict get [r memory stats] functions.caches]
        r function flush
        assert_equal {0 0} [list [s number_of_libraries] [s number_of_functions]]
    }

    test {FUNCTION FLUSH forgets in either mode} {
        foreach mode {{} sync ASYNC} {
            r function load [library lib f]
            assert_equal OK [r function flush {*}$mode]
            assert_equal {} [r function list]
        }
        assert_error {ERR FUNCTION FLUSH only supports SYNC|ASYNC option} {r function flush x}
        assert_error {ERR unknown subcommand or wrong number of arguments for 'flush'. Try FUNCTION HELP.} {r function flush sync x}
    }

    test {FUNCTION refuses what it does not know} {
        assert_error {ERR wrong number of arguments for 'function' command} {r function}
        foreach {words error} {
            {stats x} {wrong number of arguments for 'function|stats' command}
            {dump x} {wrong number of arguments for 'function|dump' command}
            load {wrong number of arguments for 'function|load' command}
            delete {wrong number of arguments for 'function|delete' command}
            foo {unknown subcommand 'foo'. Try FUNCTION HELP.}
        } {
            assert_error "ERR $error" {r function {*}$words}
        }
        assert_error {NOTBUSY No scripts in execution right now.} {r function kill}
        assert_equal 39 [llength [r function help]]
    }

    test {functions may be changed in a transaction} {
        r function flush
        r function load [library lib f]
        r multi
        r fcall f 0
        r function delete lib
        r fcall f 0
        r function load [library lib f {return 'new'}]
        r fcall f 0
        catch {r exec} message
        assert_equal {ERR Function not found} $message
        assert_equal new [r fcall f 0]
    }

    test {commands of a function need its caller's rights} {
        r function flush
        r function load [library lib f {return redis.call('get', keys[1])}]
        r set k v
        r acl setuser bob reset on nopass +fcall +auth ~*
        set bob [valkey_client]
        $bob auth bob x
        assert_error {ERR ACL failure in script: User bob has no permissions to run the 'get' command*} {$bob fcall f 1 k}
        $bob close
        r acl deluser bob
    }
}

start_server {tags {"scripting"}} {
    test {FUNCTION DUMP of nothing is a frame around nothing} {
        r function flush
        assert_equal 0b003444e133f2e04b53 [binary encode hex [r function dump]]
        assert_equal OK [r function restore [r function dump]]
    }

    test {FUNCTION RESTORE by policy} {
        r function flush
        r function load [library a fa]
        r function load [library b fb]
        set dump [r function dump]
        r function flush
        assert_equal OK [r function restore $dump]
        assert_equal {fa fb} [function_names r]
        assert_match {ERR Library [ab] already exists} [catch {r function restore $dump} message; set message]
        assert_match {ERR Library [ab] already exists} [catch {r function restore $dump append} message; set message]
        r function load replace [library a other]
        r function load [library c fc]
        assert_equal OK [r function restore $dump REPLACE]
        assert_equal {fa fb fc} [function_names r]
        assert_equal OK [r function restore $dump flush]
        assert_equal {fa fb} [function_names r]
        assert_equal fb [r fcall fb 0]
    }

    test {FUNCTION RESTORE changes all or nothing} {
        r function flush
        r function load [library a fa]
        r function load [library b fb]
        set dump [r function dump]
        r function flush
        r function load [library c fb]
        assert_error {ERR Function fb already exists} {r function restore $dump}
        assert_error {ERR Function fb already exists} {r function restore $dump replace}
        assert_equal fb [function_names r]
        assert_equal OK [r function restore $dump flush]
    }

    test {FUNCTION RESTORE refuses what is none} {
        r function flush
        r function load [library a fa]
        set dump [r function dump]
        assert_error {ERR DUMP payload version or checksum are wrong} {r function restore x}
        assert_error {ERR DUMP payload version or checksum are wrong} {r function restore [string replace $dump 3 3 x]}
        assert_error {ERR DUMP payload version or checksum are wrong} {r function restore [string range $dump 0 end-1]}
        assert_error {ERR Wrong restore policy given, value should be either FLUSH, APPEND or REPLACE.} {r function restore $dump x}
        assert_error {ERR unknown subcommand or wrong number of arguments for 'restore'. Try FUNCTION HELP.} {r function restore $dump flush x}
        r set k v
        assert_error {ERR given type is not a function} {r function restore [r dump k]}
        assert_equal fa [function_names r]
    }

    test {functions are saved and loaded with the data} {
        r function flush
        r function load [library a fa]
        r function load [library b fb]
        r set k v
        r debug reload
        assert_equal {fa fb v} [list [r fcall fa 0] [r fcall fb 0] [r get k]]
        r flushall
        assert_equal fa [r fcall fa 0]
        r debug reload
        assert_equal {fa fb} [function_names r]
    } {} {needs:debug needs:save}

    test {functions survive a restart} {
        r function flush
        r function load [library a fa]
        r save
        restart_server 0 true false
        assert_equal fa [r fcall fa 0]
    } {} {external:skip needs:save}

    test {changes of libraries travel as they came} {
        r function flush
        r function load [library a fa]
        set dump [r function dump]
        set repl [attach_to_replication_stream]
        r function load replace [library a fa]
        catch {r function load [library a fa]}
        r function delete a
        catch {r function delete a}
        r function restore $dump
        catch {r function restore $dump}
        r function flush
        r function flush async
        r set after 1
        assert_replication_stream $repl {
            {select *} {function load replace *} {function delete a} {function restore *} {function flush} {function flush async}
            {set after 1}
        }
        close_replication_stream $repl
    } {} {needs:repl}
}

start_server {tags {"scripting external:skip needs:repl"}} {
    start_server {} {
        test {libraries come with a full synchronisation, and in place of what was there} {
            r -1 function load [library primary fp]
            r function load [library replica fr]
            r replicaof [srv -1 host] [srv -1 port]
            wait_for_sync r
            assert_equal fp [function_names r]
            assert_error {READONLY *} {r fcall fp 0}
            assert_error {READONLY *} {r function load [library x fx]}
        }

        test {changes of libraries reach a replica} {
            r -1 function flush
            r -1 function load [library primary fp]
            r replicaof [srv -1 host] [srv -1 port]
            wait_for_sync r
            r -1 function load "#!lua name=reads\nredis.register_function{function_name='ro', callback=function() return 'ro' end, flags={'no-writes'}}"
            wait_for_ofs_sync r [srv -1 client]
            assert_equal ro [r fcall_ro ro 0]
            r -1 function delete primary
            wait_for_ofs_sync r [srv -1 client]
            assert_equal ro [function_names r]
            set dump [r -1 function dump]
            r -1 function flush
            wait_for_ofs_sync r [srv -1 client]
            assert_equal {} [function_names r]
            r -1 function restore $dump
            wait_for_ofs_sync r [srv -1 client]
            assert_equal ro [function_names r]
        }

        test {effects of functions reach a replica} {
            r replicaof [srv -1 host] [srv -1 port]
            wait_for_sync r
            r -1 function load [library writes w {return redis.call('set', keys[1], args[1])}]
            r -1 fcall w 1 k v
            wait_for_ofs_sync r [srv -1 client]
            assert_equal v [r get k]
            r replicaof no one
            assert_equal OK [r fcall w 1 k own]
        }
    }
}

start_server {tags {"scripting peer:skip"}} {
    test {the way to the globals cannot be changed} {
        r function flush
        r function load [library lib f {getmetatable(getfenv(1)).__index = {}}]
        catch {r fcall f 0} message
        assert_equal {ERR user_function:2: Attempt to modify a readonly table script: f, on @user_function:2.} $message
    }

    test {functions whose names differ in case alone are refused at once} {
        r function flush
        catch {r function load "#!lua name=a\nlocal f = function() end redis.register_function('f', f) redis.register_function('F', f)"} message
        assert_equal {ERR Error registering functions: ERR Function already exists in the library} $message
    }

}
