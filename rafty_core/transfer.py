"""Leadership transfer (thesis 3.10): a leader hands over to a voter that has all of its log.

Law: *the target is told to campaign only when its log is complete, and the leader takes no proposals meanwhile.*

The target campaigns at once and without a pre-vote, and its requests for votes say why, so that voters that hear the
old leader answer them (the log is looked at as always). If it has not become leader when the time is over, the old
leader goes on.
"""

from rafty_core.events import TransferLeadership
from rafty_core.messages import TimeoutNow
from rafty_core.outcomes import NotLeader, OutcomeUnknown, ProposalError, TransferFailed
from rafty_core.output import TransferAnswer
from rafty_core.proposing import describe_no_leader
from rafty_core.replication import check_leader
from rafty_core.roles import NEVER, Leader
from rafty_core.state import State
from rafty_core.waiting import Handover, Transfer


def on_transfer_leadership(state: State, event: TransferLeadership) -> None:
    """Begin to hand over, or say why not: the target must be a voter that is heard (fault F25)."""
    leader = state.role
    if not isinstance(leader, Leader):
        error = NotLeader(describe_no_leader(state), leader.leader)
        state.answers.append(TransferAnswer(event.token, leader.leader, error))
        return
    target = event.target if event.target is not None else most_up_to_date(state, leader)
    if target == state.id:
        state.answers.append(TransferAnswer(event.token, state.id))
        return
    reason = _unfit(state, leader, target)
    if reason is not None:
        state.answers.append(TransferAnswer(event.token, state.id, TransferFailed(reason)))
        return
    deadline = state.now + (event.timeout if event.timeout > 0 else state.config.election_timeout)
    leader.transfer = Transfer(str(target), deadline)
    state.handover = Handover(event.token, str(target), deadline, state.term)


def _unfit(state: State, leader: Leader, target: str | None) -> str | None:
    if leader.transfer is not None or state.handover is not None:
        return "leadership is being transferred already; wait until that is done"
    if target is None:
        return "no other voter is heard that could take over"
    if target not in state.configuration.voter_ids:
        return f"{target} is no voter, and cannot lead"
    if state.now >= leader.progress[target].contact + state.config.election_timeout:
        return f"{target} has not been heard for an election timeout"
    return None


def is_heard(state: State, leader: Leader, peer: str) -> bool:
    """Whether this peer was heard within the election timeout, in this term."""
    progress = leader.progress.get(peer)
    return progress is not None and progress.heard and state.now < progress.contact + state.config.election_timeout


def most_up_to_date(state: State, leader: Leader) -> str | None:
    """The voter, heard lately, that holds most of the log; None if no other voter is heard."""
    heard = [voter for voter in state.configuration.voter_ids if is_heard(state, leader, voter)]
    return max(heard, key=lambda voter: leader.progress[voter].match, default=None)


def on_timeout_now(state: State, message: TimeoutNow) -> None:
    """Thesis 3.10: the message "has the same effect as the target server's election timer firing".

    The term is the receiver's own: a request of an earlier term has come too late and starts nothing (fault F27).
    """
    check_leader(state, message.sender)
    if not state.is_restored:
        return
    if state.may_campaign and state.now >= state.no_votes_until:
        state.become_candidate(transfer=True)


def hand_over(state: State) -> None:
    """Rule: tell the target as soon as it has everything, again with each round of heartbeats; give up in time."""
    leader = state.role
    if not isinstance(leader, Leader) or leader.transfer is None:
        return
    transfer = leader.transfer
    progress = leader.progress.get(transfer.target)
    if state.now >= transfer.deadline or progress is None or transfer.target not in state.configuration.voter_ids:
        leader.transfer = None
    elif progress.match == state.log.last_index and transfer.told_round < leader.round + 1:
        transfer.told_round = leader.round + 1
        tell(state, leader, transfer.target)


def tell(state: State, leader: Leader, target: str) -> None:
    """Have the target campaign. From now on another leader may come at any time: the lease is gone (fault F138)."""
    leader.handed_over = True
    state.outbox.append(TimeoutNow(state.id, target, state.term))


def settle(state: State) -> None:
    """Rule: answer the request for a transfer when it is known who leads, or when its time is over."""
    handover = state.handover
    if handover is None:
        return
    leader = state.role.leader
    error: ProposalError | None = None
    if leader is not None and state.term > handover.term:
        if leader != handover.target:
            error = TransferFailed(f"{leader} was elected instead of {handover.target}")
    elif isinstance(state.role, Leader) and state.role.transfer is None:
        error = TransferFailed(f"{handover.target} has not taken over in time, {state.id} leads on")
    elif state.now >= handover.deadline + state.config.election_timeout:
        error = OutcomeUnknown(f"{state.id} leads no more, and has not heard of another leader yet")
    else:
        return
    state.handover = None
    state.answers.append(TransferAnswer(handover.token, leader, error))


def next_deadline(state: State) -> float:
    """When a transfer must be given up, or its request answered."""
    handover = state.handover
    if handover is None:
        return NEVER
    if isinstance(state.role, Leader):
        return handover.deadline
    return handover.deadline + state.config.election_timeout
