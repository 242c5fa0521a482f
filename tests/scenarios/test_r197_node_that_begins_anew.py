"""R197: a node is started while its data directory is being recovered, or after that has broken off, and begins anew.

Found by a reader. Between the two renames nothing has the directory's name. A node that was started then with its
initial configuration, as by a supervisor, made a new store there: in term 0, whatever it had promised before; and the
recovery could not be finished.
"""

from pathlib import Path

import pytest

from rafty_core import Configuration
from rafty_core.stable import Snapshot
from rafty_transports.storage import DataDirectoryUnusable, rebirth
from rafty_transports.storage.datadir import KEPT, RECOVERED, DataDirectory, sync_directory
from rafty_transports.storage.rebirth import create_from_snapshot, inspect, recover
from tests.transports.storage_kit import append, open_store

WAITING = "is just being recovered, or its recovery has broken off: `rafty recover` finishes it"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    store = open_store(tmp_path / "n1")
    append(store, 1, 1, 5, term=7)
    store.close()
    return tmp_path / "n1"


def restore(data: Path) -> None:
    snapshot = Snapshot(0, 0, Configuration.of("n1"))
    create_from_snapshot(data, node_id="n1", cluster="rafty", snapshot=snapshot, image=None)  # type: ignore[arg-type]


@pytest.mark.parametrize("begin", [open_store, restore])
def test_r197_nobody_begins_anew_where_a_recovery_has_broken_off(data: Path, begin: type) -> None:
    recover(data, into=data.with_name(data.name + RECOVERED))
    data.rename(data.with_name(data.name + KEPT))
    with pytest.raises(DataDirectoryUnusable, match=WAITING):
        begin(data)
    assert not data.exists()
    recover(data)
    assert inspect(data).last_index == 5


def test_r197_nobody_begins_anew_while_a_recovery_goes_on(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = []

    def while_it_is_away(path: Path) -> None:
        if path == data.parent and not data.exists():
            with pytest.raises(DataDirectoryUnusable, match=WAITING):
                open_store(data)
            refused.append(path)
        sync_directory(path)

    monkeypatch.setattr(rebirth, "sync_directory", while_it_is_away)
    recover(data)
    assert len(refused) == 1
    assert inspect(data).term == 7


def test_r197_nobody_begins_anew_where_a_store_was_a_moment_ago(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is moved away just before the node looks: what it sees then is no new directory."""
    recover(data, into=data.with_name(data.name + RECOVERED))
    is_there = DataDirectory._is_there

    def not_any_more(self: DataDirectory) -> bool:
        monkeypatch.undo()
        data.rename(data.with_name(data.name + KEPT))
        return is_there(self)

    monkeypatch.setattr(DataDirectory, "_is_there", not_any_more)
    with pytest.raises(DataDirectoryUnusable, match=WAITING):
        open_store(data)
    assert not data.exists()
    recover(data)
    assert inspect(data).last_index == 5


def test_r197_what_a_recovery_has_put_there_meanwhile_is_seen(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The node looked between the two renames; by its second look all is done."""
    is_there = DataDirectory._is_there

    def a_moment_ago(self: DataDirectory) -> bool:
        monkeypatch.undo()
        return False

    monkeypatch.setattr(DataDirectory, "_is_there", a_moment_ago)
    assert DataDirectory(data).exists()
    assert is_there(DataDirectory(data))
