# Fixture for external mode: changes the configuration, then an error.

start_server {overrides {hz 77 save "100 1"}} {
    test {sees the override} {
        r set x 1
        lindex [r config get hz] 1
    } {77}
    test {cannot restart it} {
        restart_server 0 true false
    } {} {external:skip}
    error "in the middle"
}
