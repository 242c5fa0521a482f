"""One real store on a simulated disk, over all its lives, compared with a model after each recovery.

Law: *whatever ends a life, the next one begins with everything that was told durable, or is refused for a bit that
flipped* (invariants I20 and I21).
"""

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import cast

import apsw

from rafty_core.configuration import Configuration
from rafty_core.history import InvariantViolation
from rafty_core.output import Write
from rafty_core.simulation.parts import StorageRefused
from rafty_core.stable import Snapshot, Stable
from rafty_transports.interfaces import Identity
from rafty_transports.storage import CorruptStore, DataDirectoryInUse, SqliteStore, StoreError, WriteRefused
from tests.simulation.storage import connection, system
from tests.simulation.storage.faults import DiskFaults, PowerCut
from tests.simulation.storage.files import SimulatedDisk
from tests.simulation.storage.model import Model
from tests.simulation.storage.plug import plugged
from tests.simulation.storage.promises import Promises
from tests.simulation.storage.vfs import FILES

JOINED = "rafty.0123456789ab"
"""The cluster that a node without an initial configuration joins."""

ATTEMPTS = 4
"""So often faults may spoil one opening; then the disk works for a while."""


class CheckedStore:
    """A store, its disk, and what it must hold.

    draw           where chance comes from; may be another one at each call
    model          what was told durable
    unanswered     writes that nobody was told of; at an opening it turns out which of them are durable
    """

    def __init__(self, draw: random.Random, faults: DiskFaults, node_id: str, snapshot: Snapshot) -> None:
        self.draw = draw
        self.faults = faults
        self.disk = SimulatedDisk(draw, faults)
        self.path = system.top_of(self.disk) / "raft"
        self.model = Model(snapshot)
        self.unanswered: list[Write] = []
        self.store: SqliteStore | None = None
        self.flipped = False
        self._node_id = node_id
        self._initial = snapshot.configuration if snapshot.configuration.voters else None
        self._failures = 0  # of the disk, when the store was opened
        self._exact = True  # whether the mark says exactly how far the database has come
        self._promises = Promises()

    # --------------------------------------------------------------------- lives

    def open(self, flip: bool = False) -> tuple[Stable, list[Write]]:
        """Begin a life; returns what was loaded, and which unanswered writes have turned out to be durable.

        flip  a bit flips before. Raises `StorageRefused` for it, or `InvariantViolation` for what must not be.
        """
        if flip:
            self._flip()
        survivors: list[Write] = []
        for attempt in range(100):
            self.disk.faults = self.faults if attempt < ATTEMPTS else DiskFaults(limit=self.faults.limit)
            stable = self._try_open()
            if stable is None:
                continue
            survivors += self._explain(stable)
            if not self._chance(0.1):
                self.disk.faults = self.faults
                return stable, survivors
            self.end()  # recovery once more must find the same
        raise InvariantViolation("I20", "the store does not open, though nothing is wrong with the disk")

    def _try_open(self) -> Stable | None:
        failures, before = self.disk.failures, self._picture()
        initial = self._initial if self._promises.identity is None or self._chance(0.5) else None
        join = JOINED if self._initial is None else None
        try:
            with self._working():
                FILES.salt = random.Random(self.draw.random())
                apsw.randomness(0)
                self.store = SqliteStore.open(cast(Path, self.path), node_id=self._node_id, initial=initial, join=join)
                self._failures = self.disk.failures
                return self.store.load()
        except PowerCut:
            return None
        except StoreError as error:
            if self.flipped:
                if self._picture() != before and self.disk.failures == failures:
                    raise InvariantViolation(
                        "I21", f"the store refuses, and has changed what it refuses: {error}"
                    ) from error
                raise StorageRefused(str(error)) from error
            if self.disk.failures == failures or isinstance(error, CorruptStore):
                raise InvariantViolation("I20", f"the store does not open: {error}") from error
            self.end()
            return None

    def end(self) -> None:
        """End this life: the store is closed or not, and power is lost or not."""
        store, self.store = self.store, None
        if store is not None and self._chance(self.faults.closing):
            try:
                with self._working():
                    store.close()
            except PowerCut:
                return
        if self._chance(self.faults.killing):
            self._ended(power=False)
        else:
            self._ended(power=True)

    def _ended(self, *, power: bool) -> None:
        self.store = None
        self.disk.draw = self.draw
        if power:
            self._exact = False
            self.disk.lose_power()
        else:
            self.disk.end_process()
        connection.end_process(self.disk)

    def try_flips(self, count: int) -> None:
        """End this life, and begin another after each of `count` bits has flipped, one by one (I21)."""
        faults, self.faults = self.faults, DiskFaults(limit=self.faults.limit, killing=1)
        self.disk.faults = self.faults
        if self._chance(0.7):  # then there is no write-ahead log, and what is in the database counts
            with plugged(self.disk, self.draw):
                self._running().close()
        self._ended(power=False)
        self.unanswered, self._exact = [], True
        image, identity = self.disk.image(), self._promises.identity
        for _ in range(count):
            with suppress(StorageRefused):
                self.open(flip=True)
            self._ended(power=False)
            self.disk.put_back(image)
            self._promises.identity, self.flipped = identity, False
        self.faults = self.disk.faults = faults

    def _flip(self) -> None:
        """One bit of what lies there. Behind its mark, a database's newest writes would be lost in silence after a
        power failure (which is a second fault): so the log is spared then."""
        paths = [path for path in self.disk.walk(self.path) if self._exact or not path.name.endswith("-wal")]
        if paths:
            self.flipped = True
            self.disk.draw = self.draw
            self.disk.flip(self.draw.choice(paths))

    def _picture(self) -> dict[str, bytes]:
        paths = [path for path in self.disk.walk(self.path) if path.name != "lock"]
        return {str(path): bytes(self.disk.file(path).data) for path in paths} if self.flipped else {}

    # --------------------------------------------------------------------- calls

    def write(self, writes: Sequence[Write]) -> None:
        """Make these durable. Raises `PowerCut` and `StoreError`: then the life is over, and they are unanswered."""
        store = self._running()
        self.unanswered = list(writes)
        with self._failing(store), self._working():
            store.write(writes)
        self._check_knows(store)
        self.unanswered = []
        for write in writes:
            self.model.do(write)

    def checkpoint(self) -> None:
        """Let the thread that checkpoints do what it has to do. Raises `PowerCut`: the life is over."""
        store = self._running()
        with self._working():
            store._checkpointer._thread.run()
        self._check_knows(store)

    def keep_image(self, snapshot: Snapshot, image: bytes) -> None:
        """Keep this image durably. Raises `PowerCut`: the life is over; and `OSError`: it is not kept."""
        store = self._running()
        self._promises.keeping(snapshot, image)
        try:
            with self._working():
                writer = store.snapshots.create(snapshot)
                try:
                    writer.write(image)
                    writer.finish()
                finally:
                    writer.abort()
        finally:
            self._failures = self.disk.failures  # the store goes on without it
        self._promises.kept(snapshot, image)

    def found(self) -> list[Snapshot]:
        """Snapshots that the store says it has: a write may name them."""
        return self._promises.found(self._running())

    def retain(self, most: int) -> None:
        """Let older images go."""
        store = self._running()
        with self._working():
            store.snapshots.retain(most)
        self._promises.found(store)

    def meet(self, name: str, incarnation: str) -> None:
        """Meet a peer, durably. Raises as `write` does."""
        store = self._running()
        mine = store.identity
        self._promises.meeting = {name: incarnation}
        with self._failing(store), self._working():
            store.meet(Identity(mine.cluster_id, name, incarnation, 1, mine.bootstrap))
        self._promises.answered()

    def open_again(self) -> None:
        """A second process on the same directory is refused (fault F117)."""
        try:
            with self._working(quiet=True):
                SqliteStore.open(cast(Path, self.path), node_id=self._node_id)
        except DataDirectoryInUse:
            return
        raise InvariantViolation("I20", "two stores have one data directory open")

    @property
    def failure(self) -> StoreError | None:
        """What has broken the store, be it told or not."""
        return None if self.store is None else self.store._failure

    def _running(self) -> SqliteStore:
        assert self.store is not None
        return self.store

    @contextmanager
    def _working(self, *, quiet: bool = False) -> Iterator[None]:
        """In this block the real store works on the simulated disk, and power may be cut."""
        cutting = not quiet and self._chance(self.disk.faults.cutting)
        self.disk.cut_after(self.draw.randrange(self.draw.choice((4, 16, 64))) if cutting else None)
        try:
            with plugged(self.disk, self.draw):
                yield
        except PowerCut:
            self._ended(power=True)
            raise
        finally:
            self.disk.cut_after(None)

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
            try:
                with plugged(self.disk, self.draw):
                    store.write([Write(store._seq + 1, self.model.term, self.model.vote)])
            except StoreError:
                self.end()
                raise
            raise InvariantViolation("I9", f"a store takes writes after it has failed: {error}") from error

    def _chance(self, probability: float) -> bool:
        return probability > 0 and self.draw.random() < probability

    # -------------------------------------------------------------------- checks

    def _explain(self, stable: Stable) -> list[Write]:
        """Which unanswered writes are durable. Raises `InvariantViolation` if what was loaded has no explanation."""
        number, found = ("I21" if self.flipped else "I20"), ""
        for count in range(len(self.unanswered), -1, -1):
            model = self.model.after(self.unanswered[:count])
            difference = model.differs(stable)
            if not difference:
                survivors, self.unanswered, self.model = self.unanswered[:count], [], model
                break
            found += f"; after {count} of {len(self.unanswered)} writes: {difference}"
        else:
            raise InvariantViolation(number, f"what was loaded is nothing that was written{found}")
        try:
            with plugged(self.disk, self.draw):
                self._promises.check(self._running(), number, self.model.snapshot.index)
        except (StoreError, LookupError) as error:
            if self.flipped:
                raise StorageRefused(str(error)) from error
            raise InvariantViolation(number, f"a snapshot that was durable cannot be read: {error}") from error
        return survivors


def initial_of(*ids: str) -> Snapshot:
    """What a cluster of these nodes begins with; nobody: what a node begins with that joins one."""
    return Snapshot(configuration=Configuration.of(*ids) if ids else Configuration())
