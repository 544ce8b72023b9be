# SCRIPT STATS and the limits of the interpreter: what scripts take, and what they may take.

start_server {tags {"scripting peer:skip"}} {
    # The figures of a script, or of a function of a library.
    proc script_stats {kind name} {
        set all [dict get [r script stats] $kind]
        return [expr {[dict exists $all $name] ? [dict get $all $name] : ""}]
    }

    test {SCRIPT STATS tells what the runs of a script have taken} {
        r script flush
        set sha [r script load {local n = 0 for i = 1, tonumber(ARGV[1]) do n = n + i end return n}]
        assert_equal {} [script_stats scripts $sha]
        r evalsha $sha 0 1000
        r evalsha $sha 0 100000
        r evalsha $sha 0 10
        set stats [script_stats scripts $sha]
        assert_equal {calls failed_calls total_us instructions memory_peak_bytes slowest_us slowest_instructions last_error last_error_time} [dict keys $stats]
        dict with stats {
            assert_equal {3 0 {} -1} [list $calls $failed_calls $last_error $last_error_time]
            assert_range $slowest_instructions 100000 1000000
            assert_range $instructions [expr {$slowest_instructions + 1010}] 1100000
            assert_range $slowest_us 1 $total_us
        }
    }

    test {SCRIPT STATS names the error that has ended a script last} {
        set script {local t = redis.call(ARGV[1], KEYS[1]) return t}
        set sha [r script load $script]
        r set k v
        catch {r evalsha $sha 1 k lpop}
        r evalsha $sha 1 k get
        catch {r evalsha $sha 1 k nosuch} message
        set stats [script_stats scripts $sha]
        assert_equal {3 2} [list [dict get $stats calls] [dict get $stats failed_calls]]
        assert_equal $message [dict get $stats last_error]
        assert_lessthan_equal [expr {abs([clock seconds] - [dict get $stats last_error_time])}] 5
        # An error that a script returns is a reply, and a long text is cut.
        r eval {return redis.pcall('nosuch') and {ok = 'fine'}} 0
        set sha [r script load {error(('x'):rep(100000))}]
        catch {r evalsha $sha 0}
        assert_equal 256 [string length [dict get [script_stats scripts $sha] last_error]]
    }

    test {SCRIPT STATS tells how much memory a script has made the interpreter grow by} {
        r script flush
        set small [r script load {return 1}]
        set large [r script load {local t = {} for i = 1, 100 do t[i] = ('x'):rep(tonumber(ARGV[1])) .. i end return #t}]
        r evalsha $large 0 1000
        set before [dict get [script_stats scripts $large] memory_peak_bytes]
        assert_range $before 100000 1000000
        r evalsha $large 0 100000
        # What earlier runs have left is not a script's own.
        r evalsha $small 0
        assert_range [dict get [script_stats scripts $large] memory_peak_bytes] 10000000 30000000
        assert_lessthan [dict get [script_stats scripts $small] memory_peak_bytes] 5000
    }

    test {SCRIPT STATS tells of functions by library and name} {
        r function load replace "#!lua name=one\nredis.register_function('F', function(keys, args) return #args end)\nredis.register_function('g', function() error('no') end)"
        r fcall f 0 a b
        r fcall F 0
        catch {r fcall g 0} message
        assert_equal 2 [dict get [script_stats functions one.F] calls]
        assert_equal $message [dict get [script_stats functions one.g] last_error]
        # They go with what they are about.
        r function load replace "#!lua name=one\nredis.register_function('F', function() return 1 end)"
        assert_equal {} [dict get [r script stats] functions]
        r fcall f 0
        assert_equal 1 [dict get [script_stats functions one.F] calls]
        r function delete one
        assert_equal {} [dict get [r script stats] functions]
    }

    test {figures go with the script, and with CONFIG RESETSTAT} {
        r script flush
        r eval {return 1} 0
        for {set i 0} {$i < 499} {incr i} {r eval "return 'x$i'" 0}
        assert_equal 500 [dict size [dict get [r script stats] scripts]]
        r eval {return 'another'} 0
        set scripts [dict get [r script stats] scripts]
        assert_equal 500 [dict size $scripts]
        assert {![dict exists $scripts e0e1f9fabfc9d4800c877a703b823ac0578ff8db]}
        r config resetstat
        assert_equal {scripts {} functions {}} [r script stats]
        r eval {return 'another'} 0
        assert_equal 1 [dict size [dict get [r script stats] scripts]]
        r script flush
        assert_equal {scripts {} functions {}} [r script stats]
    }

    test {the scripts that have taken the most time come first} {
        r script flush
        set quick [r script load {return 'quick'}]
        set slow [r script load {local n = 0 for i = 1, 3e5 do n = n + i end return n}]
        r evalsha $quick 0
        r evalsha $slow 0
        assert_equal [list $slow $quick] [dict keys [dict get [r script stats] scripts]]
    }

    test {SCRIPT STATS are maps in RESP3, and of our own} {
        r hello 3
        r script flush
        r eval {return 1} 0
        r readraw 1
        r deferred 1
        r script stats
        set lines {}
        for {set i 0} {$i < 6} {incr i} {lappend lines [r read]}
        assert_equal [list %2 {$7} scripts %1 {$40} e0e1f9fabfc9d4800c877a703b823ac0578ff8db] $lines
        assert_equal %9 [r read]
        for {set i 0} {$i < 31} {incr i} {r read}
        r readraw 0
        r deferred 0
        r hello 2
        assert_equal PONG [r ping]
        assert_error {ERR wrong number of arguments for 'script|stats' command} {r script stats x}
        assert {"script|stats" ni [r command list]}
        assert {"STATS" in [r script help]}
    }
}

start_server {tags {"scripting peer:skip"} overrides {busy-reply-threshold 10}} {
    test {SCRIPT STATS counts a script that has been busy, and one that was killed} {
        set client [busy_client eval {while true do end} 0]
        r script kill
        assert_error {ERR Script killed by user*} {$client read}
        $client close
        set stats [dict get [r script stats] scripts 694a5fe1ddb97a4c6a1bf299d9537c7d3d0f84e7]
        dict with stats {
            assert_equal {1 1} [list $calls $failed_calls]
            assert_match {ERR Script killed by user with SCRIPT KILL... script: *} $last_error
            assert_morethan $instructions 10000
            assert_morethan_equal $total_us 10000
        }
    }
}

start_server {tags {"scripting slowlog peer:skip"} overrides {slowlog-log-slower-than 0 busy-reply-threshold 20}} {
    test {SLOWLOG SCRIPTS tells what slow scripts and functions have taken, and GET stays as it is} {
        r function load replace "#!lua name=one\nredis.register_function('f', function(keys, args) local n = 0 for i = 1, 1e4 do n = n + i end end)"
        set script {redis.call('set', 'k', 'v') return #('x'):rep(100000)}
        r slowlog reset
        r eval $script 0
        r fcall f 0
        r ping
        catch {r evalsha 0000000000000000000000000000000000000000 0}
        # Every entry has the reference's fields; what scripts have called are entries of their own.
        set get [r slowlog get -1]
        foreach entry $get {assert_equal 6 [llength $entry]}
        assert_equal {evalsha ping fcall eval set slowlog} [lmap entry $get {lindex $entry 3 0}]
        set scripts [r slowlog scripts]
        assert_equal [list "fcall f 0" [list eval $script 0]] [lmap entry $scripts {dict get $entry arguments}]
        foreach entry $scripts {
            assert_equal {id time us instructions memory_peak_bytes arguments} [dict keys $entry]
            set same [lsearch -index 0 -inline $get [dict get $entry id]]
            assert_equal [list [dict get $entry time] [dict get $entry us]] [lrange $same 1 2]
        }
        assert_morethan [dict get [lindex $scripts 0] instructions] 10000
        assert_range [dict get [lindex $scripts 1] instructions] 5 10000
        assert_morethan [dict get [lindex $scripts 1] memory_peak_bytes] 100000
        assert_equal 1 [llength [r slowlog scripts 1]]
        assert_equal 2 [llength [r slowlog scripts -1]]
        assert_error {ERR count should be greater than or equal to -1} {r slowlog scripts -2}
        assert {"slowlog|scripts" ni [r command list]}
    }

    test {SLOWLOG SCRIPTS knows scripts that were busy, also inside of a transaction} {
        r slowlog reset
        set script {local n = 0 for i = 1, 3e6 do n = n + i end return n}
        set client [valkey_deferring_client]
        foreach command [list multi [list eval $script 0] ping exec] {$client {*}$command}
        foreach reply {OK QUEUED QUEUED {4500001500000 PONG}} {assert_equal $reply [$client read]}
        $client close
        set scripts [r slowlog scripts]
        assert_equal 1 [llength $scripts]
        assert_morethan [dict get [lindex $scripts 0] instructions] 3000000
        assert_equal $script [lindex [dict get [lindex $scripts 0] arguments] 1]
    }
}

start_server {tags {"scripting peer:skip"} overrides {lua-memory-limit 2mb}} {
    test {lua-memory-limit bounds what scripts and functions may hold, at once} {
        set script {return #('x'):rep(tonumber(ARGV[1]))}
        r function load replace "#!lua name=rep\nredis.register_function('rep', function(keys, args) return #('x'):rep(tonumber(args\[1])) end)"
        foreach command [list [list eval $script 0] {fcall rep 0}] {
            r config set lua-memory-limit 2mb
            assert_error {ERR*not enough memory*} {r {*}$command 3000000}
            assert_equal 1000000 [r {*}$command 1000000]
            r config set lua-memory-limit 8mb
            assert_equal 3000000 [r {*}$command 3000000]
            r config set lua-memory-limit 1mb
            assert_error {ERR*not enough memory*} {r {*}$command 1100000}
        }
        # Fresh interpreters have it, too.
        r script flush
        r function flush
        assert_error {ERR*not enough memory*} {r eval $script 0 1100000}
        assert_equal 10 [r eval $script 0 10]
        assert_error {*argument must be between 1048576 and 4294967296*} {r config set lua-memory-limit 1000}
        assert_error {*argument must be between 1048576 and 4294967296*} {r config set lua-memory-limit 5gb}
        r config set lua-memory-limit 4gb
        assert_equal 100000000 [r eval $script 0 100000000]
    }

    test {a limit below what is held already makes scripts fail, not the server} {
        r config set lua-memory-limit 16mb
        r function load replace "#!lua name=held\nlocal held = ('x'):rep(4000000)\nredis.register_function('held', function() return #held end)\nredis.register_function('more', function() return #(held .. 'y') end)"
        assert_equal 4000000 [r fcall held 0]
        r config set lua-memory-limit 1mb
        assert_error {*not enough memory*} {r fcall more 0}
        assert_equal 1 [r eval {return 1} 0]
        r config set lua-memory-limit 16mb
        assert_equal 4000001 [r fcall more 0]
    }

    test {lua-script-cache-limit bounds what EVAL keeps} {
        set digests [r eval {return {redis.sha1hex('return 7'), redis.sha1hex('return 6')}} 0]
        r script flush
        r config resetstat
        r config set lua-script-cache-limit 3
        set kept [r script load {return 'kept'}]
        for {set i 0} {$i < 5} {incr i} {r eval "return $i" 0}
        assert_equal {4 2} [list [s number_of_cached_scripts] [s evicted_scripts]]
        r config set lua-script-cache-limit 10
        for {set i 0} {$i < 8} {incr i} {r eval "return $i" 0}
        assert_equal 9 [s number_of_cached_scripts]
        # The one that has run last stays.
        r config set lua-script-cache-limit 1
        assert_equal 2 [s number_of_cached_scripts]
        assert_equal {1 1 0} [r script exists $kept {*}$digests]
        assert_error {*argument must be between 1 and 10000*} {r config set lua-script-cache-limit 0}
    }

    test {lua-function-load-timeout bounds the body of a library} {
        r config set lua-function-load-timeout 1
        set body "local n = 0\nfor i = 1, 3e6 do n = n + i end\nredis.register_function('loaded', function() return n end)"
        assert_error {ERR Error registering functions: ERR FUNCTION LOAD timeout} {r function load "#!lua name=slow\n$body"}
        r config set lua-function-load-timeout 20000
        assert_equal slow [r function load "#!lua name=slow\n$body"]
    }
}
