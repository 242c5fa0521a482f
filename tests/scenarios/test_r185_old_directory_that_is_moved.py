"""R185: a recovery is killed at its end, the next one says what to move elsewhere, and the new directory is gone.

Found by reading, as a twin of R183. Both renames were done, and the second was not durable. The next attempt said that
the old directory is there from an earlier recovery, and is to be moved elsewhere. A person did that, and power was
lost: the old directory stayed away, and the new one had its first name again. No recovery went on from there, for that
takes both of them. So the names are made durable before anybody is sent to change them.
"""

import pytest

from rafty_transports.storage import StoreError
from rafty_transports.storage.datadir import KEPT
from tests.simulation.storage.scripted import length_of_recovery, survivor
from tests.simulation.storage.system import SimulatedShutil


@pytest.mark.parametrize("before_the_end", range(5))
@pytest.mark.parametrize("seed", range(8))
def test_r185_the_new_directory_stays_in_its_place(before_the_end: int, seed: int) -> None:
    disk = survivor(seed)
    kept = disk.path.with_name(disk.path.name + KEPT)
    disk.cut_after(length_of_recovery() - 1 - before_the_end)
    with disk.working():
        disk.recover()
    disk.kill()
    with disk.working():
        try:
            disk.recover()
        except StoreError as error:
            assert f"{kept} is there from an earlier recovery; move it elsewhere" in str(error)  # noqa: PT017
        SimulatedShutil.rmtree(kept)  # it is on another disk now
    disk.cut_power(0.5)
    with disk.working():
        assert disk.open(None).load().batches[-1].last == 1
