"""Fault F86: after a snapshot was restored, the store finds a gap in its log, or makes one.

The log ended at 9 when a snapshot of index 345,408 was installed. The next entry is 345,409, there is none between, and
the store takes it, loads it, and refuses what would leave a hole behind the snapshot.
"""

from contextlib import closing
from pathlib import Path

import pytest

from rafty_core.output import Write
from rafty_transports.storage import WriteRefused
from tests.transports.storage_kit import append, batch, expected_log, keep_snapshot, log_of, open_store, snapshot_of

FAR = 345_408


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A data directory with a log of nine entries, and then a snapshot from afar."""
    with closing(open_store(tmp_path / "n1")) as store:
        append(store, 1, 1, 9)
        keep_snapshot(store, snapshot_of(FAR, 7))
        store.write([Write(2, 7, None, snapshot=snapshot_of(FAR, 7), installs=True)])
    return tmp_path / "n1"


def test_f86_entries_behind_the_snapshot(path: Path) -> None:
    with closing(open_store(path)) as store:
        assert store.load().batches == []
        append(store, 1, FAR + 1, 3, term=7)
    with closing(open_store(path)) as store:
        assert store.load().snapshot == snapshot_of(FAR, 7)
        assert log_of(store.load()) == expected_log(batch(FAR + 1, 3, 7))
        append(store, 1, FAR + 2, 1, term=8)
    with closing(open_store(path)) as store:
        assert log_of(store.load()) == expected_log(batch(FAR + 1, 1, 7), batch(FAR + 2, 1, 8))


@pytest.mark.parametrize("first", [1, 10, FAR, FAR + 2])
def test_f86_entries_with_a_gap(path: Path, first: int) -> None:
    with closing(open_store(path)) as store, pytest.raises(WriteRefused, match=f"from index {first} on"):
        append(store, 1, first, 1, term=7)
    with closing(open_store(path)) as store:
        assert store.load().batches == []
