"""R215: a peer asks for pieces of a snapshot as fast as it can, while a follower needs that snapshot.

Found by reading: sixteen requests wait for the disk, whoever they are of. Those of one peer took all the places, again
and again, and the follower gave up after ten seconds without a piece; a guest may say much more than that in a second.
"""

import anyio
import pytest

from rafty_core import Configuration
from rafty_core.stable import Snapshot
from rafty_transports.chunks import SnapshotChunk, SnapshotChunkRequest
from rafty_transports.exchange import MOST_ASKING, WINDOW, Sender
from rafty_transports.storage.memory_snapshots import MemorySnapshots

pytestmark = pytest.mark.anyio


def request(sender: str) -> SnapshotChunkRequest:
    return SnapshotChunkRequest(sender, "n1", 5, 2, "", 0)


def stored() -> MemorySnapshots:
    store = MemorySnapshots("shop.0123", "n1", lambda: 0)
    writer = store.create(Snapshot(5, 2, Configuration.of("n1", "n2")))
    writer.write(b"state")
    writer.finish()
    return store


async def test_r215_the_follower_has_a_place() -> None:
    sent: list[SnapshotChunk] = []
    sender = Sender("n1", stored(), sent.append)
    for _ in range(10 * MOST_ASKING):
        sender.put(request("x1"))
    for _ in range(WINDOW):
        sender.put(request("n2"))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(sender.run)
        with anyio.fail_after(5):
            while len(sent) < 2 * WINDOW:
                await anyio.sleep(0.005)
        tasks.cancel_scope.cancel()
    assert [chunk.to for chunk in sent] == ["x1"] * WINDOW + ["n2"] * WINDOW


async def test_r215_all_together_have_not_more_than_so_many() -> None:
    sender = Sender("n1", stored(), lambda chunk: None)
    for number in range(2 * MOST_ASKING):
        sender.put(request(f"x{number}"))
    assert len(sender._waiting) == MOST_ASKING
