"""A link that can be cut: forwards connections of a replica to its primary, each way, up to a byte chosen before."""

import collections
import errno
import random
import selectors
import socket
import struct
import threading
import time

CHUNK_BYTES = 65536
# What is taken from one side and not yet by the other; beyond that the first is not read from, as on a slow link.
PENDING_BYTES_MAX = 1 << 20
TICK_SECONDS = 0.05
# About what a replica says until the snapshot flows.
UP_BYTES = 400

# The ways in which a connection ends: both sides are told by a reset, or by an orderly end; or nobody is told anything.
RESET, CLOSE, SILENCE = "reset", "close", "silence"
# Or it does not end: nothing passes for a while, then all goes on, up to the next cut of the plan.
PAUSE = "pause"
# Directions.
UP, DOWN = "to the primary", "to the replica"

# About what each side says, without TLS and with it, until a partial resynchronisation has been agreed to.
HANDSHAKE_BYTES = {False: {UP: 230, DOWN: 105}, True: {UP: 1910, DOWN: 3050}}
# What cuts of a stream fall into: of what the primary says after that, and of acknowledgements.
STREAM_BYTES_MAX = {UP: 100, DOWN: 8192}
# How often a cut falls into the handshake (the next attempt then comes a second later), and into what the replica says.
HANDSHAKE_SHARE = 0.07
UP_SHARE = 0.25
# How often the last bytes stand alone for a while before the end, so that they are read, also half a frame; else they arrive
# together with it. How often the link only pauses, and how long.
HOLD_SHARE = 0.7
HOLD_SECONDS_MAX = 0.1
PAUSE_SHARE = 0.05
PAUSE_SECONDS_MAX = 1.2

# After `bytes` in `direction` nothing passes for so many seconds, then the connection ends this `way`.
Cut = collections.namedtuple("Cut", "direction bytes way hold_seconds", defaults=(0,))


def random_cut(dice: random.Random, down_bytes_max, silence):
    """Somewhere in what the replica says, which is short, or in what it is sent: anywhere, or early."""
    way = SILENCE if silence else dice.choice((RESET, RESET, CLOSE))
    if dice.random() < 0.25:
        return Cut(UP, dice.randrange(UP_BYTES), way)
    if dice.random() < 0.5:
        return Cut(DOWN, dice.randrange(down_bytes_max), way)
    # Each order of magnitude alike: the handshake, the first bytes of a snapshot, its last.
    return Cut(DOWN, int(down_bytes_max ** dice.random()) - 1, way)


def random_stream_cut(dice: random.Random, tls):
    """Somewhere in the handshake of a partial resynchronisation, or in the stream behind it."""
    way = dice.choice((RESET, RESET, CLOSE))
    hold_seconds = HOLD_SECONDS_MAX * dice.random() ** 2 if dice.random() < HOLD_SHARE else 0
    if dice.random() < PAUSE_SHARE:
        way, hold_seconds = PAUSE, dice.uniform(0, PAUSE_SECONDS_MAX)
    direction = UP if dice.random() < UP_SHARE else DOWN
    handshake_bytes = HANDSHAKE_BYTES[tls][direction]
    if dice.random() < HANDSHAKE_SHARE:
        return Cut(direction, dice.randrange(handshake_bytes), way, hold_seconds)
    # Each order of magnitude alike: between two commands, amid one, and after many.
    return Cut(direction, handshake_bytes + int(STREAM_BYTES_MAX[direction] ** dice.random()), way, hold_seconds)


class _Half:
    """One side of a connection."""

    def __init__(self, sock, direction):
        self.sock = sock
        # Where bytes that are read here go.
        self.direction = direction
        self.other = None
        self.link = None
        self.out = bytearray()
        # Read from here already, but beyond where the link pauses.
        self.kept = b""
        self.ended = False
        self.shut = False
        self.events = 0


class _Link:
    """A connection and what is planned for it."""

    def __init__(self, replica, primary):
        self.halves = (replica, primary)
        self.cut = None
        self.passed = {UP: 0, DOWN: 0}
        self.silent = False


class Proxy:
    """Listens on a port of its own; a thread forwards.

    `phase` is asked, in that thread, what the replica is doing when a connection is about to be cut.
    """

    def __init__(self, port, phase):
        self.port = port
        self.target = None
        self.cuts_made = collections.Counter()
        self._phase = phase
        # Links that pause, or whose end waits: when that is over, and what comes then.
        self._held = []
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

    def arm(self, plan, at_once=False):
        """The next connections get these cuts, in order; None lets one live.

        Connections that are there are let live, unless it begins `at_once`: then they get the first ones, counted from here.
        """
        with self._lock:
            self._plan = collections.deque(plan)
            for link in list(self._links) if at_once else []:
                self._next_cut(link)

    def cuts_to_come(self):
        """How many of the plan have not been made."""
        with self._lock:
            return len(self._plan) + sum(link.cut is not None or link.silent for link in list(self._links))

    def disarm(self):
        """Nothing more is cut, and what is silent ends."""
        with self._lock:
            self._plan.clear()
            for link in list(self._links):
                link.cut = None
            self._drop = True

    def connections(self):
        """How many are open."""
        return len(self._links)

    def take_counts(self):
        """Connections that were cut since the last call, by the phase that the replica was in."""
        made, self.cuts_made = self.cuts_made, collections.Counter()
        return {("cut", phase): number for phase, number in made.items()}

    def passed_down(self):
        """Bytes that replicas got so far, over all connections."""
        return self._passed_down

    def stop(self):
        """Ends the thread and all connections."""
        self._stopped = True
        self._thread.join()

    def _run(self):
        while not self._stopped:
            due = min((at for at, _, _ in self._held), default=None)
            wait = TICK_SECONDS if due is None else max(0, min(TICK_SECONDS, due - time.monotonic()))
            for key, events in self._selector.select(wait):
                if key.fileobj is self._listener:
                    self._accept()
                elif key.data.link in self._links:
                    self._turn(key.data, events)
            self._let_go()
            if self._drop:
                self._drop = False
                for link in [link for link in self._links if link.silent]:
                    self._end(link, RESET)
        for link in list(self._links):
            self._end(link, RESET)
        self._listener.close()
        self._selector.close()

    def _next_cut(self, link):
        """Under the lock: what the plan has for a link, counted from what has passed."""
        cut = self._plan.popleft() if self._plan else None
        link.cut = cut and cut._replace(bytes=cut.bytes + link.passed[cut.direction])

    def _let_go(self):
        """Ends links whose time has come, and lets go on those that only pause; all of them when nothing is cut any more."""
        now = time.monotonic()
        over = [held for held in self._held if held[0] <= now or self._drop]
        self._held = [held for held in self._held if held not in over]
        for _, link, way in over:
            if link not in self._links:
                continue
            if way != PAUSE:
                self.cuts_made[self._phase()] += 1
                self._end(link, way)
                continue
            link.silent = False
            for half in link.halves:
                self._pass(half, half.kept)
                half.kept = b""
            with self._lock:
                self._next_cut(link)
            for half in link.halves:
                self._watch(half)

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
            link = replica.link = primary.link = _Link(replica, primary)
            self._next_cut(link)
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
            if due:
                half.kept = data[room:]
                data = data[:room]
        self._pass(half, data)
        if due:
            if not cut.hold_seconds:
                # Asked before the last bytes leave: they and the end arrive together.
                self.cuts_made[self._phase()] += 1
            link.silent = cut.way == SILENCE or cut.hold_seconds > 0
            link.cut = None
            self._flush(half.other)
            if cut.hold_seconds > 0:
                self._held.append((time.monotonic() + cut.hold_seconds, link, cut.way))
            elif cut.way != SILENCE:
                self._end(link, cut.way)

    def _pass(self, half, data):
        """Hands on what has come from a side."""
        half.link.passed[half.direction] += len(data)
        if half.direction == DOWN:
            self._passed_down += len(data)
        half.other.out += data

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
