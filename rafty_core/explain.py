"""Messages, events and notices told in English.

Law: *one sentence for each kind, the same in logs, in traces and on the command line.*
"""

from collections.abc import Callable, Mapping
from typing import Any

from rafty_core.events import Applied, Campaign, Event, PeerUnreachable, Persisted, Propose
from rafty_core.messages import (
    AppendEntries,
    AppendEntriesResponse,
    ForwardedProposal,
    ForwardedProposalResponse,
    Heartbeat,
    HeartbeatResponse,
    PreVote,
    PreVoteResponse,
    RequestVote,
    RequestVoteResponse,
)
from rafty_core.output import LeaderChanged, Notice, PeerContact, ProtocolViolation, RoleChanged


def explain(what: Event | Notice) -> str:
    """What this message, event or notice says, as one sentence without a full stop."""
    return SENTENCES[type(what)](what)


def _entries(message: AppendEntries) -> str:
    after = f"after entry {message.prev_log_index} of term {message.prev_log_term}"
    if message.batch is None:
        return f"nothing new {after}, committed up to {message.leader_commit}"
    span = f"entries {message.batch.first} to {message.batch.last} of term {message.batch.term}"
    return f"{span} {after}, committed up to {message.leader_commit}"


def _acknowledgement(response: AppendEntriesResponse) -> str:
    if response.success:
        return f"holds everything up to {response.match_index}"
    hint = f"entry {response.hint_index} of term {response.hint_term}"
    return f"refuses what follows entry {response.match_index}; may agree up to {hint}"


def _verdict(response: RequestVoteResponse | PreVoteResponse) -> str:
    return "grants" if response.vote_granted else "refuses"


def _log(request: RequestVote | PreVote) -> str:
    return f"its log ends with entry {request.last_log_index} of term {request.last_log_term}"


SENTENCES: Mapping[type[Event | Notice], Callable[[Any], str]] = {
    RequestVote: lambda m: f"{m.sender} asks {m.to} for its vote in term {m.term}; {_log(m)}",
    RequestVoteResponse: lambda m: f"{m.sender} {_verdict(m)} {m.to} its vote in term {m.term}",
    PreVote: lambda m: f"{m.sender} asks {m.to} whether it could win term {m.term}; {_log(m)}",
    PreVoteResponse: lambda m: f"{m.sender}, in term {m.term}, {_verdict(m)} {m.to} a pre-vote for {m.requested_term}",
    AppendEntries: lambda m: f"{m.sender}, leader of term {m.term}, sends {m.to} {_entries(m)}",
    AppendEntriesResponse: lambda m: f"{m.sender} tells {m.to} in term {m.term} that it {_acknowledgement(m)}",
    Heartbeat: lambda m: (
        f"{m.sender}, leader of term {m.term}, is alive (round {m.round}) and tells {m.to} of commits up to "
        f"{m.leader_commit}"
    ),
    HeartbeatResponse: lambda m: f"{m.sender} has heard round {m.round} of {m.to} in term {m.term}",
    ForwardedProposal: lambda m: (
        f"{m.sender} forwards {len(m.commands)} commands to {m.to} for term {m.term} as request {m.boot}.{m.sequence}"
    ),
    ForwardedProposalResponse: lambda m: f"{m.sender} tells {m.to} that request {m.boot}.{m.sequence} is {m.outcome}",
    Propose: lambda e: f"the application proposes {len(e.commands)} commands",
    Campaign: lambda e: "the application calls for an election",
    Persisted: lambda e: f"writes up to number {e.seq} are durable",
    Applied: lambda e: f"entries up to {e.index} are applied",
    PeerUnreachable: lambda e: f"messages to {e.peer} were lost",
    RoleChanged: lambda n: f"is {n.role} in term {n.term}",
    LeaderChanged: lambda n: f"knows no leader in term {n.term}" if n.leader is None else f"follows {n.leader}",
    PeerContact: lambda n: f"hears {n.peer} again" if n.reachable else f"hears nothing of {n.peer} any more",
    ProtocolViolation: lambda n: f"refuses a message of {n.sender}: {n.text}",
}
