"""Real nodes for tests: processes of `rafty serve` on loopback, with their data on the disk.

Law: *a test waits for a condition with a deadline, and when it fails it shows what the nodes said.*

    with Cluster(3, tmp_path) as cluster:
        leader = cluster.wait_for_leader()
        cluster.ask(leader, [b"SET", b"key", b"value"])
        leader.kill()
        leader = cluster.wait_for_leader()

Everything here blocks; in an async test call what waits in a worker thread, but start nodes in the main thread.
"""

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, cast

import pytest

from rafty_transports.client import Reply, ReplyError
from rafty_transports.demo_cluster import LocalCluster, NodeProcess
from tests.end_to_end import forks
from tests.end_to_end.asking import ask as ask
from tests.end_to_end.asking import pairs_of as pairs_of

UNANSWERED = frozenset(("NOTLEADER", "UNKNOWN", "STOPPED", "SUPERSEDED"))
"""Codes of errors that a writer may meet when leaders fall."""


EACH = [
    "mixed",
    pytest.param("asyncio", marks=pytest.mark.slow),
    pytest.param("trio", marks=pytest.mark.slow),
]
"""Event loops for a cluster of processes: some nodes on one and some on the other; all on one, in the long version."""


def backend_of(backend: str, node_id: str) -> str:
    """The event loop of this node in a cluster on `backend`; of a mixed one, those with odd numbers are on asyncio."""
    if backend != "mixed":
        return backend
    return ("trio", "asyncio")[int(re.sub(r"\D", "", node_id) or "1") % 2]


def wait_until(condition: Callable[[], bool], what: str, timeout: float = 15.0) -> None:
    """Wait until `condition` holds; fail with `what` if it does not in time."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout:g} s: {what}")
        time.sleep(0.02)


class ForkedNode(NodeProcess):
    """A node that is forked from a process which has imported it already: see `forks`."""

    def start(self) -> None:
        """See `NodeProcess.start`."""
        with Path(os.devnull).open("rb") as nothing, self.log.open("ab") as log:
            self.process = cast("subprocess.Popen[bytes]", self._fork(nothing, log))
        self.expected = True

    def _fork(self, nothing: IO[bytes], log: IO[bytes]) -> forks.Fork:
        words = ["serve", "--id", self.id, *self.arguments]
        return forks.Fork(forks.RAFTY, words, stdin=nothing, stdout=log, stderr=log, session=True)


class Cluster(LocalCluster):
    """A `LocalCluster` for tests; see there for the arguments. Nodes are started on entering, unless `idle`."""

    def __init__(
        self,
        size: int,
        directory: Path,
        *,
        backends: tuple[str, ...] = ("asyncio",),
        schemes: tuple[str, ...] = ("",),
        options: tuple[str, ...] = (),
        idle: bool = False,
    ) -> None:
        backends = ("asyncio", "trio") if backends == ("mixed",) else backends
        super().__init__(
            size, directory, backends=backends, schemes=schemes, options=options, parent=forks.server().pid
        )
        for node in list(self.nodes.values()):
            self.nodes[node.id] = ForkedNode(node.id, node.client, node.arguments, node.log)
        self._idle = idle

    def __enter__(self) -> "Cluster":
        if not self._idle:
            self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, traceback)
        if error is not None:
            for node in self.nodes.values():
                print(f"--- log of {node.id}\n{node.tail(30)}", file=sys.stderr)

    def ask(self, node: NodeProcess, *requests: Sequence[bytes], timeout: float = 8.0) -> list[Reply]:
        """See `ask` above."""
        return ask(node.client, *requests, timeout=timeout)

    def info(self, node: NodeProcess) -> dict[str, str]:
        """What this node tells in INFO, as "raft_role"; nothing if it does not answer."""
        if not node.running:
            return {}
        try:
            return pairs_of(ask(node.client, [b"INFO"], timeout=1.0)[0])
        except OSError:
            return {}

    def leader(self) -> NodeProcess | None:
        """The node that leads in the highest term, as far as those that run tell."""
        found: tuple[int, NodeProcess] | None = None
        for node in self.nodes.values():
            info = self.info(node)
            if info.get("raft_role") == "leader" and (found is None or int(info["raft_term"]) > found[0]):
                found = int(info["raft_term"]), node
        return found[1] if found else None

    def wait_for_leader(self, timeout: float = 15.0) -> NodeProcess:
        """The leader, once there is one that a majority of those that run follows."""
        leader: NodeProcess | None = None

        def found() -> bool:
            nonlocal leader
            fallen = self.fallen()
            if fallen is not None:
                raise AssertionError(f"{fallen.id} ended by itself with exit code {fallen.returncode}")
            leader = self.leader()
            return leader is not None and all(
                self.info(node).get("raft_leader") == leader.id for node in self.nodes.values() if node.running
            )

        wait_until(found, "every node that runs follows one leader", timeout)
        assert leader is not None
        return leader

    def wait_until_equal(self, timeout: float = 20.0) -> dict[str, str]:
        """Wait until all nodes that run have applied the same last index; return RAFTY STATUS of one of them.

        Fails if the digests of their stores differ then. Stop writing first.
        """
        running = [node for node in self.nodes.values() if node.running]

        def equal() -> bool:
            infos = [self.info(node) for node in running]
            indexes = {info.get(f"raft_{name}_index") for info in infos for name in ("applied", "last")}
            return len(indexes) == 1 and None not in indexes

        wait_until(equal, "all nodes have applied the same index", timeout)
        states = [pairs_of(ask(node.client, [b"RAFTY", b"STATUS"])[0]) for node in running]
        digests = {node.id: state["kv_digest"] for node, state in zip(running, states, strict=True)}
        assert len(set(digests.values())) == 1, f"the nodes' states differ: {digests}"
        return states[0]


class Writer(threading.Thread):
    """Writes keys of its own, a pipeline at a time, to one node after the other; remembers what was acknowledged."""

    def __init__(self, number: int, nodes: list[str]) -> None:
        super().__init__(name=f"writer {number}", daemon=True)
        self.acknowledged: list[bytes] = []
        self.strange: list[object] = []
        self._number = number
        self._nodes = nodes
        self._stopped = threading.Event()

    def run(self) -> None:
        turn, count = self._number, 0
        while not self._stopped.is_set():
            keys = [b"k%d-%d" % (self._number, count + offset) for offset in range(8)]
            count += 8
            try:
                requests = [[b"SET", key, b"value of " + key] for key in keys]
                replies = ask(self._nodes[turn % len(self._nodes)], *requests, timeout=1.5)
            except OSError:
                turn += 1
                self._stopped.wait(0.02)
                continue
            for key, reply in zip(keys, replies, strict=True):
                if reply == b"OK":
                    self.acknowledged.append(key)
                elif not (isinstance(reply, ReplyError) and reply.code in UNANSWERED):
                    self.strange.append(reply)

    def stop(self) -> None:
        """Stop and wait."""
        self._stopped.set()
        self.join(20)
        assert not self.is_alive()


def wait_for_progress(writers: list[Writer], count: int = 40) -> None:
    """Wait until the writers have `count` more acknowledgements together."""
    before = sum(len(writer.acknowledged) for writer in writers)
    wait_until(lambda: sum(len(writer.acknowledged) for writer in writers) >= before + count, "writes are acknowledged")


def check_present(keys: Sequence[bytes], address: str) -> None:
    """Fail unless all these keys of writers are read through the node that serves clients at `address`."""
    for start in range(0, len(keys), 200):
        part = keys[start : start + 200]
        assert ask(address, [b"MGET", *part])[0] == [b"value of " + key for key in part]
