"""A disk that keeps exactly what was synced.

Law: *a crash keeps every synced write, a prefix of the others, and nothing else.*
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from rafty_core.entries import Batch
from rafty_core.output import Write
from rafty_core.simulation.options import Options
from rafty_core.simulation.world import World
from rafty_core.stable import Snapshot, Stable

if TYPE_CHECKING:
    from rafty_core.simulation.parts import Owner

LONGEST_SYNC = 1.2
"""Seconds that a sync takes at most, on a disk that hardly works: it is done before anybody counts on the disk."""

STANDING_STILL = 1e6
"""A slowness from which on a disk does nothing any more; `newcomers` alone makes one so."""


class Disk:
    """Writes are queued, several share a sync, and the news of it may come late. The owner hears of each write.

    What may be compacted is kept, or goes in part or as a whole, as chance has it.
    """

    def __init__(self, world: World, options: Options, snapshot: Snapshot, owner: "Owner"):
        self.world = world
        self.options = options
        self.slowness = 1.0
        self.snapshot = snapshot
        self._owner = owner
        self._term = 0
        self._vote: str | None = None
        self._first = 1  # index of the first entry that is stored, or would be
        self._log: list[tuple[int, bytes]] = []
        self._queue: list[Write] = []
        self._syncing = False
        self._life = 0

    def load(self) -> Stable:
        """What survived, in batches cut at random."""
        batches: list[Batch] = []
        for index, (term, entry) in enumerate(self._log, self._first):
            if batches and batches[-1].term == term and self.world.random.random() < 0.7:
                batches[-1] = Batch(batches[-1].first, term, [*batches[-1].entries, entry])
            else:
                batches.append(Batch(index, term, [entry]))
        return Stable(self._term, self._vote, self.snapshot, batches)

    def submit(self, write: Write, persisted: Callable[[int], None]) -> None:
        """Make this durable some time; then call `persisted` with the number of the newest durable write."""
        self._queue.append(write)
        if not self._syncing:
            self._start(persisted)

    def keep_image(self, snapshot: Snapshot, image: bytes) -> None:
        """Nothing to do: the image is where it can be fetched from."""

    def calm(self) -> None:
        """Nothing to do: it never fails."""

    def crash(self) -> None:
        """Power is lost: a prefix of what was not synced survives by chance."""
        survivors = self.world.random.randint(0, len(self._queue))
        self._keep(survivors)
        self._queue.clear()
        self._syncing = False
        self._life += 1

    def _start(self, persisted: Callable[[int], None]) -> None:
        self._syncing = True
        count = self.world.random.randint(1, len(self._queue))
        delay = self.options.sync_time * self.slowness * self.world.random.uniform(0.3, 2)
        if self.slowness < STANDING_STILL:
            delay = min(LONGEST_SYNC, delay)
        life = self._life
        self.world.after(delay, lambda: self._synced(count, life, persisted))

    def _synced(self, count: int, life: int, persisted: Callable[[int], None]) -> None:
        if life != self._life:
            return
        seq = self._queue[count - 1].seq
        self._keep(count)
        late = self.world.random.uniform(0, 3) * self.options.sync_time if self.world.chance(0.2) else 0.0
        self.world.after(late, lambda: persisted(seq) if life == self._life else None)
        self._syncing = False
        if self._queue:
            self._start(persisted)

    def _keep(self, count: int) -> None:
        for write in self._queue[:count]:
            if write.snapshot is not None:
                self.snapshot = write.snapshot
                if write.installs:
                    self._first, self._log = write.snapshot.index + 1, []
            self._term, self._vote = write.term, write.vote
            for batch in write.batches:
                self._log[batch.first - self._first :] = [(batch.term, entry) for entry in batch.entries]
            self._compact(write.compact_to)
            self._owner.durable(write)
        del self._queue[:count]

    def _compact(self, index: int) -> None:
        """Forget entries up to `index`, or fewer, or none."""
        if index >= self._first:
            first = self.world.random.choice((self._first, index + 1, self.world.random.randint(self._first, index)))
            del self._log[: first - self._first]
            self._first = first
