"""R70: a node that starts with a long log behind its snapshot restores its state machine before it takes another one.

Found on real processes, all killed at once while they took snapshots: the log behind the snapshot weighed enough for
the next one at the start already. It was to be taken of a state machine that had applied nothing, and the node stopped:
"index 0 was compacted". So did each start after that.
"""

import anyio
import pytest

from rafty_core import Configuration
from rafty_transports.compaction import SnapshotNotTaken, SnapshotPolicy
from rafty_transports.memory import MemoryNetwork
from rafty_transports.node import Node
from rafty_transports.storage.memory import MemoryStore
from tests.transports.nodes import QUICK, Recorder, applied_by, until

pytestmark = pytest.mark.anyio

COMMANDS = [b"%03d" % number for number in range(40)]


async def left_behind(network: MemoryNetwork) -> MemoryStore:
    """A store with a snapshot of the first half of the commands, and the second half in its log."""
    store = MemoryStore("n1", Configuration.of("n1"))
    policy = SnapshotPolicy(log_bytes=0, trailing_entries=0)
    async with Node(store, network.transport("n1"), Recorder(), config=QUICK, snapshots=policy) as node:
        await node.propose_many(COMMANDS[:20])
        await node.snapshot()
        await node.propose_many(COMMANDS[20:])
    return store.restarted()


async def test_r70_snapshot_due_at_the_start() -> None:
    network = MemoryNetwork()
    store = await left_behind(network)
    policy = SnapshotPolicy(log_bytes=10, trailing_entries=0)
    async with Node(store, network.transport("n1"), Recorder(), config=QUICK, snapshots=policy) as node:
        await node.read()
        assert applied_by(node) == COMMANDS
        await until(lambda: node.status().snapshot_index > 40)


async def test_r70_snapshot_asked_for_at_the_start() -> None:
    network = MemoryNetwork()
    store = await left_behind(network)
    async with Node(store, network.transport("n1"), Recorder(), config=QUICK) as node:
        with pytest.raises(SnapshotNotTaken, match="being restored"):
            await node.snapshot()
        with anyio.fail_after(5.0):
            await node.read()
        assert (await node.snapshot()).snapshot.index > 40
