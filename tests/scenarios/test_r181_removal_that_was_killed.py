"""R181: a removal is killed, the next one loses power, and no recovery goes on from there.

Found by the campaign on a simulated disk (case 286), as soon as recoveries ended by kills as well. What an earlier
recovery built was being removed, and the attempt was killed between a removal and its sync. The next attempt saw
nothing, synced nothing and removed the mark; the power failure brought the files back, without the mark that tells what
they are, and all attempts after it gave up. So each removal is synced whether or not anything was seen (compare R176).
"""

import pytest

from rafty_core.entries import COMMAND, Batch
from rafty_core.output import Write
from rafty_core.stable import Snapshot
from rafty_transports.storage.datadir import RECOVERED
from tests.simulation.storage.scripted import VOTERS, ScriptedDisk


@pytest.mark.parametrize("killed_after", range(6))
@pytest.mark.parametrize("cut_after", range(4))
@pytest.mark.parametrize("seed", range(4))
def test_r181_the_next_recovery_goes_on(killed_after: int, cut_after: int, seed: int) -> None:
    disk = ScriptedDisk(seed)
    with disk.working():
        store = disk.open()
        writer = store.snapshots.create(Snapshot(7, 1, VOTERS))
        writer.finish()
        store.write([Write(1, 1, "n1", [], Snapshot(7, 1, VOTERS), True), Write(2, 1, "n1", [_entry(8)])])
        store.close()
        disk.recover(RECOVERED)
    disk.kill()
    disk.cut_after(killed_after)
    with disk.working():
        disk.recover()
    disk.kill()
    disk.cut_after(cut_after)
    with disk.working():
        disk.recover()
    disk.cut_power(0.5)
    with disk.working():
        disk.recover()
        assert disk.open(None).load().batches[-1].last == 8


def _entry(index: int) -> Batch:
    return Batch(index, 1, [COMMAND + b"x"])
