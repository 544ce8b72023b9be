# Scripts that mean harm.

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
