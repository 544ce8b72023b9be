"""The append-only file: processor time of rewriting it, of loading what that has written, and of loading a log of commands;
what SET costs and how long it takes while it is kept."""

import re
import shutil
import subprocess
import tempfile
import time

from servers import LOAD_CORE, Server, encode, pin

ELEMENTS = 1_000_000
VALUE = b"v" * 100
REWRITE_SECONDS_MAX = 300

# Name: aof-use-rdb-preamble.
CASES = {"aof-preamble": "yes", "aof-commands": "no"}

CLIENTS = 50
KEYS = 100_000
# Name: appendfsync, requests, pipeline, and the targets: CPU, time for each request, its 99th percentile.
WRITES = {
    "aof-always": ("always", 100_000, 1, None, 0.67, 0.7),
    "aof-everysec": ("everysec", 400_000, 1, 0.9, None, 1.0),
    "aof-everysec-p16": ("everysec", 2_000_000, 16, 0.6, None, 1.0),
}


def fill(connection):
    connection.pour(encode("SET", "key:%012d" % n, VALUE) for n in range(ELEMENTS))


def wait_for_rewrite(server):
    until = time.monotonic() + REWRITE_SECONDS_MAX
    while True:
        info = server.info("persistence")
        if info["aof_rewrite_in_progress"] == "0" and info["aof_rewrite_scheduled"] == "0":
            break
        if time.monotonic() > until:
            raise SystemExit(f"{server.binary} does not finish a rewrite")
        time.sleep(0.05)
    if info["aof_last_bgrewrite_status"] != "ok":
        raise SystemExit(f"{server.binary} failed to rewrite")


def loaded(binary, options, folder):
    """Processor time of a start on the folder, less that of one on an empty folder."""
    with Server(binary, options) as server:
        empty = server.cpu_us()
    with Server(binary, options, folder=folder) as server:
        if server.connect().call("DBSIZE") != ELEMENTS:
            raise SystemExit(f"{binary} did not load what it wrote")
        return (server.cpu_us() - empty) / 1e6


def measure(binary, name):
    options = ["--appendonly", "yes", "--auto-aof-rewrite-percentage", "0", "--aof-use-rdb-preamble", CASES[name]]
    folder = tempfile.mkdtemp(prefix="bench-")
    try:
        result = {}
        with Server(binary, options, folder=folder) as server:
            fill(server.connect())
        result["replay_s"] = loaded(binary, options, folder)
        with Server(binary, options, folder=folder) as server:
            connection = server.connect()
            before = server.cpu_us(children=True)
            connection.call("BGREWRITEAOF")
            wait_for_rewrite(server)
            result["rewrite_s"] = (server.cpu_us(children=True) - before) / 1e6
        result["load_s"] = loaded(binary, options, folder)
        return result
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def start(binary, name):
    """A server that keeps a log as this case wants it."""
    options = ["--appendonly", "yes", "--auto-aof-rewrite-percentage", "0", "--appendfsync", WRITES[name][0]]
    return Server(binary, options)


def write(server, name, requests_factor):
    """CPU and wall time for each SET in microseconds, and percentiles of its latency in milliseconds."""
    _, requests, pipeline, *_ = WRITES[name]
    requests = max(1000, int(requests * requests_factor))
    before = server.cpu_us()
    out = subprocess.run(
        ["valkey-benchmark", "-p", str(server.port), "-c", str(CLIENTS), "-n", str(requests), "-P", str(pipeline),
         "-r", str(KEYS), "-d", str(len(VALUE)), "--csv", "SET", "key:__rand_int__", VALUE],
        check=True, capture_output=True, text=True, preexec_fn=pin(LOAD_CORE),
    ).stdout
    used = server.cpu_us() - before
    fields = [field.strip('"') for field in re.findall(r'"[^"]*"', out.strip().splitlines()[-1])]
    numbers = [float(field) for field in fields[-7:]]
    return {"cpu_us": used / requests, "wall_us": 1e6 / numbers[0], "p50_ms": numbers[3], "p99_ms": numbers[5]}
