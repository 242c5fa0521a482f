"""R71: what stays of the log before a snapshot is bounded in bytes, not only in entries.

Found on real processes with large values: ten thousand entries stayed for followers that are a little behind, whatever
they weighed. With values of a megabyte the log would have grown to ten gigabytes before anything of it went.
"""

import pytest

from rafty_core import Configuration
from rafty_core.log import Log
from rafty_transports.compaction import SnapshotPolicy
from rafty_transports.memory import MemoryNetwork
from rafty_transports.node import Node
from rafty_transports.storage.memory import MemoryStore
from tests.transports.nodes import QUICK, Recorder


@pytest.mark.anyio
async def test_r71_heavy_entries_go_though_they_are_few() -> None:
    store = MemoryStore("n1", Configuration.of("n1"))
    policy = SnapshotPolicy(log_bytes=0, trailing_bytes=35_000)
    async with Node(store, MemoryNetwork().transport("n1"), Recorder(), config=QUICK, snapshots=policy) as node:
        await node.propose_many([b"%02d" % number * 5_000 for number in range(20)])
        await node.snapshot()
        await node.propose(b"next")
        status = node.status()
        assert (status.snapshot_index, status.first_index) == (21, 19)


@pytest.mark.parametrize(
    ("most_entries", "most_bytes", "start"),
    [(10, 1000, 2), (3, 1000, 7), (0, 1000, 10), (10, 0, 10), (10, 99, 10), (10, 100, 9), (10, 350, 7), (100, 800, 2)],
)
def test_r71_start_of_the_tail(most_entries: int, most_bytes: int, start: int) -> None:
    log = Log(base_index=2, base_term=1)
    log.append(1, [b"\x01" + bytes(99)] * 10)
    assert log.start_of_tail(10, most_entries, most_bytes) == start


def test_r71_tail_of_what_a_snapshot_took_meanwhile() -> None:
    assert Log(base_index=20, base_term=1).start_of_tail(10, 5, 1000) == 10
