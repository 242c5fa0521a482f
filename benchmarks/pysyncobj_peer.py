"""One member of a PySyncObj cluster, under the same load as `member`, in a virtual environment of its own.

Law: *the peer is measured at its best*: load in the leader's process, no call between it and the library.

It keeps its log in memory, which is how it comes; with a journal file it would write to disk, and never sync. Its
callbacks are called in its own thread, and each lets out the next command, so that the number in flight is exact.
"""

import hashlib
import threading
from typing import Any

from pysyncobj import SyncObj, SyncObjConf, replicated

from benchmarks.control import requests, say
from benchmarks.sampling import Result, Samples, clock

POOL = 4096

SETTINGS: dict[str, dict[str, Any]] = {
    "as it comes": {},
    "low latency": {"appendEntriesUseBatch": False},
    "throughput": {
        "appendEntriesPeriod": 0.001,
        "autoTickPeriod": 0.001,
        "appendEntriesBatchSizeBytes": 2**20,
        "logCompactionMinEntries": 10**8,
        "logCompactionMinTime": 10**6,
    },
}
"""As it comes, and the best settings found for one command in flight and for many. Nothing is best for both."""


class Store(SyncObj):  # type: ignore[misc]
    """A replicated dictionary of bytes."""

    def __init__(self, own: str, others: list[str], settings: str) -> None:
        self.kept: dict[bytes, bytes] = {}
        self.applied = 0
        # Attempts to connect are a matter of starting, not of the figures: the default would wait for 5 s.
        super().__init__(own, others, SyncObjConf(connectionRetryTime=0.2, **SETTINGS[settings]))

    @replicated  # type: ignore[untyped-decorator]
    def put(self, command: bytes) -> bytes:
        """Apply a command: 8 bytes of key, then the value."""
        self.kept[command[:8]] = command[8:]
        self.applied += 1
        return b"OK"


def run_load(store: Store, in_flight: int, size: int, warmup: float, seconds: float) -> Result:
    """Keep `in_flight` commands under way: each that is answered lets out the next."""
    commands = [b"k%07d" % number + b"v" * (size - 8) for number in range(POOL)]
    samples = Samples(warmup, seconds)
    drained = threading.Event()
    left = in_flight

    def put(number: int) -> None:
        began = clock()

        def answered(_: object, error: int) -> None:
            nonlocal left
            ended = clock()
            if error:
                samples.fail(f"PySyncObj failed with reason {error}")
            else:
                samples.add(began, ended)
            if ended < samples.end:
                put(number + in_flight)
                return
            left -= 1
            if left == 0:
                drained.set()

        store.put(commands[number % POOL], callback=answered)

    for number in range(in_flight):
        put(number)
    if not drained.wait(warmup + seconds + 30):
        samples.fail("some commands were never answered", left)
    return samples.result()


def main() -> None:
    """The process."""
    incoming = requests()
    setup = incoming.get()
    store = Store(setup["own"], setup["others"], setup["settings"])
    say(done=True)
    while True:
        request = incoming.get()
        if request["do"] == "status":
            say(role="leader" if store._isLeader() else "other", term=store.raftCurrentTerm, ready=store.isReady())
        elif request["do"] == "digest":
            digest = hashlib.blake2b(repr(sorted(store.kept.items())).encode()).hexdigest()
            say(applied=store.applied, digest=digest)
        else:
            result = run_load(store, request["in_flight"], request["size"], request["warmup"], request["seconds"])
            say(**result.as_dict())


if __name__ == "__main__":
    main()
