# Fixture: everything passes.

start_server {tags {"string"}} {
    test {first} {
        r set x 1
        r get x
    } {1}
    test {second} {
        assert_equal PONG [r ping]
    } {} {needs:debug}
}
