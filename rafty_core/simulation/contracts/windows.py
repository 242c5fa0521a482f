"""What a node remembers of the requests of others, so that a repeated one is not a repeated command (fault F139).

Law: *who never returns is forgotten, who may return is remembered, and a new life begins with a clean sheet.*

Told by who the members are: in the step in which another configuration turns out to be committed, what was asked in
lives that it has ended goes, and nothing else (R93, R101, R102).
"""

from collections.abc import Mapping, Sequence

from rafty_core.configuration import Configuration
from rafty_core.events import Event
from rafty_core.history import InvariantViolation
from rafty_core.messages import ForwardedProposal
from rafty_core.pending import Window
from rafty_core.simulation.contracts.before import Before
from rafty_core.state import State


class WindowContracts:
    """The contracts of one life of a node: call `after` after each step."""

    def __init__(self, state: State) -> None:
        self.id = state.id
        self._known: dict[str, tuple[Window, str]] = {}  # by sender: what is remembered, and in which life
        self._settled = state.settled_index

    def after(self, before: Before, state: State, events: Sequence[Event]) -> None:
        """Check what the step did. Raises `InvariantViolation`."""
        windows = state.proposals.windows
        settles, self._settled = state.settled_index != self._settled, state.settled_index
        if not settles and not any(isinstance(event, ForwardedProposal) for event in events):
            return
        settled = state.log.configurations.at(state.log.commit)[1]
        if len(events) == 1:
            self._check_new(before, state)
            self._check_kept(state, settled, windows, settles=settles)
        if settles:
            gone = [sender for sender in windows if _is_gone(sender, settled)]
            if gone:
                self._fail(f"remembers what {gone} asked, who are removed for ever (R93, R102)")
        self._known = {sender: (window, window.incarnation) for sender, window in windows.items()}

    def _fail(self, text: str) -> None:
        raise InvariantViolation("I24", f"{self.id} {text}")

    def _check_new(self, before: Before, state: State) -> None:
        """Of who is removed nothing new is noted (R102)."""
        for sender in state.proposals.windows:
            if sender not in self._known and _is_gone(sender, before.configuration):
                self._fail(f"notes what {sender} asks, who is removed for ever (R102)")

    def _check_kept(
        self, state: State, settled: Configuration, windows: Mapping[str, Window], *, settles: bool
    ) -> None:
        for sender, (window, incarnation) in self._known.items():
            member = settled.member(sender)
            another = settles and member is not None and member.incarnation != incarnation
            earlier = any(
                gone.id == sender and member is not None and gone.incarnation != member.incarnation
                for gone in settled.removed
            )
            ended = another and (incarnation != "" or earlier)
            if ended and windows.get(sender) is window:
                self._fail(f"takes what {sender} asked in the life {incarnation!r} for asked in {member} (R102)")
            if sender not in windows and not ended and not _is_gone(sender, settled):
                raise InvariantViolation("I18", f"{self.id} forgets what {sender} asked, who may return (R101)")


def _is_gone(name: str, settled: Configuration) -> bool:
    return all(member.id != name for member in settled.members) and any(gone.id == name for gone in settled.removed)
