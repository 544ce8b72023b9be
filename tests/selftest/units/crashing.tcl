# Fixture: the server crashes under a test whose assertions pass. (The command is
# put together so that the test does not look as if it meant to.)

start_server {} {
    test {victim} {
        catch {r {*}[list debug [join {seg fault} ""]]}
        assert_equal 1 1
    }
    test {not reached} {
        r ping
    } {PONG}
}
start_server {} {
    test {next block} {
        r ping
    } {PONG}
    test {on purpose} {
        catch {r debug segfault}
        assert_match {*crashed by signal*} [crashlog_from_file [srv 0 stdout]]
    }
}
