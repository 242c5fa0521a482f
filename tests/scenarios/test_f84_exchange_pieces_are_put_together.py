"""Pieces of a snapshot that are late, repeated, out of order, or of another snapshot never end in the same file.

Two snapshots of one index may differ byte by byte: each node writes its own. So a piece is taken only if it is of the
file that was begun, from the node that is asked, and the next one.
"""

import anyio
import pytest

from rafty_core import Configuration, Fetch, Snapshot
from rafty_transports.chunks import SnapshotChunk, SnapshotChunkRequest
from rafty_transports.exchange import Receiver, SnapshotLost
from rafty_transports.storage.memory import MemoryStore

pytestmark = pytest.mark.anyio

SNAPSHOT = Snapshot(5, 2, Configuration.of("n1", "n2"))


def stored(image: bytes) -> tuple[MemoryStore, str, bytes]:
    """A store with a snapshot of this image: the store, digest and bytes of the file."""
    store = MemoryStore("n1", Configuration.of("n1", "n2"))
    writer = store.snapshots.create(SNAPSHOT)
    writer.write(image)
    info = writer.finish()
    return store, info.digest, store.snapshots.read(5, 2, 0, info.size)


def piece(digest: str, content: bytes, first: int, last: int, sender: str = "n1", index: int = 5) -> SnapshotChunk:
    return SnapshotChunk(sender, "n2", index, 2, digest, len(content), first, content[first:last])


async def test_f84_only_the_next_piece_of_the_file_that_was_begun_is_taken() -> None:
    _, digest, content = stored(b"the right one")
    _, other_digest, other = stored(b"the other one")
    assert len(other) == len(content)
    target = MemoryStore("n2", Configuration.of("n1", "n2"))
    asked: list[SnapshotChunkRequest] = []
    receiver = Receiver("n2", Fetch("n1", SNAPSHOT), target.snapshots, asked.append)
    middle, end = len(content) // 2, len(content)
    strange = [
        piece(other_digest, other, middle, end),
        piece(digest, content, middle + 1, end),
        piece(digest, content, 0, middle),
        piece(digest, b"x" * end, middle, end, sender="n3"),
        piece(digest, b"x" * end, middle, end, index=4),
    ]
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(receiver.run)
            await anyio.wait_all_tasks_blocked()
            receiver.put(piece(digest, content, 0, middle))
            for wrong in strange:
                receiver.put(wrong)
            while receiver.progress().done < middle:
                await anyio.sleep(0.001)
            receiver.put(piece(digest, content, middle, end))
    with target.snapshots.open(5, 2) as source:
        assert source.read() == b"the right one"


async def test_f84_a_file_that_is_not_what_was_announced_replaces_nothing() -> None:
    _, digest, content = stored(b"the right one")
    target = MemoryStore("n2", Configuration.of("n1", "n2"))
    receiver = Receiver("n2", Fetch("n1", SNAPSHOT), target.snapshots, lambda request: None)
    damaged = bytes([*content[:-40], content[-40] ^ 1, *content[-39:]])
    with anyio.fail_after(10), pytest.raises(SnapshotLost, match="refused"):
        receiver.put(piece(digest, damaged, 0, len(damaged)))
        await receiver.run()
    assert target.snapshots.infos() == []
