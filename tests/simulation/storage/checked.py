"""A checked store: each call of it, with what it must answer, and what must be refused.

Law: *what is answered holds from then on, and a store that has failed answers nothing more* (invariants I9, I20, I27).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from rafty_core.configuration import Member
from rafty_core.history import InvariantViolation
from rafty_core.output import Write
from rafty_core.stable import Snapshot
from rafty_transports.interfaces import Identity, Refused
from rafty_transports.storage import DataDirectoryInUse, SqliteStore, StoreError, WriteRefused
from tests.simulation.storage.lives import Lives
from tests.simulation.storage.plug import plugged


class CheckedStore(Lives):
    """A store that is called, and its lives."""

    def write(self, writes: Sequence[Write]) -> None:
        """Make these durable. Raises `PowerCut` and `StoreError`: then the life is over, and they are unanswered."""
        store = self.running()
        self.unanswered = list(writes)
        faults, self.disk.faults = self.disk.faults, self._now(0.3)
        try:
            with self._failing(store), self.working():
                store.write(writes)
        finally:
            self.disk.faults = faults
        self._check_knows(store)
        self.unanswered = []
        for write in writes:
            self.model.do(write)

    def checkpoint(self) -> None:
        """Let the thread that checkpoints do what it has to do. Raises `PowerCut`: the life is over."""
        store = self.running()
        with self.working():
            store._checkpointer._thread.run()
        self._check_knows(store)

    def keep_image(self, snapshot: Snapshot, image: bytes) -> None:
        """Keep this image durably. Raises `PowerCut`: the life is over; and `OSError`: it is not kept."""
        self.images.keep(snapshot, image)

    def refuse(self, writes: Sequence[Write], why: str) -> None:
        """The last one of these is wrong, so that none of them is done; the life is over."""
        store = self.running()
        known = store._failure
        try:
            with self.working():
                store.write(writes)
        except StoreError as error:
            if not isinstance(error, WriteRefused) and known is None and self.disk.failures == self._failures:
                raise InvariantViolation("I20", f"a write is wrong, and ends so: {error}") from error
            self._check_broken(store, error)
            return self.end()
        raise InvariantViolation("I27", f"a write is done though {why}")

    def found(self) -> list[Snapshot]:
        """Snapshots that the store says it has: a write may name them."""
        return self.promises.found(self.running())

    def read(self, snapshot: Snapshot) -> bytes:
        """The image of a snapshot that is kept."""
        with self.quietly(), self.running().snapshots.open(snapshot.index, snapshot.term) as file:
            return file.read()

    def retain(self, most: int) -> None:
        """Let older images go: all but the newest `most`, and those that the log may rest on."""
        store = self.running()
        keys = sorted((one.index, one.term) for one in self.found())
        kept = set(keys[-most:]) | {key for key in keys if key[0] >= self.model.snapshot.index}
        with self.working():
            store.snapshots.retain(most)
        if {(one.index, one.term) for one in self.found()} != kept:
            raise InvariantViolation("I24", f"of {keys} those retained are {self.found()}, not {kept}")
        self.images.check_names(store)

    def meet(self, peer: Identity) -> bool:
        """Meet a peer, durably; returns whether it was refused, and rightly so. Raises as `write` does."""
        store, peers = self.running(), self.promises.peers
        refused = peers.refuses(peer, store.identity)
        if not refused:
            peers.meeting(peer)
        try:
            with self._failing(store), self.working():
                store.meet(peer)
        except Refused as error:
            if not refused:
                raise InvariantViolation("I27", f"{peer} is refused: {error}") from error
            return True
        if refused:
            raise InvariantViolation("I21", f"{peer} is met, by a store that has met {peers.boots}")
        peers.answered()
        return False

    def admit(self, members: Sequence[Member]) -> None:
        """Admit these members, durably. Raises as `write` does."""
        store = self.running()
        self.promises.peers.admitting(members, store.identity)
        with self._failing(store), self.working():
            store.admit(members)
        self.promises.peers.answered()

    def open_again(self) -> None:
        """A second process on the same directory is refused (fault F117)."""
        try:
            with self.quietly():
                SqliteStore.open(cast(Path, self.path), node_id=self._node_id)
        except DataDirectoryInUse:
            return
        raise InvariantViolation("I20", "two stores have one data directory open")

    @property
    def failure(self) -> StoreError | None:
        """What has broken the store, be it told or not."""
        return None if self.store is None else self.store._failure

    def _check_knows(self, store: SqliteStore) -> None:
        """Whatever fails on the disk in a write or a checkpoint breaks the store, told or not (fault F148)."""
        if self.disk.failures > self._failures and store._failure is None:
            raise InvariantViolation("I9", "the disk has failed, and the store goes on")

    @contextmanager
    def _failing(self, store: SqliteStore) -> Iterator[None]:
        """A store that has failed never takes a write again (faults F108, F109, F110)."""
        known = store._failure
        try:
            yield
        except StoreError as error:
            if isinstance(error, WriteRefused) or (known is None and self.disk.failures == self._failures):
                raise InvariantViolation("I20", f"a write is refused: {error}") from error
            self._check_broken(store, error)
            self.end()
            raise

    def _check_broken(self, store: SqliteStore, error: StoreError) -> None:
        try:
            with plugged(self.disk, self.draw):
                store.write([Write(store._seq + 1, self.model.term, self.model.vote)])
        except StoreError:
            return
        raise InvariantViolation("I9", f"a store takes writes after it has failed: {error}") from error
