"""While a snapshot is written, restored, read or received, the node answers, beats, and applies.

The event loop of a leader that writes a large snapshot itself would stand still for longer than an election timeout,
and its followers would elect another. So each of these is done in a thread; here each waits there for the test.
"""

import threading
from collections.abc import Callable
from typing import BinaryIO

import anyio
import pytest

from rafty_core import Change, Configuration, Member
from rafty_transports.compaction import SnapshotPolicy
from rafty_transports.memory import MemoryNetwork
from rafty_transports.node import Node
from rafty_transports.storage.memory import MemoryStore
from tests.transports.nodes import QUICK, Recorder, applied_by, until

pytestmark = pytest.mark.anyio


class Slow(Recorder):
    """A machine whose writing and restoring last until `go` is set, or three seconds."""

    def __init__(self) -> None:
        super().__init__()
        self.go = threading.Event()
        self.finished = False

    def snapshot(self) -> Callable[[BinaryIO], None]:
        write = super().snapshot()

        def write_slowly(target: BinaryIO) -> None:
            self.go.wait(3.0)
            write(target)
            self.finished = True

        return write_slowly

    def restore(self, index: int, source: BinaryIO) -> None:
        self.go.wait(3.0)
        super().restore(index, source)
        self.finished = True


async def test_f89_the_node_goes_on_while_its_snapshot_is_written() -> None:
    machine = Slow()
    store = MemoryStore("n1", Configuration.of("n1"))
    async with Node(store, MemoryNetwork().transport("n1"), machine, config=QUICK) as node:
        await node.propose(b"before")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(node.snapshot)
            await anyio.wait_all_tasks_blocked()
            assert await node.propose(b"meanwhile") == b"did meanwhile"
            assert not machine.finished
            machine.go.set()
        with store.snapshots.open(2, 1) as source:
            assert source.read() == b"6:before"


async def test_f89_a_node_answers_its_leader_while_its_machine_is_restored() -> None:
    """The newcomer has the snapshot and puts it into its machine; meanwhile its votes for commits are needed."""
    network, machine = MemoryNetwork(), Slow()
    store = MemoryStore("n1", Configuration.of("n1"))
    joining = MemoryStore("n2", Configuration(), join=store.identity.cluster_id)
    policy = SnapshotPolicy(trailing_entries=0)
    async with Node(store, network.transport("n1"), Recorder(), config=QUICK, snapshots=policy) as first:
        await first.propose(b"before")
        await first.snapshot()
        async with Node(joining, network.transport("n2"), machine, config=QUICK) as second:
            term = first.status().term
            await first.change_membership([Change("add_voter", Member("n2"))])
            assert await first.propose(b"meanwhile") == b"did meanwhile"
            assert not machine.finished
            assert (first.status().role, first.status().term) == ("leader", term)
            machine.go.set()
            await until(lambda: applied_by(second) == [b"before", b"meanwhile"])
