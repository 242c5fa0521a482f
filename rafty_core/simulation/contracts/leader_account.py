"""What a leader heard and said in its term, noted from outside.

Law: *what a node claims is compared with what was said to it, not with what it remembers.*
"""

from collections.abc import Sequence

from rafty_core.events import Event
from rafty_core.messages import (
    AppendEntriesResponse,
    Heartbeat,
    HeartbeatResponse,
)
from rafty_core.output import Output
from rafty_core.roles import Leader
from rafty_core.simulation.contracts.before import Before
from rafty_core.state import State

NEWS = (AppendEntriesResponse, HeartbeatResponse)
"""What a leader takes for contact; that a snapshot could not be fetched is none."""


class LeaderAccount:
    """What a leader heard and said since its term began; begun anew with each term that it leads."""

    def __init__(self) -> None:
        self.term = 0
        self.voters_since = 0.0
        """When the configuration was another one last, in seconds of the node's clock."""
        self.contacts: dict[str, float] = {}
        """When each member was heard last, or began to be one."""
        self.heard: dict[str, float] = {}
        """When each member was heard last, in truth."""
        self.answered: dict[str, int] = {}
        """The newest round of heartbeats that each member has answered."""
        self.matched: dict[str, int] = {}
        """Up to where each member has acknowledged the log."""
        self.round = 0
        """The newest round that was begun."""
        self.told = False
        """Whether anybody was told to campaign."""

    def follow(self, before: Before, state: State, events: Sequence[Event]) -> bool:
        """Note what was heard; False if the node did not lead this term before and after the step, or in its end."""
        leads = isinstance(state.role, Leader)
        led = isinstance(before.role, Leader) and before.term == state.term
        if not leads and not led:
            return False
        members = [member.id for member in state.configuration.members]
        if self.term != state.term:
            self.__init__()  # type: ignore[misc]
            self.term, self.voters_since = state.term, before.now
        elif state.configuration is not before.configuration:
            self.voters_since = before.now
            known = {member.id for member in before.configuration.members}
            for peer in members:
                if peer not in known:
                    for account in (self.contacts, self.heard, self.answered, self.matched):
                        account.pop(peer, None)
        for peer in members:
            self.contacts.setdefault(peer, before.now)
        for event in events:
            if isinstance(event, NEWS) and event.term == state.term:
                self._hear(event, before.now)
        return True

    def _hear(self, event: AppendEntriesResponse | HeartbeatResponse, now: float) -> None:
        self.contacts[event.sender] = self.heard[event.sender] = now
        if isinstance(event, HeartbeatResponse):
            self.answered[event.sender] = max(self.answered.get(event.sender, 0), event.round)
        elif event.success:
            self.matched[event.sender] = max(self.matched.get(event.sender, 0), event.match_index)

    def say(self, output: Output) -> None:
        """Note what leaves."""
        for message in output.messages:
            if isinstance(message, Heartbeat):
                self.round = max(self.round, message.round)
