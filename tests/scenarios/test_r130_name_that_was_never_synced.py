"""R130: the name of the data directory is durable before a store in it promises anything, whoever made the directory.

Found by the campaign on a simulated disk (seed 513): the directory was made, and the sync of its parent failed, or the
process ended before it. The next start found the directory there, synced nothing, and the node voted. When power was
lost the whole directory was gone, and a node that was given its initial configuration began anew under its old id.
"""

import pytest

from rafty_core.output import Write
from rafty_transports.storage import DataDirectoryUnusable
from tests.simulation.storage.scripted import ScriptedDisk


def test_r130_directory_that_was_there_already() -> None:
    disk = ScriptedDisk()
    disk.failing = ["/disk"]
    with disk.working():
        with pytest.raises(DataDirectoryUnusable):
            disk.open()
        disk.kill()
        disk.open().write([Write(1, 5, "n2")])
        disk.cut_power()
        assert disk.open(initial=None).load().vote == "n2"
