"""Linearizable reads without an entry in the log: read index and leases (thesis 6.4).

Law: *a read is answered at an index that was committed when it was asked for, by a leader that still led after that.*

Paper 8: "a leader must check whether it has been deposed before processing a read-only request", and it "must have the
latest information on which entries are committed". So a leader answers nothing before an entry of its own term is
committed; then it notes its commit index, begins a round of heartbeats, and waits for a majority to answer that round
or a later one. An answer to an earlier round proves nothing (fault F91). Reads that come while a round is under way
wait together for the next one: however many they are, they cost one message to each voter.

A follower asks its leader for all its reads together. Whoever asked waits until that much is applied here.

By its *lease* a leader answers at once: each voter promised not to vote for a while after it heard the leader, and a
majority was heard. That rests on clocks, and so on the cluster's configuration allowing it.
"""

from collections.abc import Sequence
from typing import Any

from rafty_core.events import Read
from rafty_core.messages import Message, ReadIndexRequest, ReadIndexResponse
from rafty_core.outcomes import NotApplied, NotLeader, Overloaded
from rafty_core.output import ReadAnswer
from rafty_core.pending import Origin
from rafty_core.quorum import jointly_reached
from rafty_core.roles import NEVER, Leader
from rafty_core.state import State
from rafty_core.waiting import Asking, LocalRead, WaitingRead

# ------------------------------------------------------------------- handlers


def on_read(state: State, event: Read) -> None:
    """Take the read; what becomes of it is decided at the end of the step, with all others that came."""
    reads = state.reads
    if state.reads_waiting >= state.config.max_pending_reads:
        text = f"{state.config.max_pending_reads} reads are waiting already"
        state.answers.append(ReadAnswer(event.token, 0, Overloaded(text)))
    elif event.mode == "at_least":
        _wait_for(state, event.index, event.token)
    else:
        expires = state.now + state.config.forward_timeout
        reads.new.append(LocalRead(event.token, event.mode == "lease", expires))


def on_read_index_request(state: State, message: ReadIndexRequest) -> Message | None:
    """Another node asks for all its reads. Who does not lead says so at once (fault F96)."""
    leader = state.role
    full = state.reads_waiting >= state.config.max_pending_reads
    if not isinstance(leader, Leader) or full:
        return ReadIndexResponse(state.id, message.sender, state.term, message.boot, message.sequence, 0)
    origin = Origin(message.sender, message.boot, message.sequence)
    leader.reads_waiting.append(WaitingRead(origin, message.lease, state.now + state.config.forward_timeout))
    return None


def on_read_index_response(state: State, message: ReadIndexResponse) -> None:
    """The leader's word on the reads of this node, in this life (fault F140)."""
    reads, asking = state.reads, state.reads.asking
    if asking is None or message.boot != state.config.boot or message.sequence != asking.sequence:
        return
    if message.sender != asking.leader:
        return
    reads.asking = None
    if message.read_index == 0:
        text = f"{message.sender} does not lead, has too many reads to confirm, or could not confirm these in time"
        _refuse(state, asking.reads, NotLeader(text))
        return
    for read in asking.reads:
        _wait_for(state, message.read_index, read.token)


# ---------------------------------------------------------------------- rules


def round_is_wanted(leader: Leader) -> bool:
    """Whether a round of heartbeats should begin for the sake of reads: some wait, and none is under way for any."""
    return leader.may_confirm_reads and bool(leader.reads_waiting) and not leader.reads_begun


def gather(state: State) -> None:
    """Rule: reads of this node go where they can be confirmed: to its own leadership, to its leader, or nowhere."""
    role, reads = state.role, state.reads
    asking = reads.asking
    if asking is not None and (asking.leader != role.leader or asking.term != state.term or state.now >= asking.again):
        reads.asking = None  # the question or its answer was lost, or is nobody's any more: ask anew
        reads.new = [*asking.reads, *reads.new]
    if isinstance(role, Leader):
        if reads.new:
            role.reads_waiting.extend(WaitingRead(read, read.lease, read.expires) for read in reads.new)
            reads.new = []
        _prepare(state, role)
        return
    if not reads.new:
        return
    if role.leader is None:
        _refuse(state, reads.new, NotLeader("no leader is known that could confirm a read"))
        reads.new = []
    elif reads.asking is None:
        _ask(state, role.leader)


def _ask(state: State, leader: str) -> None:
    reads = state.reads
    late = [read for read in reads.new if state.now >= read.expires]
    _refuse(state, late, NotLeader(f"{leader} did not confirm a read in time", leader))
    waiting = [read for read in reads.new if state.now < read.expires]
    reads.new = []
    if not waiting:
        return
    reads.last_sequence += 1
    sequence, boot = reads.last_sequence, state.config.boot
    again = state.now + state.config.election_timeout
    reads.asking = Asking(sequence, leader, state.term, again, waiting)
    lease = all(read.lease for read in waiting)
    state.outbox.append(ReadIndexRequest(state.id, leader, state.term, boot, sequence, lease))


def _prepare(state: State, leader: Leader) -> None:
    """What can be done before a round begins: wait for the first commit of the term (F90), answer by the lease, or
    refuse who has waited too long."""
    begun = leader.reads_begun
    while begun and state.now >= begun[0][2][-1].expires:  # acknowledged, but no round is answered (R106)
        _refuse_waiting(state, begun.popleft()[2], "no majority answered a round of heartbeats in time")
    waiting = leader.reads_waiting
    in_term = state.log.term(state.log.commit) == state.term
    if waiting and (not in_term or state.now >= waiting[0].expires):  # no round begins for who is late (R178)
        late = [read for read in waiting if state.now >= read.expires]
        leader.reads_waiting = [read for read in waiting if state.now < read.expires]
        wanted = "round of heartbeats could begin for it" if in_term else "entry of this term could be committed"
        _refuse_waiting(state, late, f"no {wanted} in time")
    if not leader.reads_waiting or not in_term:
        return
    leader.may_confirm_reads = True
    if any(read.lease for read in leader.reads_waiting) and lease_holds(state, leader):
        _ready(state, [read for read in leader.reads_waiting if read.lease], state.log.commit)
        leader.reads_waiting = [read for read in leader.reads_waiting if not read.lease]


def attach(state: State, leader: Leader) -> None:
    """The round that has just begun is for all reads that wait; their index is what is committed now (F92)."""
    if leader.may_confirm_reads and leader.reads_waiting:
        leader.reads_begun.append((leader.round, state.log.commit, leader.reads_waiting))
        leader.reads_waiting = []


def confirm(state: State) -> None:
    """Rule: reads whose round, or a later one, was answered by a majority may be served (faults F91, F94)."""
    leader = state.role
    if not isinstance(leader, Leader) or not leader.reads_begun:
        return
    rounds = {peer: progress.round for peer, progress in leader.progress.items()}
    rounds[state.id] = leader.round
    configuration = state.configuration
    confirmed = jointly_reached(configuration.voter_ids, configuration.outgoing_ids, rounds)
    begun = leader.reads_begun
    while begun and confirmed is not None and begun[0][0] <= confirmed:
        _, index, reads = begun.popleft()
        _ready(state, reads, index)


def answer(state: State) -> None:
    """Rule: a read is answered when its index is applied here (fault F95), or refused if that takes too long (F96)."""
    reads, applied = state.reads, state.applying.applied
    state.answers.extend(ReadAnswer(read.token, applied) for read in reads.take_served(applied))
    for read in reads.take_expired(state.now):
        text = f"{state.id} has not applied entry {read.wanted} in time, it is at {applied}"
        state.answers.append(ReadAnswer(read.token, 0, NotApplied(text)))


def next_deadline(state: State) -> float:
    """When a question must be asked again, or a read be given up."""
    reads = state.reads
    again = NEVER if reads.asking is None else reads.asking.again
    return min(again, next((read.expires for read in reads.ready.values()), NEVER))


def lease_holds(state: State, leader: Leader) -> bool:
    """Whether no other leader can have been elected yet (thesis 6.4.1).

    The promise counts from when the heartbeat was handed out, not from its answer (fault F93), and only of voters that
    hold the configuration that makes them promise, and this term, so that they remember after a restart that they may
    have promised (F137). Whoever handed over leadership has given the lease away (F138).
    """
    lease, index = state.configuration.lease, state.log.configurations.index
    if lease is None or leader.handed_over or index > state.log.commit:
        return False
    promised = dict.fromkeys(state.configuration.all_voter_ids, -NEVER)
    for peer, progress in leader.progress.items():
        if progress.match >= max(index, 1):  # an acknowledgement of this term is durable, the term with it
            promised[peer] = progress.round_time
    promised[state.id] = state.now
    began = jointly_reached(state.configuration.voter_ids, state.configuration.outgoing_ids, promised)
    return began is not None and state.now < began + lease.seconds / (1 + lease.drift)


def _wait_for(state: State, index: int, token: Any) -> None:
    state.reads.wait_for(index, token, state.now + state.config.forward_timeout)


def _refuse(state: State, reads: Sequence[LocalRead], error: NotApplied) -> None:
    state.answers.extend(ReadAnswer(read.token, 0, error) for read in reads)


def _refuse_waiting(state: State, reads: Sequence[WaitingRead], text: str) -> None:
    for read in reads:
        if isinstance(read.asker, LocalRead):
            _refuse(state, [read.asker], NotLeader(text, state.id))
        else:
            _respond(state, read.asker, 0)


def _ready(state: State, reads: Sequence[WaitingRead], index: int) -> None:
    for read in reads:
        if isinstance(read.asker, LocalRead):
            _wait_for(state, index, read.asker.token)
        else:
            _respond(state, read.asker, index)


def _respond(state: State, origin: Origin, index: int) -> None:
    state.outbox.append(ReadIndexResponse(state.id, origin.sender, state.term, origin.boot, origin.sequence, index))
