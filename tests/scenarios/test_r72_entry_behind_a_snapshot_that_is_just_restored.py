"""R72: the core hears that a snapshot is restored before it hears of entries that were applied behind it.

Found on real processes: a node started again, restored its state machine in a thread, and had an entry committed in the
very moment in which that was done. The entry was applied and reported first, the snapshot after it, and the node
stopped: "applied index 2001 is not between 2002 and 2002".
"""

from collections.abc import Awaitable, Callable

import pytest

from rafty_core import Configuration
from rafty_core.entries import COMMAND
from rafty_core.events import Applied, Event
from rafty_core.output import Committed, Restore
from rafty_core.stable import Snapshot
from rafty_transports.applying import ApplyQueue
from rafty_transports.machine import Machine
from rafty_transports.storage.memory import MemoryStore
from tests.transports.nodes import Recorder

pytestmark = pytest.mark.anyio


async def test_r72_entry_is_committed_when_the_snapshot_is_just_restored() -> None:
    snapshots = MemoryStore("n1", Configuration.of("n1")).snapshots
    writer = snapshots.create(Snapshot(5, 1, Configuration.of("n1")))
    writer.write(b"6:before")
    writer.finish()
    recorder = Recorder()
    told: list[Event] = []
    started: list[Callable[[], Awaitable[None]]] = []
    queue = ApplyQueue(Machine(recorder), snapshots, tell=told.append, start=started.append, propose=print)

    assert queue.apply_at_once([Restore(5, 1)]) is None
    assert queue.apply_waiting() == []
    (restore,) = started
    await restore()
    assert told == [Applied(5)]
    assert recorder.applied == [b"before"]

    # The core has not been told yet, and hands out the next entry.
    assert queue.apply_at_once([Committed(6, [COMMAND + b"behind"])]) is None
    assert queue.apply_waiting() == [Applied(6, [b"did behind"])]
    assert queue.apply_at_once([Committed(7, [COMMAND + b"at once"])]) == Applied(7, [b"did at once"])
    assert recorder.applied == [b"before", b"behind", b"at once"]
