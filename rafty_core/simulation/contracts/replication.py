"""What one step owes to the log: what is taken over, kept, written, acknowledged and refused, seen from outside.

Law: *after a message of its leader a log holds what the message proves, and has lost nothing that agrees with it.*

Told by the paper (Figure 2, 5.3) and by the checks' own histories, which compute no rule: what is in a log is known
from comparing it with itself after each step. What a leader owes its followers is in `leading.py`.
"""

from collections.abc import Sequence

from rafty_core.events import Campaign, Event, SnapshotReceived
from rafty_core.history import History, InvariantViolation
from rafty_core.invariants import ClusterInvariants, state_of
from rafty_core.messages import (
    MESSAGE_TYPES,
    AppendEntries,
    AppendEntriesResponse,
    Heartbeat,
    HeartbeatResponse,
    InstallSnapshot,
)
from rafty_core.output import Output
from rafty_core.raft import Raft
from rafty_core.roles import Follower, Leader
from rafty_core.simulation.contracts.before import Before
from rafty_core.simulation.contracts.leading import LeaderContracts
from rafty_core.simulation.contracts.log import DiskContracts, LogBefore
from rafty_core.state import State


class ReplicationContracts:
    """The contracts on the log in one life of a node: call `before` and `after` around each step."""

    def __init__(self, raft: Raft, invariants: ClusterInvariants) -> None:
        state = state_of(raft)
        self.id = state.id
        self.invariants = invariants
        self._log = LogBefore.of(invariants.history(self.id))
        self._events: Sequence[Event] = ()
        self._disk = DiskContracts(state, self._log.last)
        self._leading = LeaderContracts(state)
        self._proven_by: tuple[int, str | None] = (0, None)  # term and leader
        self._proven = 0  # what it may have proven
        self._owed = False  # whether it is to hear so
        self._sure = True  # whether that is all known exactly

    def before(self, raft: Raft, events: Sequence[Event]) -> None:
        """Note what the log is before the node is told these events."""
        self._log, self._events = LogBefore.of(self.invariants.history(self.id)), events
        self._leading.before(state_of(raft), events)

    def after(self, before: Before, raft: Raft, output: Output) -> None:
        """Check what the step did. Raises `InvariantViolation`."""
        state, history = state_of(raft), self.invariants.history(self.id)
        self._disk.after(self._log, before, state, history, self._events, output.write)
        role = state.role
        if isinstance(role, Leader):
            self._leading.after(before, state, role, history, self._disk.durable, output)
            return
        if (state.term, role.leader) != self._proven_by:
            self._proven_by = (state.term, role.leader)
            self._proven, self._owed, self._sure = 0, False, True
        if len(self._events) == 1:
            event = self._events[0]
            if isinstance(event, MESSAGE_TYPES) and event.term == state.term:
                self._check_message(before, state, history, output)
        if role.leader is not None:
            self._note_proofs(before, state)
            self._check_acknowledgements(state, output)

    def _fail(self, number: str, text: str) -> None:
        raise InvariantViolation(number, f"{self.id} {text}")

    # ------------------------------------------------------- told by its leader

    def _check_message(self, before: Before, state: State, history: History, output: Output) -> None:
        message = self._events[0]
        if isinstance(message, AppendEntries):
            prev, was = message.prev_log_index, self._log
            if prev <= before.commit or (prev <= was.last and was.term(prev) == message.prev_log_term):
                self._check_taken(before, state, history, message, output)
            else:
                self._check_refused(before, state, history, message, output)
        elif isinstance(message, Heartbeat):
            if state.log.commit != max(before.commit, message.leader_commit):
                self._fail("I11", f"commits {state.log.commit} after {before.commit}, told of {message!r}")
            answers = [a for a in output.messages if isinstance(a, HeartbeatResponse) and a.to == message.sender]
            if [(answer.term, answer.round) for answer in answers] != [(state.term, message.round)]:
                self._fail("I25", f"answers {message!r} by {answers!r}")

    def _check_taken(
        self, before: Before, state: State, history: History, message: AppendEntries, output: Output
    ) -> None:
        """Figure 2, steps 3 to 5: nothing that agrees goes, all that is new comes, what is proven may be committed."""
        was, batch, prev = self._log, message.batch, message.prev_log_index
        if any(_refuses(answer, message.sender) for answer in output.messages):
            self._fail("I25", f"refuses {message!r}, though it holds entry {prev} (F33)")
        proven = prev if batch is None else batch.last
        last = was.last
        if batch is not None and (batch.last > was.last or was.conflict(batch, before.commit)):
            last = batch.last
        if history.last != last:
            self._fail("I3", f"ends with {history.last} after {message!r}, and with {was.last} before (F31, F32)")
        if batch is not None and batch.last > before.commit:
            ends = (max(batch.first, before.commit + 1), batch.last)
            if any(history.term(end) != batch.term for end in ends if end > history.base):
                self._fail("I3", f"does not take over {message!r}")
        if state.log.commit != max(before.commit, min(message.leader_commit, proven)):
            self._fail("I11", f"commits {state.log.commit} after {before.commit}, told of {message!r} (F34)")

    def _check_refused(
        self, before: Before, state: State, history: History, message: AppendEntries, output: Output
    ) -> None:
        """Figure 2, step 2, and 5.3: a refusal names the last entry that may still agree, and nothing has changed."""
        was, prev = self._log, message.prev_log_index
        if history.terms is not was.terms or history.last != was.last or state.log.commit != before.commit:
            self._fail("I3", f"is changed by {message!r}, though it does not hold entry {prev} (F33)")
        answers = [
            answer for answer in output.messages if isinstance(answer, AppendEntriesResponse) and not answer.success
        ]
        if [(answer.to, answer.match_index) for answer in answers] != [(message.sender, prev)]:
            self._fail("I25", f"answers {message!r} by {answers!r}, and does not hold entry {prev} (F33)")
        hint, term, most = answers[0].hint_index, answers[0].hint_term, min(prev, was.last)
        right = hint <= most and (hint <= state.log.base_index or term == was.term(hint) <= message.prev_log_term)
        if not right or (hint < most and was.term(hint + 1) <= message.prev_log_term):
            text = (
                f"says that ({hint}, {term}) may agree with ({prev}, {message.prev_log_term}), and ends at {was.last}"
            )
            self._fail("I25", f"{text} (F42)")

    # ---------------------------------------------------------- acknowledgements

    def _note_proofs(self, before: Before, state: State) -> None:
        """What this term's leader has proven, as far as this node was told."""
        single = len(self._events) == 1
        for event in self._events:
            if isinstance(event, AppendEntries | InstallSnapshot):
                if event.term != state.term:
                    continue
                owed, proven = self._proof_in(before, event)
                self._owed |= owed
                self._proven = max(self._proven, proven)
                self._sure &= single
            elif isinstance(event, Campaign) and not single:
                self._sure = False  # it may have left its leader and come back in the midst of a step
            elif isinstance(event, SnapshotReceived):
                self._proven, self._sure = max(self._proven, event.index), False

    def _proof_in(self, before: Before, message: AppendEntries | InstallSnapshot) -> tuple[bool, int]:
        """Whether this is to be acknowledged, and up to where at most, if the log was as it was before the step."""
        was = self._log
        if isinstance(message, InstallSnapshot):
            index = message.last_included_index
            held = index <= before.commit or was.term(index) == message.last_included_term
            return held, index if held or len(self._events) > 1 else 0
        prev, batch = message.prev_log_index, message.batch
        held = prev <= before.commit or (prev <= was.last and was.term(prev) == message.prev_log_term)
        proven = prev if batch is None else batch.last
        return held, proven if held or len(self._events) > 1 else 0

    def _check_acknowledgements(self, state: State, output: Output) -> None:
        """I9: what is proven and durable is acknowledged, all of it, in time, and nothing else (F36, F37)."""
        disk, role = self._disk, state.role
        newest = -1
        for message in output.messages:
            if isinstance(message, AppendEntriesResponse) and message.success:
                newest = message.match_index
                if newest > min(self._proven, disk.durable) or disk.term != state.term or message.to != role.leader:
                    text = f"sends {message!r}; {self._proven} is proven, ({disk.durable}, {disk.term}) durable"
                    self._fail("I9", f"{text} (F36, F37)")
        if not self._owed or not isinstance(role, Follower) or disk.term != state.term or disk.durable < self._proven:
            return
        if self._sure and newest != self._proven:
            self._fail("I25", f"owes an acknowledgement of {self._proven}, which is durable, and says {newest}")
        self._owed = False


def _refuses(answer: object, to: str) -> bool:
    return isinstance(answer, AppendEntriesResponse) and not answer.success and answer.to == to
