"""The protocol: a table of what each role does with each event, the term rule, and `step`.

Law: *everything that happens to a node goes through `step`, and everything that follows leaves it in one `Output`.*

The table is the protocol. A pair (role, event) that is absent from it is absent on purpose: it stands in `IGNORED` with
its reason, and a test checks that both together are complete.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from rafty_core import calls, election, membership, proposing, reads, replication, snapshots, transfer
from rafty_core.config import Config
from rafty_core.configuration import Configuration
from rafty_core.entries import KIND_NAMES, Entry
from rafty_core.events import (
    Applied,
    Campaign,
    ChangeMembership,
    Event,
    PeerUnreachable,
    Persisted,
    Propose,
    Read,
    SnapshotFailed,
    SnapshotReceived,
    SnapshotTaken,
    TransferLeadership,
)
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
    RequestVoteResponse,
    TimeoutNow,
)
from rafty_core.output import Output, ProtocolViolation
from rafty_core.roles import Candidate, Follower, Leader, PreCandidate, Role, Standing
from rafty_core.stable import Snapshot, Stable
from rafty_core.state import Random, State
from rafty_core.status import Status, status_of
from rafty_core.violation import Violation, check_message

Handler: TypeAlias = Callable[[State, Any], Message | None]
Pair: TypeAlias = tuple[type[Role], type[Event]]


def on_persisted(state: State, event: Persisted) -> None:
    """The disk has confirmed these writes; what rests on them may now leave."""
    state.writes.persisted(event.seq)


# fmt: off
TABLE: Mapping[Pair, Handler] = {
    # elections
    (Follower,     RequestVote):               election.on_request_vote,
    (PreCandidate, RequestVote):               election.on_request_vote,
    (Candidate,    RequestVote):               election.on_request_vote,
    (Leader,       RequestVote):               election.on_request_vote,
    (Candidate,    RequestVoteResponse):       election.on_request_vote_response,
    (Follower,     PreVote):                   election.on_pre_vote,
    (PreCandidate, PreVote):                   election.on_pre_vote,
    (Candidate,    PreVote):                   election.on_pre_vote,
    (Leader,       PreVote):                   election.on_pre_vote,
    (PreCandidate, PreVoteResponse):           election.on_pre_vote_response,
    (Follower,     Campaign):                  election.on_campaign,
    (PreCandidate, Campaign):                  election.on_campaign,
    (Candidate,    Campaign):                  election.on_campaign,
    # replication
    (Follower,     AppendEntries):             replication.on_append_entries,
    (PreCandidate, AppendEntries):             replication.on_append_entries,
    (Candidate,    AppendEntries):             replication.on_append_entries,
    (Leader,       AppendEntries):             replication.on_append_entries,
    (Leader,       AppendEntriesResponse):     replication.on_append_entries_response,
    (Follower,     Heartbeat):                 replication.on_heartbeat,
    (PreCandidate, Heartbeat):                 replication.on_heartbeat,
    (Candidate,    Heartbeat):                 replication.on_heartbeat,
    (Leader,       Heartbeat):                 replication.on_heartbeat,
    (Leader,       HeartbeatResponse):         replication.on_heartbeat_response,
    (Leader,       PeerUnreachable):           replication.on_peer_unreachable,
    # proposals
    (Follower,     Propose):                   proposing.on_propose,
    (PreCandidate, Propose):                   proposing.on_propose,
    (Candidate,    Propose):                   proposing.on_propose,
    (Leader,       Propose):                   proposing.on_propose,
    (Follower,     ForwardedProposal):         proposing.on_forwarded_proposal,
    (PreCandidate, ForwardedProposal):         proposing.on_forwarded_proposal,
    (Candidate,    ForwardedProposal):         proposing.on_forwarded_proposal,
    (Leader,       ForwardedProposal):         proposing.on_forwarded_proposal,
    (Follower,     ForwardedProposalResponse): proposing.on_forwarded_proposal_response,
    (PreCandidate, ForwardedProposalResponse): proposing.on_forwarded_proposal_response,
    (Candidate,    ForwardedProposalResponse): proposing.on_forwarded_proposal_response,
    (Leader,       ForwardedProposalResponse): proposing.on_forwarded_proposal_response,
    # snapshots
    (Follower,     InstallSnapshot):          snapshots.on_install_snapshot,
    (PreCandidate, InstallSnapshot):          snapshots.on_install_snapshot,
    (Candidate,    InstallSnapshot):          snapshots.on_install_snapshot,
    (Leader,       InstallSnapshot):          snapshots.on_install_snapshot,
    (Leader,       InstallSnapshotResponse):  snapshots.on_install_snapshot_response,
    (Follower,     SnapshotTaken):            snapshots.on_snapshot_taken,
    (PreCandidate, SnapshotTaken):            snapshots.on_snapshot_taken,
    (Candidate,    SnapshotTaken):            snapshots.on_snapshot_taken,
    (Leader,       SnapshotTaken):            snapshots.on_snapshot_taken,
    (Follower,     SnapshotReceived):         snapshots.on_snapshot_received,
    (PreCandidate, SnapshotReceived):         snapshots.on_snapshot_received,
    (Candidate,    SnapshotReceived):         snapshots.on_snapshot_received,
    (Leader,       SnapshotReceived):         snapshots.on_snapshot_received,
    (Follower,     SnapshotFailed):           snapshots.on_snapshot_failed,
    (PreCandidate, SnapshotFailed):           snapshots.on_snapshot_failed,
    (Candidate,    SnapshotFailed):           snapshots.on_snapshot_failed,
    (Leader,       SnapshotFailed):           snapshots.on_snapshot_failed,
    # reads
    (Follower,     Read):                     reads.on_read,
    (PreCandidate, Read):                     reads.on_read,
    (Candidate,    Read):                     reads.on_read,
    (Leader,       Read):                     reads.on_read,
    (Follower,     ReadIndexRequest):         reads.on_read_index_request,
    (PreCandidate, ReadIndexRequest):         reads.on_read_index_request,
    (Candidate,    ReadIndexRequest):         reads.on_read_index_request,
    (Leader,       ReadIndexRequest):         reads.on_read_index_request,
    (Follower,     ReadIndexResponse):        reads.on_read_index_response,
    (PreCandidate, ReadIndexResponse):        reads.on_read_index_response,
    (Candidate,    ReadIndexResponse):        reads.on_read_index_response,
    (Leader,       ReadIndexResponse):        reads.on_read_index_response,
    # membership and transfer
    (Follower,     ChangeMembership):         membership.on_change_membership,
    (PreCandidate, ChangeMembership):         membership.on_change_membership,
    (Candidate,    ChangeMembership):         membership.on_change_membership,
    (Leader,       ChangeMembership):         membership.on_change_membership,
    (Follower,     TransferLeadership):       transfer.on_transfer_leadership,
    (PreCandidate, TransferLeadership):       transfer.on_transfer_leadership,
    (Candidate,    TransferLeadership):       transfer.on_transfer_leadership,
    (Leader,       TransferLeadership):       transfer.on_transfer_leadership,
    (Follower,     TimeoutNow):               transfer.on_timeout_now,
    (PreCandidate, TimeoutNow):               transfer.on_timeout_now,
    # the disk and the state machine
    (Follower,     Persisted):                 on_persisted,
    (PreCandidate, Persisted):                 on_persisted,
    (Candidate,    Persisted):                 on_persisted,
    (Leader,       Persisted):                 on_persisted,
    (Follower,     Applied):                   proposing.on_applied,
    (PreCandidate, Applied):                   proposing.on_applied,
    (Candidate,    Applied):                   proposing.on_applied,
    (Leader,       Applied):                   proposing.on_applied,
}

NO_ELECTION = "a vote for an election that this node does not hold (any more)"
NO_LEADER = "news of a follower matter to its leader alone"
IGNORED: Mapping[Pair, str] = {
    (Follower,     RequestVoteResponse):   NO_ELECTION,
    (PreCandidate, RequestVoteResponse):   NO_ELECTION,
    (Leader,       RequestVoteResponse):   "the election is won; further votes change nothing",
    (Follower,     PreVoteResponse):       NO_ELECTION,
    (Candidate,    PreVoteResponse):       "the pre-vote is won; further answers change nothing",
    (Leader,       PreVoteResponse):       NO_ELECTION,
    (Leader,       Campaign):              "a leader has nothing to win (and keeps its term)",
    (Follower,     AppendEntriesResponse): NO_LEADER,
    (PreCandidate, AppendEntriesResponse): NO_LEADER,
    (Candidate,    AppendEntriesResponse): NO_LEADER,
    (Follower,     HeartbeatResponse):     NO_LEADER,
    (PreCandidate, HeartbeatResponse):     NO_LEADER,
    (Candidate,    HeartbeatResponse):     NO_LEADER,
    (Follower,     PeerUnreachable):       NO_LEADER,
    (PreCandidate, PeerUnreachable):       NO_LEADER,
    (Candidate,    PeerUnreachable):       NO_LEADER,
    (Follower,     InstallSnapshotResponse): NO_LEADER,
    (PreCandidate, InstallSnapshotResponse): NO_LEADER,
    (Candidate,    InstallSnapshotResponse): NO_LEADER,
    (Candidate,    TimeoutNow):            "it stands for election already, and in a term without a leader",
    (Leader,       TimeoutNow):            "a leader has nothing to take over",
}
# fmt: on

OUTLIVE_TERMS = (PreVoteResponse, ForwardedProposal, ForwardedProposalResponse, ReadIndexRequest, ReadIndexResponse)
"""Messages that may matter though their sender's term is lower: a voter behind may grant a pre-vote for a later term,
and requests are named by more than a term."""

MESSAGES = frozenset(MESSAGE_TYPES)


def term_rule(state: State, message: Message) -> tuple[bool, Message | None]:
    """Paper 5.1, for every message and before any handler: (whether to handle it, what to answer at once).

    "If one server's current term is smaller than the other's, then it updates its current term to the larger value. If
    a candidate or leader discovers that its term is out of date, it immediately reverts to follower state. If a server
    receives a request with a stale term number, it rejects the request."

    Two exceptions: the term of a PreVote is a question and nobody's term yet (thesis 9.6); and a RequestVote is not
    even looked at while a leader is heard (thesis 4.2.3) that did not ask for the election itself (thesis 3.10), or
    while a vote of an earlier life may bind this node (F137).
    """
    kind = type(message)
    if message.term > state.term:
        if kind is PreVote:
            return True, None
        if isinstance(message, RequestVote):
            sticks = state.hears_leader and not message.transfer
            if sticks or state.now < state.no_votes_until:
                return False, None
        state.become_follower(message.term, None)
    elif message.term < state.term:
        sender, to = message.to, message.sender
        if kind is RequestVote:
            return False, RequestVoteResponse(sender, to, state.term, False)
        if isinstance(message, PreVote):
            return False, PreVoteResponse(sender, to, state.term, message.term, False)
        # The sender must learn of the newer term to rejoin (F17, F24), and nothing else: it may lead that term by then,
        # and must not take the number of a round or an index of its earlier term for one of the newer (R150).
        if isinstance(message, AppendEntries):
            return False, AppendEntriesResponse(sender, to, state.term, False, 0)
        if isinstance(message, Heartbeat):
            return False, HeartbeatResponse(sender, to, state.term, 0)
        if isinstance(message, InstallSnapshot):
            return False, InstallSnapshotResponse(sender, to, state.term, 0)
        return kind in OUTLIVE_TERMS, None
    return True, None


class Raft:
    """One node of a Raft cluster, as a deterministic state machine without IO (paper, Figure 2).

    Construct it with what a store loaded, then call `step` whenever something happened or `deadline` has come, and do
    what its `Output` says. Not thread-safe; never call `step` from within itself.

    config    settings, with this node's id and boot number
    stable    the durable state: term, vote, snapshot (with the configuration), log
    random    a source of chance for election timeouts; nodes must not share a seed
    now       seconds on a monotonic clock, the same that `step` is given
    applied   what the state machine has applied already; None: just what the snapshot holds. If it is less, the first
              step asks for the state machine to be restored

    Raises `ValueError` for durable state that no correct node can have left, and for a state machine that has applied
    more than the log holds.
    """

    def __init__(
        self, config: Config, stable: Stable, *, random: Random, now: float, applied: int | None = None
    ) -> None:
        last_term = stable.batches[-1].term if stable.batches else 0
        if last_term > stable.term:
            raise ValueError(f"the log ends in term {last_term}, but the stored term is {stable.term}")
        last_index = max(stable.batches[-1].last if stable.batches else 0, stable.snapshot.index)
        if applied is not None and applied > last_index:
            raise ValueError(
                f"the state machine has applied entry {applied}, and the log ends at {last_index}: this log has lost "
                "what it held, or belongs to another state machine"
            )
        self._state = State(config, stable, random, now, stable.snapshot.index if applied is None else applied)

    def step(self, now: float, *events: Event) -> Output:
        """Let these events happen, in order, at time `now`; return what follows from them.

        `now` is read after the last event was collected: events first, then the timers that have run out.

        Never raises for a message, whatever it holds: one that breaks the protocol is dropped, counted and noted.
        Raises `ValueError` or `TypeError` for a wrong local event or a clock that runs backwards, before anything
        happened. Any other exception is a bug, and the node must stop.
        """
        state = self._state
        calls.check(state, now, events)
        state.now = now
        for event in events:
            answer = self._receive(event) if type(event) in MESSAGES else self._dispatch(event)
            if answer is not None:
                state.outbox.append(answer)
        output = Output()
        self._run_rules(output)
        output.messages, state.outbox = state.outbox, output.messages
        output.answers, state.answers = state.answers, output.answers
        output.notices, state.notices = state.notices, output.notices
        output.fetch, state.fetch = state.fetch, None
        return output

    def _run_rules(self, output: Output) -> None:
        """What follows from the state as it is now, in the order in which one thing leads to another."""
        state = self._state
        membership.follow_configuration(state)
        election.run_timers(state)
        if isinstance(state.role, Standing):
            election.count_votes(state)
            election.ask_for_votes(state)
        if isinstance(state.role, Leader):
            self._run_rules_of_a_leader()
        elif isinstance(state.role, Follower):
            election.answer_votes(state)
            replication.acknowledge(state)
        if not isinstance(state.role, Leader):
            reads.gather(state)
        membership.follow_configuration(state)
        membership.settle_change(state)
        transfer.settle(state)
        reads.answer(state)
        proposing.expire_forwarded(state)
        limit = state.config.max_batch_bytes
        output.write = state.writes.cut(state.now, state.term, state.vote, state.log, limit)
        portion = state.applying.hand_out(state.log, state.writes.index)
        if portion is not None:
            output.apply.append(portion)

    def _run_rules_of_a_leader(self) -> None:
        state = self._state
        replication.advance_commit(state)
        membership.advance_change(state)
        reads.confirm(state)
        reads.gather(state)
        replication.send_heartbeats(state)
        reads.confirm(state)
        snapshots.offer_snapshots(state)
        replication.send_appends(state)
        transfer.hand_over(state)
        membership.forget_removed(state)
        membership.leave_office(state)

    def _receive(self, message: Any) -> Message | None:
        """The one door for messages: check, then the term rule, then the handler. Returns the answer, if any."""
        state = self._state
        try:
            check_message(message, state.id, state.term)
            handle, answer = term_rule(state, message)
            return self._dispatch(message) if handle else answer
        except Violation as violation:
            state.violations += 1
            state.notices.append(ProtocolViolation(str(message.sender)[:64], str(violation)))
            return None

    def _dispatch(self, event: Event) -> Message | None:
        handler = TABLE.get((type(self._state.role), type(event)))
        return None if handler is None else handler(self._state, event)

    @property
    def deadline(self) -> float:
        """When `step(now)` must be called next though nothing arrived; infinity if never."""
        state = self._state
        return min(
            election.next_deadline(state),
            proposing.next_expiry(state),
            reads.next_deadline(state),
            transfer.next_deadline(state),
        )

    def status(self) -> Status:
        """A read-only picture of this node now."""
        return status_of(self._state)

    def entries(self, first: int, last: int) -> list[Entry]:
        """The log from index `first` to `last`, both included, for people and tests.

        Raises `LookupError` (`Compacted` or `Unavailable`) for indexes that are not in the log.
        """
        log = self._state.log
        return [
            Entry(index, log.term(index), KIND_NAMES[entry[0]], entry[1:])
            for index, entry in enumerate(log.slice(first, last), first)
        ]

    @property
    def applied_index(self) -> int:
        """The index up to which the state machine has confirmed that it has applied; cheap."""
        return self._state.applying.applied

    @property
    def is_behind_snapshot(self) -> bool:
        """Whether the state machine is still to be restored from the snapshot that the log starts behind; cheap."""
        return self._state.applying.applied < self._state.log.base_index

    def snapshot(self) -> Snapshot:
        """What a snapshot that the state machine takes now is a snapshot of: the applied index, its term, and the
        configuration there (fault F80). Raises `LookupError` while a state machine that was behind is being restored.
        """
        log, applied = self._state.log, self._state.applying.applied
        term = log.term(applied)
        return Snapshot(applied, term, log.configurations.at(applied)[1])

    def start_of_tail(self, last: int, most_entries: int, most_bytes: int) -> int:
        """Up to where the log may be compacted so that of the entries up to `last` at most so many, and so many bytes,
        stay for followers that are a little behind. Raises `LookupError` if the log does not reach `last`.
        """
        return self._state.log.start_of_tail(last, most_entries, most_bytes)

    @property
    def committed_configuration(self) -> Configuration:
        """The last configuration that is known to be committed."""
        log = self._state.log
        return log.configurations.at(log.commit)[1]
