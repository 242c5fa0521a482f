"""R198: a node that saw its store makes the directory again which a recovery has just moved away.

Found by a reader. It made what was not there any more, and put its lock into it: the recovery's last rename failed, and
could not be done by any other one.
"""

from pathlib import Path

import pytest

from rafty_transports.storage import DataDirectoryInUse, DataDirectoryUnusable
from rafty_transports.storage.datadir import KEPT, RECOVERED, DataDirectory
from rafty_transports.storage.rebirth import inspect, recover
from tests.transports.storage_kit import append, open_store


def test_r198_what_was_moved_away_is_not_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = tmp_path / "n1"
    store = open_store(data)
    append(store, 1, 1, 5)
    store.close()
    recover(data, into=data.with_name(data.name + RECOVERED))
    exists = DataDirectory.exists

    def and_is_moved(self: DataDirectory) -> bool:
        monkeypatch.undo()
        found = exists(self)
        data.rename(data.with_name(data.name + KEPT))
        return found

    monkeypatch.setattr(DataDirectory, "exists", and_is_moved)
    with pytest.raises(DataDirectoryInUse, match="has just been moved, removed or made anew by another process"):
        open_store(data)
    assert not data.exists()
    recover(data)
    assert inspect(data).last_index == 5


def test_r198_directory_that_somebody_made_in_the_place_is_no_hindrance(tmp_path: Path) -> None:
    """As a container's supervisor does; or a node was killed there while it began."""
    data = tmp_path / "n1"
    store = open_store(data)
    append(store, 1, 1, 5)
    store.close()
    recover(data, into=data.with_name(data.name + RECOVERED))
    data.rename(data.with_name(data.name + KEPT))
    data.mkdir()
    (data / "lock").touch()
    with pytest.raises(DataDirectoryUnusable, match="is just being recovered"):
        open_store(data)
    recover(data)
    assert inspect(data).last_index == 5
