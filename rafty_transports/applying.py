"""What waits for the state machine, in order: entries at once, a snapshot in a thread, and nothing past it meanwhile.

Law: *entries reach the state machine in the order in which the core hands them out, and it hears of each that is done.*
"""

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import anyio

from rafty_core.events import Applied, Event
from rafty_core.output import Committed, Restore
from rafty_core.sessions import LogClock, Sessions
from rafty_transports.interfaces import SnapshotStore
from rafty_transports.machine import Machine
from rafty_transports.threads import run_in_daemon


class ApplyQueue:
    """The portions that the core handed out and the state machine has not applied.

    tell     takes an event that the core is to hear of soon
    start    begins a task that belongs to the node
    propose  takes an entry of the sessions' clock, which nobody waits for
    """

    def __init__(
        self,
        machine: Machine,
        snapshots: SnapshotStore,
        *,
        tell: Callable[[Event], None],
        start: Callable[[Callable[[], Awaitable[None]]], None],
        propose: Callable[[bytes], None],
    ) -> None:
        self._machine = machine
        self._snapshots = snapshots
        self._tell = tell
        self._start = start
        self._propose = propose
        self._waiting: deque[Committed | Restore] = deque()
        self._restored = False  # the state machine has its snapshot, and the core is only about to hear of it
        self._sessions = machine.machine if isinstance(machine.machine, Sessions) else None
        self._clock: LogClock | None = None

    def leads(self, leading: bool) -> None:
        """This node leads now, or does not: a leader lets the log's time go on, for sessions that expire by it."""
        self._clock = LogClock(self._sessions, anyio.current_time()) if leading and self._sessions is not None else None

    def apply_at_once(self, portions: list[Committed | Restore]) -> Applied | None:
        """Apply the first of these now, if nothing is before it; the others wait."""
        first = portions[0]
        if self._waiting or self._machine.restoring or isinstance(first, Restore):
            self._waiting.extend(portions)
            return None
        self._waiting.extend(portions[1:])
        return self._apply(first)

    def add(self, portions: Sequence[Committed | Restore]) -> None:
        """These wait behind all others."""
        self._waiting.extend(portions)

    def apply_waiting(self) -> list[Applied]:
        """Apply what waits, up to where the state machine must be restored first.

        Call it when the core is given what it was told: it must hear that a snapshot is restored before it hears of
        entries behind that (fault R72).
        """
        if self._restored:
            self._restored = self._machine.restoring = False
        applied = []
        while self._waiting and not self._machine.restoring:
            portion = self._waiting.popleft()
            if isinstance(portion, Restore):
                self._machine.restoring = True
                self._start(partial(self._restore, portion))
            else:
                applied.append(self._apply(portion))
        return applied

    def _apply(self, committed: Committed) -> Applied:
        applied = self._machine.apply(committed)
        entry = None if self._clock is None else self._clock.due(anyio.current_time())
        if entry is not None:
            self._propose(entry)
        return applied

    async def _restore(self, restore: Restore) -> None:
        applied = await run_in_daemon(self._machine.restore, restore, self._snapshots)
        self._restored = True
        self._tell(applied)
