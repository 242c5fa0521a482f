"""R183: a backup is killed at its end, the next attempt says that it is there already, and power is lost.

Found by reading what a recovery that was killed leaves behind (R181, R182): here, too, the file was seen under its name
and not durable there. No call had said that it is; but who reads that it is there already goes on. Where the directory
must not be read, nothing in it can be made durable, and that is said before a backup is fetched.
"""

import argparse
import errno
from contextlib import closing
from pathlib import Path
from typing import cast

import pytest

import rafty_transports.backup
from rafty_core.output import Write
from rafty_core.stable import Snapshot
from rafty_transports.exits import WrongInput
from rafty_transports.storage import rebirth
from rafty_transports.storage.rebirth import export_snapshot
from tests.simulation.storage.scripted import VOTERS, ScriptedDisk
from tests.transports.storage_kit import keep_snapshot, open_store, snapshot_of


def operations_of_a_backup() -> int:
    """How many operations of the disk a backup takes."""
    disk = with_snapshot()
    before = disk.operations
    back_up(disk)
    return disk.operations - before


def with_snapshot() -> ScriptedDisk:
    """A disk with the data directory of a node that has a snapshot and has ended, and a place for backups."""
    disk = ScriptedDisk()
    with disk.working():
        store = disk.open()
        store.snapshots.create(Snapshot(7, 1, VOTERS)).finish()
        store.write([Write(1, 1, "n1", [], Snapshot(7, 1, VOTERS), True)])
        store.close()
        place = disk.path.with_name("backups")
        place.mkdir()
        disk.sync(disk.directory(place))
        disk.sync(disk.directory(place.parent))
    disk.kill()
    return disk


def back_up(disk: ScriptedDisk) -> None:
    with disk.working():
        snapshots = disk.open(None).snapshots
        export_snapshot(snapshots, 7, 1, cast(Path, disk.path.with_name("backups") / "backup"))


@pytest.mark.parametrize("before_the_end", range(4))
def test_r183_backup_that_is_there_stays_there(before_the_end: int) -> None:
    disk = with_snapshot()
    disk.cut_after(operations_of_a_backup() - 1 - before_the_end)
    back_up(disk)
    disk.kill()
    with disk.working():
        is_there = (disk.path.with_name("backups") / "backup").exists()
    try:
        back_up(disk)
    except FileExistsError:
        assert is_there
    disk.kill()
    disk.cut_power()
    with disk.working():
        assert (disk.path.with_name("backups") / "backup").exists()


def test_r183_command_that_says_so_has_made_it_durable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[Path] = []
    monkeypatch.setattr(rafty_transports.backup, "sync_directory", synced.append)
    (tmp_path / "backup").write_bytes(b"of a command that was killed")
    with pytest.raises(WrongInput, match="is there already, and a backup overwrites nothing"):
        rafty_transports.backup.run(argparse.Namespace(file=str(tmp_path / "backup")))
    assert synced == [tmp_path]


def denied(path: Path) -> None:
    raise PermissionError(errno.EACCES, "Permission denied", str(path))


def test_r183_command_says_at_once_that_nothing_can_be_made_durable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rafty_transports.backup, "sync_directory", denied)
    (tmp_path / "backup").write_bytes(b"of a command that was killed")
    for name in ("backup", "other"):
        with pytest.raises(
            WrongInput, match=r"written durably: .* cannot be read and synced \(Permission denied\); see"
        ):
            rafty_transports.backup.run(argparse.Namespace(file=str(tmp_path / name)))
    assert [path.name for path in tmp_path.iterdir()] == ["backup"]


def test_r183_export_writes_nothing_that_cannot_be_made_durable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rebirth, "sync_directory", denied)
    with closing(open_store(tmp_path / "n1")) as store:
        keep_snapshot(store, snapshot_of(5))
        with pytest.raises(PermissionError):
            export_snapshot(store.snapshots, 5, 1, tmp_path / "backup")
    assert [path.name for path in tmp_path.iterdir()] == ["n1"]
