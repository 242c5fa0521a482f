"""A store that forgets everything with its process, and keeps its promises until then.

Law: *the same contract as on disk, without a disk: for tests, simulations and benchmarks.*

`restarted` gives the store as a node finds it after a crash, so that a test can kill a node without touching a file.
"""

import threading
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import replace

from rafty_core.configuration import Configuration, Member
from rafty_core.entries import Batch
from rafty_core.output import Write
from rafty_core.stable import Snapshot, Stable
from rafty_transports.interfaces import Identity
from rafty_transports.storage.errors import StoreClosed, StoreError
from rafty_transports.storage.identity import Birth, Wanted, born
from rafty_transports.storage.memory_snapshots import MemorySnapshots
from rafty_transports.storage.order import Position, check_continues, check_follows, position_after
from rafty_transports.storage.peers import after_admitting, after_meeting, check_peer, incarnations
from rafty_transports.storage.records import Peers


class MemoryStore:
    """A `LogStore` in memory. Not durable: for what a real cluster promises, use `SqliteStore`.

    node_id  the node's name
    initial  the configuration that the cluster is bootstrapped with; an empty one if the node joins
    cluster  the cluster's name
    join     the id of the cluster that the node joins, instead of the two
    address  where the others reach this node

    Raises `ValueError` for names that are none, and for a configuration that does not name this node.
    """

    def __init__(
        self,
        node_id: str,
        initial: Configuration | None = None,
        *,
        cluster: str = "rafty",
        join: str | None = None,
        address: str = "",
    ) -> None:
        if join is not None and initial == Configuration():
            initial = None
        birth = born(Wanted(node_id, cluster, initial, join))
        self._begin(birth, 1, address)
        self._snapshots = MemorySnapshots(birth.cluster_id, node_id, self._named)

    def _begin(self, birth: Birth, boot: int, address: str) -> None:
        self._birth = birth
        self._boot = boot
        self._address = address
        self._position = Position()
        self._snapshot = Snapshot(0, 0, birth.initial)
        self._base_term = 0  # of the entry before the first batch
        self._batches: list[Batch] = []
        self._peers: Peers = {}
        self._failure: StoreError | None = None
        self._lock = threading.Lock()

    def restarted(self) -> "MemoryStore":
        """The store as it is after a crash and the next start: what was written is there, one boot later.

        This one is closed, as if its process had died.
        """
        with self._lock:
            again = MemoryStore.__new__(MemoryStore)
            again._begin(self._birth, self._boot + 1, self._address)
            again._position = replace(self._position, seq=0)
            again._snapshot, again._base_term = self._snapshot, self._base_term
            again._batches = list(self._batches)
            again._peers = dict(self._peers)
            again._snapshots = self._snapshots.copied(again._named)
            self._failure = self._failure or StoreClosed("the store was restarted; this is the one before")
            return again

    @property
    def identity(self) -> Identity:
        """Who this node is, with the boot number of this start."""
        birth = self._birth
        return Identity(birth.cluster_id, birth.node_id, birth.incarnation, self._boot, birth.bootstrap, self._address)

    @property
    def joined(self) -> bool:
        """Whether this node joined a cluster that was there; False: the cluster was bootstrapped with it."""
        return self._birth.joined

    @property
    def snapshots(self) -> MemorySnapshots:
        """Where the snapshots are kept that the log starts behind."""
        return self._snapshots

    def load(self) -> Stable:
        """Everything that was written."""
        with self._lock:
            self._check_usable()
            position, snapshot = self._position, self._snapshot
            behind = [batch for batch in self._batches if batch.last > snapshot.index]
            return Stable(position.term, position.vote, snapshot, behind)

    def write(self, writes: Sequence[Write]) -> None:
        """Keep these writes, in order, all or none.

        Raises `WriteRefused` for writes that no correct node asks for; the store is broken from then on.
        """
        with self._lock:
            self._check_usable()
            try:
                self._write(writes)
            except StoreError as error:
                self._failure = error
                raise

    def _write(self, writes: Sequence[Write]) -> None:
        position = self._position
        for write in writes:
            position = position_after(write, position)
        snapshot, base_term = self._snapshot, self._base_term
        batches = self._batches
        if any(write.snapshot or write.compact_to for write in writes):
            batches = list(batches)
            for write in writes:
                if write.snapshot is not None:
                    self._snapshots.check_stored(write.snapshot)
                    snapshot = write.snapshot
                    base_term = _start_behind(snapshot, write.installs, batches, base_term)
                _put(batches, write.batches, base_term)
            base_term = _compact(batches, max(write.compact_to for write in writes), base_term)
        else:
            _put(batches, [batch for write in writes for batch in write.batches], base_term)
        self._position, self._snapshot = position, snapshot
        self._batches, self._base_term = batches, base_term

    def meet(self, peer: Identity) -> None:
        """Keep in mind that this peer was met; raises `Refused` as every store does."""
        with self._lock:
            self._check_usable()
            if check_peer(peer, self.identity, self._peers):
                self._peers = after_meeting(peer, self._peers)

    def admit(self, members: Sequence[Member]) -> None:
        """Let these members be met under the incarnations that they have here; see `LogStore.admit`."""
        with self._lock:
            self._check_usable()
            self._peers = after_admitting(members, self.identity, self._peers)

    def met(self) -> dict[str, str]:
        """The incarnation under which each peer was met last, by id."""
        return incarnations(self._peers)

    def close(self) -> None:
        """Refuse further calls; a second time is harmless."""
        with self._lock:
            self._failure = self._failure or StoreClosed("the store is closed")

    def _named(self) -> int:
        return self._snapshot.index

    def _check_usable(self) -> None:
        if self._failure is not None:
            raise self._failure


def _start_behind(snapshot: Snapshot, installs: bool, batches: list[Batch], base_term: int) -> int:
    """This is the newest snapshot; an installed one takes the place of the log. Returns the term before the log."""
    if installs:
        batches.clear()
        return snapshot.term
    at = bisect_left(batches, snapshot.index, key=lambda batch: batch.last)
    check_continues(snapshot, batches[at].term if at < len(batches) else base_term)
    return base_term


def _compact(batches: list[Batch], to: int, base_term: int) -> int:
    """Forget the batches that lie wholly at or below index `to`; returns the term before the log."""
    gone = bisect_right(batches, to, key=lambda batch: batch.last)
    if gone:
        base_term = batches[gone - 1].term
        del batches[:gone]
    return base_term


def _put(batches: list[Batch], new: Sequence[Batch], base_term: int) -> None:
    """Each batch of `new` replaces everything at its first index and after it; all of them or none."""
    if new:
        kept = bisect_left(batches, min(batch.first for batch in new), key=lambda batch: batch.last)
        batches[kept:] = _replaced(batches[max(kept - 1, 0) :], new, base_term)[kept > 0 :]


def _replaced(stored: list[Batch], new: Sequence[Batch], base_term: int) -> list[Batch]:
    """`stored` after each batch of `new` has replaced everything at its first index and after it."""
    for batch in new:
        while stored and stored[-1].first >= batch.first:
            stored.pop()
        if stored:
            stored[-1] = stored[-1].slice_to(batch.first - 1)
        check_follows(batch, stored[-1].term if stored else base_term)
        stored.append(batch)
    return stored
