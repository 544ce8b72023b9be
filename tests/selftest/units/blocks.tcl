# Fixture: blocks with and without the chosen test.

start_server {} {
    test {first of blocks} {
        r config get maxmemory
    } {maxmemory 0}
}
start_server {} {
    test "computed [expr {1 + 1}]" {
        r set k v px 1000
        r write "CLIENT GETNAME\r\n"
        r flush
        r read
    }
}
