# Fixture: a server that never starts.

start_server {overrides {no-such-directive yes}} {
    test {never run} {
        r ping
    }
}
