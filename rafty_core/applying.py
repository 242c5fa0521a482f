"""Which entries go to the state machine, and how far ahead of it.

Law: *an entry is handed out once, in order, when it is committed and durable here; and never more than a bound ahead.*

Paper, Figure 2: "If commitIndex > lastApplied: increment lastApplied, apply log[lastApplied] to state machine".
"""

from collections import deque

from rafty_core.log import Log
from rafty_core.output import Committed, Restore

MOST_ENTRIES = 16384
"""The most entries in one portion, however small: applying a portion must be short beside an election timeout."""


class Applying:
    """`applied` is what the state machine has confirmed, `handed_out` what it was given."""

    __slots__ = ("applied", "handed_out", "restore", "_outstanding", "_outstanding_bytes", "_most_bytes")

    def __init__(self, applied: int, most_bytes: int) -> None:
        self.applied = applied
        self.handed_out = applied
        self.restore: Restore | None = None  # comes before any further entry
        self._outstanding: deque[tuple[int, int]] = deque()
        self._outstanding_bytes = 0
        self._most_bytes = most_bytes

    def hand_out(self, log: Log, durable: int) -> Committed | Restore | None:
        """The next entries to apply, as many as the bound has room for, or the snapshot that stands in their place.

        None if there is nothing, or nothing that is durable: a snapshot that a crash could still take back must not be
        put into a state machine that keeps its own state (faults F81, F101).
        """
        if self.restore is not None:
            restore = self.restore
            if durable < restore.index:
                return None
            self.restore = None
            self.handed_out = restore.index
            return restore
        last = min(log.commit, durable, self.handed_out + MOST_ENTRIES)
        room = self._most_bytes - self._outstanding_bytes
        if self.handed_out >= last or room <= 0:
            return None
        first = self.handed_out + 1
        entries, weight = log.slice_of_bytes(first, last, room)
        self.handed_out += len(entries)
        self._outstanding.append((self.handed_out, weight))
        self._outstanding_bytes += weight
        return Committed(first, entries)

    def confirm(self, index: int) -> None:
        """The state machine has applied everything up to `index`."""
        self.applied = index
        while self._outstanding and self._outstanding[0][0] <= index:
            self._outstanding_bytes -= self._outstanding.popleft()[1]
