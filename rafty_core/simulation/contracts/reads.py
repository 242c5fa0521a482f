"""What a node owes to those who read: who is answered when, and on what ground.

Law: *a read is confirmed on a round that began after it came, or on promises that still bind; it is never lost.*

An account of its own of the reads that are open at a node, of the rounds of heartbeats that it began in its term, and
of who answered which (thesis 6.4). Where a step breaks a rule, it shows there, whether or not the read comes out stale.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rafty_core.configuration_invariants import is_quorum
from rafty_core.events import Applied, Event, Read
from rafty_core.invariants import InvariantViolation, state_of
from rafty_core.messages import (
    AppendEntriesResponse,
    Heartbeat,
    HeartbeatResponse,
    ReadIndexRequest,
    ReadIndexResponse,
    TimeoutNow,
)
from rafty_core.outcomes import Overloaded
from rafty_core.output import Output, ReadAnswer
from rafty_core.raft import Raft
from rafty_core.reads import lease_holds
from rafty_core.roles import Leader
from rafty_core.simulation.contracts.before import SLACK, Before
from rafty_core.state import State


@dataclass(slots=True)
class OpenRead:
    """A read of this node, or the question of another, that has no answer yet."""

    lease: bool
    came: float
    commit: int
    """What was committed here when it came."""
    round: int
    """The last round of heartbeats that had begun before it came to this leader; those of another term do not count."""
    wanted: int = -1
    """From which index on it may be served; -1: nobody has confirmed it yet."""
    confirmed: float = 0.0


@dataclass(frozen=True, slots=True)
class Question:
    """What this node has asked a leader: nothing else answers it."""

    leader: str
    sequence: int
    asked: float
    reads: int
    """How many reads had come before it was asked."""


class ReadContracts:
    """The contracts on reads of one life of a node: call `after` after each step."""

    def __init__(self, raft: Raft) -> None:
        state = state_of(raft)
        self.id, self._boot = state.id, state.config.boot
        self._open: dict[Any, OpenRead] = {}
        self._asked_here: dict[tuple[str, int, int], list[OpenRead]] = {}  # a network may repeat a question
        self._most = 0  # reads that may have waited at some moment of this step
        self._question: Question | None = None
        self._sequence = self._seen = self._applied = 0
        self._numbers: dict[Any, int] = {}  # of the open reads, in the order in which they came
        self._forget_term(state)
        self._stepped = state.now

    def _forget_term(self, state: State) -> None:
        self._term, self._round, self._since = state.term, 0, state.now
        self._rounds: list[tuple[int, float, bool]] = []  # number, time, whether an entry of the term was committed
        self._answered: dict[str, int] = {}
        self._acknowledged: dict[str, int] = {}
        self._handed_over = False
        self._asked_here.clear()
        for read in self._open.values():
            read.round = 0

    # ------------------------------------------------------------- after a step

    def after(self, raft: Raft, before: Before, events: Sequence[Event], output: Output) -> None:
        """Check what the step did. Raises `InvariantViolation`."""
        state = state_of(raft)
        self._most = self._count() + sum(isinstance(event, Read | ReadIndexRequest) for event in events)
        leads = isinstance(state.role, Leader)
        leaves = isinstance(before.role, Leader) and state.term == self._term and not leads  # it may confirm first
        if state.term != self._term or not isinstance(before.role, Leader):
            self._forget_term(state)
        if before.now > self._stepped + state.config.heartbeat_interval + SLACK:
            self._since = before.now  # it was stopped for a while, and begins rounds again from here on
        self._stepped = before.now
        replies = self._take(before, state, events)
        if isinstance(state.role, Leader):
            self._note_rounds(state, state.role, output)
            self._check_times(state, state.role, events)
        for message in output.messages:
            if isinstance(message, ReadIndexResponse):
                self._check_response(before, state, message)
        if self._open:
            self._check_confirmed(before, state, replies)
        for answer in output.answers:
            if isinstance(answer, ReadAnswer):
                self._check_answer(before, state, answer, replies)
        self._note_question(before, state, replies, output)
        if leaves:
            self._forget_term(state)
        self._check_none_lost(before, state)
        self._check_deadline(raft.deadline, state)
        if isinstance(state.role, Leader) and state.configuration.lease is not None:
            self._check_lease(before, state, state.role)
        self._handed_over = self._handed_over or any(isinstance(message, TimeoutNow) for message in output.messages)

    def _count(self) -> int:
        return len(self._open) + sum(map(len, self._asked_here.values()))

    def _fail(self, number: str, text: str) -> None:
        raise InvariantViolation(number, f"{self.id} {text}")

    def _take(self, before: Before, state: State, events: Sequence[Event]) -> list[ReadIndexResponse]:
        """Note what came; returns the replies to what this node asked in this life, and has no answer to."""
        replies, question = [], self._question
        for event in events:
            if isinstance(event, Read):
                self._numbers[event.token] = self._seen = self._seen + 1
                wanted = event.index if event.mode == "at_least" else -1
                self._open[event.token] = OpenRead(
                    event.mode == "lease", before.now, before.commit, self._round, wanted, before.now
                )
            elif isinstance(event, ReadIndexRequest):
                if event.term <= state.term:
                    key = (event.sender, event.boot, event.sequence)
                    read = OpenRead(event.lease, before.now, before.commit, self._round)
                    copies = self._asked_here.setdefault(key, [])
                    copies.append(copies[0] if copies else read)
            elif isinstance(event, Applied):
                self._applied = event.index
            elif isinstance(event, ReadIndexResponse):
                named = (event.sender, event.boot, event.sequence)
                if question is not None and named == (question.leader, self._boot, question.sequence):
                    replies.append(event)
            elif isinstance(event, HeartbeatResponse):
                if event.term == state.term:
                    self._answered[event.sender] = max(event.round, self._answered.get(event.sender, 0))
            elif isinstance(event, AppendEntriesResponse) and event.term == state.term and event.success:
                self._acknowledged[event.sender] = max(event.match_index, self._acknowledged.get(event.sender, 0))
        return replies

    def _note_rounds(self, state: State, leader: Leader, output: Output) -> None:
        for message in output.messages:
            if isinstance(message, Heartbeat) and message.round > self._round:
                for round, _, reads in leader.reads_begun:
                    if round == message.round and reads[0].expires <= state.now:
                        self._fail("I24", f"begins round {round} for a read that nobody waits for any more (R178)")
                self._round = message.round
                committed = state.log.term(state.log.commit) == state.term
                self._rounds.append((message.round, state.now, committed))

    def _check_times(self, state: State, leader: Leader, events: Sequence[Event]) -> None:
        """R105: a promise counts from when its round began, or earlier; and not every round is remembered."""
        times = leader._round_times
        if len(times) > 1 and times[-1][1] == state.now and times[-2][1] > state.now - state.silence / 1001:
            self._fail("I24", f"remembers each of the rounds that it begins at once: {times[-2]}, {times[-1]} (R105)")
        for event in events:
            progress = leader.progress.get(event.sender) if isinstance(event, HeartbeatResponse) else None
            if progress is None or progress.round == 0:
                continue
            began = next((time for round, time, _ in reversed(self._rounds) if round == progress.round), state.now)
            if progress.round_time > began:
                self._fail("I22", f"takes {event!r} for a promise since {progress.round_time}, not {began} (R105)")

    # ------------------------------------------------------------ confirmations

    def _check_ground(self, before: Before, state: State, read: OpenRead, index: int) -> None:
        """Thesis 6.4, steps 1 to 3; faults F90 to F94: on what ground this leader confirms the read."""
        if state.log.term(state.log.commit) != state.term:
            self._fail("I16", "confirms a read, and nothing of its term is committed (F90)")
        if index < read.commit:
            self._fail("I16", f"confirms a read at {index}, and {read.commit} was committed when it came (F92)")
        if read.lease and self._lease_may_hold(before, state):
            return
        first = next((round for round, _, committed in self._rounds if round > read.round and committed), 2**62)
        heard = [self.id, *(peer for peer, round in self._answered.items() if round >= first)]
        if not is_quorum(state.configuration, heard) and not is_quorum(before.configuration, heard):
            self._fail("I16", f"confirms a read, and only {heard} have answered round {first} (F91, F94)")

    def _lease_may_hold(self, before: Before, state: State) -> bool:
        """Thesis 6.4.1; faults F93, F137, F138: who promised, durably, and since when."""
        configuration, index = state.configuration, state.log.configurations.index
        if configuration.lease is None or index > state.log.commit or self._handed_over:
            return False
        lasts = configuration.lease.seconds / (1 + configuration.lease.drift)
        bound = {round for round, time, _ in self._rounds if before.now < time + lasts}
        promised = [
            peer
            for peer, round in self._answered.items()
            if round in bound and self._acknowledged.get(peer, 0) >= max(index, 1)
        ]
        return is_quorum(configuration, [self.id, *promised])

    def _check_lease(self, before: Before, state: State, leader: Leader) -> None:
        """A leader does not think that its lease holds when nobody promised so."""
        lasts = state.configuration.lease.seconds if state.configuration.lease is not None else 0.0
        while self._rounds and self._rounds[0][1] < before.now - 10 * (lasts + state.config.election_timeout) - 20:
            del self._rounds[0]
        if lease_holds(state, leader) and not self._lease_may_hold(before, state):
            self._fail("I22", f"relies on its lease, and only {self._answered} promised, {self._acknowledged} durably")

    def _check_response(self, before: Before, state: State, message: ReadIndexResponse) -> None:
        key = (message.to, message.boot, message.sequence)
        if key not in self._asked_here:
            self._fail("I16", f"answers a question that is not open: {message!r}")
        read = self._asked_here[key].pop(0)
        if not self._asked_here[key]:
            del self._asked_here[key]
        if message.read_index > 0:
            if not isinstance(state.role, Leader) and not isinstance(before.role, Leader):
                self._fail("I16", f"confirms a read, and does not lead: {message!r}")
            self._check_ground(before, state, read, message.read_index)
        elif isinstance(before.role, Leader) and isinstance(state.role, Leader):
            full = self._most > state.config.max_pending_reads
            late = before.now >= read.came + state.config.forward_timeout
            if not full and not late:
                self._fail("I25", f"leads, and confirms nothing, without a reason: {message!r}")

    def _check_confirmed(self, before: Before, state: State, replies: Sequence[ReadIndexResponse]) -> None:
        """Which reads of its own may be served from which index on, since this step."""
        ready = state.reads.ready
        for number in reversed(ready):
            read = self._open.get(ready[number].token)
            if read is None or (read.wanted >= 0 and read.came < before.now):
                break
            if read.wanted < 0:  # others ask for an index, and have come in this step
                self._confirm(before, state, ready[number].token, read, ready[number].wanted, replies)

    def _confirm(
        self, before: Before, state: State, token: Any, read: OpenRead, index: int, replies: Sequence[ReadIndexResponse]
    ) -> None:
        reply = next((reply for reply in replies if reply.read_index > 0), None)
        asked = self._question is not None and self._numbers[token] <= self._question.reads
        if reply is not None and asked and index in (reply.read_index, -1):
            index = reply.read_index
        elif isinstance(state.role, Leader) or isinstance(before.role, Leader):
            self._check_ground(before, state, read, before.commit if index < 0 else index)
        else:
            self._fail("I16", f"reads at {index}, and no leader has said so")
        read.wanted, read.confirmed = index, before.now

    # ------------------------------------------------------------------ answers

    def _check_answer(
        self, before: Before, state: State, answer: ReadAnswer, replies: Sequence[ReadIndexResponse]
    ) -> None:
        read, number = self._open.pop(answer.token), self._numbers.pop(answer.token)
        waited = before.now - read.came
        timeout = state.config.forward_timeout
        if answer.error is None:
            if read.wanted < 0:
                self._numbers[answer.token] = number
                self._confirm(before, state, answer.token, read, -1, replies)
                del self._numbers[answer.token]
            if read.wanted > state.applying.applied:
                self._fail("I16", f"serves a read at {read.wanted}, and has applied {state.applying.applied} (F95)")
        elif isinstance(answer.error, Overloaded):
            if self._most <= state.config.max_pending_reads:
                self._fail("I18", f"says that it is overloaded, with {self._most} reads")
        elif read.wanted >= 0:
            if before.now < read.confirmed + timeout:
                self._fail("I25", f"gives up a read after {before.now - read.confirmed} s")
        elif waited < timeout and not any(reply.read_index == 0 for reply in replies):
            led = before.leader is not None and state.role.leader is not None
            if led and before.term == state.term:
                self._fail("I25", f"refuses a read after {waited} s: {answer!r}")

    def _note_question(
        self, before: Before, state: State, replies: Sequence[ReadIndexResponse], output: Output
    ) -> None:
        if replies:
            self._question = None
        for message in output.messages:
            if isinstance(message, ReadIndexRequest):
                if message.sequence <= self._sequence or message.boot != self._boot:
                    self._fail("I16", f"asks under a name that was another question's: {message!r} (F140)")
                self._sequence = message.sequence
                self._question = Question(message.to, message.sequence, before.now, self._seen)
        question = self._question
        if question is not None and state.reads.asking is None:
            self._question = None

    def _check_none_lost(self, before: Before, state: State) -> None:
        """F96: every read is somewhere, and what it waits for comes to an end."""
        if not self._open and not self._asked_here:
            return
        if not isinstance(state.role, Leader):
            if self._asked_here and not isinstance(before.role, Leader):
                self._fail("I25", f"does not lead, and does not say so to {list(self._asked_here)} (F96)")
            self._asked_here.clear()
        count = self._count()
        if count != state.reads_waiting:
            self._fail("I25", f"knows of {state.reads_waiting} reads, and {count} wait for an answer (F96)")
        if self._open:
            self._check_in_time(before.now, state, next(iter(self._open.values())))
        if self._asked_here:
            oldest = next(iter(self._asked_here.values()))[0]
            patience = 2 * state.config.forward_timeout + SLACK + state.config.heartbeat_interval
            if before.now > max(oldest.came, self._since) + patience:
                self._fail("I25", f"has left a question unanswered since {oldest.came} (F96)")

    def _check_deadline(self, deadline: float, state: State) -> None:
        """R36: a node asks to be called when a read is to be given up."""
        confirmed = min((read.confirmed for read in self._open.values() if read.wanted >= 0), default=float("inf"))
        if deadline > confirmed + state.config.forward_timeout + 1e-6:
            self._fail("I25", f"has confirmed a read at {confirmed}, and is to be called at {deadline} (R36)")

    def _check_in_time(self, now: float, state: State, oldest: OpenRead) -> None:
        timeout, role, question = state.config.forward_timeout, state.role, self._question
        unconfirmed = oldest.wanted < 0
        if not unconfirmed:
            if now > oldest.confirmed + timeout + SLACK:
                self._fail("I25", f"has confirmed a read, and lets it wait for {now - oldest.confirmed} s (R36)")
        elif isinstance(role, Leader):
            if now > max(oldest.came, self._since) + 2 * timeout + SLACK + state.config.heartbeat_interval:
                self._fail("I25", f"leads, and lets a read wait since {oldest.came} (R106)")
        elif role.leader is None:
            self._fail("I25", "knows no leader, and lets a read wait (F96)")
        elif question is None:  # it may have been confirmed in the midst of a step, and waits to be applied here
            if now > oldest.came + 2 * timeout + state.config.election_timeout + SLACK:
                self._fail("I25", "lets a read wait, and asks nobody (F96)")
        elif question.leader != role.leader or now > question.asked + state.config.election_timeout + SLACK:
            self._fail("I25", f"lets a read wait for an answer to {question} (F96)")
