"""R195: a node is started on what an earlier recovery has built, just before the next recovery removes that.

Found by reading. It looked whether a node had used the directory, let go of its lock, and removed it: what a node had
promised in between was gone.
"""

from contextlib import closing
from pathlib import Path

import pytest

from rafty_core import Configuration
from rafty_core.output import Write
from rafty_transports.storage import DataDirectoryInUse, SqliteStore
from rafty_transports.storage.datadir import RECOVERED, DataDirectory
from rafty_transports.storage.rebirth import inspect, recover
from tests.transports.storage_kit import append, open_store


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A survivor, and beside it what an earlier recovery has built of it."""
    store = open_store(tmp_path / "n1")
    append(store, 1, 1, 5)
    store.close()
    recover(tmp_path / "n1", into=tmp_path / ("n1" + RECOVERED))
    return tmp_path / "n1"


def test_r195_what_a_node_has_begun_to_use_is_not_removed(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is started as soon as the lock is let go of, if it is."""
    built, release, used = data.with_name(data.name + RECOVERED), DataDirectory.release, []

    def and_start_a_node(self: DataDirectory) -> None:
        release(self)
        if self.path == built and (built / "raft.db").exists():
            monkeypatch.undo()
            with closing(SqliteStore.open(built, node_id="n1")) as node:
                node.write([Write(1, 7, "n1")])
                used.append(node)

    monkeypatch.setattr(DataDirectory, "release", and_start_a_node)
    recover(data)
    assert len(used) == 1  # what has taken its place, and was just built
    assert inspect(data).term == 7
    assert inspect(data).identity == used[0].identity


@pytest.mark.parametrize("name", ["raft.db", "mark"])
def test_r195_nobody_begins_anew_in_what_is_removed(data: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    built, unlink = data.with_name(data.name + RECOVERED), Path.unlink
    refused: list[DataDirectoryInUse] = []

    def after_a_start(self: Path, missing_ok: bool = False) -> None:
        if self == built / name and not refused:
            with pytest.raises(DataDirectoryInUse) as caught:
                open_store(built, initial=Configuration.of("n1"))
            refused.append(caught.value)
        unlink(self, missing_ok)

    monkeypatch.setattr(Path, "unlink", after_a_start)
    recover(data)
    assert len(refused) == 1
    assert inspect(data).last_index == 5


def test_r195_who_saw_a_store_that_is_removed_since_begins_nothing(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A node saw it just before; another one makes a lock there just after."""
    built, lock = data.with_name(data.name + RECOVERED), DataDirectory.lock

    def after_the_removal(self: DataDirectory) -> None:
        monkeypatch.undo()
        for path in built.iterdir():
            path.unlink()
        lock(self)

    monkeypatch.setattr(DataDirectory, "lock", after_the_removal)
    with pytest.raises(DataDirectoryInUse, match="has just been moved, removed or made anew"):
        SqliteStore.open(built, node_id="n1")


def test_r195_removal_ends_where_somebody_begins_anew(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once its lock is gone the directory is as good as gone, but for who makes a store there in that moment."""
    built, rmdir, made = data.with_name(data.name + RECOVERED), Path.rmdir, list[SqliteStore]()

    def after_a_start(self: Path) -> None:
        monkeypatch.undo()
        made.append(open_store(built, initial=Configuration.of("n1")))
        rmdir(self)

    monkeypatch.setattr(Path, "rmdir", after_a_start)
    with pytest.raises(DataDirectoryInUse, match="has just been moved, removed or made anew"):
        recover(data)
    made[0].close()
    assert inspect(built).identity == made[0].identity
    assert inspect(data).last_index == 5
