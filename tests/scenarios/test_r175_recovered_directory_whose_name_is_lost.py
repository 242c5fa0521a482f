"""R175: a recovery ends right after its last rename, a node uses the directory, and loses its name with the power.

Found by asking of each operation of a recovery what comes after it, on a simulated disk. The rename was seen and not
durable; whoever looked found that all is done, and the node that was started wrote votes and entries into a directory
that had its other name again after the power failure. It was started anew, and there was nothing in its place. So
whoever opens a data directory makes its name durable first, as who creates one does (R130).
"""

import pytest

from rafty_core.entries import COMMAND, Batch
from rafty_core.output import Write
from tests.simulation.storage.scripted import survivor


def length() -> int:
    """How many operations of the disk a recovery takes."""
    disk = survivor()
    before = disk.operations
    with disk.working():
        disk.recover()
    return disk.operations - before


@pytest.mark.parametrize("before_the_end", range(6))
def test_r175_what_a_node_promised_is_found_under_its_name(before_the_end: int) -> None:
    disk = survivor()
    disk.cut_after(length() - 1 - before_the_end)
    with disk.working():
        disk.recover()
    disk.kill()
    with disk.working():
        if not disk.path.exists():
            disk.recover()
    disk.kill()
    with disk.working():
        disk.open(None).write([Write(1, 2, "n1", [Batch(2, 2, [COMMAND + b"y"])])])
    disk.kill()
    disk.cut_power()
    with disk.working():
        stable = disk.open(None).load()
        assert (stable.term, stable.vote, stable.batches[-1].last) == (2, "n1", 2)
