"""The durable log: a sqlite database in a data directory, one transaction and one sync per call of `write`.

Law: *what `write` returned from is loaded after a power failure, or the store refuses to open; never anything less.*

sqlite is a real database and part of Python. It has three habits that lose data in silence, and each is met here: its
pages have no checksums (so records have, see `records`); a flipped bit in its write-ahead log makes it reopen at an
earlier state (so a `mark` stands beside it); a failed fsync inside its automatic checkpoint is not reported (so the
`checkpoint` is our own). Opening examines everything before anything is changed.
"""

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

from rafty_core.configuration import Configuration
from rafty_core.entries import LARGEST, Batch
from rafty_core.output import Write
from rafty_core.stable import Snapshot, Stable
from rafty_transports.codec import pack_batch, unpack_batch
from rafty_transports.interfaces import Identity, Refused
from rafty_transports.storage.checkpoint import Checkpointer
from rafty_transports.storage.datadir import DataDirectory
from rafty_transports.storage.errors import (
    DataDirectoryInUse,
    DataDirectoryUnusable,
    StoreClosed,
    StoreError,
    WriteFailed,
)
from rafty_transports.storage.examine import Contents, create, examine
from rafty_transports.storage.identity import Birth, check_names
from rafty_transports.storage.mark import Mark
from rafty_transports.storage.order import Position, check_follows, position_after
from rafty_transports.storage.peers import check_peer
from rafty_transports.storage.records import SAVE_STATE, State, corruption, link, peers_crc, read_log

CHECKPOINT_BYTES = 64 << 20
"""A checkpoint is due when this much was written since the last; at 16 MiB bulk writes were a quarter slower."""

PAGE_ROUND = 8192
"""Bytes of write-ahead log that a transaction takes besides its entries, about."""

LAST_ROW = "SELECT first, count, term, body_crc, chain, body FROM log ORDER BY first DESC LIMIT 1"
SAVE_BATCH = "INSERT OR REPLACE INTO log VALUES (?, ?, ?, ?, ?, ?)"


class SqliteStore:
    """A `LogStore` in a data directory. Make one with `SqliteStore.open`.

    Methods block and may be called from any thread. After an error of `write`, or of the checkpoints that run beside
    it, the store is broken: every later call raises that first error again (faults F108, F109, F148).
    """

    def __init__(self, directory: DataDirectory, contents: Contents) -> None:
        self._directory = directory
        self._birth: Birth = contents.birth
        self._seed = contents.birth.seed
        self._state = contents.state
        self._peers = contents.peers
        self._loaded: Sequence[Batch] | None = contents.batches
        self._seq = 0
        self._failure: StoreError | None = None
        self._closed = False
        self._lock = threading.Lock()
        path = directory.database
        with ExitStack() as opened:
            self._connection = connect(path, 0.5)
            opened.callback(self._connection.close)
            settle(self._connection, path)
            self._mark = Mark(directory.mark, self._seed)
            opened.callback(self._mark.close)
            self._checkpointer = Checkpointer(
                connect(path, 0.0), path, CHECKPOINT_BYTES, self._lock, self._mark.sync, self._checkpoint_failed
            )
            opened.pop_all()

    @classmethod
    def open(
        cls, path: str | Path, *, node_id: str, cluster: str = "rafty", initial: Configuration | None = None
    ) -> "SqliteStore":
        """Open the data directory of this node; create it if it is not there and `initial` is given.

        path     the data directory. Its parent must exist. One directory belongs to one node.
        node_id  the node's name; checked against what is stored.
        cluster  the cluster's name; checked against what is stored.
        initial  the configuration that the cluster is bootstrapped with, the same on each of its first nodes. Checked
                 against what is stored. None: the directory must exist already, which is the safer call for a node
                 that has run before, since a disk that was not mounted is then not taken for a new one.

        Each opening is one boot. Raises `ValueError` for names that are none, and kinds of `StoreError` (see
        `errors`) that say what to do; the data directory is then as it was.

        Not promised: that an older copy of a whole data directory is recognised here. Peers that met the newer one
        refuse it.
        """
        check_names(node_id, cluster)
        directory = DataDirectory(Path(path))
        with disk_errors(f"{directory.path} cannot be used", DataDirectoryUnusable):
            try:
                if not directory.exists():
                    create(directory, node_id, cluster, initial)
                else:
                    directory.lock()
                store = cls(directory, examine(directory, node_id, cluster, initial))
                directory.sign()
                store._begin_boot()
            except BaseException:
                directory.release()
                raise
        return store

    @property
    def identity(self) -> Identity:
        """Who this node is, with the boot number of this start."""
        birth = self._birth
        return Identity(birth.cluster_id, birth.node_id, birth.incarnation, self._state.boot, birth.bootstrap)

    def load(self) -> Stable:
        """Everything that is durable, verified record by record; raises `CorruptStore`.

        Quick the first time, since opening has read it all.
        """
        with self._lock:
            self._check_usable()
            batches, self._loaded = self._loaded, None
            if batches is None:
                batches = read_log(self._connection, self._directory.database, self._seed, self._state)
            state = self._state
            return Stable(state.term, state.vote, Snapshot(0, 0, self._birth.initial), batches)

    def write(self, writes: Sequence[Write]) -> None:
        """Make these writes durable, in order, in one transaction with one sync.

        Raises `WriteRefused` for writes that no correct node asks for, `WriteFailed` when the disk fails; whether the
        writes of that call are durable is then unknown. Either way the store is broken from then on.
        """
        if not writes:
            return
        with self._lock, self._breaking("the disk failed while entries or a vote were written"):
            self._loaded = None
            state = self._state
            position = Position(self._seq, state.term, state.vote, state.last_index, state.last_term)
            for write in writes:
                position = position_after(write, position)
            self._begin()
            size = PAGE_ROUND
            for batch in (batch for write in writes for batch in write.batches):
                state = self._replace_from(batch, state)
                size += len(pack_batch(batch).body)
            self._commit(replace(state, term=position.term, vote=position.vote), size)
            self._seq = position.seq

    def meet(self, peer: Identity) -> None:
        """Store durably that this peer was met; return at once if that is known.

        Raises `Refused` if it is of another cluster, or has another incarnation or a lower boot than is known of it
        (fault F116); the store goes on. Raises `WriteFailed` when the disk fails.
        """
        self._check_usable()
        if self._peers.get(peer.node_id) == (peer.incarnation, peer.boot) and peer.cluster_id == self._birth.cluster_id:
            return
        with self._lock, self._breaking(f"the disk failed while it was noted that {peer.node_id} was met"):
            if check_peer(peer, self.identity, self._peers):
                peers = {**self._peers, peer.node_id: (peer.incarnation, peer.boot)}
                self._begin()
                self._connection.execute(
                    "INSERT OR REPLACE INTO peers VALUES (?, ?, ?)", (peer.node_id, peer.incarnation, peer.boot)
                )
                self._commit(replace(self._state, peers=peers_crc(peers, self._seed)), PAGE_ROUND)
                self._peers = peers

    def close(self) -> None:
        """Release everything; a second time is harmless. Never raises for what was already durable.

        Waits for a call that is under way in another thread: where the disk hangs, so does this.
        """
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self._checkpointer.stop()
        try:
            if self._failure is None:
                settle(self._connection, self._directory.database)
                self._mark.sync()
        except (StoreError, sqlite3.Error, OSError):
            pass  # the write-ahead log still holds all of it, and the next opening carries it over
        finally:
            self._connection.close()
            self._mark.close()
            self._directory.release()

    def _begin_boot(self) -> None:
        try:
            with self._lock, self._breaking("the disk failed while the boot was counted"):
                self._begin()
                self._commit(replace(self._state, boot=min(self._state.boot + 1, LARGEST)), PAGE_ROUND)
                self._mark.sync()
        except BaseException:
            self.close()
            raise

    def _begin(self) -> None:
        self._connection.execute("BEGIN IMMEDIATE")

    def _commit(self, state: State, size: int) -> None:
        state = replace(state, number=state.number + 1)
        self._connection.execute(SAVE_STATE, state.row(self._seed))
        self._connection.execute("COMMIT")
        self._state = state
        self._mark.note(state.number)
        self._checkpointer.wrote(size)

    def _replace_from(self, batch: Batch, state: State) -> State:
        """Store this batch in place of everything at its first index and after it; return what is the state then."""
        chain, last_term = state.chain, state.last_term
        if batch.first <= state.last_index:
            chain, last_term = self._cut(batch.first)
        check_follows(batch, last_term)
        chain = self._save(batch, chain)
        return replace(state, last_index=batch.last, last_term=batch.term, chain=chain)

    def _save(self, batch: Batch, before: int) -> int:
        """Store this batch behind the row with chained CRC `before`; return its own."""
        packed, count = pack_batch(batch), len(batch.entries)
        chain = link(batch.first, count, batch.term, before, packed.crc)
        self._connection.execute(SAVE_BATCH, (batch.first, count, batch.term, packed.crc, chain, packed.body))
        return chain

    def _cut(self, first: int) -> tuple[int, int]:
        """Remove everything from index `first` on; return chained CRC and term of what is the end then."""
        self._connection.execute("DELETE FROM log WHERE first >= ?", (first,))
        row = self._connection.execute(LAST_ROW).fetchone()
        if row is None:
            return self._seed, 0
        start, count, term, body_crc, chain, body = row
        if start + count > first:
            with corruption(self._directory.database):
                kept = unpack_batch(start, term, body, body_crc).slice_to(first - 1)
            before = self._connection.execute("SELECT max(first), chain FROM log WHERE first < ?", (start,)).fetchone()
            chain = self._save(kept, self._seed if before[0] is None else before[1])
        return chain, term

    def _check_usable(self) -> None:
        if self._failure is not None:
            raise self._failure
        if self._closed:
            raise StoreClosed(f"the store in {self._directory.path} is closed")

    def _checkpoint_failed(self, error: Exception) -> None:
        failure = WriteFailed(f"a checkpoint of {self._directory.database} failed ({error}); the node must stop")
        failure.__cause__ = error
        self._failure = self._failure or failure

    @contextmanager
    def _breaking(self, what: str) -> Iterator[None]:
        """Whatever leaves this block but `Refused` breaks the store for good (faults F108, F109)."""
        self._check_usable()
        try:
            with disk_errors(what, WriteFailed):
                yield
        except Refused:
            raise
        except StoreError as error:
            self._failure = error
            raise
        except Exception as error:
            self._failure = WriteFailed(f"the store failed by a mistake in rafty or in its caller ({error!r})")
            raise self._failure from error


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


def settle(connection: sqlite3.Connection, path: Path) -> None:
    """Carry the whole write-ahead log over into the database, durably.

    After a crash the write-ahead log may be readable and yet not be on the disk, for a sync may have failed before; so
    it is written anew before anybody relies on it (fault F108).
    """
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
