# Fixture: errors inside and outside of tests.

start_server {} {
    test {raises} {
        r set x 1
        r lpush x 2
    }
    test {leaves the client in a transaction} {
        r multi
        error "stopped here"
    }
    test {after it} {
        r ping
    } {PONG}
    nosuchcommand here
    test {never reached} {
        fail "reached"
    }
}
start_server {} {
    test {next block} {
        r ping
    } {PONG}
}
