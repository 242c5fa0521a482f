"""R196: while a recovery does its last rename another one takes it for one that was killed, and finishes it.

Found by the simulation once it had two processes. The first was told that its disk had failed, though all was done.
"""

from pathlib import Path

import pytest

from rafty_transports.storage import DataDirectoryInUse, DataDirectoryUnusable, StoreError, rebirth
from rafty_transports.storage.datadir import KEPT, RECOVERED, DataDirectory, sync_directory
from rafty_transports.storage.rebirth import inspect, recover
from tests.transports.storage_kit import append, open_store


@pytest.fixture
def data(tmp_path: Path) -> Path:
    store = open_store(tmp_path / "n1")
    append(store, 1, 1, 5)
    store.close()
    return tmp_path / "n1"


def test_r196_recovery_that_lives_is_not_finished_by_another(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refused: list[StoreError] = []

    def after_another(path: Path) -> None:
        if path == data.parent and not data.exists() and not refused:
            with pytest.raises(DataDirectoryInUse, match="in use by process") as caught:
                recover(data)
            refused.append(caught.value)
        sync_directory(path)

    monkeypatch.setattr(rebirth, "sync_directory", after_another)
    identity = recover(data)
    assert len(refused) == 1
    assert inspect(data).identity == identity


def test_r196_of_two_who_finish_one_is_refused(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The recovery was killed before its last rename; the second one waits for the lock while the first does it."""
    recover(data, into=data.with_name(data.name + RECOVERED))
    data.rename(data.with_name(data.name + KEPT))
    lock = DataDirectory.lock

    def after_another(self: DataDirectory) -> None:
        monkeypatch.undo()
        recover(data)
        lock(self)

    monkeypatch.setattr(DataDirectory, "lock", after_another)
    with pytest.raises(DataDirectoryUnusable, match="is there from an earlier recovery"):
        recover(data)
    assert inspect(data).last_index == 5
