"""What a node owes in the matter of snapshots: whom it offers one, what it fetches, what takes the place of its log.

Law: *a snapshot is offered to who needs it, fetched once, and takes the place of nothing that leads there itself.*

Like `contracts`, this is told by the paper (7, Figure 13) and the thesis (5), with an account of its own. What a node
was before is looked at only where the step is about a snapshot.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from rafty_core.events import Event, SnapshotFailed, SnapshotReceived, SnapshotTaken
from rafty_core.history import Ghost
from rafty_core.invariants import state_of
from rafty_core.messages import (
    AppendEntriesResponse,
    HeartbeatResponse,
    InstallSnapshot,
    InstallSnapshotResponse,
)
from rafty_core.node_invariants import require
from rafty_core.output import Fetch, Output
from rafty_core.progress import SNAPSHOT
from rafty_core.raft import Raft
from rafty_core.roles import Follower, Leader
from rafty_core.simulation.contracts.before import NEWS, SLACK, Before
from rafty_core.state import State

PATIENCE = 10
"""Election timeouts that a write may take before the leader hears of it."""

ABOUT = (InstallSnapshot, InstallSnapshotResponse, SnapshotReceived, SnapshotFailed, SnapshotTaken, HeartbeatResponse)


@dataclass(frozen=True, slots=True)
class Stored:
    """What a node has of the history before a step."""

    base: int
    last: int
    snapshot: int
    holds: bool
    """Whether its log leads to the snapshot that the step is about."""
    pending: int | None
    """Of a leader: the index of the snapshot that the sender is being brought up to, None if there is none."""
    keeps: int
    """Where its log begins once the snapshot is taken that the step is about."""


class SnapshotContracts:
    """The contracts on snapshots of one life of a node: call `before` and `after` around each step."""

    def __init__(self, raft: Raft, ghost: Ghost) -> None:
        state = state_of(raft)
        self.id, self._ghost = state.id, ghost
        self._fetching: Fetch | None = None  # as this account has it
        self._led = 0
        self._offered: dict[str, int] = {}  # to whom, in the term that is led
        self._contacts: dict[str, float] = {}
        self._stored: Stored | None = None
        self._snapshot = state.snapshot.index
        self._events: Sequence[Event] = ()

    # ------------------------------------------------------------ before a step

    def before(self, raft: Raft, events: Sequence[Event]) -> None:
        """Note what this node has, if it is told one thing, and that is about a snapshot."""
        self._stored, self._events = None, events
        if len(events) == 1 and isinstance(events[0], ABOUT):
            self._stored = self._look(state_of(raft), events[0])

    def _look(self, state: State, event: Event) -> Stored | None:
        log, keeps, pending, holds = state.log, 0, None, False
        if isinstance(event, InstallSnapshot):
            holds = _has(state, event.last_included_index, event.last_included_term)
        elif isinstance(event, SnapshotReceived):
            holds = _has(state, event.index, event.term)
        elif isinstance(event, SnapshotTaken):
            keeps = self._keeps(state, event)
        elif isinstance(event, InstallSnapshotResponse | HeartbeatResponse) and isinstance(state.role, Leader):
            progress = state.role.progress.get(event.sender)
            pending = progress.pending_snapshot if progress is not None and progress.state == SNAPSHOT else None
        if pending is None and isinstance(event, HeartbeatResponse):
            return None
        return Stored(log.base_index, log.last_index, state.snapshot.index, holds, pending, keeps)

    def _keeps(self, state: State, event: SnapshotTaken) -> int:
        """Fault F88: the log stays from where the last follower is that is reached; within a bound."""
        log, newest = state.log, max(event.index, state.snapshot.index)
        keeps = event.index if event.compact_to < 0 else min(event.compact_to, event.index)
        if isinstance(state.role, Leader):
            reached = [progress for progress in state.role.progress.values() if progress.reachable and progress.heard]
            least = min((max(progress.match, progress.pending_snapshot) for progress in reached), default=keeps)
            least = max(least, log.base_index)
            if least < keeps:
                weight = sum(map(len, log.slice(least + 1, newest)))
                keeps = least if weight <= state.config.max_retained_bytes else keeps
        return max(keeps, log.base_index)

    # ------------------------------------------------------------- after a step

    def after(self, raft: Raft, before: Before, output: Output) -> None:
        """Check what the step did. Raises `InvariantViolation`."""
        state = state_of(raft)
        if self._stored is not None:
            self._check_event(before, state, self._stored, self._events[0], output)
        elif len(self._events) != 1:
            self._note_ends()
        if output.fetch is not None:
            self._note_fetch(output.fetch)
        if state.snapshot.index != self._snapshot:
            self._snapshot = state.snapshot.index
            if state.snapshot.configuration.voters or self._ghost.configuration_at(self._snapshot).voters:
                self._ghost.check_snapshot(state.snapshot, self.id)
            require("I13", bool(state.snapshot.configuration.voters), f"{self.id} has a snapshot without members (R51)")
        if isinstance(state.role, Leader):
            self._check_offers(before, state, state.role, output)

    def _note_ends(self) -> None:
        for event in self._events:
            if isinstance(event, SnapshotReceived | SnapshotFailed) and self._is_open(event):
                self._fetching = None

    def _is_open(self, event: SnapshotReceived | SnapshotFailed) -> bool:
        fetching = self._fetching
        return fetching is not None and (fetching.snapshot.index, fetching.snapshot.term) == (event.index, event.term)

    def _note_fetch(self, fetch: Fetch) -> None:
        """Whoever fetches from its leader does not begin anew with each offer (F84)."""
        again = self._fetching is not None and self._fetching.peer == fetch.peer
        require("I26", not again, f"{self.id} begins {fetch!r}, and fetches from there already (F84)")
        self._fetching = fetch

    def _check_event(self, before: Before, state: State, stored: Stored, event: Event, output: Output) -> None:
        if isinstance(event, InstallSnapshot):
            self._check_offer(before, state, stored, event, output)
        elif isinstance(event, SnapshotReceived):
            self._check_received(before, state, stored, event, output)
        elif isinstance(event, SnapshotFailed):
            self._check_failed(before, state, stored, event, output)
        elif isinstance(event, SnapshotTaken):
            self._check_taken(state, stored, event, output)
        elif isinstance(event, InstallSnapshotResponse):
            self._check_told(before, state, stored, event)

    def _check_same(self, state: State, stored: Stored, event: Event) -> None:
        last = stored.last if isinstance(state.role, Leader) else state.log.last_index  # a leader may append any time
        now = (state.log.base_index, last, state.snapshot.index)
        same = now == (stored.base, stored.last, stored.snapshot)
        require("I3", same, f"{self.id} has a log and a snapshot at {now}, not {stored}, because of {event!r}")

    def _check_offer(
        self, before: Before, state: State, stored: Stored, offer: InstallSnapshot, output: Output
    ) -> None:
        """Figure 13, step 6; faults F77, F78, F84, F85: nothing is fetched that is here."""
        self._check_same(state, stored, offer)
        index = offer.last_included_index
        if offer.term < before.term:
            require("I3", output.fetch is None, f"{self.id} fetches what a leader of the past offers: {offer!r}")
            return
        if index <= before.commit or stored.holds:
            require("I26", output.fetch is None, f"{self.id} fetches, and has what is offered: {offer!r} (F77, F78)")
            require("I25", state.log.commit >= index, f"{self.id} has {offer!r}, and does not take it for committed")
            self._check_acknowledged(state, offer.sender, index, output)
        elif self._fetching is None or self._fetching.peer != offer.sender:
            require("I25", output.fetch is not None, f"{self.id} does not fetch what it needs: {offer!r}")
        self._check_standing(before, state, offer, output)
        if output.fetch is not None:
            snapshot = output.fetch.snapshot
            got = (output.fetch.peer, snapshot.index, snapshot.term, snapshot.configuration)
            right = got == (offer.sender, index, offer.last_included_term, offer.configuration)
            require("I3", right, f"{self.id} fetches {output.fetch!r}, and was offered {offer!r}")

    def _check_standing(self, before: Before, state: State, offer: InstallSnapshot, output: Output) -> None:
        """R171: a disk that has stood still for too long is told of, if what is offered is not on it; and no other."""
        durable = offer.last_included_index <= min(state.writes.index, state.log.commit)
        stands = before.now >= state.writes.oldest_cut + PATIENCE * state.config.election_timeout
        owed = [offer.sender] if stands and not durable else []
        told = [m.to for m in output.messages if isinstance(m, InstallSnapshotResponse)]
        require("I25", told == owed, f"{self.id} tells {told} that {offer!r} is not installed, not {owed} (R171)")

    def _check_acknowledged(self, state: State, leader: str, index: int, output: Output) -> None:
        """What is here and durable is acknowledged in the same step (fault F85)."""
        if state.writes.term != state.term or state.writes.index < state.log.last_index:
            return
        told = [m for m in output.messages if isinstance(m, AppendEntriesResponse) and m.to == leader and m.success]
        text = f"{self.id} does not tell {leader} that it has everything up to {index} (F85)"
        require("I25", any(m.match_index >= index for m in told), text)

    def _check_received(
        self, before: Before, state: State, stored: Stored, event: SnapshotReceived, output: Output
    ) -> None:
        """Figure 13, steps 5 to 8; faults F77, F78, F79, F84."""
        expected, self._fetching = self._is_open(event), None if self._is_open(event) else self._fetching
        if not expected or event.index <= before.commit or not isinstance(before.role, Follower):
            self._check_same(state, stored, event)
            told = [m for m in output.messages if isinstance(m, AppendEntriesResponse) and m.success]
            require("I26", not told, f"{self.id} says {told} because of {event!r}, which is no news (F77)")
            return
        require("I25", state.log.commit >= event.index, f"{self.id} has got {event!r}, and makes nothing of it")
        if stored.holds:
            kept = (state.log.base_index, state.log.last_index) == (stored.base, stored.last)
            require("I3", kept, f"{self.id} drops a log that leads to {event!r} (F78)")
        else:
            log, snapshot = state.log, state.snapshot
            right = log.base_index == log.last_index == snapshot.index == event.index
            require("I3", right, f"{self.id} keeps a log of another history beside {event!r} (F79)")
            same = state.configuration == snapshot.configuration
            require("I13", same, f"{self.id} keeps {state.configuration} of a log that is gone (F59)")
            waiting = [proposal.first for proposal in state.proposals.accepted if proposal.first <= event.index]
            require("I25", not waiting, f"{self.id} waits for the outcome at {waiting}, which {event!r} covers (R33)")

    def _check_failed(
        self, before: Before, state: State, stored: Stored, event: SnapshotFailed, output: Output
    ) -> None:
        """Fault F85: the leader that offered it is told, and nobody else."""
        self._check_same(state, stored, event)
        fetching = self._fetching if self._is_open(event) else None
        told = [m.to for m in output.messages if isinstance(m, InstallSnapshotResponse)]
        owed = [fetching.peer] if fetching is not None and before.leader == fetching.peer else []
        require("I25", told == owed, f"{self.id} tells {told} of {event!r}, not {owed} (F84, F85)")
        self._fetching = None if fetching is not None else self._fetching

    def _check_taken(self, state: State, stored: Stored, event: SnapshotTaken, output: Output) -> None:
        """Paper 7, fault F88: exactly what is not needed goes."""
        if event.index < stored.snapshot or not self._ghost.configuration_at(event.index).voters:
            self._check_same(state, stored, event)
        elif state.snapshot.configuration.voters:
            now = (state.log.base_index, state.snapshot.index)
            owed = (stored.keeps, event.index)
            require("I24", now == owed, f"{self.id} has its log begin and a snapshot at {now}, not {owed} (F88)")
            if now != (stored.base, stored.snapshot):
                write = output.write
                stores = write is not None and write.snapshot == state.snapshot and write.compact_to == now[0]
                require("I24", stores, f"{self.id} has taken a snapshot, and stores {write!r}")

    # -------------------------------------------------------- a leader's account

    def _check_told(self, before: Before, state: State, stored: Stored, event: InstallSnapshotResponse) -> None:
        """Fault F85: who cannot get the snapshot is not waited for; unless it speaks of one before (F41)."""
        leader = state.role
        if stored.pending is None or not isinstance(leader, Leader) or event.term != state.term:
            return
        progress = leader.progress.get(event.sender)
        if progress is None:
            return
        waits = progress.state == SNAPSHOT and progress.pending_snapshot == stored.pending
        owed = event.last_included_index < stored.pending
        require("I25", waits == owed, f"{self.id} waits for {event.sender}: {waits}, after {event!r} (F85)")

    def _check_offers(self, before: Before, state: State, leader: Leader, output: Output) -> None:
        """Faults F85, F128: the newest one, to who is heard and reached; again when a heartbeat is answered."""
        if self._led != state.term:
            self._led = state.term
            self._offered.clear()
            self._contacts.clear()
        for event in self._events:
            if isinstance(event, NEWS) and event.term == state.term:
                self._contacts[event.sender] = before.now
                self._offered.pop(event.sender, None)
        offers = [message for message in output.messages if isinstance(message, InstallSnapshot)]
        for offer in offers:
            self._check_leaving(before, state, offer)
        stored = self._stored
        if stored is not None and stored.pending is not None and isinstance(self._events[0], HeartbeatResponse):
            peer = self._events[0].sender
            progress = leader.progress.get(peer)
            if progress is not None and progress.state == SNAPSHOT and self._events[0].term == state.term:
                offered = any(offer.to == peer for offer in offers)
                require("I25", offered, f"{self.id} does not offer {peer} its snapshot again (F85)")

    def _check_leaving(self, before: Before, state: State, offer: InstallSnapshot) -> None:
        peer, snapshot = offer.to, state.snapshot
        told = (offer.last_included_index, offer.last_included_term, offer.configuration)
        newest = told == (snapshot.index, snapshot.term, snapshot.configuration)
        require("I25", newest, f"{self.id} offers {offer!r}, and has {snapshot!r} (F85)")
        heard = self._contacts.get(peer, -1e9)
        late = before.now - heard - state.config.election_timeout - state.config.heartbeat_interval - SLACK
        require("I26", late <= 0, f"{self.id} offers a snapshot to {peer}, which it does not hear (F85)")
        require("I26", peer not in self._offered, f"{self.id} offers {peer} a snapshot again, unasked (F128)")
        self._offered[peer] = offer.last_included_index


def _has(state: State, index: int, term: int) -> bool:
    log = state.log
    return log.base_index <= index <= log.last_index and log.term(index) == term
