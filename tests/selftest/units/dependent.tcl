# Fixture: tests that need an earlier one, and the ways a name may be written.

proc in_a_procedure {} {
    test {made by a procedure} {
        r ping
    } {PONG}
}

start_server {} {
    test {makes it} {
        r set k v
    } {OK}
    test {needs it} {
        r get k
    } {v}
}
foreach x {1 2} {
    start_server {} {
        test "computed $x \[[expr {$x + 1}]]" {
            r ping
        } {PONG}
        test {slow one} {
            r ping
        } {PONG} {slow}
    }
}
start_server {} {
    in_a_procedure
}
