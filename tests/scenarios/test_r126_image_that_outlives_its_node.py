"""R126: the writing of a snapshot ends when its node ends, and leaves no file.

Found by reading: the thread wrote the whole image, however large, and only then learned that its store was closed. The
temporary file lay in the data directory meanwhile, whose next user might already be there.
"""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import anyio
import pytest

from rafty_core import Configuration
from rafty_transports.memory import MemoryNetwork
from rafty_transports.node import Node
from rafty_transports.storage import SqliteStore
from tests.transports.nodes import QUICK, Recorder, until

pytestmark = pytest.mark.anyio


class Endless(Recorder):
    """A machine whose image has a million pieces, of which it counts those that were taken."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.go = threading.Event(), threading.Event()
        self.pieces = 0

    def snapshot(self) -> Callable[[BinaryIO], None]:
        def write(target: BinaryIO) -> None:
            self.begun.set()
            self.go.wait(5.0)
            for _ in range(1_000_000):
                target.write(b"x")
                self.pieces += 1

        return write


async def test_r126_nothing_is_written_behind_the_end(tmp_path: Path) -> None:
    machine = Endless()
    store = SqliteStore.open(tmp_path / "n1", node_id="n1", initial=Configuration.of("n1"))
    async with anyio.create_task_group() as tasks:
        async with Node(store, MemoryNetwork().transport("n1"), machine, config=QUICK) as node:
            await node.propose(b"x")
            tasks.start_soon(node.snapshot)
            await until(machine.begun.is_set)
            tasks.cancel_scope.cancel()
    machine.go.set()
    await until(lambda: list((tmp_path / "n1" / "snapshots").iterdir()) == [])
    assert machine.pieces == 0
