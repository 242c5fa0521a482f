"""What a leader owes to stay one, and what every node owes to its disk and its state machine.

Law: *who leads is heard by all, hears a quorum, and gets on*; what waits is bounded.
"""

from collections.abc import Mapping, Sequence

from rafty_core.configuration_invariants import is_quorum
from rafty_core.entries import NO_OP
from rafty_core.events import Applied, Event, Persisted
from rafty_core.history import InvariantViolation
from rafty_core.messages import AppendEntries, Heartbeat, HeartbeatResponse, InstallSnapshot, TimeoutNow
from rafty_core.output import Output, Restore
from rafty_core.roles import NEVER, Leader
from rafty_core.simulation.contracts.before import NEWS, SLACK, Before
from rafty_core.state import State

MOST_ROUNDS = 4
"""So many rounds may begin at once: as it is time, for reads, and once more for reads whose round is not answered."""

MOST_ENTRIES = 16384
"""So many entries are handed out at once, at most, however small they are."""

FROM_LEADER = (AppendEntries, Heartbeat, InstallSnapshot, TimeoutNow)


class OfficeContracts:
    """The contracts of one life of a node: call `after` after each step."""

    def __init__(self, node_id: str, now: float) -> None:
        self.id = node_id
        self._voters_since = now
        self._contacts: dict[str, float] = {}
        self._sent: dict[str, float] = {}
        self._alone_since, self._alone = now, False
        self._rounds: list[float] = []  # begun since any follower answered one
        self._writes: list[tuple[int, float]] = []
        self._handed_out: list[tuple[int, int]] = []

    def after(self, before: Before, state: State, events: Sequence[Event], output: Output) -> None:
        """Check what the step did. Raises `InvariantViolation`."""
        self._follow_disk(before, state, events, output)
        for event in events:
            if isinstance(event, NEWS) and event.term == state.term:
                self._contacts[event.sender] = before.now
                if isinstance(event, HeartbeatResponse):
                    self._rounds.clear()
        if isinstance(state.role, Leader):
            self._check_leader(before, state, output)
        else:
            self._rounds.clear()

    def _follow_disk(self, before: Before, state: State, events: Sequence[Event], output: Output) -> None:
        """I24: what is handed out to be applied is bounded (F125)."""
        for event in events:
            if isinstance(event, Persisted):
                self._writes = [write for write in self._writes if write[0] > event.seq]
            elif isinstance(event, Applied):
                self._handed_out = [portion for portion in self._handed_out if portion[0] > event.index]
        if output.write is not None:
            self._writes.append((output.write.seq, before.now))
        for portion in output.apply:
            if isinstance(portion, Restore):
                self._handed_out.clear()
            else:
                if len(portion.entries) > MOST_ENTRIES:
                    raise InvariantViolation("I24", f"{self.id} hands out {len(portion.entries)} entries at once (R8)")
                weight = sum(map(len, portion.entries[:-1]))
                outstanding = weight + sum(weight for _, weight in self._handed_out)
                most = state.config.max_apply_bytes
                if outstanding >= most:
                    raise InvariantViolation("I24", f"{self.id} hands out {outstanding} bytes to apply, of {most}")
                self._handed_out.append((portion.last, weight + len(portion.entries[-1])))

    def _check_leader(self, before: Before, state: State, output: Output) -> None:
        """It begins with a no-op (F48), beats, hears a quorum (F21), and its disk works (F118)."""
        now, timeout = before.now, state.config.election_timeout
        members = [member.id for member in state.configuration.members if member.id != self.id]
        if not isinstance(before.role, Leader) or before.term != state.term:
            self._voters_since = now
            self._contacts, self._sent = {}, dict.fromkeys(members, now)
            first = state.log.slice(before.end[1] + 1, before.end[1] + 1)
            if first != [NO_OP]:
                raise InvariantViolation("I16", f"{self.id} leads, and begins with {first!r} (F48)")
        if state.configuration is not before.configuration:
            self._voters_since = now
        self._check_beats(now, state, members, output)
        self._check_alone(now, state)
        alive = [self.id, *(peer for peer, time in self._contacts.items() if now < time + 2 * timeout + SLACK)]
        if now > self._voters_since + 2 * timeout + SLACK:
            text = f"leads on, and has heard only {alive} lately (F21)"
            if not is_quorum(state.configuration, alive):
                raise InvariantViolation("I25", f"{self.id} {text}")
        if self._writes and now > self._writes[0][1] + timeout + SLACK:
            raise InvariantViolation("I25", f"{self.id} leads on, though its disk stalls (F118)")

    def _check_alone(self, now: float, state: State) -> None:
        """Who has nobody to send a heartbeat to does not wait for the time to do so (R30)."""
        leader, was_alone = state.role, self._alone
        self._alone = isinstance(leader, Leader) and not leader.progress
        if not was_alone or not isinstance(leader, Leader) or not self._alone:
            self._alone_since = now
        elif now > self._alone_since + state.config.heartbeat_interval and leader.next_heartbeat < NEVER:
            raise InvariantViolation("I26", f"{self.id} leads nobody, and is to beat at {leader.next_heartbeat} (R30)")

    def _check_beats(self, now: float, state: State, members: Sequence[str], output: Output) -> None:
        """Every member hears of its leader in time, and not more often than there is a reason for (I25, I26)."""
        interval = state.config.heartbeat_interval
        beats: Mapping[str, int] = {}
        for message in output.messages:
            if isinstance(message, FROM_LEADER):
                self._sent[message.to] = now
            if isinstance(message, Heartbeat):
                beats = {**beats, message.to: beats.get(message.to, 0) + 1}
        if beats and not is_quorum(state.configuration, [self.id]):
            self._rounds = [time for time in self._rounds if time > now - 0.9 * interval]
            self._rounds += [now] * max(beats.values())
            text = f"begins {len(self._rounds)} rounds of heartbeats at once, none of them answered"
            if len(self._rounds) > MOST_ROUNDS:
                raise InvariantViolation("I26", f"{self.id} {text}")
        for peer in members:
            late = now - self._sent.setdefault(peer, now)
            if late > interval + SLACK:
                raise InvariantViolation("I25", f"{self.id} leads, and has sent {peer} nothing for {late:.3f} s")
