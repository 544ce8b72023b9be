"""Processor time of rewriting the append-only file, of loading what that has written, and of loading a log of commands."""

import shutil
import tempfile
import time

from servers import Server, encode

ELEMENTS = 1_000_000
VALUE = b"v" * 100
REWRITE_SECONDS_MAX = 300

# Name: aof-use-rdb-preamble.
CASES = {"aof-preamble": "yes", "aof-commands": "no"}


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
