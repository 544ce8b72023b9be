"""Processor time per operation, under the load of valkey-benchmark."""

import random
import re
import subprocess

from servers import LOAD_CORE, encode, pin

KEYS = 100_000
CLIENTS = 50
VALUE = b"x" * 16


def strings(connection):
    connection.pour(encode("SET", "key:%012d" % n, VALUE) for n in range(KEYS))


def long_list(connection):
    connection.pour(encode("RPUSH", "mylist", *[VALUE] * 100) for _ in range(12_000))


def short_list(connection):
    connection.call("RPUSH", "mylist", *[VALUE] * 1000)


def big_set(connection):
    connection.pour(
        (encode("SADD", "myset", *["member:%012d" % n for n in range(start, start + 100)])
         for start in range(0, 1_200_000, 100)),
        batch=50,
    )


def big_zset(connection):
    connection.pour(
        (encode("ZADD", "myzset", *[part for n in range(start, start + 100) for part in (n, "element:%012d" % n)])
         for start in range(0, 1_200_000, 100)),
        batch=50,
    )


def hash_of_100(connection):
    connection.call("HSET", "myhash", *[part for n in range(100) for part in ("field:%04d" % n, VALUE)])


def set_of_1000(connection):
    connection.call("SADD", "set", *["member:%06d" % n for n in range(1000)])


def zset_of_100(connection):
    connection.call("ZADD", "zset", *[part for n in range(100) for part in (n * 1.5, "member:%04d" % n)])


def stream_of_100(connection):
    for _ in range(100):
        connection.call("XADD", "stream", "*", "field", VALUE, "other", VALUE)


def two_sets(connection):
    for key, first in (("set:a", 0), ("set:b", 5000)):
        for start in range(first, first + 10_000, 100):
            connection.call("SADD", key, *["member:%06d" % n for n in range(start, start + 100)])


def two_zsets(connection):
    for key, first in (("zset:a", 0), ("zset:b", 5000)):
        for start in range(first, first + 10_000, 100):
            connection.call("ZADD", key, *[part for n in range(start, start + 100) for part in (n, "member:%06d" % n)])


def bitmaps(connection):
    noise = random.Random(3)
    for key in ("bits:a", "bits:b"):
        connection.call("SET", key, noise.randbytes(1 << 20))


def ten_counters(connection):
    for key in range(10):
        for start in range(0, 20_000, 100):
            connection.call("PFADD", "hll:%d" % key, *["element:%d:%d" % (key, n) for n in range(start, start + 100)])


def numbers_10k(connection):
    dice = random.Random(4)
    connection.call("RPUSH", "numbers", *[dice.randrange(10**6) for _ in range(10_000)])


def places_100k(connection):
    dice = random.Random(5)
    connection.pour(
        (encode("GEOADD", "places", *[part for n in range(start, start + 100)
                                      for part in (dice.uniform(0, 1), dice.uniform(0, 1), "place:%06d" % n)])
         for start in range(0, KEYS, 100)),
        batch=50,
    )


def two_texts(connection):
    dice = random.Random(6)
    for key in ("text:a", "text:b"):
        connection.call("SET", key, bytes(dice.choice(b"acgt") for _ in range(1024)))


def payload(connection):
    connection.call("SET", "value", random.Random(7).randbytes(1024))


# Name: (preparation, requests, pipeline, what valkey-benchmark sends, target ratio against the best).
CASES = {
    "get-p1": (strings, 200_000, 1, ["-t", "get"], 0.80),
    "set-p1": (strings, 200_000, 1, ["-t", "set"], 0.80),
    "get": (strings, 1_000_000, 16, ["-t", "get"], 0.65),
    "set": (strings, 1_000_000, 16, ["-t", "set"], 0.55),
    "incr": (None, 1_000_000, 16, ["-t", "incr"], 0.65),
    "lpush": (None, 1_000_000, 16, ["-t", "lpush"], 0.65),
    "rpop": (long_list, 1_000_000, 16, ["-t", "rpop"], 0.65),
    "sadd": (None, 1_000_000, 16, ["-t", "sadd"], 0.60),
    "spop": (big_set, 1_000_000, 16, ["SPOP", "myset"], 0.65),
    "hset": (None, 1_000_000, 16, ["-t", "hset"], 0.60),
    "zadd": (None, 1_000_000, 16, ["-t", "zadd"], 0.60),
    "zpopmin": (big_zset, 1_000_000, 16, ["ZPOPMIN", "myzset"], 0.65),
    "mset-10": (strings, 200_000, 16, ["-t", "mset"], 0.40),
    "lrange-100": (short_list, 200_000, 16, ["LRANGE", "mylist", "0", "99"], 0.60),
    "lrange-600": (short_list, 50_000, 1, ["LRANGE", "mylist", "0", "599"], 0.70),
    "hgetall-100": (hash_of_100, 100_000, 16, ["HGETALL", "myhash"], 0.65),
    "smembers-1k": (set_of_1000, 20_000, 16, ["SMEMBERS", "set"], 0.65),
    "zrange-100": (zset_of_100, 100_000, 16, ["ZRANGE", "zset", "0", "-1"], 0.65),
    "xrange-100": (stream_of_100, 50_000, 16, ["XRANGE", "stream", "-", "+"], 0.65),
    "sinter-10k": (two_sets, 500, 1, ["SINTER", "set:a", "set:b"], 0.65),
    "zunionstore-10k": (two_zsets, 200, 1, ["ZUNIONSTORE", "zset:c", "2", "zset:a", "zset:b"], 0.65),
    "setbit": (None, 1_000_000, 16, ["SETBIT", "bits:__rand_int__", "999", "1"], 0.65),
    "getbit": (bitmaps, 1_000_000, 16, ["GETBIT", "bits:a", "4000007"], 0.65),
    "pfadd": (None, 1_000_000, 16, ["PFADD", "hll", "element:__rand_int__"], 0.65),
    "geoadd": (None, 500_000, 16, ["GEOADD", "geo", "13.361389", "38.115556", "place:__rand_int__"], 0.65),
    "bitcount-1mb": (bitmaps, 5_000, 1, ["BITCOUNT", "bits:a"], 0.70),
    "bitop-1mb": (bitmaps, 2_000, 1, ["BITOP", "AND", "bits:c", "bits:a", "bits:b"], 0.70),
    "pfcount-10": (ten_counters, 5_000, 1, ["PFCOUNT", *["hll:%d" % n for n in range(10)]], 0.70),
    "pfmerge-10": (ten_counters, 5_000, 1, ["PFMERGE", "hll:all", *["hll:%d" % n for n in range(10)]], 0.70),
    "sort-10k": (numbers_10k, 300, 1, ["SORT", "numbers"], 0.70),
    "geosearch-10k": (places_100k, 100, 1,
                      ["GEOSEARCH", "places", "FROMLONLAT", "0.5", "0.5", "BYBOX", "35", "35", "km"], 0.70),
    "lcs-1kb": (two_texts, 1_000, 1, ["LCS", "text:a", "text:b"], 0.70),
    "dump-1kb": (payload, 500_000, 16, ["DUMP", "value"], 0.70),
    "restore-1kb": (payload, 200_000, 16, None, 0.70),
}


def measure(server, name, requests_factor):
    """CPU per operation in microseconds; requests per second, and percentiles of latency in milliseconds, if known."""
    prepare, requests, pipeline, command, _ = CASES[name]
    requests = max(100, int(requests * requests_factor))
    connection = server.connect()
    connection.call("FLUSHALL")
    if prepare:
        prepare(connection)
    if command is None:
        # valkey-benchmark cannot send what DUMP gives: there are zero bytes in it.
        bytes_of_value = connection.call("DUMP", "value")
        batch = [encode("RESTORE", "copy:%d" % n, 0, bytes_of_value, "REPLACE") for n in range(1000)]
        before = server.cpu_us()
        for _ in range(0, requests, len(batch)):
            connection.pour(batch, pipeline)
        return {"cpu_us": (server.cpu_us() - before) / (-(-requests // len(batch)) * len(batch))}
    connection.close()
    before = server.cpu_us()
    out = subprocess.run(
        ["valkey-benchmark", "-p", str(server.port), "-c", str(CLIENTS), "-n", str(requests), "-P", str(pipeline),
         "-r", str(KEYS), "-d", str(len(VALUE)), "--csv", *command],
        check=True, capture_output=True, text=True, preexec_fn=pin(LOAD_CORE),
    ).stdout
    used = server.cpu_us() - before
    row = out.strip().splitlines()[-1]
    fields = [field.strip('"') for field in re.findall(r'"[^"]*"', row)]
    numbers = [float(field) for field in fields[-7:]]
    return {"cpu_us": used / requests, "rps": numbers[0], "p50_ms": numbers[3], "p99_ms": numbers[5]}
