"""R132: the name of sqlite's write-ahead log is durable before anything is promised that stands in it.

Found by the campaign on a simulated disk (seeds 1349 and 1412): sqlite syncs the directory when it first syncs the log,
and does not tell if that fails. The node went on, and when power was lost the log was gone with all that stood in it.
"""

import pytest

from rafty_core.output import Write
from rafty_transports.storage import DataDirectoryUnusable
from tests.simulation.storage.scripted import ScriptedDisk


def test_r132_directory_that_cannot_be_synced_is_not_used() -> None:
    disk = ScriptedDisk()
    with disk.working():
        disk.open().close()
        disk.failing = ["/disk/raft"]
        with pytest.raises(DataDirectoryUnusable, match="a sync failed"):
            disk.open()
        store = disk.open()
        store.write([Write(1, 5, "n2")])
        disk.cut_power()
        assert disk.open().load().vote == "n2"
