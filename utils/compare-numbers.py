#!/usr/bin/env python3
"""Sends random numbers to two servers and compares what they make of them, byte by byte.

INCRBYFLOAT, HINCRBYFLOAT, ZINCRBY, scores and GEODIST print numbers; clients see every digit. Python 3, standard library
only.

    utils/compare-numbers.py --ours target/release/valkey-server --inputs 5000000
"""

import argparse
import os
import random
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BATCH = 500


def encode(*args):
    return b"".join([b"*%d\r\n" % len(args), *(b"$%d\r\n%s\r\n" % (len(arg), arg) for arg in args)])


class Server:
    def __init__(self, binary):
        self.folder = tempfile.mkdtemp(prefix="numbers-")
        path = os.path.join(self.folder, "socket")
        self.process = subprocess.Popen(
            [binary, "--port", "0", "--unixsocket", path, "--dir", self.folder, "--save", ""],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.socket = socket.socket(socket.AF_UNIX)
        while True:
            if self.process.poll() is not None:
                raise SystemExit(f"{binary} did not start")
            try:
                self.socket.connect(path)
                break
            except OSError:
                time.sleep(0.01)
        self.left = b""

    def ask(self, requests, marker):
        """All replies to a batch, which end with the reply to ECHO of the marker."""
        self.socket.sendall(b"".join(requests) + encode(b"ECHO", marker))
        return self.replies(b"$%d\r\n%s\r\n" % (len(marker), marker))

    def replies(self, end):
        data = self.left
        while not data.endswith(end):
            more = self.socket.recv(1 << 20)
            if not more:
                raise SystemExit("the server has closed the connection")
            data += more
        return data[:-len(end)]

    def stop(self):
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def number(dice):
    """The text of a number: of any size, near the edges of a type, with few or many digits, or hardly a number at all."""
    kind = dice.randrange(10)
    if kind < 3:
        text = repr(struct.unpack("d", dice.randbytes(8))[0])
    elif kind < 5:
        text = f"{dice.uniform(-1, 1) * 10 ** dice.randrange(-20, 20):.{dice.randrange(20)}f}"
    elif kind == 5:
        text = f"{dice.uniform(-10, 10):.{dice.randrange(18)}e}"
    elif kind == 6:
        text = str(dice.choice((1 << 53, 1 << 63, 1 << 64, 10 ** 15, 10 ** 17, 10 ** 21)) + dice.randrange(-3, 4))
    elif kind == 7:
        text = "".join(dice.choice("0123456789") for _ in range(dice.randrange(1, 40)))
        text = text[:dice.randrange(len(text) + 1)] + "." + text
    elif kind == 8:
        text = str(dice.randrange(-1000, 1000))
    else:
        text = "".join(dice.choice("0123456789+-.eExXinfatyp ") for _ in range(dice.randrange(8)))
    return text.encode()


def requests(dice):
    """What is asked about one input."""
    kind = dice.randrange(5)
    key = b"%d:%d" % (kind, dice.randrange(8))
    if kind == 0:
        yield encode(b"SET", key, number(dice))
        yield encode(b"INCRBYFLOAT", key, number(dice))
    elif kind == 1:
        yield encode(b"HSET", key, b"f", number(dice))
        yield encode(b"HINCRBYFLOAT", key, b"f", number(dice))
    elif kind == 2:
        yield encode(b"ZADD", key, number(dice), b"m")
        yield encode(b"ZINCRBY", key, number(dice), b"m")
    elif kind == 3:
        yield encode(b"ZADD", key, number(dice), b"m%d" % dice.randrange(4))
        yield encode(b"ZRANGE", key, b"0", b"-1", b"WITHSCORES")
    else:
        for member in (b"a", b"b"):
            yield encode(b"GEOADD", key, b"%.*f" % (dice.randrange(15), dice.uniform(-180, 180)),
                         b"%.*f" % (dice.randrange(15), dice.uniform(-85, 85)), member)
        yield encode(b"GEODIST", key, b"a", b"b", dice.choice((b"m", b"km", b"mi", b"ft")))
        yield encode(b"GEOPOS", key, b"a", b"b")


def main():
    built = os.environ.get("CARGO_TARGET_DIR") or os.path.join(ROOT, "target")
    parser = argparse.ArgumentParser(description="Compare the numbers that two servers print.")
    parser.add_argument("--ours", default=os.path.join(built, "release/valkey-server"))
    parser.add_argument("--reference", default=shutil.which("valkey-server"))
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=time.time_ns() & 0xffff_ffff)
    args = parser.parse_args()
    print(f"seed {args.seed}", flush=True)
    dice = random.Random(args.seed)
    servers = [Server(args.ours), Server(args.reference)]
    different = 0
    try:
        for protocol in (b"2", b"3"):
            for server in servers:
                server.ask([encode(b"HELLO", protocol)], b"begin")
            for start in range(0, args.inputs // 2, BATCH):
                batch = [request for _ in range(BATCH) for request in requests(dice)]
                marker = b"end of batch %d" % start
                ours, reference = (server.ask(batch, marker) for server in servers)
                if ours == reference:
                    continue
                # Once more, one at a time: nearly all of it begins with a value of its own.
                before = different
                for request in batch:
                    ours, reference = (server.ask([request], marker) for server in servers)
                    if ours != reference:
                        different += 1
                        print(f"{request!r}\n  ours      {ours!r}\n  reference {reference!r}", flush=True)
                if different == before:
                    different += 1
                    print(f"something of {batch!r}", flush=True)
                if different > 20:
                    sys.exit("too many differences")
    finally:
        for server in servers:
            server.stop()
    print(f"{args.inputs // 2 * 2} inputs, {different} differences")
    sys.exit(different > 0)


if __name__ == "__main__":
    main()
