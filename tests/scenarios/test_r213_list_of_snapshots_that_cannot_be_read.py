"""R213: a follower is offered a snapshot, and its disk does not tell which it has already.

Found by reading: any other call of the disk may fail while a snapshot comes in, and it is fetched again, or offered
anew; the first of them, which only asks what is there, ended the node.
"""

import anyio
import pytest

from rafty_core import Configuration
from rafty_core.output import Fetch
from rafty_core.stable import Snapshot
from rafty_transports.chunks import SnapshotChunkRequest
from rafty_transports.exchange import Receiver
from rafty_transports.interfaces import SnapshotInfo
from rafty_transports.storage.memory_snapshots import MemorySnapshots
from tests.transports.nodes import until

pytestmark = pytest.mark.anyio


class Unreadable(MemorySnapshots):
    """Snapshots on a disk that has no file descriptor to spare."""

    def infos(self) -> list[SnapshotInfo]:
        raise OSError(24, "too many open files")


async def test_r213_it_is_fetched_as_if_it_were_not_there() -> None:
    asked: list[SnapshotChunkRequest] = []
    store = Unreadable("shop.0123", "n2", lambda: 0)
    receiver = Receiver("n2", Fetch("n1", Snapshot(5, 2, Configuration.of("n1", "n2"))), store, asked.append)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(receiver.run)
        await until(lambda: bool(asked))
        tasks.cancel_scope.cancel()
    assert asked == [SnapshotChunkRequest("n2", "n1", 5, 2, "", 0)]
