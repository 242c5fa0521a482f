"""R187: two processes make a backup under one name at once, and what the first one has vouched for is overwritten.

Found by reading. Both wrote the file with ".new" behind its name; the first gave it its final name and said that it was
there, and the second went on writing into it, or cut it off when another node had to be asked.
"""

import argparse
import fcntl
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

import rafty_transports.backup
from rafty_transports.exits import WrongInput
from rafty_transports.interfaces import SnapshotStore
from rafty_transports.storage.datadir import written_anew
from rafty_transports.storage.rebirth import check_snapshot_file, export_snapshot
from tests.transports.storage_kit import keep_snapshot, open_store, snapshot_of


@contextmanager
def with_snapshots(path: Path) -> Iterator[SnapshotStore]:
    with closing(open_store(path / "n1")) as store:
        keep_snapshot(store, snapshot_of(5))
        yield store.snapshots


def test_r187_second_backup_is_refused_while_the_first_is_written(tmp_path: Path) -> None:
    target = tmp_path / "backup"
    with with_snapshots(tmp_path) as snapshots:
        with written_anew(target) as temporary:
            temporary.write_bytes(b"the first half")
            with pytest.raises(FileExistsError, match="is just being written by another process"):
                export_snapshot(snapshots, 5, 1, target)
            with pytest.raises(WrongInput, match="is just being written by another process"):
                rafty_transports.backup.run(argparse.Namespace(file=str(target)))
            assert temporary.read_bytes() == b"the first half"
        assert target.read_bytes() == b"the first half"
        assert not temporary.exists()


def test_r187_file_that_was_given_up_meanwhile_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was opened just before its first writer gave it up: a third may write under that name by now."""
    target, lock = tmp_path / "backup", fcntl.flock

    def too_late(handle: int, how: int) -> None:
        (tmp_path / "backup.new").unlink()
        (tmp_path / "backup.new").write_bytes(b"of a third")
        lock(handle, how)

    with with_snapshots(tmp_path) as snapshots:
        with monkeypatch.context() as patched:
            patched.setattr(fcntl, "flock", too_late)
            with pytest.raises(FileExistsError, match="just been written, or given up, by another process"):
                export_snapshot(snapshots, 5, 1, target)
        assert (tmp_path / "backup.new").read_bytes() == b"of a third"
        export_snapshot(snapshots, 5, 1, target)
    assert check_snapshot_file(target).info.snapshot.index == 5


def test_r187_link_that_leads_nowhere_is_something(tmp_path: Path) -> None:
    target = tmp_path / "backup"
    target.symlink_to(tmp_path / "nothing")
    with with_snapshots(tmp_path) as snapshots, pytest.raises(FileExistsError, match="is there already"):
        export_snapshot(snapshots, 5, 1, target)
    with pytest.raises(WrongInput, match="is there already"):
        rafty_transports.backup.run(argparse.Namespace(file=str(target)))
    assert target.is_symlink()
