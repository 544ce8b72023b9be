#!/usr/bin/env python3
"""How long a script that must end goes on, and how long others wait while one runs.

Each script is started, and while it is busy another connection sends PING again and again; then a third one sends SCRIPT
KILL. Times are those of clients on the same machine, so that the network and this program are in them:

- `ping`: from PING to its answer, which is BUSY;
- `kill`: from SCRIPT KILL to the error that the script's own client gets: until the server looks at the request, and then
  until the script has ended;
- `ended`: from the OK of SCRIPT KILL, which the server writes when it has carried that out, to that error.
"""

import argparse
import os
import statistics
import sys
import time

from servers import LOAD_CORE, Server, encode

THRESHOLD_MS = 5
PINGS = 50
BUSY_SECONDS_MAX = 10

LOOP = "while true do %s end"
SCRIPTS = {
    "endless loop": LOOP % "",
    "endless match": "return string.find(('a'):rep(30000), '.-.-.-.-b')",
    "sort, comparison that loops": "table.sort({3, 2, 1}, function() while true do end end)",
    "sort of 200000 numbers": "local t = {} " + LOOP % "for i = 1, 200000 do t[i] = i * 7919 % 200003 end table.sort(t)",
    "rep of 20 MB": LOOP % "local s = ('xy'):rep(10000000)",
    "concat of 20 MB": "local t = {} for i = 1, 20 do t[i] = ('x'):rep(1000000) end " + LOOP % "local s = table.concat(t)",
    ".. of 10 MB": "local a = ('x'):rep(10000000) " + LOOP % "local s = a .. a",
    "gsub, callback that loops": "('x'):rep(1000):gsub('x', function() while true do end end)",
    "gsub of 1 MB, short callbacks": "local s = ('x'):rep(1000000) " + LOOP % "s:gsub('x', function() return 'y' end)",
    "reverse and upper of 10 MB": "local s = ('x'):rep(10000000) " + LOOP % "local u = s:reverse():upper()",
    "comparisons of 20 MB": "local a = ('x'):rep(10000000) local b, c = a .. 'b', a .. 'c' a = nil "
    + LOOP % "if b > c or b == c then return 1 end",
    "insert in front of 500000": "local t = {} for i = 1, 500000 do t[i] = i end "
    + LOOP % "table.insert(t, 1, 0) table.remove(t, 1)",
    "table growing to 1000000": LOOP % "local t = {} for i = 1, 1000000 do t[i] = i end",
    "hash growing to 400000": LOOP % "local t = {} for i = 1, 400000 do t[i + 0.5] = i end",
    "tables as garbage": LOOP % "local t = {} for i = 1, 50000 do t[i] = {i} end",
    "cjson of 100000 items": "local t = {} for i = 1, 100000 do t[i] = i end "
    + LOOP % "t = cjson.decode(cjson.encode(t))",
    "cmsgpack of 100000 items": "local t = {} for i = 1, 100000 do t[i] = i end "
    + LOOP % "t = cmsgpack.unpack(cmsgpack.pack(t))",
    "commands": LOOP % "redis.call('get', 'k')",
    "pcall around a loop": LOOP % "pcall(function() while true do end end)",
}


def error_of(connection):
    """The error that comes next."""
    try:
        reply = connection.reply()
    except RuntimeError as error:
        return str(error)
    return reply


def one(server, script):
    """Waits in microseconds: those of PINGs, for the end from KILL on, and from its OK on."""
    runner, other = server.connect(), server.connect()
    runner.socket.sendall(encode("EVAL", script, "0"))
    until = time.monotonic() + BUSY_SECONDS_MAX
    ping = encode("PING")
    while True:
        other.socket.sendall(ping)
        answer = error_of(other)
        if isinstance(answer, str) and answer.startswith("BUSY"):
            break
        if time.monotonic() > until:
            raise SystemExit(f"not busy: {script}")
    pings = []
    for _ in range(PINGS):
        start = time.perf_counter()
        other.socket.sendall(ping)
        answer = error_of(other)
        pings.append((time.perf_counter() - start) * 1e6)
        if not str(answer).startswith("BUSY"):
            raise SystemExit(f"{answer}: {script}")
    start = time.perf_counter()
    other.socket.sendall(encode("SCRIPT", "KILL"))
    answer = error_of(other)
    accepted = time.perf_counter()
    if answer != b"OK":
        raise SystemExit(f"{answer}: {script}")
    error = error_of(runner)
    end = time.perf_counter()
    if not str(error).startswith("ERR Script killed by user"):
        raise SystemExit(f"{error}: {script}")
    runner.close()
    other.close()
    return pings, (end - start) * 1e6, (end - accepted) * 1e6


def shown(values):
    """The median, the 99th percentile and the greatest."""
    values = sorted(values)
    at = min(len(values) - 1, int(len(values) * 0.99))
    return "%7.0f %7.0f %7.0f" % (statistics.median(values), values[at], values[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--server", default="target/release/valkey-server")
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("case", nargs="*", help="beginnings of names of scripts")
    options = parser.parse_args()
    os.sched_setaffinity(0, {LOAD_CORE})
    print("microseconds: median, 99th percentile, greatest; %d kills and %d PINGs for each script" % (options.rounds, options.rounds * PINGS))
    print("%-30s  %-23s  %-23s  %-23s" % ("", "ping", "kill", "ended"))
    with Server(options.server, ["--busy-reply-threshold", str(THRESHOLD_MS)]) as server:
        for name, script in SCRIPTS.items():
            if options.case and not name.startswith(tuple(options.case)):
                continue
            pings, kills, ends = [], [], []
            for _ in range(options.rounds):
                waited, kill, end = one(server, script)
                pings += waited
                kills.append(kill)
                ends.append(end)
            print("%-30s  %s  %s  %s" % (name, shown(pings), shown(kills), shown(ends)))
            sys.stdout.flush()


if __name__ == "__main__":
    main()
