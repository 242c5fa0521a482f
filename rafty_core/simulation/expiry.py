"""Whether sessions live as long as they were promised to.

Law: *a session that is used is not gone before its time, whoever leads* (faults F100, F143).

Log time goes on no faster than real time: a session may not expire earlier than `session_expiry` after its last use
began, on the fastest clock. A clock entry that was committed late, since another node than its own had to commit it,
says what was true when it was made: a use that came meanwhile may be dated back by as much.
"""

from struct import unpack_from
from typing import TYPE_CHECKING

from rafty_core.invariants import InvariantViolation
from rafty_core.sessions import CALL, CLOCK, OPEN, TOUCH, Sessions

if TYPE_CHECKING:
    from rafty_core.simulation.cluster import Cluster


class ExpiryWatch:
    """Follows the uses of sessions in the committed log."""

    def __init__(self, cluster: "Cluster") -> None:
        self.cluster = cluster
        self._sent: dict[bytes, float] = {}  # when an operation was first sent
        self._openings: list[float] = []  # when those were sent of which nobody knows what becomes of them
        self._used: dict[int, tuple[float, float]] = {}  # when the last use of a session began; how late clocks were

    def sent(self, operation: bytes) -> None:
        """This operation is on its way, perhaps not for the first time."""
        self._sent.setdefault(operation, self.cluster.world.time)

    def opening(self) -> float:
        """A session is to be opened; one opening is like another. Tell `opened` of this time when it is decided."""
        self._openings.append(self.cluster.world.time)
        return self.cluster.world.time

    def opened(self, time: float) -> None:
        """The opening that was sent then has opened a session, or never will."""
        self._openings.remove(time)

    def see(self, index: int, command: bytes, machine: object) -> None:
        """This command was just applied to the reference."""
        if not isinstance(machine, Sessions):
            return
        kind, now = command[:3], self.cluster.world.time
        known = machine._table.sessions
        if kind == OPEN and index in known:
            self._used[index] = (min(self._openings, default=now), 0.0)
        if kind in (CALL, TOUCH):
            (session,) = unpack_from(">Q", command, 3)
            if session in known:
                self._used[session] = (self._sent.get(command, 0.0), 0.0)
        elif kind == CLOCK:
            late = now - self._sent.get(command, 0.0)
            for session, (used, slack) in list(self._used.items()):
                if session in known:
                    self._used[session] = (used, max(slack, late))
                else:
                    del self._used[session]
                    self._check(session, now - used + max(slack, late))
        else:
            for session in [session for session in self._used if session not in known]:
                del self._used[session]

    def _check(self, session: int, longest: float) -> None:
        options = self.cluster.options
        if longest * (1 + options.clock_drift) < options.session_expiry:
            text = f"session {session} has expired {longest:.3f} s after its last use at most, and not after "
            raise InvariantViolation("I18", f"{text}{options.session_expiry} s")
