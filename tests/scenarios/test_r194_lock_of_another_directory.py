"""R194: a recovery moves the data directory between the moment when a node opens the lock and that when it takes it.

Found by reading. The node held the lock of the directory that was moved away, and used the one that had come in its
place, which nobody had locked: a second node could be started on it, and both would have voted in one name.
"""

import fcntl
from contextlib import closing
from pathlib import Path

import pytest

from rafty_transports.storage import DataDirectoryInUse, SqliteStore
from rafty_transports.storage.rebirth import recover
from tests.transports.storage_kit import append, open_store


def test_r194_lock_is_that_of_the_directory_that_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "n1"
    store = open_store(path)
    append(store, 1, 1, 5)
    store.close()
    lock = fcntl.flock

    def after_a_recovery(handle: int, how: int) -> None:
        monkeypatch.setattr(fcntl, "flock", lock)
        recover(path)
        lock(handle, how)

    monkeypatch.setattr(fcntl, "flock", after_a_recovery)
    with pytest.raises(DataDirectoryInUse, match="has just been moved, removed or made anew by another process"):
        SqliteStore.open(path, node_id="n1")
    with closing(SqliteStore.open(path, node_id="n1")), pytest.raises(DataDirectoryInUse, match="in use by process"):
        SqliteStore.open(path, node_id="n1")
