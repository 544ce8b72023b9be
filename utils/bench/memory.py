"""Resident memory per element."""

import random

from servers import Server, encode

ELEMENTS = 1_000_000
IDLE_CONNECTIONS = 4000
VALUE = b"x" * 200


def strings(connection):
    connection.pour(encode("SET", "key:%012d" % n, "val:%012d" % n) for n in range(ELEMENTS))


def strings_ttl(connection):
    connection.pour(encode("SET", "key:%012d" % n, "val:%012d" % n, "EX", 100_000) for n in range(ELEMENTS))


def strings_200(connection):
    connection.pour(encode("SET", "key:%012d" % n, VALUE) for n in range(ELEMENTS))


def small_hashes(connection):
    fields = [part for n in range(10) for part in ("field%d" % n, "value%d" % n)]
    connection.pour(encode("HSET", "hash:%07d" % n, *fields) for n in range(ELEMENTS // 10))


def in_hundreds(connection, command, *of_one):
    """One big value, filled a hundred elements at a time; `of_one` makes the arguments of element n."""
    connection.pour(
        (encode(*command, *[part for n in range(start, start + 100) for make in of_one for part in (make(n),)])
         for start in range(0, ELEMENTS, 100)),
        batch=20,
    )


def one_hash(connection):
    in_hundreds(connection, ("HSET", "hash"), lambda n: "field:%07d" % n, lambda n: "value:%07d" % n)


def one_set(connection):
    in_hundreds(connection, ("SADD", "set"), lambda n: "member:%07d" % n)


def one_zset(connection):
    dice = random.Random(1)
    in_hundreds(connection, ("ZADD", "zset"), lambda n: dice.randrange(10**9), lambda n: "member:%07d" % n)


def one_list(connection):
    in_hundreds(connection, ("RPUSH", "list"), lambda n: "element:%07d" % n)


def one_stream(connection):
    connection.pour(encode("XADD", "stream", "%d-0" % (n + 1), "field", "v%d" % (n % 1000)) for n in range(ELEMENTS))


# Name: (load, target ratio against the best).
CASES = {
    "mem-strings": (strings, 0.85),
    "mem-ttl": (strings_ttl, 0.75),
    "mem-200": (strings_200, 0.80),
    "mem-small-hashes": (small_hashes, 0.95),
    "mem-hash": (one_hash, 0.80),
    "mem-set": (one_set, 0.80),
    "mem-zset": (one_zset, 0.75),
    "mem-list": (one_list, 0.95),
    "mem-stream": (one_stream, 0.95),
    "mem-idle": (None, 1.0),
}


def measure(binary, name):
    load, _ = CASES[name]
    with Server(binary) as server:
        if load:
            empty = server.anonymous_bytes()
            connection = server.connect()
            load(connection)
            connection.close()
            return {"bytes": (server.anonymous_bytes() - empty) / ELEMENTS}
        first = server.connect()
        first.call("PING")
        empty = server.anonymous_bytes()
        idle = [server.connect() for _ in range(IDLE_CONNECTIONS)]
        for connection in idle:
            connection.call("PING")
        full = server.anonymous_bytes()
        for connection in idle:
            connection.close()
        return {"bytes": (full - empty) / IDLE_CONNECTIONS}
