"""What one step of one node owes in the matter of terms, votes, elections, and what a leader owes to stay one.

Law: *the rule is told by the paper, and kept account of anew*: what was heard, what was sent, who has answered.

Contracts on a single question are checked where a step was told one thing only.
"""

from collections.abc import Sequence

from rafty_core.configuration_invariants import is_quorum
from rafty_core.events import Event, SnapshotReceived
from rafty_core.history import InvariantViolation
from rafty_core.invariants import state_of
from rafty_core.messages import (
    MESSAGE_TYPES,
    AppendEntries,
    AppendEntriesResponse,
    ForwardedProposal,
    ForwardedProposalResponse,
    Heartbeat,
    HeartbeatResponse,
    InstallSnapshot,
    InstallSnapshotResponse,
    Message,
    PreVote,
    PreVoteResponse,
    ReadIndexRequest,
    ReadIndexResponse,
    RequestVote,
    TimeoutNow,
)
from rafty_core.output import LeaderChanged, Output, RoleChanged
from rafty_core.raft import Raft
from rafty_core.roles import Candidate, Follower, Leader, PreCandidate, Standing
from rafty_core.simulation.contracts.before import NEWS, SLACK, Before, CountedRandom
from rafty_core.simulation.contracts.office import FROM_LEADER
from rafty_core.state import State

ASKS = (RequestVote, AppendEntries, Heartbeat, InstallSnapshot, PreVote)
OUTLIVE_TERMS = (PreVoteResponse, ForwardedProposal, ForwardedProposalResponse, ReadIndexRequest, ReadIndexResponse)


def _demand(number: str, holds: bool, node: str, text: str) -> None:
    if not holds:
        raise InvariantViolation(number, f"{node} {text}")


class ElectionContracts:
    """The contracts of one life of a node: call `before` and `after` around each step."""

    def __init__(self, raft: Raft, chance: CountedRandom, now: float, term: int) -> None:
        state = state_of(raft)
        self._random, self._draws = chance, chance.draws
        self._pre_votes: set[str] = set()
        self.id = state.id
        self._silent_until = now + self._silence(state) - 1e-6 if term > 0 else now  # F137
        self._heard = -1e9  # when this node obeyed a leader last
        self._perhaps_heard = -1e9  # when it may have, in the midst of a step
        self._role, self._term, self._leader = "follower", term, state.role.leader  # as the notices say
        self._longest_silence = self._silence(state)
        self.last: Before | None = None
        """What this node was before its last step."""
        self._events: Sequence[Event] = ()

    @staticmethod
    def _silence(state: State) -> float:
        lease = state.configuration.lease
        return max(state.config.election_timeout, lease.seconds if lease is not None else 0.0)

    def before(self, raft: Raft, now: float, events: Sequence[Event]) -> None:
        """Note what this node is before it is told these events."""
        state = state_of(raft)
        role = state.role
        deadline = role.deadline if not isinstance(role, Leader) else 0.0
        end = (state.log.term(state.log.last_index), state.log.last_index)
        log = state.log
        facts = (role.leader, deadline, state.term, state.vote, end, log.configurations.newest)
        more = (log.configurations.index, log.commit, state.violations)
        told_of = self._told_of(state, events[0]) if len(events) == 1 and isinstance(events[0], NEWS) else None
        votes = len(role.votes) if isinstance(role, Standing) else 0
        self.last, self._events = Before(now, role, *facts, *more, votes, told_of), events

    def after(self, raft: Raft, output: Output) -> None:
        """Check what the step did. Raises `InvariantViolation`."""
        before, state, events = self.last, state_of(raft), self._events
        if before is None:
            return
        self._longest_silence = max(self._longest_silence, self._silence(state))
        self._check_term(before, state)
        self._check_notices(state, output)
        if state.violations != before.violations:
            raise InvariantViolation("I27", f"{self.id} refuses {output.notices} {self._events}")
        self._check_attempt(before, state)
        self._check_log(before, state)
        if len(events) > 1:
            self._check_order(before, output)
        if len(events) == 1 and isinstance(events[0], MESSAGE_TYPES):
            message = events[0]
            self._check_question(before, state, message, output)
            self._check_timer(before, state, message)
        self._note_heard(before, state)
        self._check_standing(before, state)

    # --------------------------------------------------- every node, any step

    def _check_attempt(self, before: Before, state: State) -> None:
        """Thesis 9.6: a term is begun only with the pre-votes of a quorum, asked for in this attempt, or at the wish of
        its leader (F18, F22). Each attempt draws its own time (F14). A leader attempts nothing (F20)."""
        role = state.role
        asked_to = any(isinstance(event, TimeoutNow) for event in self._events)
        granted = {
            event.sender
            for event in self._events
            if isinstance(event, PreVoteResponse) and event.vote_granted and event.requested_term == before.term + 1
        }
        self._pre_votes |= granted
        begins = state.vote == self.id and state.term > before.term and not asked_to
        if begins and not is_quorum(state.configuration, [self.id, *self._pre_votes]):
            text = f"begins term {state.term} with pre-votes of {sorted(self._pre_votes)}"
            raise InvariantViolation("I15", f"{self.id} {text} (F18)")
        if isinstance(role, PreCandidate | Candidate) and role is not before.role:
            self._pre_votes = granted  # perhaps to the question that was asked in the midst of this step
            _demand(
                "I25", self._random.draws > self._draws, self.id, "attempts an election at no time of its own (F14)"
            )
            bound = state.configuration.lease is not None and before.now < self._heard + self._silence(state)
            _demand("I22", not bound or role.name == "candidate", self.id, "stands for election, and is bound (R31)")
            led = isinstance(before.role, Leader) and state.term == before.term
            if led:
                raise InvariantViolation("I15", f"{self.id} leads term {state.term}, and stands for election (F20)")
        self._draws = self._random.draws

    def _check_term(self, before: Before, state: State) -> None:
        """I28: a term comes from a message, or is one more than what was known, for an election of one's own."""
        if state.term == before.term:
            return
        terms: list[int] = [event.term for event in self._events if isinstance(event, MESSAGE_TYPES)]
        known = max([before.term, *terms])
        if state.term > known + 1:
            raise InvariantViolation("I28", f"{self.id} is in term {state.term}, and has heard of {known} at most")
        own = state.vote == self.id
        if state.term > known and not own:
            raise InvariantViolation("I28", f"{self.id} goes on to term {state.term} without an election")

    def _check_log(self, before: Before, state: State) -> None:
        """Only a leader of this term takes entries from a log, or one that is to lead again (F50)."""
        term, index = before.end
        log = state.log
        if log.last_index >= index and (index <= log.base_index or log.term(index) == term):
            return
        led = any(isinstance(event, AppendEntries | InstallSnapshot | SnapshotReceived) for event in self._events)
        if not led:
            raise InvariantViolation(
                "I2", f"{self.id} loses the end {before.end} of its log, and no leader has said so"
            )

    def _check_order(self, before: Before, output: Output) -> None:
        """What came first was done first: whoever wrote after a later term was known is answered in that (F23)."""
        known, first = before.term, dict[str, int]()
        for event in self._events:
            if isinstance(event, Heartbeat):
                first.setdefault(event.sender, known)
            if isinstance(event, MESSAGE_TYPES) and not isinstance(event, PreVote | RequestVote):
                known = max(known, event.term)
        for message in output.messages:
            if isinstance(message, HeartbeatResponse) and message.to in first:
                late = message.term >= first[message.to]
                if not late:
                    raise InvariantViolation(
                        "I6", f"{self.id} answers {message.to} in term {message.term}, after a later one (F23)"
                    )

    def _check_notices(self, state: State, output: Output) -> None:
        """The application is told of each change of role and leader, and the last notice is how it is (F104, F105)."""
        for notice in output.notices:
            if isinstance(notice, RoleChanged):
                self._role, self._term = notice.role, notice.term
            elif isinstance(notice, LeaderChanged):
                self._leader = notice.leader
        told, true = (self._role, self._term, self._leader), (state.role.name, state.term, state.role.leader)
        if (told != true and told[1:] != (true[1], true[2])) or told[0] != true[0]:
            raise InvariantViolation("I18", f"{self.id} tells the application that it is {told}, and is {true}")

    def _note_heard(self, before: Before, state: State) -> None:
        for event in self._events:
            if isinstance(event, FROM_LEADER[:3]) and event.term >= before.term:
                self._perhaps_heard = before.now + 1e-6
                if (event.term, event.sender) == (state.term, state.role.leader):
                    self._heard = before.now - 1e-6

    # ------------------------------------------------- one question, one answer

    def _check_question(self, before: Before, state: State, message: Message, output: Output) -> None:
        term, sender = message.term, message.sender
        if isinstance(message, PreVoteResponse) and message.requested_term != before.term + 1:
            same = state.role is not before.role or before.votes == len(getattr(state.role, "votes", ()))
            if not same:
                raise InvariantViolation("I1", f"{self.id} counts {message!r}, which answers another question (F18)")
        elif isinstance(message, PreVoteResponse) and isinstance(state.role, PreCandidate):
            counted = state.role is not before.role or sender in state.role.votes
            _demand("I25", counted, self.id, f"does not count {message!r}, which answers its question (R2)")
        if term < before.term:
            self._check_stale(before, state, message)
            told = [m for m in output.messages if m.to == sender and m.term >= before.term]
            asked = isinstance(message, ASKS)
            if asked and not told:
                raise InvariantViolation("I25", f"{self.id} does not tell {sender} of term {before.term} (F17)")
            _demand("I12", not any(map(_says_more, told)), self.id, f"tells {sender} more than its term: {told} (R150)")
        elif term > before.term and not isinstance(message, PreVote | RequestVote) and not (state.term >= term):
            raise InvariantViolation("I25", f"{self.id} ignores term {term} of {message!r} (F24)")
        if isinstance(message, PreVote):
            self._check_pre_vote(before, state, message, output)
        elif isinstance(message, RequestVote):
            self._check_request_vote(before, state, message)
        elif state.vote not in (before.vote, None, self.id):
            raise InvariantViolation("I8", f"{self.id} votes for {state.vote}, who did not ask")

    def _is_free(self, before: Before, state: State, heard: float) -> bool:
        """Whether it hears no leader, and no vote of an earlier life can bind it."""
        return before.now >= max(self._silent_until, heard + self._silence(state))

    def _check_stale(self, before: Before, state: State, message: Message) -> None:
        """Paper 5.1: what comes too late changes nothing (F9, F27, F39), but what outlives terms by its own number."""
        if isinstance(message, NEWS) and before.told_of is not None:
            now = self._told_of(state, message)
            if now not in (before.told_of, None):
                raise InvariantViolation("I12", f"{self.id} learns {now} of {message!r}, a term ago (F39)")
        if not isinstance(message, OUTLIVE_TERMS) and before.now < before.deadline:
            same = (state.role, state.term, state.vote) == (before.role, before.term, before.vote)
            if not same:
                raise InvariantViolation(
                    "I27", f"{self.id} is changed by {message!r}, which is of an earlier term (F27)"
                )

    @staticmethod
    def _told_of(state: State, message: Message) -> tuple[int, int, int] | None:
        progress = state.role.progress.get(message.sender) if isinstance(state.role, Leader) else None
        return (progress.match, progress.next, progress.round) if progress is not None else None

    def _check_pre_vote(self, before: Before, state: State, message: PreVote, output: Output) -> None:
        """Thesis 9.6, faults F15, F19, F22, F141."""
        answers = [m for m in output.messages if isinstance(m, PreVoteResponse) and m.to == message.sender]
        if len(answers) != 1:
            raise InvariantViolation("I25", f"{self.id} does not answer {message!r}")
        if answers[0].requested_term != message.term:
            raise InvariantViolation("I25", f"{self.id} answers {message!r} for another term")
        if before.now < before.deadline and not isinstance(before.role, Leader):
            same = (state.term, state.vote, state.role) == (before.term, before.vote, before.role)
            if not same:
                raise InvariantViolation("I15", f"{self.id} is changed by {message!r} (F15)")
        unbound = message.term > before.term or before.vote == message.sender
        unbound = unbound or (before.vote is None and before.leader is None)
        right = unbound and (message.last_log_term, message.last_log_index) >= before.end
        right = right and message.term >= before.term
        if answers[0].vote_granted:
            if not right or not self._is_free(before, state, self._heard):
                raise InvariantViolation("I15", f"{self.id} grants {message!r}")
        elif right and not isinstance(before.role, Leader):
            _demand(
                "I25",
                not self._is_free(before, state, self._perhaps_heard),
                self.id,
                f"refuses {message!r}, without a reason",
            )

    def _check_request_vote(self, before: Before, state: State, message: RequestVote) -> None:
        """Paper 5.4.1, thesis 4.2.3, faults F5, F7, F13, F100 of the lease, F137, F141."""
        known = message.term == before.term
        unbound = message.term > before.term or (known and before.vote in (None, message.sender))
        right = unbound and (message.last_log_term, message.last_log_index) >= before.end
        new = (state.term, state.vote) == (message.term, message.sender) != (before.term, before.vote)
        free = self._is_free(before, state, self._heard)
        led = before.now < min(self._heard + self._silence(state), before.deadline)
        if led and not message.transfer and state.term != before.term:
            raise InvariantViolation("I15", f"{self.id} leaves its leader for {message!r} (F22)")
        if new:
            if not right:
                raise InvariantViolation(
                    "I4", f"{self.id} votes for {message!r}, with a log that ends with {before.end}"
                )
            if not free and not message.transfer:
                raise InvariantViolation("I22", f"{self.id} votes for {message!r} while it is bound to a leader")
            if before.now < self._silent_until:
                raise InvariantViolation("I22", f"{self.id} votes for {message!r} too early (F137)")
        elif right and not isinstance(before.role, Leader) and not (known and before.leader is not None):
            voted = state.vote == message.sender and state.term == message.term
            may = self._is_free(before, state, self._perhaps_heard) or (
                message.transfer and before.now >= self._silent_until + 2e-6
            )
            if may and not voted:
                raise InvariantViolation("I25", f"{self.id} does not vote for {message!r}, without a reason")

    def _check_timer(self, before: Before, state: State, message: Message) -> None:
        """Thesis 3.4: who hears no leader and gives no vote waits no longer than before (F13)."""
        role = state.role
        if not isinstance(role, Follower) or role is not before.role or state.configuration is not before.configuration:
            return
        if role.deadline <= before.deadline or before.now >= before.deadline:
            return
        led = isinstance(message, FROM_LEADER) and message.sender == role.leader
        voted = isinstance(message, RequestVote) and state.vote == message.sender
        if not led and not voted:
            raise InvariantViolation("I25", f"{self.id} waits longer for a leader because of {message!r}")

    # -------------------------------------------------------- by role, each step

    def _check_standing(self, before: Before, state: State) -> None:
        """Who may lead stands for election in time, as long as it hears nobody; and counts its own vote (F12)."""
        role = state.role
        if isinstance(role, Leader):
            return
        if not self._may_stand(state):
            idle = isinstance(role, Follower) and role.deadline == float("inf")
            text = f"is to stand for election as a {type(role).__name__}, and votes in none of its lives (R52)"
            _demand("I14", idle, self.id, text)
            return
        longest = 2 * self._longest_silence + SLACK
        if role.deadline - before.now > longest:
            raise InvariantViolation("I25", f"{self.id} waits for {role.deadline - before.now} s")
        if not isinstance(role, Follower) and (role.name == "pre_candidate" or role.asked):
            _demand("I25", role.votes.get(self.id) is True, self.id, "does not vote for itself (F12)")

    def _may_stand(self, state: State) -> bool:
        """A voter of the newest configuration, or of one from the newest committed one on (thesis 4.2.2)."""
        configurations, own = state.log.configurations, state.config.incarnation
        known = [configurations.newest]
        if configurations.index > state.log.commit:
            known += configurations.since(state.log.commit)
        voters = [voter for one in known for voter in (*one.voters, *one.outgoing)]
        return any(voter.id == self.id and own in ("", voter.incarnation) for voter in voters)


def _says_more(message: Message) -> bool:
    """Whether this word to a sender of an earlier term has a number in it that is of that term."""
    if isinstance(message, AppendEntriesResponse):
        return not message.success and message.match_index > 0
    if isinstance(message, InstallSnapshotResponse):
        return message.last_included_index > 0
    return isinstance(message, HeartbeatResponse) and message.round > 0
