#!/usr/bin/env python3
"""How long others wait while huge values come and go, and while the table of keys grows.

A value of many elements is made, then one connection sends what is to be measured while another one sends PING again and again.
Shown is the longest time from a PING to its answer, that of a client on the same machine: the network and this program are in it, but not the time in which they and the server
waited for a core that others had.

While SETs of new keys are poured in pipelines the same is measured, and the longest waits are shown with the number of keys.
"""

import argparse
import os
import select
import subprocess
import sys
import threading
import time

from servers import LOAD_CORE, Server, encode, pin

# So many elements are made by one script, and so many by one command of it.
PER_SCRIPT, PER_COMMAND = 50_000, 100
# So long PINGs go on when a command has been answered: what it has left to other threads goes on, too.
AFTER_SECONDS = 1.0
# So many of the longest waits are shown for growth.
SHOWN = 10

LOOP = """
local from, to = tonumber(ARGV[1]), tonumber(ARGV[2])
while from < to do
  local args = {}
  for n = from, from + %d - 1 do %%s end
  redis.call('%%s', KEYS[1], unpack(args))
  from = from + %d
end""" % (PER_COMMAND, PER_COMMAND)
ADD = "args[#args + 1] = "
TYPES = {
    "string": None,
    "hash": LOOP % (f"{ADD} 'field:' .. n {ADD} 'value:' .. n", "HSET"),
    "set": LOOP % (f"{ADD} 'member:' .. n", "SADD"),
    "zset": LOOP % (f"{ADD} n * 7919 % 1000003 {ADD} 'member:' .. n", "ZADD"),
    "list": LOOP % (f"{ADD} 'element:' .. n", "RPUSH"),
    "stream": """for n = ARGV[1], ARGV[2] - 1 do redis.call('XADD', KEYS[1], (n + 1) .. '-0', 'field', 'v' .. n) end""",
    "integers": LOOP % (f"{ADD} n", "SADD"),
    # All entries of a stream, delivered to one consumer and not acknowledged.
    "pending": """
if ARGV[1] == '0' then redis.call('XGROUP', 'CREATE', KEYS[1], 'group', '0', 'MKSTREAM') end
for n = ARGV[1], ARGV[2] - 1 do redis.call('XADD', KEYS[1], (n + 1) .. '-0', 'field', 'v' .. n) end
redis.call('XREADGROUP', 'GROUP', 'group', 'consumer', 'COUNT', ARGV[2] - ARGV[1], 'STREAMS', KEYS[1], '>')""",
}
# What is done, in turn, to the value and its copies.
STEPS = [
    ("COPY", ["COPY", "big", "copy", "REPLACE"]),
    ("DEL", ["DEL", "copy"]),
    ("COPY", ["COPY", "big", "copy", "REPLACE"]),
    ("UNLINK", ["UNLINK", "copy"]),
    ("COPY", ["COPY", "big", "copy", "REPLACE"]),
    ("RENAME over", ["RENAME", "small", "copy"]),
    ("COPY", ["COPY", "big", "copy", "REPLACE"]),
    ("PEXPIRE, lapse", ["PEXPIRE", "copy", "1"]),
    ("FLUSHALL ASYNC", ["FLUSHALL", "ASYNC"]),
]


def fill(connection, kind, elements):
    if TYPES[kind] is None:
        connection.call("SETRANGE", "big", elements * 16 - 1, "x")
        return
    for start in range(0, elements, PER_SCRIPT):
        connection.call("EVAL", TYPES[kind], 1, "big", start, min(start + PER_SCRIPT, elements))


def queued(server):
    """Seconds that this program and the server's main thread have spent ready to run, while others had the cores."""
    spent = 0
    for pid in (server.pid, os.getpid()):
        with open(f"/proc/{pid}/schedstat") as file:
            spent += int(file.read().split()[1])
    return spent / 1e9


def ping(server, connection):
    """Seconds from a PING to its answer, less those in which the machine was busy with other things."""
    before = queued(server)
    began = time.perf_counter()
    connection.socket.sendall(encode("PING"))
    connection.reply()
    return max(0, time.perf_counter() - began - (queued(server) - before))


def longest_wait(server, command):
    """Milliseconds: of the longest PING beside the command, and of the command itself."""
    runner, other = server.connect(), server.connect()
    start = time.perf_counter()
    runner.socket.sendall(encode(*command))
    longest, answered = 0.0, None
    while answered is None or time.perf_counter() - answered < AFTER_SECONDS:
        longest = max(longest, ping(server, other))
        if answered is None and select.select([runner.socket], [], [], 0)[0]:
            runner.reply()
            answered = time.perf_counter()
    runner.close()
    other.close()
    return longest * 1e3, (answered - start) * 1e3


def values(options):
    print(f"milliseconds, values of {options.elements} elements: the longest PING beside it (and the command itself)")
    for kind in options.kinds:
        with Server(options.server) as server:
            connection = server.connect()
            quiet = longest_wait(server, ["PING"])[0]
            fill(connection, kind, options.elements)
            shown = {}
            for name, command in STEPS:
                connection.call("SET", "small", "x")
                wait, took = longest_wait(server, command)
                before = shown.get(name, (0, 0))
                shown[name] = (max(before[0], wait), max(before[1], took))
                if name in ("DEL", "UNLINK", "PEXPIRE, lapse") and connection.call("EXISTS", "copy"):
                    raise SystemExit(f"{name}: the key is still there")
            connection.close()
        row = "  ".join(f"{name} {wait:.1f} ({took:.0f})" for name, (wait, took) in shown.items())
        print(f"{kind:<7} quiet {quiet:.1f}  {row}", flush=True)


def pourer(port, keys, done):
    """Pours from a process of its own: this one measures."""
    source = (
        "import sys; sys.path.insert(0, %r)\n"
        "from servers import Connection, encode\n"
        "c = Connection(%d)\n"
        "c.pour((b'*3\\r\\n$3\\r\\nSET\\r\\n$12\\r\\nkey:%%08d\\r\\n$1\\r\\nv\\r\\n' %% n for n in range(%d)), batch=100)\n"
    ) % (os.path.dirname(os.path.abspath(__file__)), port, keys)
    subprocess.run([sys.executable, "-c", source], check=True, preexec_fn=pin(LOAD_CORE))
    done.set()


def growth(options):
    with Server(options.server) as server:
        done = threading.Event()
        threading.Thread(target=pourer, args=(server.port, options.keys, done), daemon=True).start()
        other = server.connect()
        longest, recent = [], []
        while not done.is_set():
            recent.append(ping(server, other) * 1e3)
            if len(recent) == 100:
                keys = other.call("DBSIZE")
                longest = sorted(longest + [(wait, keys) for wait in recent], reverse=True)[:SHOWN]
                recent = []
        other.close()
    print(f"growing to {options.keys} keys, the longest PINGs in milliseconds, and the keys by then:")
    print("  ".join(f"{wait:.1f} at {keys}" for wait, keys in longest), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--server", default="target/release/valkey-server")
    parser.add_argument("--elements", type=int, default=10_000_000)
    parser.add_argument("--keys", type=int, default=20_000_000, help="to grow to; 0 leaves that out")
    parser.add_argument("kinds", nargs="*", help=f"of: {' '.join(TYPES)} (default: all)")
    options = parser.parse_args()
    options.kinds = options.kinds or list(TYPES)
    os.sched_setaffinity(0, {LOAD_CORE})
    if options.elements:
        values(options)
    if options.keys:
        growth(options)


if __name__ == "__main__":
    main()
