"""Servers to be measured, and a client that fills them."""

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time

SERVER_CORE = 0
LOAD_CORE = 1
START_SECONDS_MAX = 60
STILL_SECONDS = 4
STILL_SECONDS_MAX = 40
STILL_BYTES = 65536


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
