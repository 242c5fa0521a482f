"""R129: a snapshot that was fetched before is verified before the log is begun behind it once more.

Found by reading: what lies there counted as fetched, without a look into it. After damage on the disk the log went, and
the state machine could not be restored: not then, and not at any later start.
"""

from pathlib import Path

import anyio
import pytest

from rafty_core import Fetch
from rafty_transports.exchange import Receiver, Sender
from tests.transports.storage_kit import flip_bit, image_in, image_of, keep_snapshot, open_store, snapshot_of

pytestmark = pytest.mark.anyio


async def test_r129_a_damaged_one_is_fetched_again(tmp_path: Path) -> None:
    source = open_store(tmp_path / "n1")
    target = open_store(tmp_path / "n2", node_id="n2")
    snapshot = snapshot_of(5, 2)
    keep_snapshot(source, snapshot)
    keep_snapshot(target, snapshot)
    (stored,) = (tmp_path / "n2" / "snapshots").iterdir()
    flip_bit(stored, stored.stat().st_size // 2)
    sender = Sender("n1", source.snapshots, lambda chunk: receiver.put(chunk))
    receiver = Receiver("n2", Fetch("n1", snapshot), target.snapshots, sender.put)
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(sender.run)
            await receiver.run()
            tasks.cancel_scope.cancel()
    assert image_in(target, snapshot) == image_of(5)
    target.close()
    source.close()
