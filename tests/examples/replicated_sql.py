"""A replicated SQL database: a state machine that keeps its own durable state, in sqlite.

Law: *what a command did and the number of its entry are committed in one transaction; so no entry is applied twice, and
none is left out* (fault F101).

A command is one SQL statement with its parameters, as JSON; the result is what it returned, or its error: a statement
that sqlite refuses is a refusal by the business, the same on every node. A statement must mean the same on every node,
so that functions of chance and time are refused.

The database need not be synced for each batch, since the log is: after a power failure it may be behind, and the node
applies again what it lacks. What it must never be is ahead of its own number.
"""

import json
import sqlite3
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

SAFE_FUNCTIONS = frozenset(
    ("abs", "coalesce", "count", "length", "lower", "max", "min", "replace", "substr", "sum", "trim", "typeof", "upper")
)
"""The functions that a statement may call: the same arguments give the same value, always and everywhere."""

FORBIDDEN = frozenset(
    (
        sqlite3.SQLITE_ATTACH,
        sqlite3.SQLITE_DETACH,
        sqlite3.SQLITE_PRAGMA,
        sqlite3.SQLITE_TRANSACTION,
        sqlite3.SQLITE_SAVEPOINT,
    )
)


def statement(sql: str, *parameters: Any) -> bytes:
    """The command that executes this statement."""
    return json.dumps([sql, parameters]).encode()


class ReplicatedSql:
    """A `StateMachine` with `applied_index`, `snapshot` and `restore`, in a sqlite database at `path`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._open()

    def _open(self) -> None:
        self._database = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        self._database.execute("PRAGMA journal_mode=WAL").fetchall()
        self._database.execute("CREATE TABLE IF NOT EXISTS rafty_applied (number INTEGER NOT NULL)")
        row = self._database.execute("SELECT number FROM rafty_applied").fetchone()
        if row is None:
            self._database.execute("INSERT INTO rafty_applied VALUES (0)")
        self.applied_index: int = 0 if row is None else row[0]

    def apply(self, first_index: int, commands: Sequence[bytes]) -> list[bytes]:
        """Execute these statements and count them, all in one transaction."""
        self._database.execute("BEGIN IMMEDIATE")
        results = [self._execute(command) for command in commands]
        self._count(first_index + len(commands) - 1)
        return results

    def _count(self, index: int) -> None:
        self._database.execute("UPDATE rafty_applied SET number = ?", (index,))
        self._database.execute("COMMIT")
        self.applied_index = index

    def _execute(self, command: bytes) -> bytes:
        self._database.execute("SAVEPOINT one")
        self._database.set_authorizer(self._may)
        try:
            sql, parameters = json.loads(command)
            rows = self._database.execute(sql, parameters).fetchall()
            answer: dict[str, Any] = {"rows": rows}
        except (sqlite3.Error, sqlite3.Warning, ValueError, TypeError) as error:
            answer = {"error": str(error)}
        self._database.set_authorizer(None)
        if "error" in answer:
            self._database.execute("ROLLBACK TO one")
        self._database.execute("RELEASE one")
        return json.dumps(answer).encode()

    def _may(self, action: int, first: str | None, second: str | None, *_: str | None) -> int:
        if action == sqlite3.SQLITE_FUNCTION:
            return sqlite3.SQLITE_OK if second in SAFE_FUNCTIONS else sqlite3.SQLITE_DENY
        if action in FORBIDDEN or "rafty_applied" in (first, second):
            return sqlite3.SQLITE_DENY
        return sqlite3.SQLITE_OK

    def snapshot(self) -> Callable[[BinaryIO], None]:
        """Hold on to the database of this moment by a read transaction of another connection; copy it later."""
        reader = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        reader.execute("BEGIN")
        reader.execute("SELECT number FROM rafty_applied").fetchall()  # the transaction begins with the first read

        def write(target: BinaryIO) -> None:
            with tempfile.TemporaryDirectory(dir=self._path.parent) as directory:
                copy = sqlite3.connect(Path(directory) / "copy")
                reader.backup(copy)
                copy.close()
                reader.close()
                with (Path(directory) / "copy").open("rb") as source:
                    while piece := source.read(1 << 20):
                        target.write(piece)

        return write

    def restore(self, index: int, source: BinaryIO) -> None:
        """Put the database of a snapshot in the place of this one."""
        with tempfile.TemporaryDirectory(dir=self._path.parent) as directory:
            path = Path(directory) / "copy"
            with path.open("wb") as target:
                while piece := source.read(1 << 20):
                    target.write(piece)
            copy = sqlite3.connect(path)
            copy.backup(self._database)
            copy.close()
        self._database.execute("BEGIN IMMEDIATE")
        self._count(index)

    def query(self, sql: str, *parameters: Any) -> list[Any]:
        """Read, without the log; wait for `node.read()` before it if the answer must be linearizable."""
        return self._database.execute(sql, parameters).fetchall()

    def close(self) -> None:
        """Close the database, when the node has ended."""
        self._database.close()
