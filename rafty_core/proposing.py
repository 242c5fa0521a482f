"""Proposals: accepted by a leader, forwarded by a follower, answered when their outcome is certain (thesis 6.2).

Law: *"not applied" is said only when it can never be applied; "unknown" is said rather than guessed* (fault F99).

A follower forwards a proposal once, to the leader that it knows, for that leader's term. The leader accepts each
request once. A node that is asked and does not lead refuses, and forwards nothing on (fault F127).
"""

from collections.abc import Sequence
from typing import Any

from rafty_core.config import COMMAND_OVERHEAD
from rafty_core.entries import COMMAND
from rafty_core.events import Applied, Propose
from rafty_core.messages import ForwardedProposal, ForwardedProposalResponse, Message
from rafty_core.outcomes import NotLeader, OutcomeUnknown, Overloaded, ProposalError, Superseded, TooLarge
from rafty_core.output import ProposalAnswer
from rafty_core.pending import Accepted, Forwarded, JustApplied, Origin
from rafty_core.replication import append
from rafty_core.roles import NEVER, Leader
from rafty_core.state import State
from rafty_core.violation import Violation

ENTRY_OVERHEAD = 64
"""Bytes that an entry weighs in memory beyond its content, so that many small entries are bounded too."""

# ------------------------------------------------------------------- handlers


def on_propose(state: State, event: Propose) -> Message | None:
    """Accept the commands if this node leads, forward them if it knows who does, else refuse them."""
    refusal: ProposalError | None = _too_large(state, event.commands)
    leader = state.role.leader
    if not event.commands:
        _answer(state, event.token, None)
    elif isinstance(state.role, Leader) and state.role.transfer is not None:
        _answer(state, event.token, NotLeader(describe_no_leader(state)))
    elif refusal is not None:
        _answer(state, event.token, refusal)
    elif leader is None:
        _answer(state, event.token, NotLeader(describe_no_leader(state)))
    elif state.proposals.count >= state.config.max_pending_proposals:
        _answer(state, event.token, Overloaded(f"{state.proposals.count} proposals await their outcome"))
    elif leader == state.id:
        refusal = _accept(state, event.commands, event.token, None)
        if refusal is not None:
            _answer(state, event.token, refusal)
    else:
        return _forward(state, leader, event)
    return None


def on_forwarded_proposal(state: State, message: ForwardedProposal) -> Message | None:
    """Accept the commands of another node, if they were meant for this leader in this term, and are new.

    A request that may have been accepted before is answered by its first copy; here it gets no answer, for a refusal
    could be a lie (fault F139). Refused for certain are only requests that can never be accepted afterwards.
    """
    proposals, leader = state.proposals, state.role
    origin = Origin(message.sender, message.boot, message.sequence)
    if message.term <= state.first_term:
        # Meant for a term that an earlier life of this node may have led: it may have accepted the request.
        return _response(state, origin, "unknown", reason="the leader was restarted")
    if not proposals.admit(origin, state.configuration):
        return None
    if not isinstance(leader, Leader) or message.term != state.term or leader.transfer is not None:
        hint = "" if isinstance(leader, Leader) and leader.transfer is not None else leader.leader or ""
        return _response(state, origin, "not_leader", leader_hint=hint, reason=describe_no_leader(state))
    too_large = _too_large(state, message.commands)
    if too_large is not None:
        return _response(state, origin, "too_large", reason=str(too_large))
    refusal: ProposalError | None = None
    if proposals.count >= state.config.max_pending_proposals:
        refusal = Overloaded(f"{proposals.count} proposals await their outcome")
    refusal = refusal or _accept(state, message.commands, None, origin)
    if refusal is None:
        return None
    return _response(state, origin, "overloaded", reason=str(refusal))


def on_forwarded_proposal_response(state: State, message: ForwardedProposalResponse) -> None:
    """The leader's word on a proposal that this node forwarded, in this life (fault F140)."""
    forwarded = state.proposals.forwarded.get(message.sequence)
    if message.boot != state.config.boot or forwarded is None or forwarded.leader != message.sender:
        return
    most = forwarded.count if message.outcome == "applied" else forwarded.count - 1
    if len(message.results) > most or (message.outcome == "applied" and 0 < len(message.results) < most):
        raise Violation(f"{len(message.results)} results for {forwarded.count} commands that were {message.outcome}")
    del state.proposals.forwarded[message.sequence]
    error = _error(message)
    results = message.results if message.outcome in ("applied", "superseded") else ()
    applied = forwarded.count if message.outcome == "applied" else len(results)
    state.answers.append(ProposalAnswer(forwarded.token, applied, results, error))


def on_applied(state: State, event: Applied) -> None:
    """Answer every proposal that the application of these entries decides."""
    applied = JustApplied(state.applying.applied + 1, event.index, event.results)
    state.applying.confirm(event.index)
    if applied.last < max(applied.first, state.log.base_index):
        return  # nothing new, or entries that a snapshot has taken the place of since
    for proposal, whole in state.proposals.decided_by(applied, state.log):
        if proposal.origin is not None:
            state.outbox.append(_decided(state, proposal, proposal.origin, whole))
        else:
            error = None if whole else Superseded("another leader's entry was committed in its place")
            state.answers.append(ProposalAnswer(proposal.token, proposal.applied, proposal.results, error))


def forget_outcome(state: State, proposal: Accepted, reason: str) -> None:
    """Nobody can tell any more what became of this proposal."""
    if proposal.origin is not None:
        state.outbox.append(_response(state, proposal.origin, "unknown", reason=reason))
    else:
        state.answers.append(ProposalAnswer(proposal.token, 0, (), OutcomeUnknown(reason)))


# --------------------------------------------------------------------- rules


def expire_forwarded(state: State) -> None:
    """Rule: the word of a leader that does not come in time is not waited for; the outcome is unknown.

    When this node follows a leader of a later term, the old one has one heartbeat interval left to say what it knows.
    """
    forwarded = state.proposals.forwarded
    if not forwarded:
        return
    if state.role.leader is not None:
        soon = state.now + state.config.heartbeat_interval
        for waiting in forwarded.values():
            if waiting.term == state.term:
                break
            waiting.expires = min(waiting.expires, soon)
    while forwarded:
        sequence, oldest = next(iter(forwarded.items()))
        if state.now < oldest.expires:
            break
        del forwarded[sequence]
        text = f"no word from {oldest.leader}, which the proposal was forwarded to in term {oldest.term}"
        state.answers.append(ProposalAnswer(oldest.token, 0, (), OutcomeUnknown(text)))


def next_expiry(state: State) -> float:
    """When `expire_forwarded` must run next. Later requests never expire earlier, whatever was lowered before."""
    return next((waiting.expires for waiting in state.proposals.forwarded.values()), NEVER)


# ----------------------------------------------------------------- mechanics


def _accept(state: State, commands: Sequence[bytes], token: Any, origin: Origin | None) -> ProposalError | None:
    """Append the commands to this leader's log, or say why not: a bounded part of the log may be uncommitted."""
    leader = state.role
    if not isinstance(leader, Leader):
        raise TypeError("only a leader accepts proposals")
    entries = [COMMAND + command for command in commands]
    weight = sum(map(len, entries)) + ENTRY_OVERHEAD * len(entries)
    bound = state.config.max_uncommitted_bytes
    if leader.uncommitted_bytes > 0 and leader.uncommitted_bytes + weight > bound:
        return Overloaded(f"{leader.uncommitted_bytes} bytes are not committed yet, and the bound is {bound}")
    first = state.log.last_index + 1
    append(state, leader, entries, weight)
    state.proposals.accepted.append(Accepted(first, state.log.last_index, state.term, token, origin))
    return None


def _forward(state: State, leader: str, event: Propose) -> Message:
    proposals, config = state.proposals, state.config
    proposals.last_sequence += 1
    sequence = proposals.last_sequence
    expires = state.now + config.forward_timeout
    proposals.forwarded[sequence] = Forwarded(event.token, len(event.commands), leader, state.term, expires)
    return ForwardedProposal(state.id, leader, state.term, config.boot, sequence, event.commands)


def _too_large(state: State, commands: Sequence[bytes]) -> TooLarge | None:
    sizes = list(map(len, commands))
    if max(sizes, default=0) > state.config.max_command_bytes:
        return TooLarge(f"a command has {max(sizes)} bytes, and the limit is {state.config.max_command_bytes}")
    weight = sum(sizes) + COMMAND_OVERHEAD * len(sizes)
    if weight > state.config.max_proposal_bytes:
        return TooLarge(f"a proposal weighs {weight} bytes, and the limit is {state.config.max_proposal_bytes}")
    return None


def _answer(state: State, token: Any, error: ProposalError | None) -> None:
    state.answers.append(ProposalAnswer(token, 0, (), error))


def _response(
    state: State, origin: Origin, outcome: str, results: Sequence[bytes] = (), leader_hint: str = "", reason: str = ""
) -> ForwardedProposalResponse:
    return ForwardedProposalResponse(
        state.id, origin.sender, state.term, origin.boot, origin.sequence, outcome, results, leader_hint, reason
    )


def _decided(state: State, proposal: Accepted, origin: Origin, whole: bool) -> ForwardedProposalResponse:
    """What became of it; what was applied is counted by results, so empty ones stand for those not known (R177)."""
    results = proposal.results
    if len(results) != proposal.applied:
        results = [] if whole else [b""] * proposal.applied
    size = sum(map(len, results))
    if size > state.config.max_result_bytes:
        reason = f"the results have {size} bytes, and the limit is {state.config.max_result_bytes}"
        return _response(state, origin, "unknown", reason=reason)
    return _response(state, origin, "applied" if whole else "superseded", results=results)


def _error(message: ForwardedProposalResponse) -> ProposalError | None:
    if message.outcome == "applied":
        return None
    if message.outcome == "superseded":
        return Superseded("another leader's entry was committed in its place")
    if message.outcome == "not_leader":
        return NotLeader(f"{message.sender} does not lead: {message.reason}", message.leader_hint or None)
    if message.outcome == "overloaded":
        return Overloaded(f"{message.sender}: {message.reason}")
    if message.outcome == "too_large":
        return TooLarge(f"{message.sender}: {message.reason}")
    return OutcomeUnknown(f"{message.sender}: {message.reason}")


def describe_no_leader(state: State) -> str:
    """Why there is no leader here to turn to, in one sentence."""
    if isinstance(state.role, Leader) and state.role.transfer is not None:
        return f"{state.id} is handing leadership over to {state.role.transfer.target}"
    if state.role.leader is not None:
        return f"{state.role.leader} leads term {state.term}"
    role, term = state.role.name, state.term
    if state.heard_leader == -NEVER:
        return f"no leader: {state.id} is {role} in term {term} and has heard none since it started"
    ago = state.now - state.heard_leader
    return f"no leader: {state.id} is {role} in term {term} and last heard one {ago:.1f} s ago"
