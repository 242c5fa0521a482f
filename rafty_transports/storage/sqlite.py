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

from rafty_core.configuration import Configuration, Member
from rafty_core.entries import LARGEST, Batch
from rafty_core.output import Write
from rafty_core.stable import Stable
from rafty_transports.codec import pack_batch
from rafty_transports.interfaces import Identity, Refused
from rafty_transports.storage.checkpoint import Checkpointer
from rafty_transports.storage.connection import connect, disk_errors, make_log_durable, settle
from rafty_transports.storage.datadir import DataDirectory, sync_directory
from rafty_transports.storage.errors import DataDirectoryUnusable, StoreClosed, StoreError, WriteFailed
from rafty_transports.storage.examine import Contents, create, examine
from rafty_transports.storage.identity import Birth, Wanted
from rafty_transports.storage.mark import Mark
from rafty_transports.storage.order import Position, position_after
from rafty_transports.storage.peers import after_admitting, after_meeting, check_peer, incarnations
from rafty_transports.storage.records import SAVE_STATE, Peers, State, peers_crc, read_log, save_peers
from rafty_transports.storage.rows import LogRows
from rafty_transports.storage.snapshot_files import SnapshotFiles

CHECKPOINT_BYTES = 64 << 20
"""A checkpoint is due when this much was written since the last; at 16 MiB bulk writes were a quarter slower."""

PAGE_ROUND = 8192
"""Bytes of write-ahead log that a transaction takes besides its entries, about."""


class SqliteStore:
    """A `LogStore` in a data directory. Make one with `SqliteStore.open`.

    Methods block and may be called from any thread. After an error of `write`, or of the checkpoints that run beside
    it, the store is broken: every later call raises that first error again (faults F108, F109, F148).
    """

    def __init__(self, directory: DataDirectory, contents: Contents, address: str) -> None:
        self._directory = directory
        self._address = address
        self._birth: Birth = contents.birth
        self._seed = contents.birth.seed
        self._state = contents.state
        self._peers = contents.peers
        self._snapshot = contents.snapshot
        self._loaded: Sequence[Batch] | None = contents.batches
        self._compact_to = contents.snapshot.index  # what a crash left of an earlier compaction goes as well
        self._seq = 0
        self._failure: StoreError | None = None
        self._closed = False
        self._lock = threading.Lock()
        path = directory.database
        with ExitStack() as opened:
            make_log_durable(path)
            self._connection = connect(path, 0.5)
            opened.callback(self._connection.close)
            settle(self._connection, path)
            sync_directory(directory.path)  # sqlite has made its log by now, and does not tell if that fails (R132)
            self._rows = LogRows(self._connection, path, self._seed)
            birth = contents.birth
            self._snapshots = SnapshotFiles(
                directory.snapshots, birth.cluster_id, birth.node_id, lambda: self._state.snapshot_index
            )
            self._mark = Mark(directory.mark, self._seed)
            opened.callback(self._mark.close)
            self._checkpointer = Checkpointer(
                connect(path, 0.0), path, CHECKPOINT_BYTES, self._lock, self._mark.sync, self._checkpoint_failed
            )
            opened.pop_all()

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        node_id: str,
        cluster: str = "rafty",
        initial: Configuration | None = None,
        join: str | None = None,
        address: str = "",
    ) -> "SqliteStore":
        """Open the data directory of this node; create it if it is not there and `initial` or `join` is given.

        path     the data directory. Its parent must exist. One directory belongs to one node.
        node_id  the node's name; checked against what is stored.
        cluster  the cluster's name; checked against what is stored.
        initial  the configuration that the cluster is bootstrapped with, the same on each of its first nodes. Checked
                 against what is stored. None: the directory must exist already, which is the safer call for a node
                 that has run before, since a disk that was not mounted is then not taken for a new one.
        join     the id of a cluster that is there, which this node is added to; instead of `initial` and `cluster`.
                 Checked against what is stored.
        address  where the others reach this node; not stored, since it may be another one at each start.

        Each opening is one boot. Raises `ValueError` for names that are none, and kinds of `StoreError` (see
        `errors`) that say what to do; the data directory is then as it was.

        Not promised: that an older copy of a whole data directory is recognised here. Peers that met the newer one
        refuse it.
        """
        wanted = Wanted(node_id, cluster, initial, join)
        directory = DataDirectory(Path(path))
        with disk_errors(f"{directory.path} cannot be used", DataDirectoryUnusable):
            try:
                if not directory.exists():
                    create(directory, wanted)
                else:
                    directory.sync_name()  # a rename may have put it there, whose sync nobody waited for (R175)
                    directory.lock_store()
                store = cls(directory, examine(directory, wanted), address)
                directory.sign()
                store._begin_boot()
            except BaseException:
                directory.release()
                raise
        return store

    @property
    def identity(self) -> Identity:
        """Who this node is, with the boot number of this start."""
        birth, boot = self._birth, self._state.boot
        return Identity(birth.cluster_id, birth.node_id, birth.incarnation, boot, birth.bootstrap, self._address)

    @property
    def joined(self) -> bool:
        """Whether this node joined a cluster that was there; False: the cluster was bootstrapped with it."""
        return self._birth.joined

    @property
    def snapshots(self) -> SnapshotFiles:
        """Where the snapshots are kept that the log starts behind."""
        return self._snapshots

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
            return Stable(state.term, state.vote, self._snapshot, batches)

    def write(self, writes: Sequence[Write]) -> None:
        """Make these writes durable, in order, in one transaction with one sync.

        Raises `WriteRefused` for writes that no correct node asks for, `WriteFailed` when the disk fails; whether the
        writes of that call are durable is then unknown. Either way the store is broken from then on.
        """
        if not writes:
            return
        with self._lock, self._breaking("the disk failed while entries or a vote were written"):
            self._loaded = None
            position = self._position()
            for write in writes:
                position = position_after(write, position)
            self._begin()
            state, size, snapshot = self._state, PAGE_ROUND, self._snapshot
            for write in writes:
                if write.snapshot is not None:
                    self._snapshots.check_stored(write.snapshot)
                    state = self._rows.start_behind(write.snapshot, write.installs, state)
                    snapshot = write.snapshot
                for batch in write.batches:
                    state = self._rows.replace_from(batch, state)
                    size += len(pack_batch(batch).body)
            compact_to = max(self._compact_to, *(write.compact_to for write in writes))
            more = compact_to > state.base_index
            if more:
                state, more = self._rows.compact(compact_to, state)
            self._commit(replace(state, term=position.term, vote=position.vote), size)
            self._seq, self._snapshot, self._compact_to = position.seq, snapshot, compact_to if more else 0

    def meet(self, peer: Identity) -> None:
        """Store durably that this peer was met; return at once if that is known.

        Raises `Refused` if it is of another cluster, or has another incarnation or a lower boot than is known of it
        (fault F116); the store goes on. Raises `WriteFailed` when the disk fails.
        """
        self._check_usable()
        known = self._peers.get((peer.node_id, peer.incarnation)) == peer.boot
        if known and peer.boot > 0 and peer.cluster_id == self._birth.cluster_id:
            return
        with self._lock, self._breaking(f"the disk failed while it was noted that {peer.node_id} was met"):
            if check_peer(peer, self.identity, self._peers):
                self._save_peers(after_meeting(peer, self._peers))

    def admit(self, members: Sequence[Member]) -> None:
        """Let these members be met under the incarnations that they have here, durably; see `LogStore.admit`.

        Raises `WriteFailed` when the disk fails.
        """
        self._check_usable()
        with self._lock, self._breaking("the disk failed while it was noted who may be met"):
            peers = after_admitting(members, self.identity, self._peers)
            if len(peers) > len(self._peers):
                self._save_peers(peers)

    def met(self) -> dict[str, str]:
        """The incarnation under which each peer was met last, by id."""
        return incarnations(self._peers)

    def close(self) -> None:
        """Release everything; a second time is harmless. Never raises for what was already durable.

        Waits for a call that is under way in another thread: where the disk hangs, so does this.
        """
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self._snapshots.close()
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

    def _save_peers(self, peers: Peers) -> None:
        self._begin()
        save_peers(self._connection, peers)
        self._commit(replace(self._state, peers=peers_crc(peers, self._seed)), PAGE_ROUND)
        self._peers = peers

    def _position(self) -> Position:
        state = self._state
        ends = (state.last_index, state.last_term, state.snapshot_index, state.snapshot_term)
        return Position(self._seq, state.term, state.vote, *ends)

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
