#!/usr/bin/env python3
"""Compares two servers that speak the same protocol: ours and the reference.

Everything is measured in one session and in interleaved pairs, the server pinned to one core and the load
generator (valkey-benchmark) to another. See README.md beside this file.
"""

import argparse
import json
import os
import random
import re
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

SERVER_CORE = 0
LOAD_CORE = 1
KEYS = 100_000
BIG_KEYS = 1_000_000
CLIENTS = 50
VALUE_BYTES = 16
SYNC_VALUE_BYTES = 200
IDLE_CONNECTIONS = 4000
START_SECONDS_MAX = 60
SYNC_SECONDS_MAX = 300
STILL_SECONDS = 4
STILL_SECONDS_MAX = 40
STILL_BYTES = 65536
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


# ---- servers --------------------------------------------------------------------------------------------------------


def pin(core):
    """For preexec_fn: runs in the child before the program starts."""
    return lambda: os.sched_setaffinity(0, {core})


def encode(*args):
    """One request."""
    out = [b"*%d\r\n" % len(args)]
    for arg in args:
        arg = arg if isinstance(arg, bytes) else str(arg).encode()
        out.append(b"$%d\r\n%s\r\n" % (len(arg), arg))
    return b"".join(out)


class Connection:
    """A client that knows as much of the protocol as this file needs."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.file = self.socket.makefile("rb")

    def reply(self):
        line = self.file.readline()
        if not line:
            raise ConnectionError("server closed the connection")
        kind, rest = line[:1], line[1:-2]
        if kind == b"-":
            raise RuntimeError(rest.decode())
        if kind == b"$":
            length = int(rest)
            return None if length < 0 else self.file.read(length + 2)[:-2]
        if kind == b"*":
            return [self.reply() for _ in range(int(rest))]
        return int(rest) if kind == b":" else rest

    def call(self, *args):
        self.socket.sendall(encode(*args))
        return self.reply()

    def pour(self, requests, batch=500):
        """Sends many requests, pipelined, and reads their replies."""
        pending, count = [], 0
        for request in requests:
            pending.append(request)
            count += 1
            if count == batch:
                self._flush(pending, count)
                pending, count = [], 0
        self._flush(pending, count)

    def _flush(self, pending, count):
        self.socket.sendall(b"".join(pending))
        for _ in range(count):
            self.reply()

    def close(self):
        self.file.close()
        self.socket.close()


class Server:
    """A running server, pinned to a core, with a folder of its own."""

    def __init__(self, binary, options=(), core=SERVER_CORE, folder=None):
        self.binary = binary
        self.own_folder = folder is None
        self.folder = folder or tempfile.mkdtemp(prefix="bench-")
        self.port = free_port()
        log = open(os.path.join(self.folder, "log"), "ab")
        self.process = subprocess.Popen(
            [binary, "--port", str(self.port), "--dir", self.folder, "--save", "", *options],
            stdout=log,
            stderr=log,
            preexec_fn=pin(core),
        )
        log.close()
        self.pid = self.process.pid
        self.wait_until_loaded()

    def wait_until_loaded(self):
        until = time.monotonic() + START_SECONDS_MAX
        while time.monotonic() < until:
            if self.process.poll() is not None:
                break
            try:
                connection = Connection(self.port)
                connection.call("PING")
                connection.close()
                return
            except (OSError, RuntimeError):
                time.sleep(0.005)
        with open(os.path.join(self.folder, "log"), "rb") as log:
            sys.stderr.buffer.write(log.read())
        raise SystemExit(f"{self.binary} did not start")

    def connect(self):
        return Connection(self.port)

    def info(self, section):
        connection = self.connect()
        text = connection.call("INFO", section).decode()
        connection.close()
        return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)

    def cpu_us(self, children=False):
        """Processor time so far: exact run time of all threads, those that have ended included.

        It is the sum of the first numbers of /proc/PID/task/*/schedstat, plus what ended threads have used: the
        kernel's clock of the whole process. Children count once they are reaped, in steps of a clock tick.
        """
        used = time.clock_gettime((~self.pid << 3) | 2) * 1e6
        if children:
            with open(f"/proc/{self.pid}/stat") as file:
                fields = file.read().rsplit(")", 1)[1].split()
            used += (int(fields[13]) + int(fields[14])) * 1e6 / os.sysconf("SC_CLK_TCK")
        return used

    def anonymous_bytes(self):
        """Anonymous resident memory once it stands still.

        Tables may still be moving, and allocators give freed pages back only after seconds.
        """
        samples = []
        for _ in range(STILL_SECONDS_MAX):
            with open(f"/proc/{self.pid}/smaps_rollup") as file:
                samples.append(int(re.search(r"^Anonymous:\s+(\d+) kB", file.read(), re.M).group(1)) * 1024)
            recent = samples[-STILL_SECONDS:]
            if len(recent) == STILL_SECONDS and max(recent) - min(recent) < STILL_BYTES:
                break
            time.sleep(1)
        return samples[-1]

    def stop(self):
        self.process.kill()
        self.process.wait()
        if self.own_folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


# ---- requests per second --------------------------------------------------------------------------------------------

KEY = "key:__rand_int__"


def strings(connection):
    value = b"x" * VALUE_BYTES
    connection.pour(encode("SET", "key:%012d" % n, value) for n in range(KEYS))


def long_list(connection):
    value = b"x" * VALUE_BYTES
    connection.pour(encode("RPUSH", "mylist", *[value] * 100) for _ in range(12_000))


def short_list(connection):
    connection.call("RPUSH", "mylist", *[b"x" * VALUE_BYTES] * 200)


# Name: (preparation, requests, pipeline, what valkey-benchmark sends, target ratio).
SPEED = {
    "get-p1": (strings, 200_000, 1, ["-t", "get"], 0.90),
    "set-p1": (strings, 200_000, 1, ["-t", "set"], 0.90),
    "get": (strings, 1_000_000, 16, ["-t", "get"], 0.65),
    "set": (strings, 1_000_000, 16, ["-t", "set"], 0.65),
    "incr": (None, 1_000_000, 16, ["-t", "incr"], 0.65),
    "lpush": (None, 1_000_000, 16, ["-t", "lpush"], 0.65),
    "rpop": (long_list, 1_000_000, 16, ["-t", "rpop"], 0.65),
    "sadd": (None, 1_000_000, 16, ["-t", "sadd"], 0.65),
    "hset": (None, 1_000_000, 16, ["-t", "hset"], 0.65),
    "zadd": (None, 1_000_000, 16, ["-t", "zadd"], 0.65),
    "lrange-100": (short_list, 200_000, 16, ["LRANGE", "mylist", "0", "99"], 0.75),
    "mset-10": (strings, 200_000, 16, ["-t", "mset"], 0.75),
}


def measure_speed(server, name, requests_factor):
    prepare, requests, pipeline, command, _ = SPEED[name]
    requests = max(1000, int(requests * requests_factor))
    connection = server.connect()
    connection.call("FLUSHALL")
    if prepare:
        prepare(connection)
    connection.close()
    before = server.cpu_us()
    out = subprocess.run(
        ["valkey-benchmark", "-p", str(server.port), "-c", str(CLIENTS), "-n", str(requests), "-P", str(pipeline),
         "-r", str(KEYS), "-d", str(VALUE_BYTES), "--csv", *command],
        check=True, capture_output=True, text=True, preexec_fn=pin(LOAD_CORE),
    ).stdout
    used = server.cpu_us() - before
    row = out.strip().splitlines()[-1]
    fields = [field.strip('"') for field in re.findall(r'"[^"]*"', row)]
    numbers = [float(field) for field in fields[-7:]]
    return {"cpu_us": used / requests, "rps": numbers[0], "p50_ms": numbers[3], "p99_ms": numbers[5]}


# ---- memory ---------------------------------------------------------------------------------------------------------


def load_strings(connection):
    connection.pour(encode("SET", "key:%012d" % n, "val:%012d" % n) for n in range(BIG_KEYS))


def load_strings_ttl(connection):
    connection.pour(encode("SET", "key:%012d" % n, "val:%012d" % n, "EX", 100_000) for n in range(BIG_KEYS))


def load_zset(connection):
    dice = random.Random(1)
    connection.pour(
        (encode("ZADD", "z", *[part for n in range(start, start + 100)
                               for part in (str(dice.randrange(10**9)), "member:%07d" % n)])
         for start in range(0, BIG_KEYS, 100)),
        batch=20,
    )


def load_set(connection):
    connection.pour(
        (encode("SADD", "s", *["member:%07d" % n for n in range(start, start + 100)])
         for start in range(0, BIG_KEYS, 100)),
        batch=20,
    )


# Name: (load, target ratio).
MEMORY = {
    "mem-strings": (load_strings, 0.75),
    "mem-ttl": (load_strings_ttl, 0.75),
    "mem-zset": (load_zset, 0.75),
    "mem-set": (load_set, 0.9),
    "mem-idle": (None, 1.0),
}


def measure_memory(binary, name):
    load, _ = MEMORY[name]
    with Server(binary) as server:
        if load:
            empty = server.anonymous_bytes()
            connection = server.connect()
            load(connection)
            connection.close()
            return {"bytes": (server.anonymous_bytes() - empty) / BIG_KEYS}
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


# ---- snapshots ------------------------------------------------------------------------------------------------------


def measure_snapshot(binary):
    """CPU seconds of SAVE and of loading the file at start, for a million strings."""
    folder = tempfile.mkdtemp(prefix="bench-")
    try:
        with Server(binary, folder=folder) as server:
            connection = server.connect()
            empty = server.cpu_us()
            load_strings(connection)
            before = server.cpu_us()
            connection.call("SAVE")
            save = server.cpu_us() - before
        with Server(binary, folder=folder) as server:
            connection = server.connect()
            if connection.call("DBSIZE") != BIG_KEYS:
                raise SystemExit(f"{binary} did not load what it saved")
            return {"save_s": save / 1e6, "load_s": (server.cpu_us() - empty) / 1e6}
    finally:
        shutil.rmtree(folder, ignore_errors=True)


# ---- dual-channel full sync -----------------------------------------------------------------------------------------

SYNC_OPTIONS = ["--repl-diskless-sync", "yes", "--repl-diskless-sync-delay", "0", "--repl-diskless-load", "swapdb",
                "--dual-channel-replication-enabled", "yes", "--client-output-buffer-limit", "replica 0 0 0",
                "--repl-backlog-size", "256mb"]


def measure_sync(binary):
    """A full synchronisation of a million keys of 200 bytes while the primary is written to."""
    # Values that do not compress, each another window on the same random bytes.
    noise = random.Random(2).randbytes(BIG_KEYS + SYNC_VALUE_BYTES)
    with Server(binary, SYNC_OPTIONS) as primary, Server(binary, SYNC_OPTIONS, core=LOAD_CORE) as replica:
        connection = primary.connect()
        connection.pour(encode("SET", "key:%012d" % n, noise[n:n + SYNC_VALUE_BYTES]) for n in range(BIG_KEYS))
        load = subprocess.Popen(
            ["valkey-benchmark", "-p", str(primary.port), "-t", "set", "-r", str(BIG_KEYS), "-d",
             str(SYNC_VALUE_BYTES), "-c", str(CLIENTS), "-n", "1000000000", "-q"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=pin(LOAD_CORE),
        )
        try:
            time.sleep(0.5)
            commands = int(primary.info("stats")["total_commands_processed"])
            cpu = primary.cpu_us(children=True)
            begin = time.monotonic()
            admin = replica.connect()
            admin.call("REPLICAOF", "127.0.0.1", str(primary.port))
            while replica.info("replication").get("master_link_status") != "up":
                if time.monotonic() - begin > SYNC_SECONDS_MAX:
                    raise SystemExit(f"{binary}: no synchronisation in {SYNC_SECONDS_MAX} s")
                time.sleep(0.02)
            wall = time.monotonic() - begin
            # A child counts once it is reaped.
            while primary.info("persistence").get("rdb_bgsave_in_progress") == "1":
                time.sleep(0.005)
            cpu = primary.cpu_us(children=True) - cpu
            if admin.call("DBSIZE") != BIG_KEYS:
                raise SystemExit(f"{binary}: the replica has not got all keys")
            commands = int(primary.info("stats")["total_commands_processed"]) - commands
        finally:
            load.kill()
            load.wait()
        return {"wall_s": wall, "cpu_s": cpu / 1e6, "rps": commands / wall}


# ---- the comparison -------------------------------------------------------------------------------------------------


class Row:
    """One line of the table: medians of both sides and of the pairs' ratios."""

    def __init__(self, name, unit, target, pairs):
        ratios = [ours / reference for ours, reference in pairs if reference]
        self.name, self.unit, self.target = name, unit, target
        self.ours = statistics.median(pair[0] for pair in pairs)
        self.reference = statistics.median(pair[1] for pair in pairs)
        self.ratio = statistics.median(ratios) if ratios else float("nan")
        self.least = min(ratios, default=float("nan"))
        self.most = max(ratios, default=float("nan"))
        self.pairs = len(pairs)

    def verdict(self):
        if self.target is None:
            return ""
        return "pass" if self.ratio <= self.target else "FAIL"

    def print(self):
        target = f"{self.target:.2f}" if self.target is not None else "-"
        print(f"{self.name:<22}{self.unit:>9}{self.ours:>12.3f}{self.reference:>12.3f}{self.ratio:>8.2f}"
              f"{self.least:>7.2f}{self.most:>6.2f}{target:>8}  {self.verdict()}", flush=True)


HEADER = (f"{'case':<22}{'unit':>9}{'ours':>12}{'reference':>12}{'ratio':>8}{'min':>7}{'max':>6}{'target':>8}")


def in_pairs(binaries, pairs, measure):
    """Runs `measure` for both sides in turn, the first of a pair alternating: [(ours, reference), ...]."""
    results = []
    for number in range(pairs):
        pair = [None, None]
        for side in (0, 1) if number % 2 == 0 else (1, 0):
            pair[side] = measure(binaries[side])
        results.append(pair)
    return results


def pick(results, field):
    return [(ours[field], reference[field]) for ours, reference in results]


def run_speed(cases, args, binaries):
    with Server(binaries[0]) as ours, Server(binaries[1]) as reference:
        for name in cases:
            results = in_pairs((ours, reference), args.pairs, lambda server: measure_speed(server, name, args.factor))
            yield Row(name, "us CPU", SPEED[name][4], pick(results, "cpu_us"))
            yield Row(f"{name} rate", "1/s", None, pick(results, "rps"))
            yield Row(f"{name} p50", "ms", None, pick(results, "p50_ms"))
            yield Row(f"{name} p99", "ms", None, pick(results, "p99_ms"))


def run(cases, args, binaries):
    yield from run_speed([case for case in cases if case in SPEED], args, binaries)
    for name in (case for case in cases if case in MEMORY):
        # Memory hardly varies: one pair tells.
        results = in_pairs(binaries, min(args.pairs, args.heavy_pairs), lambda binary: measure_memory(binary, name))
        yield Row(name, "bytes", MEMORY[name][1], pick(results, "bytes"))
    if "snapshot" in cases:
        results = in_pairs(binaries, min(args.pairs, args.heavy_pairs), measure_snapshot)
        yield Row("save", "s CPU", 0.7, pick(results, "save_s"))
        yield Row("load", "s CPU", 0.7, pick(results, "load_s"))
    if "sync" in cases:
        results = in_pairs(binaries, min(args.pairs, args.heavy_pairs), measure_sync)
        yield Row("sync wall", "s", 0.9, pick(results, "wall_s"))
        yield Row("sync cpu", "s CPU", 1.0, pick(results, "cpu_s"))
        yield Row("sync rate", "1/s", None, pick(results, "rps"))


ALL = [*SPEED, *MEMORY, "snapshot", "sync"]
GROUPS = {"all": ALL, "speed": list(SPEED), "memory": list(MEMORY)}


def parse_arguments():
    parser = argparse.ArgumentParser(description="Compare our server with the reference.")
    built = os.environ.get("CARGO_TARGET_DIR") or os.path.join(ROOT, "target")
    parser.add_argument("--ours", default=os.path.join(built, "release/valkey-server"), help="our binary")
    parser.add_argument("--reference", default=shutil.which("valkey-server"), help="the other binary")
    parser.add_argument("--pairs", type=int, default=5, help="pairs of runs per case (default 5)")
    parser.add_argument("--heavy-pairs", type=int, default=1,
                        help="pairs at most for memory, snapshots and synchronisation (default 1)")
    parser.add_argument("--factor", type=float, default=1.0, help="factor on the number of requests")
    parser.add_argument("--json", metavar="FILE", help="write the results here too")
    parser.add_argument("cases", nargs="*", default=["all"], help=f"of: {' '.join([*GROUPS, *ALL])}")
    args = parser.parse_args()
    cases = []
    for word in args.cases:
        if word not in GROUPS and word not in ALL:
            parser.error(f"no such case: {word}")
        cases += GROUPS.get(word, [word])
    if not args.reference:
        parser.error("no valkey-server in PATH: name one with --reference")
    return args, cases


def main():
    args, cases = parse_arguments()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    os.sched_setaffinity(0, {LOAD_CORE})
    rows = []
    print(HEADER)
    for row in run(cases, args, (args.ours, args.reference)):
        row.print()
        rows.append(row)
    if args.json:
        with open(args.json, "w") as file:
            json.dump([{**vars(row), "verdict": row.verdict()} for row in rows], file, indent=1)
            file.write("\n")
    if any(row.verdict() == "FAIL" for row in rows):
        sys.exit(1)


if __name__ == "__main__":
    main()
