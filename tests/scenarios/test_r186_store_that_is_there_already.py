"""R186: a restore is killed at its end, the next attempt says that a store is there already, and power is lost.

Found by reading, as a twin of R183: the store was seen in the new directory, and its name there, or that of the
directory itself, was not durable. No call had said that it is; but who reads that it is there already goes on, and lets
go of what it was made from.
"""

import io
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

from rafty_core.configuration import Configuration
from rafty_core.stable import Snapshot
from rafty_transports.storage import StoreError, rebirth
from rafty_transports.storage.datadir import KEPT
from tests.simulation.storage.scripted import ScriptedDisk, survivor
from tests.simulation.storage.system import DiskPath

Act = Callable[[ScriptedDisk], object]


def new(disk: ScriptedDisk) -> Path:
    return cast(Path, disk.path.with_name("new"))


def restore(disk: ScriptedDisk) -> None:
    snapshot = Snapshot(5, 1, Configuration.of("n1"))
    rebirth.create_from_snapshot(
        new(disk), node_id="n1", cluster="rafty", snapshot=snapshot, image=io.BytesIO(b"image")
    )


def recover(disk: ScriptedDisk) -> None:
    rebirth.recover(cast(Path, disk.path), into=new(disk))


def length(act: Act) -> int:
    """How many operations of the disk this takes."""
    disk = survivor()
    before = disk.operations
    with disk.working():
        act(disk)
    return disk.operations - before


def is_refused(disk: ScriptedDisk, act: Act) -> bool:
    """Whether this is refused, for a store is there already."""
    try:
        with disk.working():
            act(disk)
    except StoreError as error:
        assert "holds a store already" in str(error)  # noqa: PT017
        return True
    return False


@pytest.mark.parametrize("act", [restore, recover])
@pytest.mark.parametrize("before_the_end", range(4))
def test_r186_store_that_is_there_stays_there(act: Act, before_the_end: int) -> None:
    disk = survivor()
    disk.cut_after(length(act) - 1 - before_the_end)
    with disk.working():
        act(disk)
    disk.kill()
    with disk.working():
        is_there = (cast(DiskPath, new(disk)) / "raft.db").exists()
    assert is_refused(disk, act) == is_there
    disk.cut_power()
    with disk.working():
        assert rebirth.inspect(new(disk)).identity is not None


@pytest.mark.parametrize("before_the_end", range(2))
def test_r186_directory_that_was_renamed_keeps_its_name(before_the_end: int) -> None:
    """A recovery in place was killed; somebody makes anew of the old directory what is there already."""
    disk = survivor()

    def in_place(disk: ScriptedDisk) -> None:
        rebirth.recover(cast(Path, disk.path))

    def once_more(disk: ScriptedDisk) -> None:
        kept = disk.path.with_name(disk.path.name + KEPT)
        rebirth.recover(cast(Path, kept), into=cast(Path, disk.path))

    disk.cut_after(length(in_place) - 1 - before_the_end)
    with disk.working():
        in_place(disk)
    disk.kill()
    with disk.working():
        is_there = disk.path.exists()
    assert is_refused(disk, once_more) == is_there
    disk.cut_power()
    with disk.working():
        assert rebirth.inspect(cast(Path, disk.path)).identity is not None
