"""Processor time of SAVE and of loading the file at start."""

import shutil
import tempfile

import memory
from servers import Server

# Name: (load, target ratio of saving, of loading).
CASES = {
    "rdb-strings": (memory.strings, 0.5, 0.4),
    "rdb-zset": (memory.one_zset, 0.5, 0.6),
    "rdb-small-hashes": (memory.small_hashes, 0.5, 0.7),
}


def measure(binary, name):
    load, _, _ = CASES[name]
    folder = tempfile.mkdtemp(prefix="bench-")
    try:
        with Server(binary, folder=folder) as server:
            connection = server.connect()
            empty = server.cpu_us()
            load(connection)
            keys = connection.call("DBSIZE")
            before = server.cpu_us()
            connection.call("SAVE")
            save = server.cpu_us() - before
        with Server(binary, folder=folder) as server:
            if server.connect().call("DBSIZE") != keys:
                raise SystemExit(f"{binary} did not load what it saved")
            return {"save_s": save / 1e6, "load_s": (server.cpu_us() - empty) / 1e6}
    finally:
        shutil.rmtree(folder, ignore_errors=True)
