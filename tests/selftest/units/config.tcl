# Fixture for --config: the option is overridden by the block.

start_server {overrides {hz 43}} {
    test {--config reaches the server, overrides win} {
        assert_equal 43 [lindex [r config get hz] 1]
        assert_equal 77 [lindex [r config get maxclients] 1]
    }
}
