"""One member of a PySyncObj cluster, under the same load as `member`, in a virtual environment of its own.

Law: *the peer is measured at its best*: load in the process of the member that is asked, no call between it and the
library.

It keeps its log in memory, which is how it comes; where it is to restart, it has a journal file, which it never syncs.
Its callbacks are called in its own thread, and each lets out the next command, so that the number in flight is exact.
"""

import hashlib
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pysyncobj import SyncObj, SyncObjConf, SyncObjConsumer, replicated

from benchmarks.control import requests, say
from benchmarks.sampling import Result, Samples, clock
from benchmarks.values import alike, noise

POOL = 4096

FILL_IN_FLIGHT = 16384
"""Commands in flight where no figure is taken."""

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
    "dump on request": {"logCompactionMinEntries": 10**8, "logCompactionMinTime": 10**6},
}
"""As it comes, and the best settings found for one command in flight and for many. Nothing is best for both. For
catching up, as it comes but for compaction: there the settings for many commands are far slower."""

Answered = Callable[[object, int], None]
"""What is called with the result of a command and the reason of its failure, or 0."""

Issue = Callable[[int, Answered], None]
"""Lets out the command of this number."""


class Store(SyncObjConsumer):  # type: ignore[misc]
    """A replicated dictionary of bytes."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[bytes, bytes] = {}
        self.applied = 0

    @replicated  # type: ignore[untyped-decorator]
    def put(self, command: bytes) -> bytes:
        """Apply a command: 8 bytes of key, then the value."""
        self.kept[command[:8]] = command[8:]
        self.applied += 1
        return b"OK"

    @replicated  # type: ignore[untyped-decorator]
    def get(self, key: bytes) -> bytes | None:
        """Look up a key: a read that goes through the log."""
        return self.kept.get(key)


class Peer:
    """A member, and what it is asked to do."""

    def __init__(self, setup: dict[str, Any]) -> None:
        files: dict[str, str] = {}
        if setup.get("journal"):
            files["journalFile"] = str(Path(setup["directory"]) / "journal")
        if setup.get("dump"):
            files["fullDumpFile"] = str(Path(setup["directory"]) / "dump")
        self._dump = files.get("fullDumpFile", "")
        self.store = Store()
        # Attempts to connect are a matter of starting, not of the figures: the default would wait for 5 s.
        conf = SyncObjConf(connectionRetryTime=0.2, **files, **SETTINGS[setup["settings"]])
        self.member = SyncObj(setup["own"], setup["others"], conf, consumers=[self.store])

    def obey(self, request: dict[str, Any]) -> None:
        """Do what this line asks, and answer with a line."""
        answers: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "status": self._status,
            "digest": self._digest,
            "load": self._load,
            "reads": self._reads,
            "fill": self._fill,
            "snapshot": self._snapshot,
            "wait": self._wait,
        }
        say(**answers[request["do"]](request))

    def _status(self, request: dict[str, Any]) -> dict[str, Any]:
        role, member = "leader" if self.member._isLeader() else "other", self.member
        return {"role": role, "ready": member.isReady(), "applied": self.store.applied}

    def _digest(self, request: dict[str, Any]) -> dict[str, Any]:
        applied = -1
        while applied != self.store.applied:  # its own thread goes on applying meanwhile
            applied = self.store.applied
            digest = hashlib.blake2b(repr(sorted(self.store.kept.copy().items())).encode()).hexdigest()
        return {"applied": applied, "digest": digest}

    def _load(self, request: dict[str, Any]) -> dict[str, Any]:
        commands = [b"k%07d" % number + b"v" * (request["size"] - 8) for number in range(POOL)]
        samples = Samples(request["warmup"], request["seconds"])

        def issue(number: int, answered: Answered) -> None:
            self.store.put(commands[number % POOL], callback=answered)

        return run_load(issue, request["in_flight"], samples).as_dict()

    def _reads(self, request: dict[str, Any]) -> dict[str, Any]:
        keys = [b"k%07d" % number for number in range(POOL)]
        samples = Samples(request["warmup"], request["seconds"])

        def issue(number: int, answered: Answered) -> None:
            self.store.get(keys[number % POOL], callback=answered)

        return run_load(issue, request["in_flight"], samples).as_dict()

    def _fill(self, request: dict[str, Any]) -> dict[str, Any]:
        count, keys = request["count"], request["keys"]
        value = (noise if request["values"] == "noise" else alike)(request["size"] - 8)
        free, failures = threading.Semaphore(FILL_IN_FLIGHT), []

        def answered(_: object, error: int) -> None:
            if error:
                failures.append(error)
            free.release()

        for number in range(count):
            free.acquire()
            self.store.put(b"k%07d" % (number % keys) + value(number), callback=answered)
        for _ in range(FILL_IN_FLIGHT):
            free.acquire()
        if failures:
            raise SystemExit(f"PySyncObj failed with reason {failures[0]}")
        return {"done": True}

    def _snapshot(self, request: dict[str, Any]) -> dict[str, Any]:
        self.member.forceLogCompaction()
        while self.member.getStatus()["log_len"] > 3:
            time.sleep(0.01)
        return {"size": Path(self._dump).stat().st_size}

    def _wait(self, request: dict[str, Any]) -> dict[str, Any]:
        while self.store.applied < request["applied"]:
            time.sleep(0.002)
        return {"done": True}


def run_load(issue: Issue, in_flight: int, samples: Samples) -> Result:
    """Keep `in_flight` commands under way: each that is answered lets out the next."""
    drained = threading.Event()
    left = in_flight

    def let_out(number: int) -> None:
        began = clock()

        def answered(result: object, error: int) -> None:
            nonlocal left
            ended = clock()
            if error:
                samples.fail(f"PySyncObj failed with reason {error}")
            elif result is None:
                samples.fail("a key that was written is not there")
            else:
                samples.add(began, ended)
            if ended < samples.end:
                let_out(number + in_flight)
                return
            left -= 1
            if left == 0:
                drained.set()

        issue(number, answered)

    for number in range(in_flight):
        let_out(number)
    if not drained.wait(samples.end - clock() + 30):
        samples.fail("some commands were never answered", left)
    return samples.result()


def main() -> None:
    """The process."""
    incoming = requests()
    peer = Peer(incoming.get())
    say(done=True)
    while True:
        peer.obey(incoming.get())


if __name__ == "__main__":
    main()
