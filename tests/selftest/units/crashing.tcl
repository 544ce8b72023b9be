# Fixture: servers that crash or end under tests whose assertions pass; what a test says
# about it counts, not what it is made of.

start_server {} {
    test {victim} {
        catch {r debug segfault}
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
        expect_crash
        catch {r debug segfault}
        assert_match {*crashed by signal*} [crashlog_from_file [srv 0 stdout]]
    }
}
foreach said {{} expect_end} {
    start_server {} {
        test "shutdown: kill, restart, exit '$said'" {
            {*}$said
            set pid [srv pid]
            catch {r shutdown nosave}
            wait_for_condition 100 20 {![process_is_alive $pid]} else { fail "alive" }
        }
    }
}
start_server {} {
    test {a crash where an end was expected} {
        expect_end
        catch {r debug segfault}
    }
}
