# Fixture: the next ports are taken, one as port, one as bus port.

# (Other programs may hold some of them.)
while {[catch {
    set next [expr {$ports::first + $ports::cursor}]
    set guard [socket -server list -myaddr 127.0.0.1 $next]
    set bus [socket -server list -myaddr 127.0.0.1 [expr {$next + 10001}]]
    foreach port [list [expr {$next + 2}] [expr {$next + 10002}]] {
        close [socket -server list -myaddr 127.0.0.1 $port]
    }
}]} {
    incr ports::cursor 4
}
start_server {} {
    test {another port is used} {
        assert_equal [expr {$next + 2}] [srv port]
    }
}
