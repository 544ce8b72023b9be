#!/usr/bin/env python3
"""Compares our server with others that speak the same protocol.

Everything is measured in one session and in interleaved rounds, the server pinned to one core and the load generator
(valkey-benchmark) to another. See README.md beside this file.
"""

import argparse
import contextlib
import json
import os
import resource
import shutil
import statistics
import sys

import append
import memory
import snapshot
import speed
import sync
from servers import LOAD_CORE, Server

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Row:
    """One line of the table: medians of all sides, and of the rounds' ratios of ours to each other side."""

    def __init__(self, name, unit, target, rounds):
        self.name, self.unit, self.target = name, unit, target
        self.values = [statistics.median(side) for side in zip(*rounds)]
        self.ratios = [statistics.median(one[0] / one[peer] if one[peer] else float("nan") for one in rounds)
                       for peer in range(1, len(self.values))]
        # Against the best of the others: the one we look worst beside.
        self.worst = max(self.ratios)
        self.rounds = len(rounds)

    def verdict(self):
        if self.target is None:
            return ""
        return "pass" if self.worst <= self.target else "FAIL"

    def print(self):
        sides = f"{self.values[0]:>11.3f}" + "".join(
            f"{value:>11.3f}{ratio:>6.2f}" for value, ratio in zip(self.values[1:], self.ratios))
        target = f"{self.target:.2f}" if self.target is not None else "-"
        print(f"{self.name:<21}{self.unit:>7}{sides}{self.worst:>8.2f}{target:>7}  {self.verdict()}", flush=True)


def header(names):
    sides = f"{names[0]:>11}" + "".join(f"{name:>11}{'ratio':>6}" for name in names[1:])
    return f"{'case':<21}{'unit':>7}{sides}{'worst':>8}{'target':>7}"


def in_rounds(sides, rounds, measure):
    """Measures all sides in turn, another one first in each round: one list per round, in the order of `sides`."""
    results = []
    for number in range(rounds):
        one = [None] * len(sides)
        for step in range(len(sides)):
            side = (number + step) % len(sides)
            one[side] = measure(sides[side])
        results.append(one)
    return results


def pick(results, field):
    return [[side[field] for side in one] for one in results]


def run_speed(cases, args, binaries):
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(Server(binary)) for binary in binaries]
        for name in cases:
            results = in_rounds(servers, args.rounds, lambda server: speed.measure(server, name, args.factor))
            yield Row(name, "us CPU", speed.CASES[name][4], pick(results, "cpu_us"))
            if args.rates and "rps" in results[0][0]:
                yield Row(f"{name} rate", "1/s", None, pick(results, "rps"))
                yield Row(f"{name} p50", "ms", None, pick(results, "p50_ms"))
                yield Row(f"{name} p99", "ms", None, pick(results, "p99_ms"))


def run_writes(cases, args, binaries):
    for name in cases:
        cpu, wall, p99 = append.WRITES[name][3:]
        with contextlib.ExitStack() as stack:
            servers = [stack.enter_context(append.start(binary, name)) for binary in binaries]
            results = in_rounds(servers, args.rounds, lambda server: append.write(server, name, args.factor))
        yield Row(name, "us CPU", cpu, pick(results, "cpu_us"))
        yield Row(f"{name} time", "us", wall, pick(results, "wall_us"))
        yield Row(f"{name} p50", "ms", None, pick(results, "p50_ms"))
        yield Row(f"{name} p99", "ms", p99, pick(results, "p99_ms"))


def run(cases, args, binaries):
    # Memory hardly varies: one round tells.
    heavy = min(args.rounds, args.heavy_rounds)
    of_speed = [case for case in cases if case in speed.CASES]
    if of_speed:
        yield from run_speed(of_speed, args, binaries)
    for name in (case for case in cases if case in memory.CASES):
        results = in_rounds(binaries, heavy, lambda binary: memory.measure(binary, name))
        yield Row(name, "bytes", memory.CASES[name][1], pick(results, "bytes"))
    for name in (case for case in cases if case in snapshot.CASES):
        results = in_rounds(binaries, heavy, lambda binary: snapshot.measure(binary, name))
        yield Row(f"{name} save", "s CPU", snapshot.CASES[name][1], pick(results, "save_s"))
        yield Row(f"{name} load", "s CPU", snapshot.CASES[name][2], pick(results, "load_s"))
    for name in (case for case in cases if case in append.CASES):
        results = in_rounds(binaries, heavy, lambda binary: append.measure(binary, name))
        for what in ("replay", "rewrite", "load"):
            yield Row(f"{name} {what}", "s CPU", None, pick(results, f"{what}_s"))
    yield from run_writes([case for case in cases if case in append.WRITES], args, binaries)
    if "sync" in cases:
        results = in_rounds(binaries, heavy, sync.measure)
        yield Row("sync wall", "s", 0.9, pick(results, "wall_s"))
        yield Row("sync cpu", "s CPU", 1.0, pick(results, "cpu_s"))
        if args.rates:
            yield Row("sync rate", "1/s", None, pick(results, "rps"))


ALL = [*speed.CASES, *memory.CASES, *snapshot.CASES, *append.CASES, *append.WRITES, "sync"]
GROUPS = {"all": ALL, "speed": list(speed.CASES), "memory": list(memory.CASES), "rdb": list(snapshot.CASES),
          "aof": list(append.CASES), "aof-writes": list(append.WRITES)}


def parse_arguments():
    parser = argparse.ArgumentParser(description="Compare our server with others.")
    built = os.environ.get("CARGO_TARGET_DIR") or os.path.join(ROOT, "target")
    parser.add_argument("--ours", default=os.path.join(built, "release/valkey-server"), help="our binary")
    parser.add_argument("--peer", action="append", metavar="NAME=BINARY", default=[],
                        help="another server, as often as wanted (default: reference=valkey-server from PATH)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds per case (default 5)")
    parser.add_argument("--heavy-rounds", type=int, default=1,
                        help="rounds at most for memory, files and synchronisation (default 1)")
    parser.add_argument("--factor", type=float, default=1.0, help="factor on the number of requests")
    parser.add_argument("--rates", action="store_true", help="print requests per second and latencies too")
    parser.add_argument("--json", metavar="FILE", help="write the results here too")
    parser.add_argument("cases", nargs="*", default=["all"], help=f"of: {' '.join([*GROUPS, *ALL])}")
    args = parser.parse_args()
    cases = []
    for word in args.cases:
        if word not in GROUPS and word not in ALL:
            parser.error(f"no such case: {word}")
        cases += GROUPS.get(word, [word])
    peers = args.peer or [f"reference={shutil.which('valkey-server') or ''}"]
    sides = [("ours", args.ours), *(tuple(peer.split("=", 1)) for peer in peers)]
    for side in sides:
        if len(side) != 2 or not shutil.which(side[1]):
            parser.error(f"no program to run: {'='.join(side)}")
    return args, cases, sides


def main():
    args, cases, sides = parse_arguments()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    os.sched_setaffinity(0, {LOAD_CORE})
    rows = []
    print(header([name for name, _ in sides]), flush=True)
    for row in run(cases, args, [binary for _, binary in sides]):
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
