"""The store's SQL, run by another copy of sqlite whose file system is a simulated disk.

Law: *the same statements, the same rows, the same errors as through `sqlite3`.*
"""

import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

import apsw

from tests.simulation.storage.files import SimulatedDisk
from tests.simulation.storage.vfs import FILES, NAME, Failed, Full

Row = tuple[Any, ...]

NOT_REPORTED = "COMMIT"
"""A checkpoint that sqlite does by itself here tells nobody of what fails in it (fault F148)."""


class Rows:
    """The rows that a statement gave."""

    def __init__(self, rows: list[Row]) -> None:
        self._rows = iter(rows)

    def __iter__(self) -> "Rows":
        return self

    def __next__(self) -> Row:
        return next(self._rows)

    def fetchone(self) -> Row | None:
        return next(self._rows, None)

    def fetchall(self) -> list[Row]:
        return list(self._rows)


class Shared:
    """The one connection of sqlite to a file, for all who are connected to it in one life of the process."""

    def __init__(self, disk: SimulatedDisk, path: str, uri: str, flags: int) -> None:
        self.disk, self.life, self.users = disk, disk.life, 0
        self.may_write = not flags & apsw.SQLITE_OPEN_READONLY
        self.path = path
        with errors_of(self, ""):
            self.sqlite = apsw.Connection(uri, flags=flags | apsw.SQLITE_OPEN_URI, vfs=NAME)
            self.sqlite.execute("PRAGMA locking_mode=EXCLUSIVE").fetchall()
            self.sqlite.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)  # but for an orderly end


class errors_of:  # noqa: N801
    """What goes wrong in this block is told as `sqlite3` would tell it; a loss of power ends everything."""

    def __init__(self, shared: Shared, statement: str) -> None:
        self._shared, self._statement = shared, statement

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, _: object) -> bool:
        self._shared.disk.check_power()
        if isinstance(error, Failed | Full) and self._statement == NOT_REPORTED and error.path == self._shared.path:
            return True
        if isinstance(error, apsw.Error | OSError):
            raise sqlite3.OperationalError(str(error)) from None
        return False


class Connection:
    """What the store uses of `sqlite3.Connection`."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._closed = False
        shared.users += 1

    def execute(self, statement: str, values: Sequence[Any] = ()) -> Rows:
        rows: list[Row] = []
        with errors_of(self._shared, statement):
            rows = self._shared.sqlite.execute(statement, values).fetchall()
        return Rows(rows)

    def executemany(self, statement: str, values: Iterable[Sequence[Any]]) -> None:
        with errors_of(self._shared, statement):
            self._shared.sqlite.executemany(statement, values).fetchall()

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._shared.users -= 1
            if not self._shared.users:
                _close(self._shared)


def connect(name: object, /, **_: Any) -> Connection:
    """A connection to a database of the disk that is in use; in place of `sqlite3.connect`."""
    disk = FILES.disk
    assert disk is not None
    text = str(name) if str(name).startswith("file:") else f"file://{name}?mode=rwc"
    flags = {
        "mode=rwc": apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE,
        "mode=rw": apsw.SQLITE_OPEN_READWRITE,
    }.get(text.partition("?")[2], apsw.SQLITE_OPEN_READONLY)
    path = text.partition("?")[0].removeprefix("file://")
    shared = disk.connections.get(path)
    if not isinstance(shared, Shared) or shared.life != disk.life:
        shared = disk.connections[path] = Shared(disk, path, text, flags)
    return Connection(shared)


def end_process(disk: SimulatedDisk) -> None:
    """Let go of the connections of a life that has ended; nothing on the disk changes by that."""
    before, FILES.disk = FILES.disk, None
    for shared in disk.connections.values():
        with suppress(sqlite3.Error), errors_of(shared, "CLOSE"):
            shared.sqlite.close(force=True)
    disk.connections.clear()
    FILES.disk = before


def _close(shared: Shared) -> None:
    """The last user goes, in order: sqlite carries over what is left in the write-ahead log, and deletes that."""
    if shared.life == shared.disk.life:
        del shared.disk.connections[shared.path]
    with suppress(sqlite3.Error), errors_of(shared, "CLOSE"):
        if shared.life == shared.disk.life and shared.may_write:
            shared.sqlite.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0)
        shared.sqlite.close(force=True)


class SimulatedSqlite3:
    """What the store uses of `sqlite3`."""

    connect = staticmethod(connect)
    Error = sqlite3.Error
    Connection = sqlite3.Connection
