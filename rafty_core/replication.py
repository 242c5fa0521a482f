"""Log replication: the consistency check, the commit rule, pipelined appends (paper 5.3, 5.4.2, thesis 10.2.1).

Law: *a leader commits only through an entry of its own term, and a follower only what this term's leader has proven.*
"""

from rafty_core import reads
from rafty_core.entries import Batch
from rafty_core.events import PeerUnreachable
from rafty_core.messages import AppendEntries, AppendEntriesResponse, Heartbeat, HeartbeatResponse, Message
from rafty_core.output import PeerContact
from rafty_core.progress import REPLICATE, SNAPSHOT, Progress
from rafty_core.quorum import jointly_reached
from rafty_core.roles import NEVER, Follower, Leader
from rafty_core.state import State
from rafty_core.violation import Violation

# --------------------------------------------------------- a follower's part


def on_append_entries(state: State, message: AppendEntries) -> Message | None:
    """Figure 2, AppendEntries RPC, receiver implementation, steps 2 to 5.

    The acknowledgement is not sent here: it leaves when what it acknowledges is durable (`acknowledge`).
    """
    check_leader(state, message.sender)
    log = state.log
    prev, batch = _above_commit(state, message)
    follower = follow(state, message.sender)
    if prev > log.commit and not log.matches(prev, message.prev_log_term):
        # "Reply false if log doesn't contain an entry at prevLogIndex whose term matches prevLogTerm"
        hint = log.find_conflict_by_term(min(message.prev_log_index, log.last_index), message.prev_log_term)
        hint_term = log.term(hint) if hint >= log.base_index else 0
        return AppendEntriesResponse(
            state.id, message.sender, state.term, False, message.prev_log_index, hint, hint_term
        )
    if batch is not None:
        _take_entries(state, batch)
    proven = prev if batch is None else batch.last
    follower.proven = max(follower.proven, proven)
    follower.owes_acknowledgement = True
    # "set commitIndex = min(leaderCommit, index of last new entry)": what lies behind is not proven (fault F34)
    log.commit_to(max(log.commit, min(message.leader_commit, proven)))
    return None


def on_heartbeat(state: State, message: Heartbeat) -> Message:
    """A sign of life. Its commit index is at most what this node acknowledged to this leader, hence proven (F35)."""
    check_leader(state, message.sender)
    if message.leader_commit > state.log.last_index:
        raise Violation(f"{message.sender} thinks that entry {message.leader_commit} is here")
    follow(state, message.sender)
    state.log.commit_to(message.leader_commit)
    return HeartbeatResponse(state.id, message.sender, state.term, message.round)


def check_leader(state: State, sender: str) -> None:
    """Paper 5.2, Election Safety: a term has one leader. A second one is somebody's bug; it is not obeyed (F55)."""
    known = state.role.leader
    if known is not None and known != sender:
        raise Violation(f"{sender} and {known} both claim to lead term {state.term}")


def follow(state: State, leader: str) -> Follower:
    """Paper 5.2: "if the leader's term is at least as large as the candidate's current term, then the candidate
    recognizes the leader as legitimate and returns to follower state". Restarts the election timer."""
    role = state.role
    if not isinstance(role, Follower) or role.leader is None:
        owes_vote = isinstance(role, Follower) and role.owes_vote
        role = state.become_follower(state.term, leader)
        role.owes_vote = owes_vote
    state.heard_leader = state.now
    role.deadline = state.now + role.timeout if state.may_campaign else role.deadline
    return role


def _above_commit(state: State, message: AppendEntries) -> tuple[int, Batch | None]:
    """The part of the message above the commit index: the index before it, and the entries.

    Entries up to the commit index are here and are the leader's too (paper 5.4, Leader Completeness); a leader that
    has others there is not obeyed: "a committed entry is never overwritten".
    """
    log, prev, batch = state.log, message.prev_log_index, message.batch
    if prev > log.commit:
        return prev, batch
    if prev >= log.base_index and log.term(prev) != message.prev_log_term:
        raise Violation(f"{message.sender} has another entry at the committed index {prev}")
    if batch is None or prev == log.commit:
        return prev, batch
    first, last = max(batch.first, log.base_index), min(batch.last, log.commit)
    if first <= last and (log.term(first) != batch.term or log.term(last) != batch.term):
        raise Violation(f"{message.sender} has another entry at a committed index between {first} and {last}")
    if batch.last <= log.commit:
        return batch.last, None
    return log.commit, batch.slice_from(log.commit + 1)


def _take_entries(state: State, batch: Batch) -> None:
    """Figure 2: "If an existing entry conflicts with a new one (same index but different terms), delete the existing
    entry and all that follow it. Append any new entries not already in the log". Nothing else is deleted (F31)."""
    conflict = state.log.find_conflict(batch)
    if conflict == 0:
        return
    if conflict <= state.log.last_index:
        state.writes.truncated(conflict)
    state.log.replace_from(batch.slice_from(conflict))


def acknowledge(state: State) -> None:
    """Rule: acknowledge what is proven *and durable*, in a durable term (faults F36, F37); once, the newest."""
    role = state.role
    if not isinstance(role, Follower) or role.leader is None or state.writes.term != state.term:
        return
    durable = min(role.proven, state.writes.index)
    if role.owes_acknowledgement and (durable > role.acknowledged or durable >= role.proven):
        role.owes_acknowledgement = durable < role.proven
        role.acknowledged = durable
        state.outbox.append(AppendEntriesResponse(state.id, role.leader, state.term, True, durable))


# ----------------------------------------------------------- a leader's part


def on_append_entries_response(state: State, response: AppendEntriesResponse) -> None:
    """Figure 2: "If successful: update nextIndex and matchIndex for follower. If AppendEntries fails because of log
    inconsistency: decrement nextIndex and retry". The term is this leader's own (the term rule has run, F39)."""
    leader = state.role
    progress = leader.progress.get(response.sender) if isinstance(leader, Leader) else None
    if progress is None:
        return  # not in the configuration, so of no use to anybody
    if response.success and response.match_index > state.log.last_index:
        raise Violation(f"{response.sender} acknowledges entry {response.match_index}, which does not exist")
    _heard(state, response.sender, progress)
    if not response.success:
        hint = response.hint_index
        if response.hint_term > 0:  # skip all entries of terms that the follower cannot have (thesis 5.3)
            hint = state.log.find_conflict_by_term(hint, response.hint_term)
        progress.refuse(response.match_index, hint)
        return
    progress.acknowledge(response.match_index)
    agreed = response.match_index == progress.match >= state.log.base_index
    if agreed and progress.state != REPLICATE:  # also while a newer snapshot is on offer: the log leads there too
        progress.become_replicate()


def on_heartbeat_response(state: State, response: HeartbeatResponse) -> None:
    """The follower lives; if it lacks something, the next append goes out even if it repeats what was lost."""
    leader = state.role
    if not isinstance(leader, Leader) or response.sender not in leader.progress:
        return
    if response.round > leader.round:
        raise Violation(f"{response.sender} answers round {response.round}, which has not begun")
    progress = leader.progress[response.sender]
    _heard(state, response.sender, progress)
    if response.round > progress.round:
        progress.round, progress.round_time = response.round, leader.time_of_round(response.round)
    progress.heartbeat_answered(state.log.last_index)


def on_peer_unreachable(state: State, event: PeerUnreachable) -> None:
    """Messages to this peer were lost: stop streaming, try from what is certain."""
    leader = state.role
    progress = leader.progress.get(event.peer) if isinstance(leader, Leader) else None
    if progress is not None and progress.state == REPLICATE:
        progress.become_probe()


def _heard(state: State, peer: str, progress: Progress) -> None:
    progress.contact = state.now
    progress.heard = True
    if not progress.reachable:
        progress.reachable = True
        state.notices.append(PeerContact(peer, True))


def append(state: State, leader: Leader, entries: list[bytes], weight: int) -> None:
    """Append a leader's own new entries, of `weight` bytes."""
    state.log.append(state.term, entries)
    leader.appended(state.log.last_index, weight)


def advance_commit(state: State) -> None:
    """Rule, Figure 2: "If there exists an N such that N > commitIndex, a majority of matchIndex[i] >= N, and
    log[N].term == currentTerm: set commitIndex = N". The leader counts its own copy when it is durable (F38); entries
    of earlier terms are committed only by one of its own behind them (paper 5.4.2, F30)."""
    leader = state.role
    if not isinstance(leader, Leader):
        return
    if state.log.commit < state.log.last_index:
        _advance_commit(state, leader)
    leader.settled(min(state.log.commit, state.writes.index))


def _advance_commit(state: State, leader: Leader) -> None:
    match = {peer: progress.match for peer, progress in leader.progress.items()}
    match[state.id] = state.writes.index
    reached = jointly_reached(state.configuration.voter_ids, state.configuration.outgoing_ids, match)
    if reached is not None and reached > state.log.commit and state.log.term(reached) == state.term:
        state.log.commit_to(reached)


def send_heartbeats(state: State) -> None:
    """Rule, paper 5.2: leaders "send periodic heartbeats to all followers in order to maintain their authority"."""
    leader = state.role
    if not isinstance(leader, Leader) or (state.now < leader.next_heartbeat and not reads.round_is_wanted(leader)):
        return
    leader.begin_round(state.now, state.silence)
    reads.attach(state, leader)
    leader.next_heartbeat = state.now + state.config.heartbeat_interval if leader.progress else NEVER
    for peer, progress in leader.progress.items():
        if progress.reachable and state.now >= progress.contact + state.config.election_timeout:
            progress.reachable = False
            state.notices.append(PeerContact(peer, False))
        commit = min(progress.match, state.log.commit)
        state.outbox.append(Heartbeat(state.id, peer, state.term, commit, leader.round))


def send_appends(state: State) -> None:
    """Rule: send each follower what it lacks, as far as its window allows, and a new commit index at once (F43)."""
    leader = state.role
    if not isinstance(leader, Leader):
        return
    for peer, progress in leader.progress.items():
        sent_any = False
        while progress.next <= state.log.last_index and not progress.is_paused:
            if progress.next <= state.log.base_index:
                break  # compacted: no append can help this follower, a snapshot is on offer
            batch = state.log.batch_at(progress.next, state.config.max_batch_bytes)
            _send_append(state, peer, progress, batch)
            progress.sent(batch.last, batch.weight)
            sent_any = True
        news = progress.state == REPLICATE and progress.sent_commit < state.log.commit and not progress.is_paused
        nudged = progress.nudged and progress.state != SNAPSHOT
        if not sent_any and (news or nudged) and progress.next > state.log.base_index:
            _send_append(state, peer, progress, None)
            progress.sent_without_entries()
        progress.nudged = False


def _send_append(state: State, peer: str, progress: Progress, batch: Batch | None) -> None:
    prev = progress.next - 1
    commit = progress.sent_commit = state.log.commit
    state.outbox.append(AppendEntries(state.id, peer, state.term, prev, state.log.term(prev), commit, batch))
