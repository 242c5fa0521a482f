"""rafty_core: Raft as a deterministic state machine. Values in, values out; it does no IO and knows no clock.

    output = raft.step(now, *events)

A driver has three rules. Send `output.messages`, whenever you like. Make `output.write` durable, then step
`Persisted(output.write.seq)`. Carry out `output.apply` in order, then step `Applied(last index, results)`.

To understand Raft by this code, read the modules in this order, each docstring first:

    entries, messages, events, output, outcomes    the values: what is said, what happens, what is asked for
    quorum, log, writes, applying, progress        the mechanisms: majorities, the log, durability, flow control
    state                                          Figure 2's state and the four roles
    election, replication, proposing               the rules, one chapter each
    raft                                           the table (role, event) -> rule, the term rule, `step`
    history, invariants, explain, status           what always holds, told in English, shown

Paper: Ongaro and Ousterhout, "In Search of an Understandable Consensus Algorithm" (extended version). Thesis: Ongaro,
"Consensus: Bridging Theory and Practice".
"""

from rafty_core.config import Config
from rafty_core.configuration import Configuration, Member
from rafty_core.entries import Batch, Entry
from rafty_core.events import Applied, Campaign, Event, PeerUnreachable, Persisted, Propose
from rafty_core.messages import (
    AppendEntries,
    AppendEntriesResponse,
    ForwardedProposal,
    ForwardedProposalResponse,
    Heartbeat,
    HeartbeatResponse,
    Message,
    PreVote,
    PreVoteResponse,
    RequestVote,
    RequestVoteResponse,
)
from rafty_core.outcomes import (
    NotApplied,
    NotLeader,
    OutcomeUnknown,
    Overloaded,
    ProposalError,
    Stopped,
    Superseded,
    TooLarge,
)
from rafty_core.output import (
    Committed,
    LeaderChanged,
    Output,
    PeerContact,
    ProposalAnswer,
    ProtocolViolation,
    RoleChanged,
    Write,
)
from rafty_core.raft import Raft
from rafty_core.stable import Snapshot, Stable
from rafty_core.status import PeerStatus, Status

__all__ = [
    "AppendEntries",
    "AppendEntriesResponse",
    "Applied",
    "Batch",
    "Campaign",
    "Committed",
    "Config",
    "Configuration",
    "Entry",
    "Event",
    "ForwardedProposal",
    "ForwardedProposalResponse",
    "Heartbeat",
    "HeartbeatResponse",
    "LeaderChanged",
    "Member",
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
    "Propose",
    "ProposalAnswer",
    "ProposalError",
    "ProtocolViolation",
    "Raft",
    "RequestVote",
    "RequestVoteResponse",
    "RoleChanged",
    "Snapshot",
    "Stable",
    "Status",
    "Stopped",
    "Superseded",
    "TooLarge",
    "Write",
]
