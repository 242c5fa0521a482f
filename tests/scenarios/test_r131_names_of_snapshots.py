"""R131: a snapshot that a store says it has is durable, with its name and that of its directory.

Found by the campaign on a simulated disk (seeds 162 and 889): the directory of the snapshots was made, its parent was
not synced since that failed, and the next snapshot was put into it. Or a process ended between the rename of a snapshot
and the sync of its directory, and the next one took it for stored. The log started behind it, and power was lost.
"""

import pytest

from rafty_core.output import Write
from rafty_core.stable import Snapshot
from rafty_transports.storage import SqliteStore
from tests.simulation.storage.scripted import VOTERS, ScriptedDisk

SNAPSHOT = Snapshot(7, 2, VOTERS)


def keep(store: SqliteStore) -> None:
    writer = store.snapshots.create(SNAPSHOT)
    writer.write(b"image")
    writer.finish()


@pytest.mark.parametrize("failing", ["/disk/raft", "/disk/raft/snapshots"])
@pytest.mark.parametrize("restarts", [False, True])
def test_r131_a_log_that_starts_behind_a_snapshot(failing: str, restarts: bool) -> None:
    disk = ScriptedDisk()
    with disk.working():
        store = disk.open()
        disk.failing = [failing]
        with pytest.raises(OSError, match="a sync failed"):
            keep(store)
        if restarts:
            disk.kill()
            store = disk.open()
        if not store.snapshots.infos():
            keep(store)
        store.write([Write(1, 2, None, [], SNAPSHOT, True)])
        disk.cut_power()
        store = disk.open()
        assert store.load().snapshot == SNAPSHOT
        with store.snapshots.open(7, 2) as file:
            assert file.read() == b"image"
