"""Snapshots: taken, offered to a follower that is too far behind, installed (paper 7, Figure 13, thesis 5).

Law: *a snapshot takes the place of the log only where the log does not lead there itself, and only above what is
committed.*

Of a snapshot the core knows index, term and configuration; its bytes are the driver's affair. A leader *offers* its
snapshot; the follower *fetches* it, so that it sets the pace, and goes on where it was when a connection is lost. Until
the bytes are here, whole and durable, nothing has changed. Then everything follows from one write: the snapshot stands
where the log stood, the state machine is restored from it, and that it is held is acknowledged, like any entry, once it
is durable.

How long a fetch takes is nobody's business, as long as it gets on: a leader waits for it, and the driver says when it
has failed. How long a write takes is known here: while the disk stands still, each offer is answered by that nothing is
installed, so that the leader does not wait for a learner whose disk is dead (R171).
"""

from rafty_core.events import SnapshotFailed, SnapshotReceived, SnapshotTaken
from rafty_core.messages import InstallSnapshot, InstallSnapshotResponse, Message
from rafty_core.output import Fetch, Restore, SnapshotChanged
from rafty_core.progress import SNAPSHOT, Progress
from rafty_core.proposing import forget_outcome
from rafty_core.replication import check_leader, follow
from rafty_core.roles import Follower, Leader
from rafty_core.stable import Snapshot
from rafty_core.state import State
from rafty_core.violation import Violation
from rafty_core.waiting import PATIENCE

# --------------------------------------------------------- a follower's part


def on_install_snapshot(state: State, message: InstallSnapshot) -> Message | None:
    """Fetch the snapshot that the leader offers, unless everything that it holds is here.

    Figure 13, step 6: "If existing log entry has same index and term as snapshot's last included entry, retain log
    entries following it and reply". Nothing is installed then: a snapshot is of committed entries, and so they are
    committed here too (fault F78).
    """
    check_leader(state, message.sender)
    log, index, term = state.log, message.last_included_index, message.last_included_term
    if log.base_index <= index <= log.commit and log.term(index) != term:
        raise Violation(f"{message.sender} has a snapshot with another entry at the committed index {index}")
    if index > log.commit and term < log.term(log.commit):
        raise Violation(f"{message.sender} has a snapshot without the entry that is committed at {log.commit}")
    follower = follow(state, message.sender)
    if index > log.commit and not log.matches(index, term):
        offered = Snapshot(index, term, message.configuration)
        if state.fetching is None or state.fetching.peer != message.sender:
            state.fetching = Fetch(message.sender, offered)
            state.fetch = state.fetching
    else:
        log.commit_to(max(log.commit, index))
        follower.proven = max(follower.proven, index)
        follower.owes_acknowledgement = True
        if index <= state.writes.index:
            return None
    if state.now < state.writes.oldest_cut + PATIENCE * state.config.election_timeout:
        return None
    return InstallSnapshotResponse(state.id, message.sender, state.term, index)


def on_snapshot_received(state: State, event: SnapshotReceived) -> None:
    """Install the snapshot that was fetched, if it is still needed (Figure 13, steps 5 to 8; faults F77, F79)."""
    fetching, log = state.fetching, state.log
    if fetching is None or (fetching.snapshot.index, fetching.snapshot.term) != (event.index, event.term):
        return
    state.fetching = None
    role = state.role
    if event.index <= log.commit or not isinstance(role, Follower):
        return
    if log.matches(event.index, event.term):
        log.commit_to(event.index)
    else:
        _install(state, fetching.snapshot)
    if role.leader is not None:
        role.proven = max(role.proven, event.index)
        role.owes_acknowledgement = True


def _install(state: State, snapshot: Snapshot) -> None:
    """ "Discard the entire log. Reset state machine using snapshot contents (and load snapshot's cluster
    configuration)"."""
    state.writes.installed(snapshot, state.log.commit)
    state.log.restore(snapshot.index, snapshot.term, snapshot.configuration)
    state.applying.restore = Restore(snapshot.index, snapshot.term)
    state.snapshot = snapshot
    state.notices.append(SnapshotChanged(snapshot.index, snapshot.term, True))
    _forget_covered(state, snapshot)


def _forget_covered(state: State, snapshot: Snapshot) -> None:
    """What became of proposals that the snapshot covers cannot be told any more: their results are not in it."""
    waiting = state.proposals.accepted
    for proposal in list(waiting):  # those of an earlier leadership may stand further behind, and come first
        if proposal.first <= snapshot.index:
            waiting.remove(proposal)
            forget_outcome(state, proposal, "a snapshot took the place of the log before the outcome was known")


def on_snapshot_failed(state: State, event: SnapshotFailed) -> Message | None:
    """Tell the leader, which will offer what it has now (fault F85)."""
    fetching = state.fetching
    if fetching is None or (fetching.snapshot.index, fetching.snapshot.term) != (event.index, event.term):
        return None
    state.fetching = None
    if state.role.leader != fetching.peer:
        return None
    return InstallSnapshotResponse(state.id, fetching.peer, state.term, event.index)


# ------------------------------------------------------------- every node's


def on_snapshot_taken(state: State, event: SnapshotTaken) -> None:
    """Forget the part of the log that the snapshot holds, but for what followers are just being brought up to.

    Paper 7: "Once a server completes writing a snapshot, it may delete all log entries up through the last included
    index, as well as any prior snapshot." An entry is gone in memory now and on disk some time later.
    """
    log, known = state.log, state.snapshot.index
    if event.index < known or not log.configurations.at(event.index)[1].voters:
        return  # an old one; or one of a joining node that has not been told yet who the members are
    wanted = event.index if event.compact_to < 0 else min(event.compact_to, event.index)
    if event.index > known:
        _, configuration = log.configurations.at(event.index)
        state.snapshot = Snapshot(event.index, log.term(event.index), configuration)
        state.notices.append(SnapshotChanged(event.index, state.snapshot.term, False))
    compact_to = max(log.base_index, min(wanted, _needed_by_followers(state)))
    if event.index == known and compact_to == log.base_index:
        return  # the same snapshot again, and nothing more of the log that could go
    log.compact(compact_to)
    state.writes.compacted(state.snapshot, compact_to)


def _needed_by_followers(state: State) -> int:
    """Up to where the log may go for the sake of followers that are reached and behind (fault F88), within a bound.

    Without this a follower that takes longer for a snapshot than the leader for the next one would never arrive.
    """
    leader, log = state.role, state.log
    if not isinstance(leader, Leader):
        return log.last_index
    behind = [_stands_at(progress) for progress in leader.progress.values() if progress.reachable and progress.heard]
    needed = max(min(behind, default=log.last_index), log.base_index)
    if needed >= state.snapshot.index:
        return needed
    kept = sum(map(len, log.slice(needed + 1, state.snapshot.index)))
    return needed if kept <= state.config.max_retained_bytes else log.last_index


def _stands_at(progress: Progress) -> int:
    return max(progress.match, progress.pending_snapshot)


# ------------------------------------------------------------ a leader's part


def on_install_snapshot_response(state: State, response: InstallSnapshotResponse) -> None:
    """The follower has not got the snapshot; what it needs is decided anew when it is next heard."""
    leader = state.role
    progress = leader.progress.get(response.sender) if isinstance(leader, Leader) else None
    if progress is not None and progress.pending_snapshot <= response.last_included_index:
        progress.snapshot_failed()


def offer_snapshots(state: State) -> None:
    """Rule: offer the newest snapshot to each follower that needs what is compacted, once it is heard (rule 7-07).

    It is offered again with each answer to a heartbeat until it is there: an offer may be lost.
    """
    leader, log, snapshot = state.role, state.log, state.snapshot
    if not isinstance(leader, Leader):
        return
    for peer, progress in leader.progress.items():
        if progress.state == SNAPSHOT:
            wanted = progress.nudged
        else:
            wanted = progress.next <= log.base_index and (progress.nudged or not progress.is_paused)
        if not wanted or not progress.heard or not progress.reachable:
            continue
        if progress.state != SNAPSHOT:
            progress.become_snapshot(snapshot.index)
        state.outbox.append(
            InstallSnapshot(state.id, peer, state.term, snapshot.index, snapshot.term, snapshot.configuration)
        )
