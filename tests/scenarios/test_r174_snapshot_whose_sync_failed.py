"""R174: a snapshot comes in, its sync fails, and the next one "succeeds", for the system takes its pages for clean.

Found by the campaign on a simulated disk (seed 65), which lets snapshots come in. It is fault F108 beside the log: the
node went on with the same file at the next attempt, synced it without an error, and let its log start behind it. After
a power failure the snapshot was not there, and neither was the log before it. So what a failed sync was for is dropped,
and asked for again from the beginning.
"""

import io

import pytest

from rafty_core.output import Write
from rafty_core.stable import Snapshot
from rafty_transports.interfaces import SnapshotReceiver
from rafty_transports.storage import SqliteStore
from rafty_transports.storage.snapshot_format import Encoder
from tests.simulation.storage.scripted import VOTERS, ScriptedDisk

SNAPSHOT = Snapshot(7, 2, VOTERS)
INCOMING = "/disk/raft/snapshots/incoming"


def coming(store: SqliteStore) -> SnapshotReceiver:
    """Take in all that the other node sends and is not here yet."""
    file = io.BytesIO()
    encoder = Encoder(file, SNAPSHOT, store.identity.cluster_id, "n2")
    encoder.body(b"image" * 500)
    info = encoder.end()
    receiver = store.snapshots.receive(SNAPSHOT, info.size, info.digest)
    receiver.write(receiver.offset, file.getvalue()[receiver.offset :])
    return receiver


@pytest.mark.parametrize("restarts", [False, True])
def test_r174_what_a_failed_sync_was_for_is_asked_for_again(restarts: bool) -> None:
    disk = ScriptedDisk()
    with disk.working():
        store = disk.open()
        disk.failing = [INCOMING]
        with pytest.raises(OSError, match="a sync failed"):
            coming(store).finish()
        assert store.snapshots.infos() == []
        if restarts:
            disk.kill()
            store = disk.open()
        assert coming(store).finish().snapshot == SNAPSHOT
        store.write([Write(1, 2, None, [], SNAPSHOT, True)])
        disk.cut_power()
        store = disk.open()
        assert store.load().snapshot == SNAPSHOT
        with store.snapshots.open(7, 2) as file:
            assert file.read() == b"image" * 500
