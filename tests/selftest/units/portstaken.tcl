# Fixture: the next ports are taken, one as port, one as bus port.

set next [expr {$ports::first + $ports::cursor}]
set guard [socket -server list -myaddr 127.0.0.1 $next]
set bus [socket -server list -myaddr 127.0.0.1 [expr {$next + 10001}]]
start_server {} {
    test {another port is used} {
        assert_equal [expr {$next + 2}] [srv port]
    }
}
