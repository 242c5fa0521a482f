"""What a leader owes its followers in one step: entries, the commit index, and an answer to what they say.

Law: *a follower that lacks something is sent it whenever it is heard, and one that lacks nothing is left alone.*

The account of what was sent to whom is kept from the messages that left; `next` and `match` are what I12 watches too.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from rafty_core.configuration_invariants import is_quorum
from rafty_core.entries import COMMAND
from rafty_core.events import Event, Propose
from rafty_core.history import History, InvariantViolation
from rafty_core.messages import (
    AppendEntries,
    AppendEntriesResponse,
    Heartbeat,
    HeartbeatResponse,
    InstallSnapshot,
    Message,
)
from rafty_core.outcomes import Overloaded
from rafty_core.output import Output, ProposalAnswer
from rafty_core.progress import PROBE, REPLICATE, SNAPSHOT, Progress
from rafty_core.roles import Leader
from rafty_core.simulation.contracts.before import Before
from rafty_core.simulation.contracts.log import check_batch
from rafty_core.state import State


@dataclass(slots=True)
class Told:
    """What a follower was told and has said in this term: of the newest append, and of all acknowledgements."""

    progress: Progress
    prev: int = -1
    commit: int = 0
    acknowledged: int = 0


class LeaderContracts:
    """The contracts of a leader in one life of a node: call `before` around each step, `after` when it leads then."""

    def __init__(self, state: State) -> None:
        self.id = state.id
        self._events: Sequence[Event] = ()
        self._told: dict[str, Told] = {}
        self._role: Leader | None = None  # in which it leads, and what is told was told
        self._was: tuple[str, int, int] | None = None  # flow state, next and match of who sent the only message
        self._probed = -1  # and the newest append to it
        self._pending = False
        self._uncommitted: deque[tuple[int, int]] = deque()  # index and bytes of commands in this term

    def before(self, state: State, events: Sequence[Event]) -> None:
        """Note what the leader thinks of the follower that speaks."""
        self._events, self._was, role = events, None, state.role
        if isinstance(role, Leader) and len(events) == 1:
            event = events[0]
            progress = role.progress.get(getattr(event, "sender", ""))
            if progress is not None:
                self._was = (progress.state, progress.next, progress.match)
                told = self._told.get(getattr(event, "sender", ""))
                self._probed = told.prev if told is not None else -1
            self._pending = state.proposals.count >= state.config.max_pending_proposals

    def after(
        self, before: Before, state: State, leader: Leader, history: History, durable: int, output: Output
    ) -> None:
        """Check what the step of a node did that leads when it is over. Raises `InvariantViolation`."""
        if leader is not self._role:
            self._role, self._told, self._was = leader, {}, None
            self._uncommitted.clear()
        self._note_acknowledgements(state, leader)
        sent: dict[str, list[AppendEntries | InstallSnapshot]] = {}
        for message in output.messages:
            if isinstance(message, AppendEntries):
                self._check_append(state, leader, history, message)
                sent.setdefault(message.to, []).append(message)
            elif isinstance(message, InstallSnapshot):
                sent.setdefault(message.to, []).append(message)
                if message.to in self._told:
                    self._told[message.to].prev = -1  # no append before it is a probe any more
            elif isinstance(message, Heartbeat):
                self._check_heartbeat(state, leader, message)
        if leader is before.role and self._events and len(self._events) == 1:
            self._check_answer(before, state, leader, history, self._events[0], sent)
        self._check_streams(state, leader)
        self._check_commit(before, state, leader, history, durable)
        self._check_bound(before, state, history, durable, output)

    def _fail(self, number: str, text: str) -> None:
        raise InvariantViolation(number, f"{self.id} leads, and {text}")

    def _told_to(self, peer: str, progress: Progress) -> Told:
        told = self._told.get(peer)
        if told is None or told.progress is not progress:
            told = self._told[peer] = Told(progress)
        return told

    def _note_acknowledgements(self, state: State, leader: Leader) -> None:
        for event in self._events:
            if isinstance(event, AppendEntriesResponse) and event.success and event.term == state.term:
                progress = leader.progress.get(event.sender)
                if progress is not None:
                    told = self._told_to(event.sender, progress)
                    told.acknowledged = max(told.acknowledged, event.match_index)

    # ------------------------------------------------------------- what it sends

    def _check_append(self, state: State, leader: Leader, history: History, message: AppendEntries) -> None:
        """Figure 2: an append says what the leader's log holds, and what is committed."""
        prev, batch = message.prev_log_index, message.batch
        if prev > history.last or (prev >= history.base and history.term(prev) != message.prev_log_term):
            self._fail("I3", f"sends {message!r}, with {history.term(prev)} as the term of {prev}")
        if message.leader_commit != state.log.commit:
            self._fail("I25", f"sends {message!r}, with {state.log.commit} committed (F43)")
        if batch is not None:
            check_batch(self.id, batch, prev, history, state.config.max_batch_bytes)
        progress = leader.progress.get(message.to)
        if progress is not None:
            told = self._told_to(message.to, progress)
            told.prev, told.commit = prev, message.leader_commit

    def _check_heartbeat(self, state: State, leader: Leader, message: Heartbeat) -> None:
        """I11: a heartbeat commits what the follower has acknowledged in this term, all of it and nothing else."""
        progress = leader.progress.get(message.to)
        if progress is None:
            return
        known = min(self._told_to(message.to, progress).acknowledged, state.log.commit)
        if message.leader_commit > known or message.leader_commit < min(progress.match, state.log.commit):
            self._fail("I11", f"sends {message!r}; of {message.to} it knows that it holds {known} (F35, F43)")

    def _check_streams(self, state: State, leader: Leader) -> None:
        """Thesis 10.2.1: what a follower lacks is on its way as far as its window allows, and so is what is new of the
        commit index (F43, F44)."""
        last, base, commit = state.log.last_index, state.log.base_index, state.log.commit
        for peer, progress in leader.progress.items():
            if progress.state != REPLICATE or progress.inflights.full or progress.next <= base:
                continue
            if progress.next <= last:
                self._fail("I25", f"does not send {peer} entry {progress.next} (F44)")
            if self._told_to(peer, progress).commit != commit:
                self._fail("I25", f"does not tell {peer} that {commit} is committed (F43)")

    # -------------------------------------------------------- what it is told

    def _check_answer(
        self,
        before: Before,
        state: State,
        leader: Leader,
        history: History,
        message: Event,
        sent: dict[str, list[AppendEntries | InstallSnapshot]],
    ) -> None:
        if not isinstance(message, AppendEntriesResponse | HeartbeatResponse) or self._was is None:
            return
        progress = leader.progress.get(message.sender)
        if progress is None:
            return
        reply = sent.get(message.sender, [])
        if state.log.last_index > before.end[1]:
            return  # the next step of a change was taken as well, and is sent
        if message.term < state.term:
            self._check_unmoved(before, state, progress, message)
        elif isinstance(message, HeartbeatResponse):
            self._check_beaten(state, progress, message, reply)
        elif message.success:
            self._check_acknowledged(before, state, progress, message, reply)
        else:
            self._check_refusal(before, state, progress, history, message, reply)

    def _check_unmoved(self, before: Before, state: State, progress: Progress, message: Message) -> None:
        if state.log.last_index > before.end[1]:
            return  # the end of a round of catching up, say, has brought a new entry, and that is sent
        now = (progress.state, progress.next, progress.match)
        if now != self._was and progress.state != SNAPSHOT:
            self._fail("I12", f"goes from {self._was} to {now} by {message!r}, which is no news (F39, F41)")

    def _check_beaten(
        self, state: State, progress: Progress, message: Message, reply: list[AppendEntries | InstallSnapshot]
    ) -> None:
        """Who lacks something is sent it when it is heard; who lacks nothing is not (F43, F44, F45)."""
        lacks = progress.match < state.log.last_index
        if lacks and not reply:
            self._fail("I25", f"sends nothing after {message!r} to who holds {progress.match} (F44, F45)")
        if not lacks and progress.state == REPLICATE and reply:
            self._fail("I26", f"sends {reply!r} to who lacks nothing (F128)")
        empty = reply and all(isinstance(append, AppendEntries) and append.batch is None for append in reply)
        if empty and progress.state == PROBE and progress.next <= state.log.last_index:
            self._fail("I25", f"sends {reply!r}, without entry {progress.next} (F45)")

    def _check_acknowledged(
        self,
        before: Before,
        state: State,
        progress: Progress,
        message: AppendEntriesResponse,
        reply: list[AppendEntries | InstallSnapshot],
    ) -> None:
        """Figure 2: "If successful: update nextIndex and matchIndex for follower"; and then stream to it."""
        flow, next_index, match = self._was or ("", 0, 0)
        if flow != SNAPSHOT and next_index > state.log.base_index and progress.state == SNAPSHOT:
            self._fail("I26", f"offers a snapshot after {message!r}, and its log leads on from {next_index} (R5)")
        if flow == SNAPSHOT and message.match_index < state.log.base_index and (progress.state != SNAPSHOT or reply):
            self._fail("I26", f"goes on to {progress.state} after {message!r}, and its log does not lead there (R5)")
        if progress.match != max(match, message.match_index):
            self._fail("I12", f"knows {progress.match} of who had {match}, after {message!r} (F41)")
        if message.match_index == progress.match >= state.log.base_index and progress.state != REPLICATE:
            self._fail("I25", f"does not stream to who says {message!r}")
        done = flow == REPLICATE and match == progress.match == before.end[1] == state.log.last_index
        if done and before.commit == state.log.commit and reply:
            self._fail("I26", f"sends {reply!r} after {message!r}, and nothing is new (F128)")

    def _check_refusal(
        self,
        before: Before,
        state: State,
        progress: Progress,
        history: History,
        message: AppendEntriesResponse,
        reply: list[AppendEntries | InstallSnapshot],
    ) -> None:
        """Figure 2: "decrement nextIndex and retry"; 5.3: past all entries of terms that the follower cannot have. What
        is no answer to the newest probe, or speaks of what was acknowledged, moves nothing (F41)."""
        flow, _, match = self._was or ("", 0, 0)
        rejected, hint = message.match_index, message.hint_index
        if rejected <= match or flow == SNAPSHOT or (flow == PROBE and rejected != self._probed):
            self._check_unmoved(before, state, progress, message)
            return
        if progress.state == SNAPSHOT:
            return
        prev = progress.next - 1
        if prev < state.log.base_index:
            return  # a snapshot is what it needs, and that is offered when it is heard again
        if not reply or progress.state != PROBE or not match <= prev < rejected:
            self._fail("I25", f"tries {prev} next after {message!r}, by {reply!r} (F41, F42)")
        if flow != PROBE:
            return
        most = min(rejected - 1, hint)
        too_new = prev > match and message.hint_term > 0 and history.term(prev) > message.hint_term
        if prev > max(most, match) or too_new:
            self._fail("I25", f"tries {prev} of term {history.term(prev)} next after {message!r} (F42)")
        if match < prev < most and history.term(prev + 1) <= message.hint_term:
            self._fail("I25", f"goes back to {prev} after {message!r}, further than it must (F42)")

    # ----------------------------------------------------------- commit, bounds

    def _check_commit(self, before: Before, state: State, leader: Leader, history: History, durable: int) -> None:
        """Figure 2: what a quorum holds is committed, in the step in which the leader learns it."""
        commit = state.log.commit
        if commit == state.log.last_index or state.configuration is not before.configuration:
            return
        match = {peer: progress.match for peer, progress in leader.progress.items()}
        match[self.id] = durable
        for index in {index for index in match.values() if index > commit}:
            holding = [node for node, known in match.items() if known >= index]
            if history.term(index) == state.term and is_quorum(state.configuration, holding):
                self._fail("I25", f"leaves {index} uncommitted, which {holding} hold")

    def _check_bound(self, before: Before, state: State, history: History, durable: int, output: Output) -> None:
        """I24: what is not committed, or could not be applied here, is bounded; below that nothing is refused (F46)."""
        waiting = sum(weight for _, weight in self._uncommitted)
        bound = state.config.max_uncommitted_bytes
        if history.last > before.end[1]:
            new = state.log.slice(before.end[1] + 1, history.last)
            found = enumerate(map(len, new), before.end[1] + 1)
            added = [pair for pair, entry in zip(found, new, strict=True) if entry[:1] == COMMAND]
            total = waiting + sum(weight for _, weight in added)
            if added and waiting and len(self._events) == 1 and total > bound:
                self._fail("I24", f"holds {total} bytes that are not committed and durable, of {bound} (F118)")
            self._uncommitted.extend(added)
        elif (
            before.end[1] == min(before.commit, durable)
            and len(self._events) == 1
            and isinstance(self._events[0], Propose)
            and not self._pending
        ):
            for answer in output.answers:
                if isinstance(answer, ProposalAnswer) and isinstance(answer.error, Overloaded):
                    self._fail("I24", f"answers {answer!r}, and everything is committed (F46)")
        settled = min(state.log.commit, durable)
        while self._uncommitted and self._uncommitted[0][0] <= settled:
            self._uncommitted.popleft()
