"""Leader election: pre-votes, votes, and what ends a leadership (paper 5.2 and 5.4.1, thesis 3.4, 4.2.3, 6.2, 9.6).

Law: *a node votes once per term, for a log at least as up-to-date as its own, and not while it hears a leader.*

Handlers change the state; what leaves is decided by `ask_for_votes` and `answer_votes`, at the end of the step, and
only when the disk has confirmed the vote that it rests on.
"""

from rafty_core.events import Campaign
from rafty_core.messages import (
    Message,
    PreVote,
    PreVoteResponse,
    RequestVote,
    RequestVoteResponse,
)
from rafty_core.quorum import joint_vote_result
from rafty_core.roles import Candidate, Follower, Leader, PreCandidate, Standing
from rafty_core.state import State

# ------------------------------------------------------------------- handlers


def on_campaign(state: State, event: Campaign) -> None:
    """Start an election now, if this node may: it is a voter, and no vote of an earlier life may still bind it.

    Nor while a snapshot is being put into its state machine: who cannot serve must not lead. Nor may a promise to a
    leader that relies on a lease: whoever made one elects nobody, itself included.
    """
    free = state.now >= max(state.no_votes_until, state.promised_until)
    if state.may_campaign and state.is_restored and free:
        state.become_pre_candidate()


def on_request_vote(state: State, request: RequestVote) -> Message | None:
    """Figure 2: "if votedFor is null or candidateId, and candidate's log is at least as up-to-date as receiver's log,
    grant vote". The term is the receiver's own here (the term rule has run); it may have learned of it while it heard
    a leader, and then its promise to that one holds on, as for a request of a later term (R100)."""
    if state.now < state.no_votes_until:
        return None
    if not _may_vote_for(state, request.sender) or not _is_up_to_date(state, request):
        return RequestVoteResponse(state.id, request.sender, state.term, False)
    if state.hears_leader and not request.transfer:
        return None
    role = state.role if isinstance(state.role, Follower) else state.become_follower(state.term, None)
    state.vote = request.sender
    role.owes_vote = True
    if state.may_campaign:  # only a granted vote restarts the timer (thesis 3.4, fault F13)
        role.deadline = state.now + role.timeout
    return None


def on_pre_vote(state: State, request: PreVote) -> Message:
    """Thesis 9.6: granted "if the candidate's log is sufficiently up-to-date, and the voters have not received
    heartbeats from a valid leader for at least a baseline election timeout". Changes nothing (fault F15)."""
    granted = (
        state.now >= state.no_votes_until
        and not state.hears_leader
        and (request.term > state.term or _may_vote_for(state, request.sender))
        and _is_up_to_date(state, request)
    )
    return PreVoteResponse(state.id, request.sender, state.term, request.term, granted)


def on_pre_vote_response(state: State, response: PreVoteResponse) -> None:
    """Note the answer, if it is to the question that is being asked (fault F18)."""
    role = state.role
    if isinstance(role, PreCandidate) and response.requested_term == state.term + 1:
        role.votes.setdefault(response.sender, response.vote_granted)


def on_request_vote_response(state: State, response: RequestVoteResponse) -> None:
    """Note the vote: by voter, so that a repeated one counts once (fault F8), and of this term only (fault F9)."""
    role = state.role
    if isinstance(role, Candidate):
        role.votes.setdefault(response.sender, response.vote_granted)


def _may_vote_for(state: State, candidate: str) -> bool:
    return state.vote == candidate or (state.vote is None and state.role.leader is None)


def _is_up_to_date(state: State, request: RequestVote | PreVote) -> bool:
    return state.log.is_up_to_date(request.last_log_index, request.last_log_term)


# ------------------------------------------------------- rules, once per step


def run_timers(state: State) -> None:
    """What the passing of time does: a voter starts an election, a leader without a majority or a disk steps down."""
    role = state.role
    if isinstance(role, Leader):
        if state.now >= role.quorum_deadline:
            check_quorum(state, role)
        if state.role is role and state.now >= state.writes.oldest_cut + state.config.election_timeout:
            state.become_follower(state.term, None)  # a leader whose disk stalls can apply nothing (fault F118)
    elif state.now >= role.deadline and state.may_campaign:
        if state.now < state.promised_until:  # the lease came after this timeout was drawn
            role.deadline = state.promised_until
        elif not state.is_restored:
            role.deadline = state.now + state.config.election_timeout
        else:
            state.become_pre_candidate()


def check_quorum(state: State, leader: Leader) -> None:
    """Thesis 6.2: "a leader in Raft steps down if an election timeout elapses without a successful round of heartbeats
    to a majority of its cluster". It stops heartbeating too, and so frees those it could still reach (fault F21)."""
    leader.quorum_deadline = state.quorum_contact + state.config.election_timeout
    if state.now >= leader.quorum_deadline:
        state.become_follower(state.term, None)


def count_votes(state: State) -> None:
    """Win or lose the election, by majorities of both halves of the configuration.

    A candidate's own vote counts when it is durable, and not before (fault F4); a pre-vote promises nothing.
    """
    role = state.role
    if not isinstance(role, Standing):
        return
    if isinstance(role, PreCandidate) or _vote_is_durable(state):
        role.votes[state.id] = True
    configuration = state.configuration
    result = joint_vote_result(configuration.voter_ids, configuration.outgoing_ids, role.votes)
    if result == "lost":
        state.become_follower(state.term, None)
    elif result == "won" and isinstance(role, PreCandidate):
        state.become_candidate()
    elif result == "won":
        state.become_leader()


def ask_for_votes(state: State) -> None:
    """Send the requests of an election, once: of a pre-vote at once, of a vote when the own one is durable."""
    role, log = state.role, state.log
    if not isinstance(role, Standing) or role.asked:
        return
    others = [voter for voter in state.configuration.all_voter_ids if voter != state.id]
    if isinstance(role, PreCandidate):
        role.asked = True
        state.outbox.extend(PreVote(state.id, to, state.term + 1, log.last_index, log.last_term) for to in others)
    elif _vote_is_durable(state):
        role.asked = True
        transfer = isinstance(role, Candidate) and role.transfer
        state.outbox.extend(
            RequestVote(state.id, to, state.term, log.last_index, log.last_term, transfer) for to in others
        )


def answer_votes(state: State) -> None:
    """Send a granted vote when it is durable (Figure 2: "updated on stable storage before responding", F3)."""
    role = state.role
    if isinstance(role, Follower) and role.owes_vote and state.vote is not None and _vote_is_durable(state):
        role.owes_vote = False
        state.outbox.append(RequestVoteResponse(state.id, state.vote, state.term, True))


def next_deadline(state: State) -> float:
    """When time alone will change something next."""
    role = state.role
    if not isinstance(role, Leader):
        return role.deadline
    stalled = state.writes.oldest_cut + state.config.election_timeout
    return min(role.quorum_deadline, role.next_heartbeat, stalled)


def _vote_is_durable(state: State) -> bool:
    return state.writes.term == state.term and state.writes.vote == state.vote
