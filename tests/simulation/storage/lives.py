"""One real store on a simulated disk, over all its lives, compared with a model after each recovery.

Law: *whatever ends a life, the next one begins with everything that was told durable, or is refused for what was done
to it* (invariants I20 and I21).
"""

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Self, cast

import apsw

from rafty_core.configuration import Configuration
from rafty_core.entries import COMMAND, Batch
from rafty_core.history import InvariantViolation
from rafty_core.output import Write
from rafty_core.simulation.parts import StorageRefused
from rafty_core.stable import Snapshot, Stable
from rafty_transports.interfaces import Identity
from rafty_transports.storage import CorruptStore, SqliteStore, StoreError
from tests.simulation.storage import connection, system
from tests.simulation.storage.content import Directory
from tests.simulation.storage.damage import Damage
from tests.simulation.storage.faults import DiskFaults, PowerCut
from tests.simulation.storage.files import SimulatedDisk
from tests.simulation.storage.images import Images
from tests.simulation.storage.model import Model
from tests.simulation.storage.openings import check_refused
from tests.simulation.storage.plug import plugged
from tests.simulation.storage.promises import Promises
from tests.simulation.storage.vfs import FILES

JOINED = "rafty.0123456789ab"
"""The cluster that a node without an initial configuration joins."""

ATTEMPTS = 4
"""So often faults may spoil one opening; then the disk works for a while."""


class Lives:
    """A store, its disk, and what it must hold.

    draw           where chance comes from; may be another one at each call
    model          what was told durable
    unanswered     writes that nobody was told of; at an opening it turns out which of them are durable
    images         its snapshots
    promises       what it has told besides
    worse          probability that the disk works worse than usual in a call whose failure is soon made up for
    damaged        whether something was done to what lies on the disk
    torn           whether power was lost since a snapshot began to come in, or a bit has flipped
    """

    def __init__(self, draw: random.Random, faults: DiskFaults, node_id: str, snapshot: Snapshot) -> None:
        self.draw = draw
        self.faults = faults
        self.disk = SimulatedDisk(draw, faults)
        self.path = system.top_of(self.disk) / "raft"
        self.model = Model(snapshot)
        self.unanswered: list[Write] = []
        self.store: SqliteStore | None = None
        self.promises = Promises()
        self.images = Images(self)
        self.damaged = self.torn = False
        self.initial = snapshot
        self._node_id = node_id
        self._initial = snapshot.configuration if snapshot.configuration.voters else None
        self.worse = 0.0
        self._reborn = False  # whether it was made of what another one left
        self._failures = 0  # of the disk, when the store was opened
        self._exact = True  # whether the mark says exactly how far the database has come

    # --------------------------------------------------------------------- lives

    def open(self, flip: bool = False) -> tuple[Stable, list[Write]]:
        """Begin a life; returns what was loaded, and which unanswered writes have turned out to be durable.

        flip  a bit flips before. Raises `StorageRefused` if what is damaged is refused, or `InvariantViolation` for
        what must not be.
        """
        if flip:
            self._flip()
        elif not self.damaged and self.promises.identity is not None and self._chance(0.1):
            self._open_wrongly()
        survivors: list[Write] = []
        for attempt in range(100):
            self.disk.faults = self._now() if attempt < ATTEMPTS else DiskFaults(limit=self.faults.limit)
            try:
                stable = self._try_open()
            finally:
                self.disk.faults = self.faults
            if stable is None:
                continue
            survivors += self._explain(stable)
            if not self._chance(0.1):
                return stable, survivors
            self.end()  # recovery once more must find the same
        raise InvariantViolation("I20", "the store does not open, though nothing is wrong with the disk")

    def _try_open(self) -> Stable | None:
        failures, before = self.disk.failures, self._picture()
        initial = self._initial if self.promises.identity is None or self._chance(0.5) else None
        join = None if self._reborn else self._join
        try:
            with self.working():
                FILES.salt = random.Random(self.draw.random())
                apsw.randomness(0)
                self.store = SqliteStore.open(cast(Path, self.path), node_id=self._node_id, initial=initial, join=join)
                self._failures = self.disk.failures
                return self.store.load()
        except PowerCut:
            return None
        except StoreError as error:
            if self.damaged:
                if self._picture() != before and self.disk.failures == failures:
                    raise InvariantViolation(
                        "I21", f"the store refuses, and has changed what it refuses: {error}"
                    ) from error
                raise StorageRefused(str(error)) from error
            if self.disk.failures == failures or isinstance(error, CorruptStore):
                raise InvariantViolation("I20", f"the store does not open: {error}") from error
            self.end()
            return None
        except Exception as error:
            if self.disk.failures == failures and not self.damaged:
                raise
            number, what = ("I21", "what lies there is damaged") if self.damaged else ("I9", "the disk has failed")
            raise InvariantViolation(number, f"{what}, and an opening ends so: {error!r}") from error

    def _open_wrongly(self) -> None:
        with self.quietly():
            before = self._picture()
            identity = self.promises.identity
            assert identity is not None
            FILES.salt = random.Random(self.draw.random())
            check_refused(self.draw, cast(Path, self.path), identity, self._initial)
            if self._picture() != before:
                raise InvariantViolation("I21", "the store refuses somebody, and has changed what it refuses")

    def end(self) -> None:
        """End this life: the store is closed or not, and power is lost or not."""
        store, self.store = self.store, None
        if store is not None and self._chance(self.faults.closing):
            try:
                with self.working():
                    store.close()
                    self.images.check_closed(store)
            except PowerCut:
                return
        if self._chance(self.faults.killing):
            self._ended(power=False)
        else:
            self._ended(power=True)

    def end_life(self) -> None:
        """Whoever works on the disk has come to an end, whatever it was."""
        self._ended(power=not self._chance(self.faults.killing))

    def moved(self, path: system.DiskPath, model: Model, identity: Identity) -> Self:
        """The store that was made in another directory of the same disk, and has `identity` and holds `model`."""
        other = type(self)(self.draw, self.faults, self._node_id, model.snapshot)
        other.disk, other.path, other.model = self.disk, path, model
        other._initial, other._reborn, other._exact = None, True, False
        other.promises.begin(identity, model.snapshot, self.promises.image(model.snapshot))
        return other

    def _ended(self, *, power: bool) -> None:
        self.store = None
        self.disk.draw = self.draw
        if power:
            self._exact, self.torn = False, True
            self.disk.lose_power()
        else:
            self.disk.end_process()
        connection.end_process(self.disk)

    def try_damage(self, count: int, others: Sequence[Directory], branches: Sequence[Directory]) -> None:
        """End this life, and begin another after each of `count` kinds of damage, one by one (I21).

        `others` and `branches` are images of data directories that parts and rows may be taken from; see `Damage`.
        """
        faults, self.faults = self.faults, DiskFaults(limit=self.faults.limit, killing=1)
        self.disk.faults, self.worse = self.faults, 0.0
        if self._chance(0.7):  # then there is no write-ahead log, and what is in the database counts
            with plugged(self.disk, self.draw):
                self.running().close()
        self._ended(power=False)
        self.unanswered, self._exact = [], True
        image, identity = self.disk.image(), self.promises.identity
        damage = Damage(self.disk, self.path, others, branches)
        for _ in range(count):
            damage.one(self.draw)
            self.damaged = True
            try:
                with suppress(StorageRefused):
                    self.open()
            except InvariantViolation as violation:
                text = str(violation).removeprefix(f"{violation.number}: ")
                raise InvariantViolation(violation.number, f"{damage.what}: {text}") from violation
            self._ended(power=False)
            self.disk.put_back(image)
            self.promises.identity, self.damaged = identity, False
        self.faults = self.disk.faults = faults

    def branch(self) -> Directory:
        """An image of the disk with a copy of the data directory that has lived on differently: the end of its log has
        other entries in the same places."""
        disk = SimulatedDisk(self.draw, DiskFaults(limit=self.faults.limit))
        disk.put_back(self.disk.image())
        with plugged(disk, self.draw):
            path = cast(Path, system.top_of(disk) / self.path.name)
            store = SqliteStore.open(path, node_id=self._node_id)
            stable = store.load()
            batches = [batch for batch in stable.batches if batch.first > stable.snapshot.index]
            if batches:
                others = batches[self.draw.randrange(len(batches)) :]
                new = [Batch(one.first, one.term, [COMMAND + b"branch" for _ in one.entries]) for one in others]
                store.write([Write(1, stable.term, stable.vote, new)])
            store.close()
        connection.end_process(disk)
        return disk.image()

    def _flip(self) -> None:
        """One bit of what lies there. Behind its mark, a database's newest writes would be lost in silence after a
        power failure (which is a second fault): so the log is spared then."""
        paths = [path for path in self.disk.walk(self.path) if self._exact or not path.name.endswith("-wal")]
        if paths:
            self.damaged = self.torn = True
            self.disk.draw = self.draw
            self.disk.flip(self.draw.choice(paths))

    def _picture(self) -> dict[str, bytes]:
        paths = [path for path in self.disk.walk(self.path) if path.name != "lock"]
        return {str(path): bytes(self.disk.file(path).data) for path in paths}

    @property
    def _join(self) -> str | None:
        return JOINED if self._initial is None else None

    def running(self) -> SqliteStore:
        """The store, which is open."""
        assert self.store is not None
        return self.store

    def goes_on(self) -> None:
        """What has failed on the disk was told, and the store goes on all the same."""
        self._failures = self.disk.failures

    def _now(self, share: float = 1.0) -> DiskFaults:
        """What goes wrong in the next call; `share` is how often of those times the disk may be worse."""
        if self._chance(self.worse * share):
            cutting = max(self.faults.cutting, 0.4)
            return replace(self.faults, sync_failing=0.3, full=max(self.faults.full, 0.05), cutting=cutting)
        return self.faults

    @contextmanager
    def quietly(self) -> Iterator[None]:
        """In this block the real store works on the simulated disk, and nothing goes wrong."""
        faults, self.disk.faults = self.disk.faults, DiskFaults(limit=self.faults.limit)
        try:
            with plugged(self.disk, self.draw):
                yield
        finally:
            self.disk.faults = faults

    @contextmanager
    def working(self, longest: int = 64) -> Iterator[None]:
        """In this block the real store works on the simulated disk, and its life may end in the midst of it: within
        `longest` operations."""
        cutting = self._chance(self.disk.faults.cutting)
        self.disk.cut_after(self.draw.randrange(self.draw.choice((4, 16, longest))) if cutting else None)
        try:
            with plugged(self.disk, self.draw):
                yield
        except PowerCut:
            self._ended(power=not self._chance(self.faults.killing))
            raise
        finally:
            self.disk.cut_after(None)
            self.disk.nothing_meanwhile()

    def _chance(self, probability: float) -> bool:
        return probability > 0 and self.draw.random() < probability

    # -------------------------------------------------------------------- checks

    def _explain(self, stable: Stable) -> list[Write]:
        """Which unanswered writes are durable. Raises `InvariantViolation` if what was loaded has no explanation."""
        number, found = ("I21" if self.damaged else "I20"), ""
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
                self.promises.check(self.running(), number, self.model.snapshot.index)
        except (StoreError, LookupError) as error:
            if self.damaged:
                raise StorageRefused(str(error)) from error
            raise InvariantViolation(number, f"a snapshot that was durable cannot be read: {error}") from error
        self.images.check_begun(self.running())
        return survivors


def initial_of(*ids: str) -> Snapshot:
    """What a cluster of these nodes begins with; nobody: what a node begins with that joins one."""
    return Snapshot(configuration=Configuration.of(*ids) if ids else Configuration())
