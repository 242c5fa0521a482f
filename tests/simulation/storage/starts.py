"""A node is started while a person recovers its data directory, or once that has broken off.

Law: *a node that is started holds what the directory held, or is refused, and nobody else uses what it uses* (faults
R194, R195, R197, R198).

Each of these is tried on a disk without faults, which is afterwards what it was before.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from rafty_core.configuration import Configuration
from rafty_core.history import InvariantViolation
from rafty_core.stable import Stable
from rafty_transports.storage import SqliteStore, StoreError, rebirth
from tests.simulation.storage.lives import Lives
from tests.simulation.storage.system import DiskPath

Picture = Callable[[DiskPath], dict[str, bytes]]


class Starts:
    """Nodes that are started at the wrong moment on the data directory of `checked`, whose life has ended."""

    def __init__(self, checked: Lives, picture: Picture) -> None:
        self._checked = checked
        self._picture = picture
        self._path = checked.path

    def before_it_has_the_lock(self) -> None:
        """The directory is moved away while the node has opened the lock, and not taken it (R194)."""
        with self._for_a_try():
            recover = self._recover
            self._checked.disk.meanwhile(self._checked.draw.randrange(6), lambda: _is_done(recover), anywhere=True)
            started = _is_done(self._open)
            self._checked.disk.nothing_meanwhile()
            if started and _is_done(self._open):
                raise InvariantViolation(
                    "I20", f"two nodes use {self._path}, which was recovered while one was started"
                )

    def all_along(self) -> None:
        """From some moment on a node is started again and again until it is not refused: its supervisor does that."""
        found: list[Stable] = []

        def start() -> None:
            found.append(self._open().load())

        with self._for_a_try():
            self._checked.disk.meanwhile(self._checked.draw.randrange(200), lambda: _is_done(start), anywhere=True)
            _is_done(self._recover)
            self._checked.disk.nothing_meanwhile()
        self._check(found)

    def once_it_has_broken_off(self) -> None:
        """Nothing is where the directory was: who begins anew there would know nothing of what it promised (R197)."""
        if not (self._path / "raft.db").exists():
            found: list[Stable] = []
            with self._for_a_try():
                _is_done(lambda: found.append(self._open().load()))
            self._check(found)

    def on_what_is_removed(self, built: DiskPath) -> None:
        """A node begins to use what an earlier recovery has built, and was about to be removed (R195)."""
        used: list[dict[str, bytes]] = []

        def use() -> None:
            store = self._open(built)
            store.load()
            store.close()
            used.append(self._picture(built))

        with self._for_a_try():
            self._checked.disk.meanwhile(self._checked.draw.randrange(40), lambda: _is_done(use), anywhere=True)
            _is_done(self._recover)
            self._checked.disk.nothing_meanwhile()
            if used and used[0] not in (self._picture(built), self._picture(self._path)):
                raise InvariantViolation("I20", f"a node has used {built} while it was in the way, and it is gone")

    def _open(self, path: DiskPath | None = None) -> SqliteStore:
        initial = self._checked.draw.choice((None, Configuration.of("n1"), Configuration.of("n1", "n2", "n3")))
        return SqliteStore.open(cast(Path, path or self._path), node_id="n1", initial=initial)

    def _recover(self) -> None:
        rebirth.recover(cast(Path, self._path))

    def _check(self, found: list[Stable]) -> None:
        for stable in found:
            last = stable.batches[-1].last if stable.batches else stable.snapshot.index
            if stable.term < self._checked.model.term or last < self._checked.model.last:
                raise InvariantViolation("I20", f"a node begins anew in {self._path}, and knows nothing: {stable}")

    @contextmanager
    def _for_a_try(self) -> Iterator[None]:
        checked = self._checked
        image = checked.disk.image()
        with checked.quietly():
            yield
        checked.end_life()
        checked.disk.put_back(image)


def _is_done(act: Callable[[], object]) -> bool:
    """Do this; returns whether it was not refused."""
    try:
        act()
    except StoreError:
        return False
    return True
