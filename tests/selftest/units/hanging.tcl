# Fixture: a test that waits forever.

start_server {} {
    test {hangs} {
        r blpop nokey 0
    }
}
