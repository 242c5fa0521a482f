"""Another process that does the same at the same time: it comes in the midst of what a person does, and may end first.

Law: *of two who do the same at once, who is told that it is done is right, and the other one is refused* (faults R187
to R189, R194, R196).
"""

import re
from collections.abc import Callable

from rafty_core.history import InvariantViolation
from rafty_transports.storage import StoreError
from tests.simulation.storage.files import ANYWHERE, MAKING, RENAMES
from tests.simulation.storage.lives import Lives
from tests.simulation.storage.system import DiskPath

OFTEN = (0, 0, 0.4)
"""Probabilities of which one is drawn: that there is another one in an attempt. Where none is, more breaks off."""

REFUSALS = re.compile(
    "is just being written by another|has just been written, or given up|has come to be there meanwhile"
    "|is in use by|has just been moved, removed or made anew|is just being recovered"
    "|is there from an earlier recovery|holds a store already|is there already"
)
"""What one of two may be told."""

Picture = Callable[[DiskPath], dict[str, bytes]]


class Rivals:
    """Who comes in between."""

    def __init__(self, checked: Lives, picture: Picture) -> None:
        self._checked = checked
        self._picture = picture
        self._often = checked.draw.choice(OFTEN)
        self._made: list[tuple[DiskPath, dict[str, bytes]]] = []
        self.told = False
        """Whether there was one in this attempt that was told that it is done."""

    def none(self) -> None:
        """An attempt begins, and nobody else is there."""
        self._made.clear()
        self.told = False

    def expect(self, act: Callable[[], object], target: DiskPath, refusals: str) -> None:
        """In this attempt another one may do this, which makes `target`."""

        def come() -> bool:
            store = self._checked.store
            if store is not None and store.snapshots._lock.locked():
                return False  # another thread would have to wait
            failures = self._checked.disk.failures
            try:
                act()
                self._made.append((target, self._picture(target)))
            except (StoreError, OSError) as error:
                if not REFUSALS.search(str(error)) and self._checked.disk.failures == failures:
                    raise InvariantViolation("I20", f"who does the same at once is told: {error}") from error
                self.told = re.search(refusals, str(error)) is not None
            else:
                self.told = True
            return True

        if self._checked.draw.random() < self._often:
            draw = self._checked.draw
            kind = draw.random()
            if kind < 0.3:
                self._checked.disk.meanwhile(draw.randrange(6), come, RENAMES)
            else:
                moments = draw.choice((draw.randrange(12), draw.randrange(200)))
                makes = kind > 0.85
                self._checked.disk.meanwhile(moments % 2 if makes else moments, come, MAKING if makes else ANYWHERE)

    def may_be_told(self, error: Exception) -> bool:
        """Whether this is a refusal that another one explains, who was told that it is done."""
        return self.told and REFUSALS.search(str(error)) is not None

    def check(self) -> None:
        """What the other one has made is there, whoever came to an end since."""
        for target, before in self._made:
            if self._picture(target) != before:
                raise InvariantViolation("I20", f"{target} was made, told, and then changed by who did it at once")
