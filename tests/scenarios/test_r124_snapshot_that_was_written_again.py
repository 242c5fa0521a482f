"""R124: a snapshot of the same index that was written again is sent as it is now, to whoever begins anew.

Found by reading: the sender remembered digest and size of a file, and answered with them for ever. A node that fetched
a snapshot and then took one of the same index itself has another file (it names who took it): whoever fetched that got
the old digest with the new bytes, found it damaged at its end, and began again with the same.
"""

import anyio
import pytest

from rafty_core import Configuration, Fetch, Snapshot
from rafty_transports.chunks import SnapshotChunk
from rafty_transports.exchange import Receiver, Sender
from rafty_transports.storage.memory import MemoryStore

pytestmark = pytest.mark.anyio

SNAPSHOT = Snapshot(5, 2, Configuration.of("n1", "n2"))


async def test_r124_who_begins_gets_the_file_of_now() -> None:
    source, target = (MemoryStore(name, Configuration.of("n1", "n2")) for name in ("n1", "n2"))
    receiver: Receiver

    def deliver(chunk: SnapshotChunk) -> None:
        receiver.put(chunk)

    sender = Sender("n1", source.snapshots, deliver)
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(sender.run)
            for image in (b"the first one", b"the next one, which is longer"):
                writer = source.snapshots.create(SNAPSHOT)
                writer.write(image)
                writer.finish()
                target = MemoryStore("n2", Configuration.of("n1", "n2"))
                receiver = Receiver("n2", Fetch("n1", SNAPSHOT), target.snapshots, sender.put)
                await receiver.run()
                with target.snapshots.open(5, 2) as file:
                    assert file.read() == image
            tasks.cancel_scope.cancel()
