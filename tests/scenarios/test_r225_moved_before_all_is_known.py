"""R225: a recovery moves the old directory away, and finds only then that what it built cannot be used.

Found by a reader. What it built was locked by somebody, or damaged, and it ended with nothing in the directory's place;
if that was damaged each further recovery said the same, and what to do with a member of a cluster, which was no help.
"""

from pathlib import Path
from typing import Any

import pytest

from rafty_transports.storage import CorruptStore, DataDirectoryInUse, DataDirectoryUnusable, StoreError, rebirth
from rafty_transports.storage.datadir import KEPT, RECOVERED, DataDirectory
from rafty_transports.storage.rebirth import inspect, recover
from tests.transports.storage_kit import append, open_store


@pytest.fixture
def data(tmp_path: Path) -> Path:
    store = open_store(tmp_path / "n1")
    append(store, 1, 1, 5)
    store.close()
    return tmp_path / "n1"


def damage(built: Path) -> None:
    database = built / "raft.db"
    database.write_bytes(database.read_bytes()[:-100] + bytes(100))


def hold(built: Path) -> None:
    DataDirectory(built).lock()


@pytest.mark.parametrize(("spoil", "expected"), [(damage, CorruptStore), (hold, DataDirectoryInUse)])
def test_r225_old_directory_stays_until_what_was_built_is_known_to_be_good(
    data: Path, monkeypatch: pytest.MonkeyPatch, spoil: Any, expected: type[StoreError]
) -> None:
    create = rebirth._create

    def and_spoil(path: Path, *rest: Any) -> Any:
        identity = create(path, *rest)
        spoil(path)
        return identity

    monkeypatch.setattr(rebirth, "_create", and_spoil)
    with pytest.raises(expected):
        recover(data)
    assert inspect(data).last_index == 5
    assert not data.with_name(data.name + KEPT).exists()


def test_r225_recovery_that_cannot_be_finished_says_what_to_do(data: Path) -> None:
    built, kept = data.with_name(data.name + RECOVERED), data.with_name(data.name + KEPT)
    recover(data, into=built)
    data.rename(kept)
    damage(built)
    with pytest.raises(DataDirectoryUnusable, match=f"rename {kept}, which is as it was, to {data}, then move {built}"):
        recover(data)
    kept.rename(data)
    open_store(data).close()  # whoever starts a node before the next step has all that was there
    with pytest.raises(DataDirectoryUnusable, match="is in the way"):
        recover(data)
    built.rename(data.with_name("elsewhere"))
    recover(data)
    assert inspect(data).last_index == 5
