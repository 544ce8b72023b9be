# Fixture: shows what the options of a run mean to tests and servers.

test {globals} {
    puts "accurate=$::accurate singledb=$::singledb threads=$::io_threads slow=$::slow_factor"
}

start_server {} {
    test {server} {
        puts "port=[srv port] io-threads=[lindex [r config get io-threads] 1] db=[regexp -inline {db=\d+} [r client info]]"
        r set x 1
    } {OK}
    test {an encoding that is not} {
        assert_encoding nonsense x
    }
    test {a digest} {
        puts "digest=[debug_digest] value=[debug_digest_value x]"
    }
    test {huge} {} {} {large-memory}
    test {other databases} {} {} {singledb:skip}
    test {one thread} {} {} {io-threads:skip}
    test {keyspace words} {} {} {keyspace needs:repl}
}

start_server {server other tags {"needs:other-server"}} {
    test {the other server} {
        puts "other=[r info server]"
    }
}
