"""rafty_core: Raft as a deterministic state machine. Values in, values out; it does no IO and knows no clock.

    output = raft.step(now, *events)

A driver has three rules. Send `output.messages`, whenever you like. Make `output.write` durable, then step
`Persisted(output.write.seq)`. Carry out `output.apply` in order, then step `Applied(last index, results)`. Who compacts
the log has a fourth: fetch `output.fetch`, then step `SnapshotReceived`.

To understand Raft by this code, read the modules in this order, each docstring first:

    entries, messages, events, output, outcomes    the values: what is said, what happens, what is asked for
    configuration, changes                         who the members are, and the steps from one to the next
    quorum, log, writes, applying, progress        the mechanisms: majorities, the log, durability, flow control
    waiting, roles, state                          open requests, the four roles, and Figure 2's state
    election, replication, proposing               the rules, one chapter each: the heart of Raft
    snapshots, membership, reads, transfer         the rules that let a cluster live for years
    raft                                           the table (role, event) -> rule, the term rule, `step`
    sessions                                       exactly-once clients, around the state machine
    history, invariants, explain, status           what always holds, told in English, shown
    simulation                                     whole clusters by seed; it has a reading order of its own

Paper: Ongaro and Ousterhout, "In Search of an Understandable Consensus Algorithm" (extended version). Thesis: Ongaro,
"Consensus: Bridging Theory and Practice".
"""

from rafty_core.changes import Change
from rafty_core.config import Config
from rafty_core.configuration import Configuration, Lease, Member
from rafty_core.entries import Batch, Entry
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
    Message,
    PreVote,
    PreVoteResponse,
    ReadIndexRequest,
    ReadIndexResponse,
    RequestVote,
    RequestVoteResponse,
    TimeoutNow,
)
from rafty_core.outcomes import (
    ChangeRefused,
    NotApplied,
    NotLeader,
    OutcomeUnknown,
    Overloaded,
    ProposalError,
    SessionExpired,
    Stopped,
    Superseded,
    TooLarge,
    TransferFailed,
)
from rafty_core.output import (
    Committed,
    Fetch,
    LeaderChanged,
    MembershipAnswer,
    MembershipChanged,
    Output,
    PeerContact,
    ProposalAnswer,
    ProtocolViolation,
    ReadAnswer,
    Removed,
    Restore,
    RoleChanged,
    SnapshotChanged,
    TransferAnswer,
    Write,
)
from rafty_core.raft import Raft
from rafty_core.sessions import Sessions
from rafty_core.stable import Snapshot, Stable
from rafty_core.status import PeerStatus, Status

__all__ = [
    "AppendEntries",
    "AppendEntriesResponse",
    "Applied",
    "Batch",
    "Campaign",
    "Change",
    "ChangeMembership",
    "ChangeRefused",
    "Committed",
    "Config",
    "Configuration",
    "Entry",
    "Event",
    "Fetch",
    "ForwardedProposal",
    "ForwardedProposalResponse",
    "Heartbeat",
    "HeartbeatResponse",
    "InstallSnapshot",
    "InstallSnapshotResponse",
    "LeaderChanged",
    "Lease",
    "Member",
    "MembershipAnswer",
    "MembershipChanged",
    "Message",
    "NotApplied",
    "NotLeader",
    "OutcomeUnknown",
    "Output",
    "Overloaded",
    "PeerContact",
    "PeerStatus",
    "PeerUnreachable",
    "Persisted",
    "PreVote",
    "PreVoteResponse",
    "ProposalAnswer",
    "ProposalError",
    "Propose",
    "ProtocolViolation",
    "Raft",
    "Read",
    "ReadAnswer",
    "ReadIndexRequest",
    "ReadIndexResponse",
    "Removed",
    "RequestVote",
    "RequestVoteResponse",
    "Restore",
    "RoleChanged",
    "SessionExpired",
    "Sessions",
    "Snapshot",
    "SnapshotChanged",
    "SnapshotFailed",
    "SnapshotReceived",
    "SnapshotTaken",
    "Stable",
    "Status",
    "Stopped",
    "Superseded",
    "TimeoutNow",
    "TooLarge",
    "TransferAnswer",
    "TransferFailed",
    "TransferLeadership",
    "Write",
]
