"""A store that forgets everything with its process, and keeps its promises until then.

Law: *the same contract as on disk, without a disk: for tests, simulations and benchmarks.*

`restarted` gives the store as a node finds it after a crash, so that a test can kill a node without touching a file.
"""

import threading
from bisect import bisect_left
from collections.abc import Sequence

from rafty_core.configuration import Configuration
from rafty_core.entries import Batch
from rafty_core.output import Write
from rafty_core.stable import Snapshot, Stable
from rafty_transports.interfaces import Identity
from rafty_transports.storage.errors import StoreClosed, StoreError
from rafty_transports.storage.identity import Birth, born
from rafty_transports.storage.order import Position, check_follows, position_after
from rafty_transports.storage.peers import check_peer
from rafty_transports.storage.records import Peers


class MemoryStore:
    """A `LogStore` in memory. Not durable: for what a real cluster promises, use `SqliteStore`.

    node_id  the node's name
    initial  the configuration that the cluster is bootstrapped with
    cluster  the cluster's name

    Raises `ValueError` for names that are none, and for a configuration that does not name this node.
    """

    def __init__(self, node_id: str, initial: Configuration, *, cluster: str = "rafty") -> None:
        self._begin(born(node_id, cluster, initial), 1)

    def _begin(self, birth: Birth, boot: int) -> None:
        self._birth = birth
        self._boot = boot
        self._position = Position()
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
            again._begin(self._birth, self._boot + 1)
            position = self._position
            again._position = Position(0, position.term, position.vote, position.last_index, position.last_term)
            again._batches = list(self._batches)
            again._peers = dict(self._peers)
            self._failure = self._failure or StoreClosed("the store was restarted; this is the one before")
            return again

    @property
    def identity(self) -> Identity:
        """Who this node is, with the boot number of this start."""
        birth = self._birth
        return Identity(birth.cluster_id, birth.node_id, birth.incarnation, self._boot, birth.bootstrap)

    def load(self) -> Stable:
        """Everything that was written."""
        with self._lock:
            self._check_usable()
            position = self._position
            snapshot = Snapshot(0, 0, self._birth.initial)
            return Stable(position.term, position.vote, snapshot, list(self._batches))

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
        new = [batch for write in writes for batch in write.batches]
        if new:
            kept = bisect_left(self._batches, min(batch.first for batch in new), key=lambda batch: batch.last)
            self._batches[kept:] = _replaced(self._batches[max(kept - 1, 0) :], new)[kept > 0 :]
        self._position = position

    def meet(self, peer: Identity) -> None:
        """Keep in mind that this peer was met; raises `Refused` as every store does."""
        with self._lock:
            self._check_usable()
            if check_peer(peer, self.identity, self._peers):
                self._peers[peer.node_id] = (peer.incarnation, peer.boot)

    def close(self) -> None:
        """Refuse further calls; a second time is harmless."""
        with self._lock:
            self._failure = self._failure or StoreClosed("the store is closed")

    def _check_usable(self) -> None:
        if self._failure is not None:
            raise self._failure


def _replaced(stored: list[Batch], new: Sequence[Batch]) -> list[Batch]:
    """`stored` after each batch of `new` has replaced everything at its first index and after it."""
    for batch in new:
        while stored and stored[-1].first >= batch.first:
            stored.pop()
        if stored:
            stored[-1] = stored[-1].slice_to(batch.first - 1)
            check_follows(batch, stored[-1].term)
        stored.append(batch)
    return stored
