"""R133: a write-ahead log is made durable before it is carried over into the database.

Found by the campaign on a simulated disk (seed 1595): a sync of the log failed, the node ended, and its next start read
the log, which the operating system still showed and took for clean. While it was carried over power was lost: then the
database was half new, the log was not there to complete it, and the node refused what it had promised long before.
"""

import pytest

from rafty_core.output import Write
from rafty_transports.storage import WriteFailed
from tests.simulation.storage.scripted import ScriptedDisk
from tests.transports.storage_kit import batch


@pytest.mark.parametrize("operations", range(0, 45, 3))
def test_r133_power_fails_while_an_unsynced_log_is_carried_over(operations: int) -> None:
    disk = ScriptedDisk(operations)
    with disk.working():
        store = disk.open()
        for seq in range(1, 9):
            store.write([Write(seq, 1, None, [batch(seq * 3 - 2, 3, size=3000)])])
        store.close()
        store = disk.open()
        disk.failing = ["/disk/raft/raft.db-wal"]
        with pytest.raises(WriteFailed):
            store.write([Write(1, 2, None, [batch(4, 30, 2, size=3000)])])
        disk.kill()
    disk.cut_after(operations)
    with disk.working():
        disk.open()
    disk.cut_power(0.5)
    with disk.working():
        stable = disk.open().load()
        assert (stable.term, stable.batches[-1].last) in ((1, 24), (2, 33))
