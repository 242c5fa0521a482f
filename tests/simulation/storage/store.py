"""The real store as a part of simulated nodes, on a simulated disk of its own.

Law: *the node hears what its disk really holds, before and after every crash, and never more.*
"""

import random
from collections.abc import Callable
from weakref import WeakKeyDictionary

from rafty_core.output import Write
from rafty_core.simulation.disk import LONGEST_SYNC
from rafty_core.simulation.options import Options
from rafty_core.simulation.parts import Owner
from rafty_core.simulation.world import World
from rafty_core.stable import Snapshot, Stable
from rafty_transports.storage import StoreError
from tests.simulation.storage.checked import CheckedStore
from tests.simulation.storage.faults import DiskFaults, PowerCut

_damaged: "WeakKeyDictionary[World, list[SimulatedStore]]" = WeakKeyDictionary()
"""The nodes of each run in whose data a bit has flipped."""

Waiting = tuple[int, Callable[[int], None]]
"""A call of the store that is under way: how many writes it is for, and who is to be told."""


class SimulatedStore:
    """A `Storage`: writes are queued, several share a call of the store, and the news of it may come late.

    Bits flip only where nobody is ever added or removed, there are three voters, and on one of them: a majority is
    then left when that one is refused for ever.
    """

    def __init__(self, world: World, options: Options, snapshot: Snapshot, owner: Owner) -> None:
        self.world = world
        self.options = options
        self.slowness = 1.0
        self.faults = DiskFaults.draw(random.Random(f"disk {options.seed}"))
        self._checked = CheckedStore(world.random, self.faults, owner.id, snapshot)
        self._owner = owner
        self._may_flip = not options.churn_interval and len(snapshot.configuration.voters) >= 3
        self._queue: list[Write] = []
        self._waiting: Waiting | None = None
        self._life = 0

    def load(self) -> Stable:
        """What survived; the owner hears of each write that did, and that it was not told of."""
        self._checked.draw = self.world.random
        stable, survivors = self._checked.open(self._flips())
        for write in survivors:
            self._owner.durable(write)
        return stable

    def _flips(self) -> bool:
        if self._life and self._may_flip and self.world.chance(self.faults.flipping):
            damaged = _damaged.setdefault(self.world, [])
            if self not in damaged and len(damaged) < self.faults.flips:
                damaged.append(self)
                return True
        return False

    def submit(self, write: Write, persisted: Callable[[int], None]) -> None:
        """Make this durable some time; then call `persisted` with the number of the newest durable write."""
        self._queue.append(write)
        if self._waiting is None:
            self._start(persisted)

    def keep_image(self, snapshot: Snapshot, image: bytes) -> None:
        """Keep the image of a snapshot. Raises `OSError` if it is not kept; the life may have ended then."""
        self._checked.draw = self.world.random
        try:
            self._checked.keep_image(snapshot, image)
        except PowerCut:
            self._owner.failed(OSError("power was cut"))
            raise OSError("power was cut") from None

    def crash(self) -> None:
        """The life ends, in one way or another."""
        self._checked.draw = self.world.random
        self._queue.clear()
        self._waiting = None
        self._life += 1
        if self._checked.store is not None:
            self._checked.end()

    def calm(self) -> None:
        """From now on the disk works; only power may be lost. What has failed unnoticed is noticed now, and what hangs
        goes on."""
        self.faults = self._checked.faults = self._checked.disk.faults = DiskFaults(limit=self.faults.limit)
        failure = self._checked.failure
        if failure is not None:
            self._owner.failed(failure)
        if self._waiting is not None:
            self._write_after(self.options.sync_time, self._waiting)

    def _start(self, persisted: Callable[[int], None]) -> None:
        draw = self.world.random
        self._waiting = (draw.randint(1, len(self._queue)), persisted)
        delay = min(LONGEST_SYNC, self.options.sync_time * self.slowness * draw.uniform(0.3, 2))
        if self.world.chance(self.faults.slow):
            delay *= draw.uniform(1, 20)
        self._write_after(delay, self._waiting)

    def _write_after(self, delay: float, waiting: Waiting) -> None:
        self.world.after(delay, lambda: self._write(*waiting) if waiting is self._waiting else None)

    def _write(self, count: int, persisted: Callable[[int], None]) -> None:
        group, self._queue = self._queue[:count], self._queue[count:]
        self._checked.draw, life = self.world.random, self._life
        try:
            self._checked.write(group)
            for write in group:
                self._owner.durable(write)
            if any(write.snapshot is not None for write in group):
                self._checked.retain(self.world.random.randint(1, 3))
            self._checked.checkpoint()
        except PowerCut:
            self._owner.failed(OSError("power was cut"))
            return
        except StoreError as error:
            self._owner.failed(error)
            return
        late = self.world.random.uniform(0, 3) * self.options.sync_time if self.world.chance(0.2) else 0.0
        self.world.after(late, lambda: persisted(group[-1].seq) if life == self._life else None)
        self._waiting = None
        if self._queue:
            self._start(persisted)
