"""A link that can be cut: forwards connections of a replica to its primary, each way, up to a byte chosen before."""

import collections
import errno
import random
import selectors
import socket
import struct
import threading

CHUNK_BYTES = 65536
# What is taken from one side and not yet by the other; beyond that the first is not read from, as on a slow link.
PENDING_BYTES_MAX = 1 << 20
TICK_SECONDS = 0.05
# About what a replica says until the snapshot flows.
UP_BYTES = 400

# The ways in which a connection ends: both sides are told by a reset, or by an orderly end; or nobody is told anything.
RESET, CLOSE, SILENCE = "reset", "close", "silence"
# Directions.
UP, DOWN = "to the primary", "to the replica"

# After `bytes` in `direction`, the connection ends this `way`.
Cut = collections.namedtuple("Cut", "direction bytes way")


def random_cut(dice: random.Random, down_bytes_max, silence):
    """Somewhere in what the replica says, which is short, or in what it is sent: anywhere, or early."""
    way = SILENCE if silence else dice.choice((RESET, RESET, CLOSE))
    if dice.random() < 0.25:
        return Cut(UP, dice.randrange(UP_BYTES), way)
    if dice.random() < 0.5:
        return Cut(DOWN, dice.randrange(down_bytes_max), way)
    # Each order of magnitude alike: the handshake, the first bytes of a snapshot, its last.
    return Cut(DOWN, int(down_bytes_max ** dice.random()) - 1, way)


class _Half:
    """One side of a connection."""

    def __init__(self, sock, direction):
        self.sock = sock
        # Where bytes that are read here go.
        self.direction = direction
        self.other = None
        self.link = None
        self.out = bytearray()
        self.ended = False
        self.shut = False
        self.events = 0


class _Link:
    """A connection and what is planned for it."""

    def __init__(self, replica, primary, cut):
        self.halves = (replica, primary)
        self.cut = cut
        self.passed = {UP: 0, DOWN: 0}
        self.silent = False


class Proxy:
    """Listens on a port of its own; a thread forwards."""

    def __init__(self, port):
        self.port = port
        self.target = None
        self.cuts_made = 0
        self._plan = collections.deque()
        self._lock = threading.Lock()
        self._links = set()
        self._selector = selectors.DefaultSelector()
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(("127.0.0.1", port))
        self._listener.listen()
        self._listener.setblocking(False)
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._stopped = False
        self._drop = False
        self._passed_down = 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def arm(self, plan):
        """The next connections get these cuts, in order; None lets one live. Connections that are there are let live."""
        with self._lock:
            self._plan = collections.deque(plan)

    def disarm(self):
        """Nothing more is cut, and what is silent ends."""
        with self._lock:
            self._plan.clear()
            for link in self._links:
                link.cut = None
            self._drop = True

    def connections(self):
        """How many are open."""
        return len(self._links)

    def passed_down(self):
        """Bytes that replicas got so far, over all connections."""
        return self._passed_down

    def stop(self):
        """Ends the thread and all connections."""
        self._stopped = True
        self._thread.join()

    def _run(self):
        while not self._stopped:
            for key, events in self._selector.select(TICK_SECONDS):
                if key.fileobj is self._listener:
                    self._accept()
                elif key.data.link in self._links:
                    self._turn(key.data, events)
            if self._drop:
                self._drop = False
                for link in [link for link in self._links if link.silent]:
                    self._end(link, RESET)
        for link in list(self._links):
            self._end(link, RESET)
        self._listener.close()
        self._selector.close()

    def _accept(self):
        try:
            down, _ = self._listener.accept()
        except OSError:
            return
        up = socket.socket()
        try:
            up.connect(("127.0.0.1", self.target))
        except OSError:
            up.close()
            down.close()
            return
        for sock in (down, up):
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        replica, primary = _Half(down, UP), _Half(up, DOWN)
        replica.other, primary.other = primary, replica
        with self._lock:
            cut = self._plan.popleft() if self._plan else None
            link = replica.link = primary.link = _Link(replica, primary, cut)
            self._links.add(link)
        self._watch(replica)
        self._watch(primary)

    def _watch(self, half):
        """Asks for the events that this side can use now."""
        wanted = 0
        if not half.ended and not half.link.silent and len(half.other.out) < PENDING_BYTES_MAX:
            wanted |= selectors.EVENT_READ
        if half.out:
            wanted |= selectors.EVENT_WRITE
        if wanted == half.events:
            return
        if not wanted:
            self._selector.unregister(half.sock)
        elif half.events:
            self._selector.modify(half.sock, wanted, half)
        else:
            self._selector.register(half.sock, wanted, half)
        half.events = wanted

    def _turn(self, half, events):
        link = half.link
        try:
            if events & selectors.EVENT_WRITE and half.out:
                del half.out[:half.sock.send(half.out)]
            if events & selectors.EVENT_READ and not half.ended and not link.silent:
                self._read(half)
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EWOULDBLOCK):
                self._end(link, RESET)
                return
        if link not in self._links:
            return
        for side in link.halves:
            if side.other.ended and not side.out and not side.shut:
                side.shut = True
                try:
                    side.sock.shutdown(socket.SHUT_WR)
                except OSError:
                    pass
        if all(side.shut for side in link.halves):
            self._end(link, CLOSE)
            return
        for side in link.halves:
            self._watch(side)

    def _read(self, half):
        link = half.link
        data = half.sock.recv(CHUNK_BYTES)
        if not data:
            half.ended = True
            return
        with self._lock:
            cut = link.cut
        due = False
        if cut and cut.direction == half.direction:
            room = max(0, cut.bytes - link.passed[half.direction])
            due = len(data) > room
            data = data[:room] if due else data
        link.passed[half.direction] += len(data)
        if half.direction == DOWN:
            self._passed_down += len(data)
        half.other.out += data
        if due:
            self.cuts_made += 1
            link.cut = None
            self._flush(half.other)
            if cut.way == SILENCE:
                link.silent = True
            else:
                self._end(link, cut.way)

    def _flush(self, half):
        """What fits goes out before the end, so that the cut is at the byte that was meant."""
        try:
            del half.out[:half.sock.send(half.out)]
        except OSError:
            # It is about to end anyhow.
            pass

    def _end(self, link, way):
        with self._lock:
            self._links.discard(link)
        for half in link.halves:
            if half.events:
                self._selector.unregister(half.sock)
                half.events = 0
            if way == RESET:
                half.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            half.sock.close()
