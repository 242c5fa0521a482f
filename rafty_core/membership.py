"""Changes of membership: one at a time, through learners and a joint configuration (paper 6, thesis 4).

Law: *a configuration is in force where it is appended; the next one is appended only when it is committed.*

A change is accepted by a leader that has committed an entry of its own term, while no other change is under way
(faults F56, F57). From then on nobody needs to remember it: every step stands in the log, with where it leads. Whoever
leads, the one that accepted it or a successor, takes the next step when the last one is committed: promotes learners
once they are close, leaves the joint configuration (fault F60), or gives up a learner that never gets close.

A leader that is no voter afterwards goes on until its removal is committed, without counting itself (fault F64). A
member that was dropped is told: it gets the log up to its removal, and its commit, before it is forgotten (fault F66).

Not promised: that a majority can elect a leader while a change is under way and others are down. The newest log may be
that of a learner, which does not stand for election, and which refuses who needs its vote by a joint configuration that
it does not know. When one more voter is back, all goes on.
"""

from rafty_core import changes
from rafty_core.changes import Unchangeable
from rafty_core.configuration import Configuration
from rafty_core.events import ChangeMembership
from rafty_core.outcomes import ChangeRefused, NotLeader, OutcomeUnknown, ProposalError, Superseded
from rafty_core.output import MembershipAnswer, MembershipChanged, Removed
from rafty_core.progress import SNAPSHOT
from rafty_core.proposing import describe_no_leader
from rafty_core.quorum import majority
from rafty_core.roles import NEVER, Follower, Leader
from rafty_core.state import State
from rafty_core.transfer import is_heard, most_up_to_date, tell
from rafty_core.waiting import PATIENCE, CatchUp, PendingChange

MOST_ROUNDS = 10
"""Rounds of catching up before a learner that is never close is given up (thesis 4.2.1)."""

MOST_SNAPSHOTS = 3
"""Snapshots in a row that a learner cannot get before it is given up."""

# ------------------------------------------------------------------- handlers


def on_change_membership(state: State, event: ChangeMembership) -> None:
    """Accept the change and take its first step, or say why not; a refusal leaves no entry."""
    leader = state.role
    if not isinstance(leader, Leader):
        _answer(state, event, NotLeader(describe_no_leader(state), leader.leader))
        return
    try:
        target = _accepted(state, leader, event)
    except Unchangeable as refusal:
        _answer(state, event, ChangeRefused(refusal.reason, str(refusal)))
        return
    now = state.configuration
    if target == now:
        state.answers.append(MembershipAnswer(event.token, now))
        return
    state.change = PendingChange(event.token, state.log.last_index + 1, state.term, target)
    if not changes.changes_voters(now, target):
        _append(state, leader, target)
    elif changes.newcomers(now, target):
        _append(state, leader, changes.with_learners(now, target))
    else:
        _append(state, leader, changes.enter_joint(now, target))


def _answer(state: State, event: ChangeMembership, error: ProposalError) -> None:
    state.answers.append(MembershipAnswer(event.token, None, error))


def _accepted(state: State, leader: Leader, event: ChangeMembership) -> Configuration:
    """Where the change leads. Raises `Unchangeable` for one that must not be made now, or at all."""
    log, index = state.log, state.log.configurations.index
    if leader.transfer is not None:
        raise Unchangeable("transfer", f"leadership is being transferred to {leader.transfer.target}; try again soon")
    if log.term(log.commit) != state.term:  # thesis 4.1, and Ongaro's correction of 2015 (fault F56)
        raise Unchangeable("not_ready", "this leader has not committed an entry of its own term yet; try again soon")
    if index > log.commit or state.change is not None:
        raise Unchangeable("in_progress", "another change of membership is under way; wait until it is done")
    if event.based_on and event.based_on != index:
        raise Unchangeable(
            "based_on", f"the configuration in force is that of index {index}, not {event.based_on}; look at it again"
        )
    unknown = changes.unknown_to(state.configuration, event.changes)
    if unknown is not None:
        raise Unchangeable("unknown", f"{unknown} is no member of this cluster")
    target = changes.target_of(state.configuration, event.changes, lease=event.lease)
    if changes.changes_voters(state.configuration, target) and not event.force:
        _check_reachable(state, leader, target)
    return target


def _check_reachable(state: State, leader: Leader, target: Configuration) -> None:
    """A majority of the new voters must be heard now; those that are caught up first will have been."""
    new = changes.newcomers(state.configuration, target)
    silent = [
        voter
        for voter in target.voter_ids
        if voter != state.id and voter not in new and not is_heard(state, leader, voter)
    ]
    if len(target.voter_ids) - len(silent) < majority(len(target.voter_ids)):
        raise Unchangeable(
            "unreachable",
            f"of the voters {', '.join(target.voter_ids)} too many are not heard now ({', '.join(silent)}); start them "
            "first, or force the change",
        )


# ---------------------------------------------------------------------- rules


def follow_configuration(state: State) -> None:
    """Rule: take note that another configuration is in force, or is final."""
    configurations = state.log.configurations
    if configurations.newest is not state.followed:
        state.followed = configurations.newest
        state.notices.append(MembershipChanged(configurations.index, configurations.newest, False))
        _take_part(state)
    if state.settled_index != configurations.index:
        index, settled = configurations.at(state.log.commit)
        if index != state.settled_index:
            state.settled_index = index
            state.notices.append(MembershipChanged(index, settled, True))
            state.proposals.follow_members(settled)
            _retire(state)
            if is_removed(state, settled):
                state.notices.append(Removed(index))


def is_removed(state: State, settled: Configuration) -> bool:
    """Whether this node, in this life of its data directory, was removed by a committed configuration."""
    own = state.config.incarnation
    return any(gone.id == state.id and own in ("", gone.incarnation) for gone in settled.removed)


def _take_part(state: State) -> None:
    """Play the part that the configuration gives this node."""
    role = state.role
    if isinstance(role, Leader):
        _follow_members(state, role)
    elif isinstance(role, Follower) and state.may_campaign:
        role.deadline = state.now + role.timeout
    _retire(state)


def _retire(state: State) -> None:
    """Who may not stand for election (any more) waits for nothing and asks nobody."""
    role = state.role
    if isinstance(role, Leader) or state.may_campaign:
        return
    if isinstance(role, Follower):
        role.deadline = NEVER
    else:
        state.become_follower(state.term, None)


def _follow_members(state: State, leader: Leader) -> None:
    """Who stays keeps the progress it has (faults F52, F69); who is new is probed; who is dropped is told.

    Who was dropped and is back begins anew: it may have a new life and an empty disk (faults F73, R15).
    """
    index = state.log.configurations.index
    members = [member.id for member in state.configuration.members if member.id != state.id]
    for peer in members:
        if peer not in leader.progress or leader.progress[peer].removed_at > 0:
            leader.progress[peer] = state.new_progress()
            leader.progress[peer].nudged = True  # it is probed at once, not only when a heartbeat has found it
    for peer, progress in leader.progress.items():
        if peer not in members and progress.removed_at == 0:
            progress.dropped(index)
    leader.catching = {}
    leader.expect_peers(state.now, state.config.election_timeout)


def advance_change(state: State) -> None:
    """Rule: when the last step of a change is committed, take the next one, whoever began it (faults F60, F61)."""
    leader, log = state.role, state.log
    now = log.configurations.newest
    if not isinstance(leader, Leader) or now.at_rest or log.configurations.index > log.commit:
        return
    if log.term(log.commit) != state.term:
        return
    if now.is_joint:
        _append(state, leader, changes.leave_joint(now))
    elif now.goal is not None and not leader.transfer:
        _catch_up(state, leader, now, now.goal)


def _catch_up(state: State, leader: Leader, now: Configuration, goal: Configuration) -> None:
    """Thesis 4.2.1: replication to a new server goes in rounds; it is close when a round was as short as an election
    timeout, and hopeless after ten that were not. A leader that is itself to be a voter again is close (R103)."""
    for peer in changes.newcomers(now, goal):
        if peer != state.id and peer not in leader.catching:
            leader.catching[peer] = CatchUp(state.log.last_index, state.now)
    for peer, catching in leader.catching.items():
        reason = _judge(state, leader, peer, catching)
        if reason is not None:
            if state.change is not None:
                state.change.reason = reason
            _append(state, leader, changes.without_learners(now))
            return
    if all(catching.done for catching in leader.catching.values()):
        _append(state, leader, changes.enter_joint(now, goal))


def _judge(state: State, leader: Leader, peer: str, catching: CatchUp) -> str | None:
    """Whether this learner is close now, or why it is hopeless. One that is close must stay so until all are (R16).

    One that fetches a snapshot gets on until it says otherwise, be it that its disk stands still (R171).
    """
    progress, timeout = leader.progress[peer], state.config.election_timeout
    silence = state.now - max(progress.contact, catching.since)
    if silence >= PATIENCE * timeout:
        return f"{peer} has not been heard for {silence:.1f} s; is it started, and reached at its address?"
    if progress.failed_snapshots >= MOST_SNAPSHOTS:
        return f"{peer} could not get a snapshot in {MOST_SNAPSHOTS} attempts; what it logs says why"
    if progress.match > catching.match or progress.state == SNAPSHOT or progress.match >= catching.target:  # R170
        catching.match, catching.moved = progress.match, state.now
    short = state.now - catching.began <= timeout
    if progress.match < catching.target or progress.state == SNAPSHOT:
        catching.done = catching.done and short
        still = state.now - catching.moved
        return f"{peer} answers, but takes no entries for {still:.1f} s" if still >= PATIENCE * timeout else None
    catching.done = short
    if not short and catching.round >= MOST_ROUNDS:
        return f"{peer} was not close to the leader's log after {MOST_ROUNDS} rounds; it is too slow"
    catching.begin_round(state.log.last_index, state.now)
    return None


def _append(state: State, leader: Leader, configuration: Configuration) -> None:
    """Append a configuration of this leader's; it is in force at once."""
    state.log.append_configuration(state.term, configuration)
    leader.appended(state.log.last_index, len(state.log.slice(state.log.last_index, state.log.last_index)[0]))
    follow_configuration(state)


def settle_change(state: State) -> None:
    """Rule: answer who asked for the change when what is committed decides it, whoever leads by then (F75).

    What decides is the first configuration at rest behind its beginning; other changes may have followed (R13).
    """
    change, log = state.change, state.log
    if change is None:
        return
    outcome: Configuration | None = None
    error: ProposalError | None = None
    if _is_superseded(state, change):
        error = Superseded("another leader's entry was committed in its place, so that the members are as they were")
    else:
        outcome = log.configurations.outcome(change.index, log.commit)
        if outcome is None:
            return
        if (outcome.voters, outcome.learners) != (change.target.voters, change.target.learners):
            if log.configurations.first_index > change.index:  # a snapshot came, and this may be a later change's
                error = OutcomeUnknown("a snapshot came before the outcome of the change; look at the members")
            else:
                reason = change.reason or "a later leader gave the change up; the members are as before"
                error = ChangeRefused("undone", reason)
    state.change = None
    state.answers.append(MembershipAnswer(change.token, outcome if error is None else None, error))


def _is_superseded(state: State, change: PendingChange) -> bool:
    """Whether another entry is committed in the place of the change, or one of a later term before it: terms never
    fall along a log, so that the place may stay empty and is still lost (R12)."""
    log = state.log
    if log.commit < change.index:
        return log.term(log.commit) > change.term
    if log.base_index > change.index:
        return log.configurations.index < change.index  # the snapshot's configuration is older: no change began there
    return log.term(change.index) != change.term


def forget_removed(state: State) -> None:
    """Rule: a dropped member is told until it has acknowledged its removal and heard that it is committed."""
    leader = state.role
    if not isinstance(leader, Leader) or len(leader.progress) < len(state.configuration.members):
        return
    for peer, progress in list(leader.progress.items()):
        index = progress.removed_at
        if index == 0 or state.log.commit < index:
            continue
        progress.told_until = min(progress.told_until, state.now + PATIENCE * state.config.election_timeout)
        if progress.told_round == 0 and progress.match >= index:
            progress.told_round = leader.round + 1  # the next round brings it the commit index
        if 0 < progress.told_round <= progress.round or state.now >= progress.told_until:
            del leader.progress[peer]


def leave_office(state: State) -> None:
    """Rule, paper 6: a leader that is not in the new configuration "steps down (returns to follower state) once it has
    committed the C-new log entry". It asks the best of the others to take over at once.

    A change that is under way is no reason to stay (R179): who takes over goes on with it.
    """
    leader = state.role
    if not isinstance(leader, Leader) or state.may_campaign:
        return
    successor = most_up_to_date(state, leader)
    if successor is not None:
        tell(state, leader, successor)
    state.become_follower(state.term, None)
