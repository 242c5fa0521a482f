"""Fault F133: a caller, or the whole node, is cancelled while a write is under way; memory and disk disagree after it.

A write belongs to nobody who can be cancelled: it ends, and what memory says is durable is what the disk has.
"""

import threading
from collections.abc import Sequence

import anyio
import pytest

from rafty_core import Configuration, Write
from rafty_transports.memory import MemoryNetwork
from rafty_transports.node import Node
from rafty_transports.storage.memory import MemoryStore
from tests.transports.nodes import QUICK, Recorder, until

pytestmark = pytest.mark.anyio


class Gated(MemoryStore):
    """Writes only while the gate is open; `under_way` says that one waits."""

    def __init__(self) -> None:
        super().__init__("n1", Configuration.of("n1"))
        self.gate, self.under_way, self.closed = threading.Event(), threading.Event(), False
        self.gate.set()

    def write(self, writes: Sequence[Write]) -> None:
        if not self.gate.is_set():
            self.under_way.set()
            self.gate.wait(5)
        super().write(writes)

    def close(self) -> None:
        super().close()
        self.closed = True

    @property
    def last(self) -> int:
        """The last index on the disk."""
        return self._batches[-1].last if self._batches else 0


async def leading(node: Node) -> None:
    """Wait until it leads and has nothing to write."""
    await until(lambda: node.status().role == "leader" and node.status().applied_index > 0, 5.0)


async def begin(node: Node, store: Gated, commands: list[bytes]) -> None:
    """Propose while the disk does not answer; return when a write is under way."""
    store.gate.clear()
    with anyio.move_on_after(0.05):  # the callers are cancelled in mid-write
        await node.propose_many(commands)
    await until(store.under_way.is_set, 5.0)


async def test_f133_caller_is_cancelled_in_mid_write() -> None:
    store, machine = Gated(), Recorder()
    async with Node(store, MemoryNetwork().transport("n1"), machine, config=QUICK) as node:
        await leading(node)
        before = store.last
        await begin(node, store, [b"one", b"two"])
        assert node.status().durable_index == store.last == before
        assert machine.applied == []
        store.gate.set()
        await until(lambda: len(machine.applied) == 2, 5.0)
        assert node.status().durable_index == store.last == before + 2
        assert await node.propose(b"three") == b"did three"
    assert machine.applied == [b"one", b"two", b"three"]


async def test_f133_node_is_cancelled_in_mid_write() -> None:
    store = Gated()
    node = Node(store, MemoryNetwork().transport("n1"), Recorder(), config=QUICK)
    with anyio.CancelScope() as everything:
        async with node:
            await leading(node)
            await begin(node, store, [b"one"])
            with anyio.move_on_after(0.05):
                await node.propose_many([b"two", b"three"])  # these gather behind the write that is under way
            threading.Timer(0.2, store.gate.set).start()
            everything.cancel()
            await anyio.sleep_forever()
    assert store.closed
    assert node.status().last_index == store.last
    again = store.restarted()
    loaded = again.load()
    assert loaded.batches[-1].last == node.status().last_index
