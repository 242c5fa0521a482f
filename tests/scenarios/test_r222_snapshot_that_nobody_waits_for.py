"""R222: who asked for a snapshot gives up waiting, and asks again, while the first one is still being written.

Found by reading: what is being written goes on in its thread, but only as long as somebody waited for it did the node
know that. Each call that was given up left one more thread behind, which wrote all of the state.
"""

import threading
from collections.abc import Callable
from typing import BinaryIO

import anyio
import pytest

from rafty_core import Configuration
from rafty_transports.compaction import SnapshotNotTaken
from rafty_transports.memory import MemoryNetwork
from rafty_transports.node import Node
from rafty_transports.storage.memory import MemoryStore
from tests.transports.nodes import QUICK, Recorder

pytestmark = pytest.mark.anyio


class Slow(Recorder):
    """A state machine that is written down when the test wants it."""

    def __init__(self) -> None:
        super().__init__()
        self.goes_on = threading.Event()
        self.begun = 0

    def snapshot(self) -> Callable[[BinaryIO], None]:
        write = super().snapshot()

        def wait_and_write(target: BinaryIO) -> None:
            self.begun += 1
            self.goes_on.wait(20.0)
            write(target)

        return wait_and_write


async def test_r222_one_is_written_at_a_time() -> None:
    machine = Slow()
    store = MemoryStore("n1", Configuration.of("n1"))
    async with Node(store, MemoryNetwork().transport("n1"), machine, config=QUICK) as node:
        await node.propose(b"x")
        try:
            with anyio.move_on_after(0.1):
                await node.snapshot()
            for _ in range(3):
                with anyio.fail_after(2), pytest.raises(SnapshotNotTaken, match="is being taken already"):
                    await node.snapshot()
            assert machine.begun == 1
        finally:
            machine.goes_on.set()
        with anyio.fail_after(5):
            while True:
                try:
                    await node.snapshot()
                except SnapshotNotTaken:
                    await anyio.sleep(0.01)
                else:
                    break
