"""Servers under attack, and what may be left of an attack."""

import itertools
import os
import random
import re
import signal
import socket
import subprocess
import time

from servers import Connection

# How long a reply may take, a start, and everything until two servers agree again.
REPLY_SECONDS_MAX = 30
START_SECONDS_MAX = 30
AGREE_SECONDS_MAX = 60
# Keys that expire are removed within this time; so is what a server has still to clean up.
SETTLE_SECONDS_MAX = 10
POLL_SECONDS = 0.02
# Where a moment must not be missed.
FINE_POLL_SECONDS = 0.003
# How long the proxy's thread may wait to learn what a replica is doing.
PHASE_SECONDS_MAX = 2
# What a server of ours calls its phases, for those of which a synchronisation consists.
PHASES = {
    "waiting-for-snapshot": "snapshot", "receiving-snapshot": "snapshot", "loading-snapshot": "snapshot",
    "waiting-for-stream": "draining", "applying-buffer": "draining", "online": "stream",
}
# So many looks in a row must find the same number of sockets.
LOOKS_AT_SOCKETS = 20
# Where ports for servers begin, and where the kernel's own do if it does not tell.
FIRST_PORT, FIRST_EPHEMERAL_PORT = 10_000, 32_768
# What a server logs when it finds itself at fault.
PANIC = re.compile(rb"panicked at|BUG REPORT START|assertion|ASSERTION FAILED|Guru Meditation|AddressSanitizer", re.I)


class Fault(Exception):
    """What a case has found. `kind` is a key of the final count, `node` is whose fault it is, if that is known."""

    def __init__(self, kind, text, node=None):
        super().__init__(text)
        self.kind = kind
        self.node = node


def wait_until(condition, seconds, poll_seconds=POLL_SECONDS):
    """Whether the condition came true within this time."""
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(poll_seconds)
    return True


def rows_of(text):
    """The rows of INFO by their names."""
    return dict(line.split(":", 1) for line in text.decode().splitlines() if ":" in line)


def phase_of(rows):
    """What a replica is doing: `handshake`, `snapshot`, `draining` or `stream`; the peer does not tell of its draining."""
    if "repl_sync_phase" in rows:
        return PHASES.get(rows["repl_sync_phase"], "handshake")
    if rows.get("master_link_status") == "up":
        return "stream"
    return "snapshot" if rows.get("master_sync_in_progress") == "1" else "handshake"


def first_ephemeral_port():
    """From here on the kernel gives ports to connections: one that is free now may be taken before a server has it."""
    try:
        with open("/proc/sys/net/ipv4/ip_local_port_range") as file:
            return int(file.read().split()[0])
    except OSError:
        return FIRST_EPHEMERAL_PORT


class Ports:
    """Ports for servers that are free: those from a number on, again and again, or from anywhere below the ephemeral ones."""

    def __init__(self, base, count):
        numbers = range(base, base + count) if base else range(FIRST_PORT, max(first_ephemeral_port(), FIRST_PORT + count))
        begin = 0 if base else random.randrange(len(numbers))
        self._numbers = itertools.cycle([*numbers[begin:], *numbers[:begin]])

    def take(self):
        for port in self._numbers:
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind(("127.0.0.1", port))
                    return port
                except OSError:
                    continue


class Node:
    """A server that can be killed and started again, in a folder of its own."""

    def __init__(self, name, binary, folder, ports, certificates):
        self.name = name
        self.binary = binary
        self.folder = folder
        self.port = ports.take()
        self.tls_port = ports.take() if certificates else 0
        self.process = None
        # What is open while it is one end of a link and all is well; after a restart it is the same.
        self.sockets_at_rest = None
        self._connection = None
        self._log_read = 0
        self._settings = {
            "port": self.port, "bind": "127.0.0.1", "dir": folder, "logfile": "log", "save": "",
            "enable-debug-command": "yes", "repl-diskless-sync-delay": 0, "repl-backlog-size": "1mb",
            "repl-ping-replica-period": 1, "loglevel": "notice",
        }
        if certificates:
            file = lambda name: os.path.join(certificates, name)
            self._settings.update({
                "tls-port": self.tls_port, "tls-ca-cert-file": file("ca.crt"),
                "tls-cert-file": file("valkey.crt"), "tls-key-file": file("valkey.key"),
            })
        os.makedirs(folder, exist_ok=True)

    def start(self):
        """With the parameters that it had last; waits until it serves."""
        words = [word for name, value in self._settings.items() for word in ("--" + name, str(value))]
        with open(os.path.join(self.folder, "output"), "ab") as output:
            self.process = subprocess.Popen([self.binary, *words], stdout=output, stderr=output, stdin=subprocess.DEVNULL)
        if not wait_until(self._serves, START_SECONDS_MAX):
            raise Fault("hangs", "does not start", self)

    def _serves(self):
        if self.process.poll() is not None:
            raise Fault("panics", f"ends at its start with {self.process.returncode}", self)
        try:
            self.call("PING")
            return True
        except (OSError, RuntimeError):
            return False

    def call(self, *args):
        """One command on the connection that stays; an error reply is a RuntimeError."""
        if self._connection is None:
            self._connection = Connection(self.port)
            self._connection.socket.settimeout(REPLY_SECONDS_MAX)
        try:
            return self._connection.call(*args)
        except OSError as error:
            self._connection.close()
            self._connection = None
            if isinstance(error, TimeoutError):
                raise Fault("hangs", f"no reply to {args[0]} within {REPLY_SECONDS_MAX} s", self) from error
            if self.process.poll() is not None:
                raise Fault("panics", f"has ended with {self.process.returncode}", self) from error
            raise

    def configure(self, **parameters):
        """Sets parameters, now and for later starts; dashes are written as underscores."""
        parameters = {name.replace("_", "-"): value for name, value in parameters.items()}
        self._settings.update(parameters)
        self.call("CONFIG", "SET", *[word for pair in parameters.items() for word in pair])

    def info(self, *sections):
        return rows_of(self.call("INFO", *sections))

    def kill(self):
        """`kill -9`; the numbers of the children that it leaves behind."""
        children = [pid for pid, _ in self.children()]
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()
        if self._connection:
            self._connection.close()
            self._connection = None
        return children

    def children(self):
        """Numbers and states of the processes whose parent this is."""
        tasks = f"/proc/{self.process.pid}/task"
        found = []
        for task in os.listdir(tasks):
            try:
                with open(f"{tasks}/{task}/children") as file:
                    numbers = file.read().split()
            except OSError:
                continue
            for number in numbers:
                try:
                    with open(f"/proc/{number}/stat") as file:
                        found.append((int(number), file.read().rsplit(")", 1)[1].split()[0]))
                except OSError:
                    continue
        return found

    def phase_apart(self):
        """What it is doing as a replica; for another thread than the one that uses `call`, on a connection of its own."""
        try:
            connection = Connection(self.port)
            try:
                connection.socket.settimeout(PHASE_SECONDS_MAX)
                return phase_of(rows_of(connection.call("INFO", "replication")))
            finally:
                connection.close()
        except (OSError, RuntimeError):
            return "unknown"

    def sockets(self):
        """How many sockets are open."""
        folder = f"/proc/{self.process.pid}/fd"
        count = 0
        for name in os.listdir(folder):
            try:
                count += os.readlink(os.path.join(folder, name)).startswith("socket:")
            except OSError:
                continue
        return count

    def sockets_beyond_rest(self):
        """How many more sockets are open than while all is well; 0 where that is not known."""
        return 0 if self.sockets_at_rest is None else self.sockets() - self.sockets_at_rest

    def note_sockets(self):
        """All is well now. Sockets of clients that have just left may still be there."""
        seen = []

        def stands_still():
            seen.append(self.sockets())
            return len(set(seen[-LOOKS_AT_SOCKETS:])) == 1 and len(seen) >= LOOKS_AT_SOCKETS

        wait_until(stands_still, SETTLE_SECONDS_MAX)
        self.sockets_at_rest = seen[-1]

    def temporary_files(self):
        """Names of files that are only half of something."""
        return [name for name in os.listdir(self.folder) if name.startswith("temp-")]

    def forget_temporary_files(self):
        """What a process that was killed could not remove."""
        for name in self.temporary_files():
            os.remove(os.path.join(self.folder, name))

    def new_panic(self):
        """The first line since the last call that tells of a fault of the server's own."""
        lines = b""
        for name in ("log", "output"):
            path = os.path.join(self.folder, name)
            if os.path.exists(path):
                with open(path, "rb") as file:
                    lines += file.read()
        fresh, self._log_read = lines[self._log_read:], len(lines)
        for line in fresh.splitlines():
            if PANIC.search(line):
                return line.decode(errors="replace")
        return None


def alive(pid):
    """Whether this process still runs."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def agree(primary, replica, patience=AGREE_SECONDS_MAX):
    """Waits until the replica has all that the primary has, and compares their digests."""
    seen = {}

    def in_step():
        try:
            above, below = primary.info("replication"), replica.info("replication")
        except (OSError, RuntimeError):
            return False
        rows = [row for name, row in above.items() if re.fullmatch(r"slave\d+", name)]
        seen.update(primary={"replicas": rows, "master_repl_offset": above.get("master_repl_offset")},
                    replica={name: below.get(name) for name in ("role", "master_link_status", "slave_repl_offset")})
        return (below.get("master_link_status") == "up" and any("state=online" in row for row in rows)
                and below["slave_repl_offset"] == above["master_repl_offset"])

    if not wait_until(in_step, patience):
        raise Fault("hangs", f"not in step after {patience} s: {seen}")
    digests = {}

    def same():
        digests.update({node.name: node.call("DEBUG", "DIGEST") for node in (primary, replica)})
        return len(set(digests.values())) == 1

    if not wait_until(same, SETTLE_SECONDS_MAX):
        keys = {node.name: node.call("DBSIZE") for node in (primary, replica)}
        raise Fault("differences", f"digests {digests}, keys in database 0 {keys}")


def nothing_left(primary, replica, proxy=None):
    """Raises a fault when something stays that a synchronisation should have taken with it."""
    left = []

    def clean():
        left.clear()
        for node in (primary, replica):
            left.extend((node, f"file {name}") for name in node.temporary_files())
            left.extend((node, f"child {pid} in state {state}") for pid, state in node.children())
        # A connection that the replica has not given up stays open at the primary as well.
        keeper = replica if replica.sockets_beyond_rest() > 0 else primary
        for node in (primary, replica):
            beyond = node.sockets_beyond_rest()
            if beyond > 0:
                left.append((keeper, f"{beyond} sockets of the {node.name}"))
        rows = primary.call("CLIENT", "LIST", "TYPE", "replica").splitlines()
        if len(rows) != 1:
            left.append((keeper, f"{len(rows)} replicas: {rows}"))
        if proxy and proxy.connections() != 1:
            left.append((keeper, f"{proxy.connections()} connections between the two"))
        return not left

    if not wait_until(clean, SETTLE_SECONDS_MAX):
        nodes = {node.name: node for node, _ in left}
        text = "; ".join(f"{node.name}: {what}" for node, what in left)
        raise Fault("leftovers", text, next(iter(nodes.values())) if len(nodes) == 1 else None)


def nobody_panicked(nodes):
    """Raises a fault when a log tells of one."""
    for node in nodes:
        line = node.new_panic()
        if line:
            raise Fault("panics", line, node)
