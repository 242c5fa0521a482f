"""R172: a disk that stands still while a snapshot comes in, and a core that waits for the end of the fetch.

Found by reading, after R171: a peer of which nothing came was given up after a while, a disk that took nothing was not.
The thread that wrote the next piece never came back, and the leader waited for its learner without end.
"""

import threading

import anyio
import pytest

from rafty_core import Configuration, Fetch, Snapshot
from rafty_transports.exchange import Receiver, Sender, SnapshotLost
from rafty_transports.storage.memory import MemoryStore
from rafty_transports.storage.memory_snapshots import MemoryReceiver
from rafty_transports.threads import OneEach

pytestmark = pytest.mark.anyio

BOTH = Configuration.of("n1", "n2")
SNAPSHOT = Snapshot(5, 2, BOTH)


async def fetch(source: MemoryStore, target: MemoryStore, disk: OneEach) -> SnapshotLost | None:
    """Fetch it; returns how it was lost, or None."""
    sender = Sender("n1", source.snapshots, lambda chunk: receiver.put(chunk))
    receiver = Receiver("n2", Fetch("n1", SNAPSHOT), target.snapshots, sender.put, disk)
    lost: SnapshotLost | None = None
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(sender.run)
            try:
                await receiver.run()
            except SnapshotLost as error:
                lost = error
            tasks.cancel_scope.cancel()
    return lost


@pytest.mark.parametrize("name", ["infos", "receive", "write", "finish"])
async def test_r172_the_fetch_fails_and_threads_do_not_pile_up(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr("rafty_transports.exchange.GIVE_UP_SECONDS", 0.2)
    source, target, disk = MemoryStore("n1", BOTH), MemoryStore("n2", BOTH), OneEach()
    writer = source.snapshots.create(SNAPSHOT)
    writer.write(b"image")
    writer.finish()
    where = MemoryReceiver if hasattr(MemoryReceiver, name) else target.snapshots
    works, goes_on, hung = getattr(where, name), threading.Event(), []

    def hang(*arguments: object) -> object:
        hung.append(name)
        goes_on.wait()
        return works(*arguments)

    with monkeypatch.context() as hanging:
        hanging.setattr(where, name, hang)
        try:
            for _ in range(3):
                assert "the disk stands still" in str(await fetch(source, target, disk))
            assert hung == [name]
        finally:
            goes_on.set()
    await fetch(source, target, disk)  # what hung may come to its end meanwhile, and be in the way
    assert await fetch(source, target, disk) is None
    with target.snapshots.open(5, 2) as stored:
        assert stored.read() == b"image"
