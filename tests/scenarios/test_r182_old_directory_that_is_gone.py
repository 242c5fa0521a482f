"""R182: a recovery is killed between its two renames, the next one loses power, and the old directory is gone.

Found by asking of each operation of a recovery what comes after it, on a simulated disk (compare R175). The first
rename puts the old directory aside; the attempt was killed before its sync. The next attempt saw what was left to do,
and did the second rename, which puts the new directory in the place of the old one. Of the two only the second survived
the power failure: the new one was there, and the old one under no name any more.
"""

from pathlib import Path
from typing import cast

import pytest

from rafty_transports.storage import StoreError, rebirth
from rafty_transports.storage.datadir import KEPT
from rafty_transports.storage.rebirth import Report
from tests.simulation.storage.scripted import ScriptedDisk, length_of_recovery, survivor

SHORT = (0, 8, 9, 13)
"""Of the seeds of the disk: one that kept both names without that sync, and three that lost the old one."""

SEEDS = [pytest.param(seed, marks=() if seed in SHORT else pytest.mark.slow) for seed in range(16)]


def look(disk: ScriptedDisk, end: str = "") -> Report:
    """What is in the data directory, or in the one whose name ends so."""
    with disk.working():
        return rebirth.inspect(cast(Path, disk.path.with_name(disk.path.name + end)))


@pytest.mark.parametrize("before_the_end", range(5))
@pytest.mark.parametrize("cut_after", range(2))
@pytest.mark.parametrize("seed", SEEDS)
def test_r182_the_old_directory_is_kept(before_the_end: int, cut_after: int, seed: int) -> None:
    disk = survivor(seed)
    before = look(disk)
    disk.cut_after(length_of_recovery() - 1 - before_the_end)
    with disk.working():
        disk.recover()
    disk.kill()
    disk.cut_after(cut_after)
    for share in (0.5, 0.0):
        with disk.working():
            try:
                disk.recover()
            except StoreError as error:
                assert "is there from an earlier recovery" in str(error)  # noqa: PT017
        disk.cut_power(share)
    kept = look(disk, KEPT)
    assert (kept.identity, kept.last_index) == (before.identity, 1)
    assert look(disk).identity not in (None, before.identity)
