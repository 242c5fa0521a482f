"""A data directory is looked at from all sides before anything in it is changed.

Law: *opening either finds everything that was promised, or refuses with the directory as it was.*

A connection that may write would, when it is closed, carry the write-ahead log over and delete it: after a flipped bit
that would make the loss final. So the examination reads through a connection that cannot write.
"""

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from rafty_core.entries import Batch
from rafty_core.stable import Snapshot
from rafty_transports.storage.datadir import DataDirectory
from rafty_transports.storage.errors import RESTORE, CorruptStore, DamagedSnapshot, DataDirectoryUnusable, LostWrites
from rafty_transports.storage.identity import Birth, Wanted, born, check_belongs
from rafty_transports.storage.mark import read_mark
from rafty_transports.storage.records import (
    SAVE_STATE,
    Peers,
    State,
    check_format,
    check_pages,
    corruption,
    create_tables,
    read_birth,
    read_log,
    read_peers,
    read_snapshot,
    read_state,
)
from rafty_transports.storage.rows import LogRows
from rafty_transports.storage.snapshot_files import name_of
from rafty_transports.storage.snapshot_format import look

WRITE_AHEAD_LOG = b"\x02\x02"
"""Bytes 18 and 19 of the database's header where it uses a write-ahead log."""


@dataclass(frozen=True, slots=True)
class Contents:
    """Everything that a data directory holds, verified."""

    birth: Birth
    state: State
    peers: Peers
    snapshot: Snapshot
    batches: list[Batch]


def create(directory: DataDirectory, wanted: Wanted) -> None:
    """Create a data directory and lock it. Until it is whole it is not there (faults F111, F116, F119)."""
    if wanted.initial is None and wanted.join is None:
        raise DataDirectoryUnusable(
            f"{directory.path} holds no store; if this node is new give the initial configuration, "
            "or the id of the cluster that it joins; if not, see why its disk is empty"
        )
    birth = born(wanted)
    directory.make()
    directory.lock()
    if directory.exists():
        return
    build(directory, directory.begin_creation(), birth, Snapshot(0, 0, birth.initial))


def build(
    directory: DataDirectory, path: Path, birth: Birth, snapshot: Snapshot, batches: Iterable[Batch] = (), term: int = 0
) -> None:
    """Make the database at `path`, with this log behind this snapshot, and give it its final name."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA journal_mode=WAL").fetchall()
        state = create_tables(connection, birth, snapshot, term)
        rows = LogRows(connection, path, birth.seed)
        connection.execute("BEGIN")
        for batch in batches:
            state = rows.replace_from(batch, state)
        connection.execute(SAVE_STATE, state.row(birth.seed))
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    directory.finish_creation()


def examine(directory: DataDirectory, wanted: Wanted | None) -> Contents:
    """Read and verify everything; raises kinds of `StoreError`. The directory must be locked.

    `wanted` is what the caller takes it for; None: for whatever it is.
    """
    path = directory.database
    _check_header(path)
    log, shared = (path.with_name(path.name + end) for end in ("-wal", "-shm"))
    has_log = log.exists() and log.stat().st_size > 0
    had_shared = shared.exists()
    try:
        with closing(_connect_to_read(path, "mode=ro" if has_log else "immutable=1")) as connection:
            check_format(connection, path)
            birth = read_birth(connection, path)
            if wanted is not None:
                check_belongs(birth, str(directory.path), wanted)
            state = read_state(connection, path, birth.seed)
            _check_mark(directory, birth, state)
            check_pages(connection, path)
            peers = read_peers(connection, path, birth.seed, state)
            snapshot = read_snapshot(connection, path, birth.seed, state)
            _check_snapshot(directory, birth, snapshot)
            return Contents(birth, state, peers, snapshot, read_log(connection, path, birth.seed, state))
    finally:
        if has_log and not had_shared:
            shared.unlink(missing_ok=True)


def _check_header(path: Path) -> None:
    with path.open("rb") as file:
        header = file.read(100)
    if len(header) < 100 or not header.startswith(b"SQLite format 3\0") or header[18:20] != WRITE_AHEAD_LOG:
        what = "is empty" if not header else "is damaged, or not a database of rafty"
        raise CorruptStore(f"{path} {what}; {RESTORE}")


def _connect_to_read(path: Path, how: str) -> sqlite3.Connection:
    with corruption(path):
        return sqlite3.connect(f"{path.resolve().as_uri()}?{how}", uri=True, isolation_level=None)


def _check_mark(directory: DataDirectory, birth: Birth, state: State) -> None:
    """Raise `LostWrites` if the database is behind its mark (fault F147)."""
    mark = read_mark(directory.mark)
    if mark is None:
        raise CorruptStore(f"{directory.mark} is gone, so that nobody knows whether writes were lost; {RESTORE}")
    number, seed = mark
    if number > 0 and seed != birth.seed:
        raise CorruptStore(f"{directory.mark} is of another data directory than {directory.database}; {RESTORE}")
    if state.number < number:
        raise LostWrites(
            f"{directory.database} has come to transaction {state.number}, but {number} was durable: "
            f"what this node promised since is lost; {RESTORE}"
        )


def _check_snapshot(directory: DataDirectory, birth: Birth, snapshot: Snapshot) -> None:
    """Raise `LostWrites` or `CorruptStore` unless the snapshot that the log starts behind is there.

    Its content is verified when it is opened.
    """
    if snapshot.index == 0:
        return
    path = directory.snapshots / name_of(snapshot)
    try:
        with path.open("rb") as file:
            found = look(file, path)
    except FileNotFoundError:
        raise LostWrites(f"{path} is gone, and the log starts behind that snapshot; {RESTORE}") from None
    except DamagedSnapshot as error:
        raise CorruptStore(f"the log starts behind a snapshot that is damaged: {error}; {RESTORE}") from error
    if found.info.snapshot != snapshot or found.cluster_id != birth.cluster_id:
        raise CorruptStore(f"{path} is another snapshot than the one that the log starts behind; {RESTORE}")
