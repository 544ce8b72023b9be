"""Writers: threads that change the data while a synchronisation is under way."""

import random
import threading
import time

from servers import Connection, encode

REPLY_SECONDS_MAX = 30
# After an error: the server may be on its way down, or up.
PAUSE_SECONDS = 0.02
DATABASES = 4
# Keys that writers meet again and again.
SHARED_KEYS = 200


class Lenient(Connection):
    """Error replies are values, also within a transaction's: a key that is not there is nobody's fault."""

    def __init__(self, port):
        super().__init__(port)
        self.socket.settimeout(REPLY_SECONDS_MAX)

    def reply(self):
        try:
            return super().reply()
        except RuntimeError as error:
            return error


def fill(port, dice: random.Random, keys, value_bytes):
    """Data for a snapshot: strings that do not compress, and some of every other type."""
    connection = Lenient(port)
    noise = dice.randbytes(keys + value_bytes)
    connection.pour(encode("SET", f"filler:{n}", noise[n:n + value_bytes]) for n in range(keys))
    connection.pour(encode(*change(dice, n)) for n in range(keys // 4))
    connection.close()


def change(dice: random.Random, serial):
    """Some command that changes something."""
    key = f"shared:{dice.randrange(SHARED_KEYS)}"
    word = f"word:{dice.randrange(1000)}"
    kind = dice.randrange(16)
    if kind == 0:
        return "SELECT", dice.randrange(DATABASES)
    if kind == 1:
        return "SET", f"brief:{serial}", word, "PX", dice.randrange(1, 300)
    if kind == 2:
        return "SET", f"long:{serial}", word, "EX", 10_000
    if kind == 3:
        return "DEL", key
    if kind == 4:
        return "EVAL", "redis.call('incr', KEYS[1]) redis.call('rpush', KEYS[2], ARGV[1])", 2, "counter", "from:script", word
    if kind == 5:
        return "RENAME", f"new:{serial - 1}", f"renamed:{serial}"
    if kind == 6:
        return "SPOP", f"set:{key}"
    if kind == 7:
        return "APPEND", f"string:{key}", word
    if kind == 8:
        return "RPUSH", f"list:{key}", word, dice.randrange(10**9)
    if kind == 9:
        return "SADD", f"set:{key}", word, dice.randrange(1000)
    if kind == 10:
        return "HSET", f"hash:{key}", word, dice.randbytes(20)
    if kind == 11:
        return "ZADD", f"zset:{key}", dice.uniform(-9, 9), word
    if kind == 12:
        return "XADD", f"stream:{key}", "MAXLEN", "~", 100, "*", "field", word
    if kind == 13:
        return "LPOP", f"list:{key}"
    if kind == 14:
        return "MOVE", f"new:{serial - 1}", dice.randrange(DATABASES)
    return "SET", f"new:{serial}", dice.randbytes(dice.randrange(200))


class Writer(threading.Thread):
    """Writes to a port until it is stopped, whatever happens to the server."""

    def __init__(self, port, seed, new_keys_only=False, batch=20, pause_seconds=0.01):
        super().__init__(daemon=True)
        self.port = port
        self.dice = random.Random(seed)
        self.seed = seed
        self.new_keys_only = new_keys_only
        self.batch = batch
        self.pause_seconds = pause_seconds
        self._stopped = threading.Event()
        self.start()

    def stop(self):
        """Returns when nothing more comes."""
        self._stopped.set()
        self.join()

    def run(self):
        connection = None
        serial = 0
        while not self._stopped.is_set():
            try:
                if connection is None:
                    connection = Lenient(self.port)
                requests = []
                for _ in range(self.batch):
                    serial += 1
                    requests.append(self._request(serial))
                if not self.new_keys_only and serial % 7 == 0:
                    requests = [encode("MULTI"), *requests, encode("EXEC")]
                connection.socket.sendall(b"".join(requests))
                for _ in requests:
                    connection.reply()
            except OSError:
                if connection:
                    connection.close()
                    connection = None
                self._stopped.wait(PAUSE_SECONDS)
            if self.pause_seconds:
                time.sleep(self.pause_seconds)
        if connection:
            connection.close()

    def _request(self, serial):
        if self.new_keys_only:
            return encode("SET", f"flood:{self.seed}:{serial}", self.dice.randbytes(self.dice.randrange(100)))
        return encode(*change(self.dice, serial))
