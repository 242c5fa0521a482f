"""Connections to the database that may write, and what their errors mean.

Law: *each commit is synced, nothing is checkpointed behind our back, and an error of the disk is told in words.*
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from rafty_transports.storage.datadir import write_anew
from rafty_transports.storage.errors import DataDirectoryInUse, StoreError


def connect(path: Path, patience: float) -> sqlite3.Connection:
    """A connection that writes: syncs at each commit, never checkpoints by itself, never creates the file.

    `patience` is how many seconds it waits for other programs that read the database.
    """
    connection = sqlite3.connect(
        f"{path.resolve().as_uri()}?mode=rw", uri=True, isolation_level=None, check_same_thread=False, timeout=patience
    )
    try:
        for setting in ("synchronous=FULL", "fullfsync=ON", "wal_autocheckpoint=0", "secure_delete=OFF"):
            connection.execute(f"PRAGMA {setting}").fetchall()
        mode = connection.execute("PRAGMA journal_mode=WAL").fetchone()[0]
        if mode != "wal":
            raise StoreError(f"{path} is on a file system without shared memory maps; use a local disk")
    except BaseException:
        connection.close()
        raise
    return connection


def make_log_durable(path: Path) -> None:
    """Make the write-ahead log of this database durable, whatever became of it before; nobody may have it open.

    It may be readable and yet not be on the disk, for a sync of it may have failed. If it was carried over as it is,
    and power was lost in the midst of that, the database would be half new, and nothing there to complete it (R133).
    """
    log = path.with_name(path.name + "-wal")
    if log.exists():
        write_anew(log)


def settle(connection: sqlite3.Connection, path: Path) -> None:
    """Carry the whole write-ahead log over into the database, durably: nobody relies on what was not synced (F108)."""
    if connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
        raise DataDirectoryInUse(f"another program has {path} open; end it first")


@contextmanager
def disk_errors(what: str, kind: type[StoreError]) -> Iterator[None]:
    """Turn errors of the database and the operating system into `kind`, in words."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        _raise(kind(f"{what} ({error}); see to the disk, then start the node again"), error)


def _raise(error: StoreError, cause: Exception) -> NoReturn:
    raise error from cause
