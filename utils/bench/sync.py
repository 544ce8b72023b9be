"""A dual-channel full synchronisation under writes."""

import random
import subprocess
import time

from servers import LOAD_CORE, Server, encode, pin

KEYS = 1_000_000
VALUE_BYTES = 200
CLIENTS = 50
SYNC_SECONDS_MAX = 300
SYNC_OPTIONS = ["--repl-diskless-sync", "yes", "--repl-diskless-sync-delay", "0", "--repl-diskless-load", "swapdb",
                "--dual-channel-replication-enabled", "yes", "--client-output-buffer-limit", "replica 0 0 0",
                "--repl-backlog-size", "256mb"]


def measure(binary):
    """A full synchronisation of a million keys of 200 bytes while the primary is written to."""
    # Values that do not compress, each another window on the same random bytes.
    noise = random.Random(2).randbytes(KEYS + VALUE_BYTES)
    with Server(binary, SYNC_OPTIONS) as primary, Server(binary, SYNC_OPTIONS, core=LOAD_CORE) as replica:
        connection = primary.connect()
        connection.pour(encode("SET", "key:%012d" % n, noise[n:n + VALUE_BYTES]) for n in range(KEYS))
        load = subprocess.Popen(
            ["valkey-benchmark", "-p", str(primary.port), "-t", "set", "-r", str(KEYS), "-d",
             str(VALUE_BYTES), "-c", str(CLIENTS), "-n", "1000000000", "-q"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=pin(LOAD_CORE),
        )
        try:
            time.sleep(0.5)
            commands = int(primary.info("stats")["total_commands_processed"])
            cpu = primary.cpu_us(children=True)
            begin = time.monotonic()
            admin = replica.connect()
            admin.call("REPLICAOF", "127.0.0.1", str(primary.port))
            while replica.info("replication").get("master_link_status") != "up":
                if time.monotonic() - begin > SYNC_SECONDS_MAX:
                    raise SystemExit(f"{binary}: no synchronisation in {SYNC_SECONDS_MAX} s")
                time.sleep(0.02)
            wall = time.monotonic() - begin
            # A child counts once it is reaped.
            while primary.info("persistence").get("rdb_bgsave_in_progress") == "1":
                time.sleep(0.005)
            cpu = primary.cpu_us(children=True) - cpu
            if admin.call("DBSIZE") != KEYS:
                raise SystemExit(f"{binary}: the replica has not got all keys")
            commands = int(primary.info("stats")["total_commands_processed"]) - commands
        finally:
            load.kill()
            load.wait()
        return {"wall_s": wall, "cpu_s": cpu / 1e6, "rps": commands / wall}
