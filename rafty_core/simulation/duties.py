"""What a driver does beyond the four rules: it lets the log's time go on, for sessions that expire by it.

Law: *what is a leader's duty is done by who leads, and by nobody else* (fault F104).
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rafty_core import LeaderChanged, Raft
from rafty_core.invariants import InvariantViolation, state_of
from rafty_core.output import Notice
from rafty_core.roles import Leader
from rafty_core.sessions import LogClock, Sessions, encode_clock

if TYPE_CHECKING:
    from rafty_core.simulation.node import SimulatedNode


class Duties:
    """What one node does because of its notices, in each of its lives anew."""

    def __init__(self, node: "SimulatedNode") -> None:
        self.node = node
        self._clock: LogClock | None = None

    def begin(self) -> None:
        """A life begins."""
        self._clock = None

    def noticed(self, raft: Raft, notices: Sequence[Notice]) -> None:
        """As a node does it: with each news of the leader log time has a new clock, or none."""
        application = self.node.application
        if application is None or not isinstance(application.machine, Sessions):
            return
        if any(isinstance(notice, LeaderChanged) for notice in notices):
            leads = isinstance(state_of(raft).role, Leader)
            self._clock = LogClock(application.machine, self.node.clock) if leads else None

    def applied(self) -> None:
        """Entries were applied: log time may go on."""
        node, application = self.node, self.node.application
        if self._clock is None or application is None or node.paused:
            return
        entry = self._clock.due(node.clock)
        if entry is None:
            return
        if entry <= encode_clock(application.machine.log_time):
            raise InvariantViolation("I18", f"{node.id} proposes a time of the log that was reached before: {entry!r}")
        node.cluster.callers.propose(node, entry)
