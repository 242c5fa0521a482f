"""Messages, events and notices told in English.

Law: *one sentence for each kind, the same in logs, in traces and on the command line.*
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rafty_core.configuration import Configuration, Member
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
    AppendEntries,
    AppendEntriesResponse,
    ForwardedProposal,
    ForwardedProposalResponse,
    Heartbeat,
    HeartbeatResponse,
    InstallSnapshot,
    InstallSnapshotResponse,
    PreVote,
    PreVoteResponse,
    ReadIndexRequest,
    ReadIndexResponse,
    RequestVote,
    RequestVoteResponse,
    TimeoutNow,
)
from rafty_core.output import (
    LeaderChanged,
    MembershipChanged,
    Notice,
    PeerContact,
    ProtocolViolation,
    Removed,
    RoleChanged,
    SnapshotChanged,
)


def explain(what: Event | Notice) -> str:
    """What this message, event or notice says, as one sentence without a full stop."""
    return SENTENCES[type(what)](what)


def describe(configuration: Configuration) -> str:
    """Who the members are, in words: "voters n1, n2, n3; learner n4"."""
    groups = [("voters", configuration.voters), ("outgoing voters", configuration.outgoing)]
    groups += [("learners", configuration.learners), ("learners-to-be", configuration.learners_next)]
    text = "; ".join(f"{name} {_ids(members)}" for name, members in groups if members) or "nobody"
    goal = configuration.goal
    return text if goal is None else f"{text}; on the way to voters {_ids(goal.voters)}"


def _ids(members: tuple[Member, ...]) -> str:
    return ", ".join(member.id for member in members)


def _changes(event: ChangeMembership) -> str:
    return ", ".join(f"{change.kind.replace('_', ' ')} {change.member.id}" for change in event.changes) or "nothing"


def _membership(notice: MembershipChanged) -> str:
    state = "committed" if notice.committed else "in force, not committed yet"
    return f"has a configuration at index {notice.index} ({state}): {describe(notice.configuration)}"


def _read_index(response: ReadIndexResponse) -> str:
    request = f"request {response.boot}.{response.sequence}"
    if response.read_index == 0:
        return f"{response.sender} tells {response.to} that it cannot confirm the reads of {request}"
    return f"{response.sender} tells {response.to} that the reads of {request} are right from {response.read_index} on"


def _entries(message: AppendEntries) -> str:
    after = f"after entry {message.prev_log_index} of term {message.prev_log_term}"
    if message.batch is None:
        return f"nothing new {after}, committed up to {message.leader_commit}"
    first, last = message.batch.first, message.batch.last
    span = f"entry {first}" if first == last else f"entries {first} to {last}"
    return f"{span} of term {message.batch.term} {after}, committed up to {message.leader_commit}"


def _commands(commands: Sequence[bytes]) -> str:
    return "1 command" if len(commands) == 1 else f"{len(commands)} commands"


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
    RequestVote: lambda m: (
        f"{m.sender} asks {m.to} for its vote in term {m.term}{', as its leader asked it to' if m.transfer else ''}; "
        f"{_log(m)}"
    ),
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
        f"{m.sender} forwards {_commands(m.commands)} to {m.to} for term {m.term} as request {m.boot}.{m.sequence}"
    ),
    ForwardedProposalResponse: lambda m: f"{m.sender} tells {m.to} that request {m.boot}.{m.sequence} is {m.outcome}",
    InstallSnapshot: lambda m: (
        f"{m.sender}, leader of term {m.term}, offers {m.to} its snapshot up to entry {m.last_included_index} of term "
        f"{m.last_included_term}"
    ),
    InstallSnapshotResponse: lambda m: (
        f"{m.sender} tells {m.to} in term {m.term} that the snapshot at {m.last_included_index} is not installed"
    ),
    TimeoutNow: lambda m: f"{m.sender}, leader of term {m.term}, asks {m.to} to take over",
    ReadIndexRequest: lambda m: (
        f"{m.sender} asks {m.to}, leader of term {m.term}, from where on it may read, as request {m.boot}.{m.sequence}"
    ),
    ReadIndexResponse: _read_index,
    Read: lambda e: f"the application asks for a read, {e.mode.replace('_', ' ')}",
    ChangeMembership: lambda e: f"the application asks for a change of members: {_changes(e)}",
    TransferLeadership: lambda e: f"the application asks to transfer leadership to {e.target or 'the best voter'}",
    SnapshotTaken: lambda e: f"a snapshot at {e.index} is durable",
    SnapshotReceived: lambda e: f"the snapshot at {e.index} is here",
    SnapshotFailed: lambda e: f"the snapshot at {e.index} cannot be had",
    MembershipChanged: _membership,
    SnapshotChanged: lambda n: f"{'installed' if n.installed else 'took'} a snapshot at {n.index}",
    Removed: lambda n: f"was removed from the cluster by the configuration at index {n.index}",
    Propose: lambda e: f"the application proposes {_commands(e.commands)}",
    Campaign: lambda e: "the application calls for an election",
    Persisted: lambda e: f"writes up to number {e.seq} are durable",
    Applied: lambda e: f"entries up to {e.index} are applied",
    PeerUnreachable: lambda e: f"messages to {e.peer} were lost",
    RoleChanged: lambda n: f"is {n.role} in term {n.term}",
    LeaderChanged: lambda n: f"knows no leader in term {n.term}" if n.leader is None else f"follows {n.leader}",
    PeerContact: lambda n: f"hears {n.peer} again" if n.reachable else f"hears nothing of {n.peer} any more",
    ProtocolViolation: lambda n: f"refuses a message of {n.sender}: {n.text}",
}
