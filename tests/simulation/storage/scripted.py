"""A simulated disk that does what a test says, for stories that are told and not drawn.

Law: *nothing goes wrong but what the story says.*
"""

import errno
import random
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import cast

from rafty_core.configuration import Configuration
from rafty_core.entries import COMMAND, Batch
from rafty_core.output import Write
from rafty_transports.storage import SqliteStore, rebirth
from tests.simulation.storage import connection, system
from tests.simulation.storage.content import Directory, File
from tests.simulation.storage.faults import PowerCut
from tests.simulation.storage.files import SimulatedDisk
from tests.simulation.storage.plug import plugged

VOTERS = Configuration.of("n1", "n2", "n3")


class ScriptedDisk(SimulatedDisk):
    """A disk for one store. `failing` are the names whose next sync fails, as often as they stand in it."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__(random.Random(seed))
        self.failing: list[str] = []
        self.path = system.top_of(self) / "raft"

    def sync(self, entry: File | Directory, name: str = "") -> None:
        if name in self.failing:
            self.failing.remove(name)
            entry.fail_sync()
            raise OSError(errno.EIO, "a sync failed", name)
        super().sync(entry, name)

    @contextmanager
    def working(self) -> Iterator[None]:
        """In this block a store works on this disk; it is left behind at once when power is cut."""
        with plugged(self, self.draw):
            with suppress(PowerCut):
                yield

    def open(self, initial: Configuration | None = VOTERS) -> SqliteStore:
        """The store of node n1 on this disk."""
        return SqliteStore.open(cast(Path, self.path), node_id="n1", initial=initial)

    def recover(self, end: str = "") -> None:
        """Recover the data directory, in place or into one whose name ends so."""
        into = cast(Path, self.path.with_name(self.path.name + end)) if end else None
        rebirth.recover(cast(Path, self.path), into=into)

    def kill(self) -> None:
        """The process has ended."""
        self.end_process()
        connection.end_process(self)

    def cut_power(self, share: float = 0.0) -> None:
        """Power was lost, and with it all that was not synced, or but this share."""
        self.lose_power(share)
        connection.end_process(self)


def survivor(seed: int = 0) -> ScriptedDisk:
    """A disk with the data directory of a node that has ended."""
    disk = ScriptedDisk(seed)
    with disk.working():
        store = disk.open()
        store.write([Write(1, 1, "n1", [Batch(1, 1, [COMMAND + b"x"])])])
        store.close()
    disk.kill()
    return disk


def length_of_recovery() -> int:
    """How many operations of the disk a recovery takes."""
    disk = survivor()
    before = disk.operations
    with disk.working():
        disk.recover()
    return disk.operations - before
