"""R176: what an earlier recovery built is removed, power is lost in the midst, and no recovery goes on from there.

Found by the campaign on a simulated disk (cases 8, 124, 155 and 443), as soon as recoveries broke off there anywhere.
Of the files that were being removed some were there again, without the mark that tells what they are: the next attempt
took them for a directory that a node had used, or for somebody else's, and gave up.
"""

import pytest

from rafty_core.entries import COMMAND, Batch
from rafty_core.output import Write
from rafty_core.stable import Snapshot
from rafty_transports.storage.datadir import RECOVERED
from tests.simulation.storage.scripted import VOTERS, ScriptedDisk


@pytest.mark.parametrize("operations", range(10))
@pytest.mark.parametrize("seed", range(5))
def test_r176_the_next_recovery_goes_on(operations: int, seed: int) -> None:
    disk = ScriptedDisk(seed)
    with disk.working():
        store = disk.open()
        writer = store.snapshots.create(Snapshot(7, 1, VOTERS))
        writer.finish()
        store.write([Write(1, 1, "n1", [], Snapshot(7, 1, VOTERS), True), Write(2, 1, "n1", [_entry(8)])])
        store.close()
        disk.recover(RECOVERED)
    disk.kill()
    disk.cut_after(operations)
    with disk.working():
        disk.recover()
    disk.cut_power(0.5)
    with disk.working():
        disk.recover()
        assert disk.open(None).load().batches[-1].last == 8


def _entry(index: int) -> Batch:
    return Batch(index, 1, [COMMAND + b"x"])
