"""Plugs a simulated disk into the store's modules, for as long as a call of the store takes.

Law: *the store's code is the shipped code; only the names of the operating system in it mean something else.*
"""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rafty_transports.storage import (
    checkpoint,
    connection,
    datadir,
    examine,
    identity,
    mark,
    peers,
    rebirth,
    snapshot_files,
    snapshot_format,
    sqlite,
)
from tests.simulation.storage import system
from tests.simulation.storage.acquaintances import MOST
from tests.simulation.storage.connection import SimulatedSqlite3
from tests.simulation.storage.files import SimulatedDisk
from tests.simulation.storage.vfs import FILES

PIECE = 1000
"""Bytes of a snapshot that are read, written and hashed at once here: few, so that small images have many."""


class Secrets:
    """What the store uses of `secrets`: of the disk that is in use."""

    @staticmethod
    def token_hex(count: int) -> str:
        assert FILES.disk is not None
        return FILES.disk.draw.randbytes(count).hex()


def _same(path: system.DiskPath) -> system.DiskPath:
    return path


_PLUGS: list[tuple[Any, str, Any]] = [
    (connection, "sqlite3", SimulatedSqlite3),
    (examine, "sqlite3", SimulatedSqlite3),
    (datadir, "os", system.SimulatedOs),
    (datadir, "fcntl", system.SimulatedFcntl),
    (datadir, "shutil", system.SimulatedShutil),
    (mark, "os", system.SimulatedOs),
    (snapshot_files, "os", system.SimulatedOs),
    (snapshot_format, "os", system.SimulatedOs),
    (checkpoint, "threading", system.SimulatedThreading),
    (identity, "secrets", Secrets),
    (peers, "MOST_MET", MOST),
    (snapshot_files, "PIECE", PIECE),
    (snapshot_format, "PIECE", PIECE),
    (rebirth, "PIECE", PIECE),
    (rebirth, "Path", _same),
    (sqlite, "Path", _same),
]
_SHIPPED = [(module, name, getattr(module, name)) for module, name, _ in _PLUGS]


@contextmanager
def plugged(disk: SimulatedDisk, draw: random.Random) -> Iterator[None]:
    """In this block the store works on `disk`, a checkpoint is due as often as its faults say, and chance is `draw`."""
    before, limit = FILES.disk, sqlite.CHECKPOINT_BYTES
    FILES.disk, disk.draw = disk, draw
    sqlite.CHECKPOINT_BYTES = disk.faults.limit
    for module, name, value in _PLUGS:
        setattr(module, name, value)
    try:
        yield
    finally:
        for module, name, value in _SHIPPED:
            setattr(module, name, value)
        FILES.disk, sqlite.CHECKPOINT_BYTES = before, limit
