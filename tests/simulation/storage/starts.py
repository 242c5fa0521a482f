"""A node is started while a person recovers its data directory, or once that has broken off.

Law: *a node that is started holds what the directory held, or is refused, and nobody else uses what it uses* (faults
R194, R195, R197, R198, R225).

Each of these is tried on a disk without faults, which is afterwards what it was before.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from rafty_core.configuration import Configuration
from rafty_core.history import InvariantViolation
from rafty_core.stable import Stable
from rafty_transports.storage import SqliteStore, StoreError, rebirth
from rafty_transports.storage.datadir import KEPT, RECOVERED, DataDirectory
from tests.simulation.storage.files import ANYWHERE, RENAMES
from tests.simulation.storage.lives import Lives
from tests.simulation.storage.system import DiskPath

REFUSALS = re.compile(
    "is in use by|has just been moved, removed or made anew|is just being recovered|is there from an earlier recovery"
    "|holds a store already|is in the way, and was used|belongs to|bootstrapped"
    "|what a recovery has built is damaged"
)
"""What whoever does something at the wrong moment may be told."""

Picture = Callable[[DiskPath], dict[str, bytes]]


class Starts:
    """Nodes that are started at the wrong moment on the data directory of `checked`, whose life has ended."""

    def __init__(self, checked: Lives, picture: Picture) -> None:
        self._checked = checked
        self._picture = picture
        self._path = checked.path
        self._draw = checked.draw

    def before_it_has_the_lock(self) -> None:
        """The directory is moved away while the node looks at it, or has opened the lock and not taken it; the next one
        may take its place meanwhile, or somebody make what is empty."""
        found: list[Stable] = []

        def start() -> None:
            found.append(self._open().load())

        parts = [self._recover_in_part]
        steps = self._draw.choice(([self._recover], parts, [*parts, self._make], [*parts, self._recover]))
        with self._for_a_try():
            self._in_steps(14, steps)
            started = self._is_done(start)
            self._checked.disk.nothing_meanwhile()
            if started and self._is_done(lambda: SqliteStore.open(cast(Path, self._path), node_id="n1")):
                raise InvariantViolation("I20", f"two nodes use {self._path}, moved while one was started")
            if not started and not (self._path / "raft.db").exists() and not self._is_done(self._recover):
                raise InvariantViolation("I20", f"a node was started, and {self._path} can be recovered no more")
        self._check(found)

    def all_along(self) -> None:
        """From some moment on a node is started again and again until it is not refused: its supervisor does that."""
        found: list[Stable] = []

        def start() -> None:
            found.append(self._open().load())

        with self._for_a_try():
            before = self._picture(self._path)
            self._meanwhile(250, start)
            if not self._is_done(self._recover) and not found and self._picture(self._path) != before:
                raise InvariantViolation("I20", f"a recovery is refused, and {self._path} is not what it was")
        self._check(found)

    def once_it_has_broken_off(self) -> None:
        """Nothing is where the directory was: who begins anew there would know nothing of what it promised (R197).

        If what was built is damaged the person is told what to do, and not what helps a member of a cluster (R225).
        """
        if (self._path / "raft.db").exists():
            return
        found: list[Stable] = []
        with self._for_a_try():
            self._is_done(lambda: found.append(self._open().load()))
        self._check(found)
        built = self._path.with_name(self._path.name + RECOVERED)
        with self._for_a_try():
            self._checked.disk.flip(built / "raft.db")
            self._is_done(self._recover)

    def on_what_is_removed(self, built: DiskPath) -> None:
        """A node begins to use what an earlier recovery has built, and was about to be removed (R195); or to be put in
        its place (R225)."""
        used: list[dict[str, bytes]] = []
        closes = self._draw.random() < 0.5

        def use() -> None:
            store = self._open(built)
            store.load()
            if closes:
                store.close()
            used.append(self._picture(built))

        with self._for_a_try():
            before = self._picture(self._path)
            self._meanwhile(250, use)
            done = self._is_done(self._recover)
            places = self._picture(built), self._picture(self._path)
            if used and used[0] not in places:
                raise InvariantViolation("I20", f"a node has used {built} while it was in the way, and it is gone")
            if not done and before not in places:
                raise InvariantViolation("I20", f"a recovery is refused, and {self._path} is not what it was")

    def while_it_is_removed(self, built: DiskPath) -> None:
        """What an earlier recovery has built is removed, or in part, while a node looks at it."""

        def remove_in_part() -> None:
            directory = DataDirectory(cast(Path, built))
            directory.lock()
            directory.database.unlink(missing_ok=True)
            directory.release()

        with self._for_a_try():
            self._in_steps(14, [self._draw.choice((self._recover, remove_in_part))])
            self._is_done(lambda: self._open(built), elsewhere=True)

    def _meanwhile(self, most: int, act: Callable[[], object]) -> None:
        """From a moment on that is drawn this is tried again and again until it is not refused."""
        draw = self._draw
        if draw.random() < 0.3:
            self._checked.disk.meanwhile(draw.randrange(6), lambda: self._is_done(act, elsewhere=True), RENAMES)
        else:
            self._checked.disk.meanwhile(draw.randrange(most), lambda: self._is_done(act, elsewhere=True), ANYWHERE)

    def _in_steps(self, most: int, steps: Sequence[Callable[[], object]]) -> None:
        """From a moment on that is drawn these are done, one after the other, with some moments in between."""
        left, pause = list(steps), 0

        def come() -> bool:
            nonlocal pause
            pause -= 1
            if pause < 0 and self._is_done(left[0]):
                del left[0]
                pause = self._draw.randrange(4)
            return not left

        self._checked.disk.meanwhile(self._draw.randrange(most), come, ANYWHERE)

    def _is_done(self, act: Callable[[], object], *, elsewhere: bool = False) -> bool:
        """Do this; returns whether it was not refused. Where a store was it is never said that there is none, but
        `elsewhere` it may be."""
        try:
            act()
        except StoreError as error:
            if not REFUSALS.search(str(error)) and not (elsewhere and "holds no store" in str(error)):
                raise InvariantViolation("I20", f"the disk works, and somebody is told: {error}") from error
            return False
        return True

    def _open(self, path: DiskPath | None = None) -> SqliteStore:
        initial = self._draw.choice((None, Configuration.of("n1"), Configuration.of("n1", "n2", "n3")))
        return SqliteStore.open(cast(Path, path or self._path), node_id="n1", initial=initial)

    def _recover(self) -> None:
        rebirth.recover(cast(Path, self._path))

    def _recover_in_part(self) -> None:
        """A recovery that is killed before its last rename."""
        name = self._path.name
        if (self._path / "raft.db").exists():
            rebirth.recover(cast(Path, self._path), into=cast(Path, self._path.with_name(name + RECOVERED)))
            self._path.rename(self._path.with_name(name + KEPT))

    def _make(self) -> None:
        """What a supervisor may do, or a node that was killed when it had begun."""
        self._path.mkdir()
        (self._path / "lock").write_bytes(b"")

    def _check(self, found: list[Stable]) -> None:
        for stable in found:
            last = stable.batches[-1].last if stable.batches else stable.snapshot.index
            if stable.term < self._checked.model.term or last < self._checked.model.last:
                raise InvariantViolation("I20", f"a node begins anew in {self._path}, and knows nothing: {stable}")

    @contextmanager
    def _for_a_try(self) -> Iterator[None]:
        checked = self._checked
        with checked.disk.copied():
            with checked.quietly():
                yield
            checked.disk.nothing_meanwhile()
            checked.end_life()
