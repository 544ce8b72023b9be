# Fixture: a server that stands still. A test ends with a message, and the next one runs.

start_server {} {
    test {no reply} {
        reply_within 1
        r set k v
        pause_process [srv pid]
        r get k
    }
    test {no reply to a deferring client} {
        reply_within 1
        set rd [valkey_deferring_client]
        $rd blpop nothing 0
        $rd read
    }
    test {not read} {
        reply_within 1
        pause_process [srv pid]
        set rd [valkey [srv host] [srv port] 1]
        $rd set k [string repeat x 20000000]
    }
    test {later replies are not mixed up} {
        assert_equal v [r get k]
        assert_equal 20000 $resp::patience_ms
    }
    test {as long as it says} {
        reply_within 30
        r debug sleep 2
    } {OK}
}
