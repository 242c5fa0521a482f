"""R121: a fetch that is overtaken in the moment in which it ends takes nothing away from the one that follows.

Found by reading: what has ended already is not cancelled any more. It said that nothing is fetched now, and the new
fetch believed that it had been overtaken in its turn, and never began. The core waits for each fetch that it asked for,
and asks the same leader for no other one.
"""

from collections.abc import Awaitable, Callable

import anyio
import pytest

from rafty_core import Configuration, Fetch, Snapshot
from rafty_core.events import Event, SnapshotReceived
from rafty_transports.compaction import SnapshotPolicy
from rafty_transports.exchange import Receiver
from rafty_transports.machine import Machine
from rafty_transports.node_snapshots import NodeSnapshots
from rafty_transports.storage.memory import MemoryStore
from tests.transports.nodes import Recorder

pytestmark = pytest.mark.anyio

BOTH = Configuration.of("n1", "n2")


async def test_r121_the_new_fetch_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = Fetch("n1", Snapshot(5, 2, BOTH)), Fetch("n3", Snapshot(9, 3, BOTH))
    told: list[Event] = []
    store = MemoryStore("n2", BOTH)

    async def run(receiver: Receiver) -> None:
        if receiver.fetch is old:  # the step that asks for the new one comes before this task runs on
            snapshots.fetch(new)

    monkeypatch.setattr(Receiver, "run", run)
    async with anyio.create_task_group() as tasks:

        async def go(task: Callable[[], Awaitable[None]]) -> None:
            await task()

        def start(task: Callable[[], Awaitable[None]]) -> None:
            tasks.start_soon(go, task)

        snapshots = NodeSnapshots(
            *("n2", Machine(Recorder()), store.snapshots, SnapshotPolicy()),
            send=lambda message: None,
            tell=told.append,
            start=start,
        )
        snapshots.fetch(old)
    assert told == [SnapshotReceived(9, 3)]
    assert snapshots.progress() == []
