# Keys without regard to their type: DEL, EXISTS, TYPE, RENAME, KEYS, RANDOMKEY,
# DBSIZE, MOVE, COPY.

start_server {tags {"keyspace"}} {
    test {DEL against a single item} {
        r set x foo
        assert_equal foo [r get x]
        assert_equal 1 [r del x]
        r get x
    } {}
}
