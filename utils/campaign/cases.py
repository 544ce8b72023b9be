"""What is done to a pair of servers while one synchronises with the other."""

import itertools
import os
import random
import time
from dataclasses import dataclass

from campaign import load
from campaign.nodes import FINE_POLL_SECONDS, Fault, Node, agree, alive, nobody_panicked, nothing_left, phase_of, wait_until
from campaign.proxy import DOWN, RESET, Cut, Proxy, random_cut, random_stream_cut

# Data of a snapshot: about two megabytes.
FILLER_KEYS = 1000
FILLER_BYTES = 2000
# What cases add stays until there are so many keys on both sides: a snapshot that is slowed takes a tenth of a millisecond
# for each.
KEYS_MAX = 4000
# How long something is waited for that should happen while a synchronisation is under way; if not, the case goes on.
MOMENT_SECONDS_MAX = 5
# How long something may take that must happen: a load that ends, a child without its parent that writes its file to the end.
PATIENCE_SECONDS = 20
# So many connections in a row may be cut until the first synchronisation is over: each that fails makes the pause longer.
SYNC_CUTS_MAX = 3
# Cuts of the stream behind it, at most, where the replica is the peer: it connects anew once in a second. A server of ours does
# at once, up to five times in a second.
STREAM_CUTS_PEER_MAX = 6
STREAM_SECONDS_MAX = 60
# How often the replica's acknowledgement is asked for, so that it says something that can be cut.
ASK_SECONDS = 0.1
# How often the stream's first cut is already due while the replica applies what it has buffered.
DRAIN_SHARE = 0.3
# `rdb-key-save-delay`: a microsecond for so many keys. Each is a sleep, and a long one where the cores are taken.
SLOWLY = (-20, -4)
# A cut of which nobody is told costs the time limits of both sides, so it is rare, and the limit is short then.
SILENCE_EVERY = 20
SILENCE_SECONDS = 2
REPL_SECONDS = 20


@dataclass(frozen=True)
class Mode:
    """How a pair synchronises."""

    dual: bool
    diskless: bool
    load: str
    tls: bool
    # Where both know it.
    compressed: bool

    def __str__(self):
        channels = "dual" if self.dual else "diskless" if self.diskless else "disk"
        return f"{channels}/{self.load}{'/tls' if self.tls else ''}{'/lz4' if self.compressed else ''}"


LOADS = ("disabled", "swapdb", "on-empty-db")
MODES = [
    Mode(dual, diskless, how, tls, compressed)
    for (dual, diskless), how, tls, compressed in itertools.product(
        ((True, True), (False, True), (False, False)), LOADS, (False, True), (False, True))
]


class Pair:
    """Two servers and a link between them that can be cut."""

    def __init__(self, binaries, folder, ports, certificates, stream_cuts, dice):
        self.primary, self.replica = (
            Node(name, binary, os.path.join(folder, name), ports, certificates)
            for name, binary in zip(("primary", "replica"), binaries)
        )
        self.proxy = Proxy(ports.take(), lambda: self.replica.phase_apart())
        self.stream_cuts = stream_cuts
        self.mode = None
        self.snapshot_bytes = 0
        try:
            for node in self.nodes():
                node.start()
            self._fill(dice)
            self._measure()
        except BaseException:
            self.stop()
            raise

    def nodes(self):
        return self.primary, self.replica

    def _fill(self, dice):
        self.primary.call("FLUSHALL")
        load.fill(self.primary.port, dice, FILLER_KEYS, FILLER_BYTES)

    def _measure(self):
        """A synchronisation that nobody disturbs: how many bytes it takes, and which sockets stay."""
        self.set_mode(MODES[0])
        before = self.proxy.passed_down()
        self.follow(self.proxy.port)
        agree(self.primary, self.replica)
        self.snapshot_bytes = self.proxy.passed_down() - before
        for node in self.nodes():
            node.note_sockets()

    def set_mode(self, mode):
        self.mode = mode
        for node in self.nodes():
            node.configure(dual_channel_replication_enabled="yes" if mode.dual else "no",
                           repl_diskless_sync="yes" if mode.diskless else "no", repl_diskless_load=mode.load,
                           tls_replication="yes" if mode.tls else "no")
            if node.call("CONFIG", "GET", "repl-compression"):
                node.configure(repl_compression="lz4" if mode.compressed else "no")
        self.proxy.target = self.primary.tls_port if mode.tls else self.primary.port

    def leave(self):
        """Makes the replica a server of its own, whose next synchronisation is a full one."""
        until = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                self.replica.call("REPLICAOF", "NO", "ONE")
                return
            except RuntimeError as error:
                # It loads, and does nothing else meanwhile.
                if "LOADING" not in str(error) or time.monotonic() > until:
                    raise Fault("hangs", f"REPLICAOF NO ONE: {error}", self.replica) from error
                time.sleep(0.01)

    def follow(self, port):
        self.replica.call("REPLICAOF", "127.0.0.1", port)

    def prepare(self, mode, dice):
        """Apart, in this mode, with data, and slow enough for something to happen meanwhile."""
        self.leave()
        self.set_mode(mode)
        if sum(node.call("DBSIZE") for node in self.nodes()) > KEYS_MAX:
            self._fill(dice)
        if mode.load == "on-empty-db" and dice.random() < 0.7:
            self.replica.call("FLUSHALL")
        self.primary.configure(rdb_key_save_delay=dice.choice((0, 0, *SLOWLY)))

    def wait_until_up(self, seconds):
        """Whether the link came up."""
        return wait_until(lambda: self.replica.info("replication").get("master_link_status") == "up", seconds)

    def swap(self):
        """What was the replica is the primary."""
        self.primary, self.replica = self.replica, self.primary

    def check(self, proxy=None):
        """All that must hold when nothing goes on any more."""
        agree(self.primary, self.replica)
        nothing_left(self.primary, self.replica, proxy)
        nobody_panicked(self.nodes())

    def stop(self):
        for node in self.nodes():
            if node.process and node.process.poll() is None:
                node.kill()
        self.proxy.stop()


def cut(pair, mode, dice, number):
    """The link is cut amid the synchronisation, then again and again in the stream behind it, and then holds."""
    pair.prepare(mode, dice)
    silence = number % SILENCE_EVERY == SILENCE_EVERY - 1
    for node in pair.nodes():
        node.configure(repl_timeout=SILENCE_SECONDS if silence else REPL_SECONDS)
    largest = int(pair.snapshot_bytes * 1.1)
    likely = dice.choice((0.5, 0.8, 1))
    pair.proxy.arm([random_cut(dice, largest, silence) if dice.random() < likely else None
                    for _ in range(dice.randrange(1, SYNC_CUTS_MAX))])
    writers = [load.Writer(pair.primary.port, dice.random(), batch=10)]
    drain = mode.dual and dice.random() < DRAIN_SHARE
    try:
        if drain:
            # There must be something to apply.
            writers.append(load.Writer(pair.primary.port, dice.randrange(10**9), new_keys_only=True, batch=300))
        pair.follow(pair.proxy.port)
        behind = ("draining", "stream") if drain else ("stream",)
        reached = wait_until(lambda: phase_of(pair.replica.info("replication")) in behind, PATIENCE_SECONDS, FINE_POLL_SECONDS)
        if reached and not silence:
            plan_stream_cuts(pair, mode, dice, drain)
        if drain:
            writers.pop().stop()
        if reached and not silence:
            let_cut(pair)
        time.sleep(dice.uniform(0, 0.1))
    finally:
        for writer in writers:
            writer.stop()
        pair.proxy.disarm()
    pair.check(pair.proxy)


def plan_stream_cuts(pair, mode, dice, drain):
    """From now on: cuts that each begin a partial resynchronisation, or fall into one."""
    ours = "repl_sync_phase" in pair.replica.info("replication")
    number = pair.stream_cuts if ours else min(pair.stream_cuts, STREAM_CUTS_PEER_MAX)
    plan = [Cut(DOWN, 0, RESET)] if drain else []
    plan += [random_stream_cut(dice, mode.tls) for _ in range(number - len(plan))]
    pair.proxy.arm(plan, at_once=True)


def let_cut(pair):
    """Waits for what is planned. Meanwhile the replica is asked how far it is, so that it says something, too."""
    until = time.monotonic() + STREAM_SECONDS_MAX
    while pair.proxy.cuts_to_come() and time.monotonic() < until:
        pair.primary.call("SET", "asked", time.monotonic())
        pair.primary.call("WAIT", 1, 1)
        time.sleep(ASK_SECONDS)


def kill(pair, mode, dice, number):
    """One of the two is killed in the middle, and comes back with what it had on disk."""
    pair.prepare(mode, dice)
    for node in pair.nodes():
        node.configure(repl_timeout=REPL_SECONDS)
    # What the primary starts from. A replica's file is what a synchronisation has left.
    pair.primary.configure(rdb_key_save_delay=0)
    pair.primary.call("SAVE")
    pair.primary.configure(rdb_key_save_delay=dice.choice(SLOWLY))
    victim = dice.choice(pair.nodes())
    moment = int(pair.snapshot_bytes * 1.1 * dice.random())
    writer = load.Writer(pair.primary.port, dice.random())
    try:
        before = pair.proxy.passed_down()
        pair.follow(pair.proxy.port)
        wait_until(lambda: pair.proxy.passed_down() - before >= moment, MOMENT_SECONDS_MAX, FINE_POLL_SECONDS)
        if moment % 3 == 0:
            # Loading, or applying what was buffered.
            time.sleep(dice.uniform(0, 0.05))
        orphans = victim.kill()
        if not wait_until(lambda: not any(alive(pid) for pid in orphans), MOMENT_SECONDS_MAX * 2):
            raise Fault("leftovers", f"children {orphans} have outlived their parent", victim)
        victim.forget_temporary_files()
        victim.start()
        if victim is pair.replica:
            pair.follow(pair.proxy.port)
        pair.wait_until_up(MOMENT_SECONDS_MAX)
    finally:
        writer.stop()
    pair.primary.configure(rdb_key_save_delay=0)
    pair.check(pair.proxy)


def digest(pair, mode, dice, number):
    """A synchronisation under a flood of new keys."""
    pair.prepare(mode, dice)
    writers = [load.Writer(pair.primary.port, dice.randrange(10**9), new_keys_only=True, batch=dice.choice((1, 50, 300)),
                           pause_seconds=dice.choice((0, 0.001))),
               load.Writer(pair.primary.port, dice.random())]
    try:
        pair.follow(pair.proxy.port)
        pair.wait_until_up(MOMENT_SECONDS_MAX)
        time.sleep(dice.uniform(0, 0.2))
    finally:
        for writer in writers:
            writer.stop()
    pair.check(pair.proxy)


def promotion(pair, mode, dice, number):
    """The replica is promoted, in the middle of a synchronisation or after it, and the old primary follows it."""
    pair.prepare(mode, dice)
    pair.primary.configure(rdb_key_save_delay=dice.choice((0, *SLOWLY)))
    port = lambda: pair.primary.tls_port if mode.tls else pair.primary.port
    writer = load.Writer(pair.primary.port, dice.random())
    try:
        pair.follow(port())
        if dice.random() < 0.4:
            time.sleep(dice.uniform(0, 0.3))
        else:
            pair.wait_until_up(MOMENT_SECONDS_MAX)
            time.sleep(dice.uniform(0, 0.1))
        pair.leave()
        # The old primary goes on for a while, so that histories part.
        if dice.random() < 0.5:
            writer.stop()
        pair.swap()
        other = load.Writer(pair.primary.port, dice.random())
        try:
            pair.follow(port())
            pair.wait_until_up(MOMENT_SECONDS_MAX)
        finally:
            other.stop()
    finally:
        writer.stop()
    pair.primary.configure(rdb_key_save_delay=0)
    pair.check()


CASES = {"cuts": cut, "kills": kill, "digests": digest, "promotions": promotion}


def dice_for(seed, kind, number):
    """Every case has dice of its own, so that it can be repeated alone."""
    return random.Random(f"{seed}/{kind}/{number}")
