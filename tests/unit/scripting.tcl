# SCRIPT, FUNCTION and MODULE as far as there is nothing loaded: what clients and suites say when they set up and tear
# down, and its answers.

start_server {tags {"scripting"}} {
    test {SCRIPT without any script} {
        assert_equal OK [r script flush]
        assert_equal OK [r script flush ASYNC]
        assert_equal OK [r script flush sync]
        assert_equal {0 0} [r script exists a e0e1f9fabfc9d4800c877a703b823ac0578ff8db]
        assert_error {NOSCRIPT No matching script.} {r script show e0e1f9fabfc9d4800c877a703b823ac0578ff8db}
        assert_error {NOTBUSY No scripts in execution right now.} {r script kill}
    }

    test {SCRIPT refuses what it does not know} {
        assert_error {ERR wrong number of arguments for 'script' command} {r script}
        foreach {words error} {
            exists {wrong number of arguments for 'script|exists' command}
            {flush x} {SCRIPT FLUSH only support SYNC|ASYNC option}
            {flush sync async} {SCRIPT FLUSH only support SYNC|ASYNC option}
            {kill x} {wrong number of arguments for 'script|kill' command}
            show {wrong number of arguments for 'script|show' command}
            foo {unknown subcommand 'foo'. Try SCRIPT HELP.}
        } {
            assert_error "ERR $error" {r script {*}$words}
        }
        assert_match "SCRIPT <subcommand>*" [lindex [r script help] 0]
    }

    test {FUNCTION without any library} {
        assert_equal OK [r function flush]
        assert_equal OK [r function flush async]
        assert_equal OK [r function flush SYNC]
        assert_equal {} [r function list]
        assert_equal {} [r function list withcode]
        assert_equal {} [r function list WITHCODE LIBRARYNAME *]
        assert_equal {} [r function list libraryname x withcode]
        assert_error {NOTBUSY No scripts in execution right now.} {r function kill}
        # Version and checksum around nothing.
        assert_equal 0b003444e133f2e04b53 [binary encode hex [r function dump]]
    }

    test {FUNCTION refuses what it does not know} {
        assert_error {ERR wrong number of arguments for 'function' command} {r function}
        foreach {words error} {
            {flush x} {FUNCTION FLUSH only supports SYNC|ASYNC option}
            {flush sync async} {unknown subcommand or wrong number of arguments for 'flush'. Try FUNCTION HELP.}
            {list x} {Unknown argument x}
            {list withcode withcode} {Unknown argument withcode}
            {list libraryname a libraryname b} {Unknown argument libraryname}
            {list libraryname} {library name argument was not given}
            {stats x} {wrong number of arguments for 'function|stats' command}
            {dump x} {wrong number of arguments for 'function|dump' command}
            foo {unknown subcommand 'foo'. Try FUNCTION HELP.}
        } {
            assert_error "ERR $error" {r function {*}$words}
        }
        assert_match "FUNCTION <subcommand>*" [lindex [r function help] 0]
    }

    test {FUNCTION STATS is a map of maps} {
        r function flush
        set expected {running_script {} engines {LUA {libraries_count 0 functions_count 0}}}
        assert_equal $expected [r function stats]
        set channel [raw_socket [srv host] [srv port]]
        puts -nonewline $channel "HELLO 3\r\nFUNCTION STATS\r\nQUIT\r\n"
        flush $channel
        # Line ends are translated.
        assert_match "*\n%2\n\$14\nrunning_script\n_\n\$7\nengines\n%1\n\$3\nLUA\n%2\n\$15\nlibraries_count\n:0\n*" [read $channel]
        close $channel
    }

    test {they may stand in a transaction} {
        r multi
        r script exists a
        r script flush
        r function flush
        r module list
        assert_equal {0 OK OK {}} [r exec]
    }

    test {FUNCTION FLUSH travels even with nothing to remove, SCRIPT FLUSH does not} {
        set repl [attach_to_replication_stream]
        r function flush
        r script flush
        r function flush async
        assert_replication_stream $repl {{select *} {function flush} {function flush async}}
        close_replication_stream $repl
    } {} {needs:repl}

    test {MODULE LIST is empty, and says how it is to be called} {
        assert_equal {} [r module list]
        assert_error {ERR wrong number of arguments for 'module|list' command} {r module list x}
        assert_error {ERR wrong number of arguments for 'module' command} {r module}
        assert_error {ERR unknown subcommand 'foo'. Try MODULE HELP.} {r module foo}
        assert_match "MODULE <subcommand>*" [lindex [r module help] 0]
    }
}

start_server {tags {"modules external:skip"} overrides {enable-module-command no}} {
    test {MODULE LOAD and its like need a permission} {
        foreach words {{load x} {loadex x} {unload x}} {
            assert_error {ERR MODULE command not allowed. If the enable-module-command option is set to "local"*} {r module {*}$words}
        }
        assert_error {ERR wrong number of arguments for 'module|load' command} {r module load}
    }
}

start_server {tags {"modules external:skip"} overrides {enable-module-command local}} {
    test {what cannot be loaded is refused, and the log says why} {
        set mark [log_mark]
        foreach words {{load /nowhere/at/all.so} {load /nowhere/at/all.so a b} {loadex /nowhere/at/all.so CONFIG a b ARGS c}} {
            assert_error {ERR Error loading the extension. Please check the server logs.} {r module {*}$words}
        }
        wait_for_log $mark "*Module /nowhere/at/all.so failed to load: *"
        assert_error {ERR Error unloading module: no such module with that name} {r module unload x}
        assert_equal {} [r module list]
    }
}
