"""What nodes say to each other: one class per RPC, fields named as in the paper and the thesis.

Law: *a message is a plain value, complete when it is built and never changed after.*

`term` is always the sender's current term, with one exception that the class says (`PreVote`). Messages may be lost,
repeated, reordered and delayed without end; Raft stands all of it. What it does not stand is a message that its named
sender never sent: the transport vouches for `sender` and for the cluster.

Order on the wire and limits are the codec's affair; meaning is here.
"""

from collections.abc import Sequence
from typing import TypeAlias

from rafty_core.configuration import Configuration
from rafty_core.entries import Batch


class Value:
    """Equality and a readable form for message classes, by their slots."""

    __slots__: tuple[str, ...] = ()

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and all(getattr(self, name) == getattr(other, name) for name in self.__slots__)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__slots__)
        return f"{type(self).__name__}({fields})"


class RequestVote(Value):
    """A candidate asks for a vote (paper 5.2, Figure 2). Leaves only when the candidate's own vote is durable.

    `transfer`: the leader asked the candidate to take over (thesis 3.10), so that voters need not wait for it to fall
    silent. It changes nothing else of what a voter looks at.
    """

    __slots__ = ("sender", "to", "term", "last_log_index", "last_log_term", "transfer")

    def __init__(
        self, sender: str, to: str, term: int, last_log_index: int, last_log_term: int, transfer: bool = False
    ) -> None:
        self.sender = sender
        self.to = to
        self.term = term
        self.last_log_index = last_log_index
        self.last_log_term = last_log_term
        self.transfer = transfer


class RequestVoteResponse(Value):
    """The answer to RequestVote. A grant leaves only when the vote is durable."""

    __slots__ = ("sender", "to", "term", "vote_granted")

    def __init__(self, sender: str, to: str, term: int, vote_granted: bool) -> None:
        self.sender = sender
        self.to = to
        self.term = term
        self.vote_granted = vote_granted


class PreVote(Value):
    """A node asks whether it would win an election (thesis 9.6).

    `term` is the term it *would* campaign in, one above its own. No receiver adopts it.
    """

    __slots__ = ("sender", "to", "term", "last_log_index", "last_log_term")

    def __init__(self, sender: str, to: str, term: int, last_log_index: int, last_log_term: int) -> None:
        self.sender = sender
        self.to = to
        self.term = term
        self.last_log_index = last_log_index
        self.last_log_term = last_log_term


class PreVoteResponse(Value):
    """The answer to PreVote: `term` is the answering node's own term, `requested_term` the term asked about."""

    __slots__ = ("sender", "to", "term", "requested_term", "vote_granted")

    def __init__(self, sender: str, to: str, term: int, requested_term: int, vote_granted: bool) -> None:
        self.sender = sender
        self.to = to
        self.term = term
        self.requested_term = requested_term
        self.vote_granted = vote_granted


class AppendEntries(Value):
    """A leader replicates entries, all of one term, or makes its commit index known (paper 5.3, Figure 2).

    `batch` is None in a message without entries; otherwise `batch.first == prev_log_index + 1`.
    """

    __slots__ = ("sender", "to", "term", "prev_log_index", "prev_log_term", "leader_commit", "batch")

    def __init__(
        self,
        sender: str,
        to: str,
        term: int,
        prev_log_index: int,
        prev_log_term: int,
        leader_commit: int,
        batch: Batch | None = None,
    ) -> None:
        self.sender = sender
        self.to = to
        self.term = term
        self.prev_log_index = prev_log_index
        self.prev_log_term = prev_log_term
        self.leader_commit = leader_commit
        self.batch = batch


class AppendEntriesResponse(Value):
    """The answer to AppendEntries.

    On success `match_index` is the last index proven to agree with the leader's log *and durable* here; it is
    cumulative. On refusal `match_index` is the `prev_log_index` that was refused, and (`hint_index`, `hint_term`) is
    the last entry of the follower that could still agree (paper 5.3: "the follower can include the term of the
    conflicting entry").
    """

    __slots__ = ("sender", "to", "term", "success", "match_index", "hint_index", "hint_term")

    def __init__(
        self,
        sender: str,
        to: str,
        term: int,
        success: bool,
        match_index: int,
        hint_index: int = 0,
        hint_term: int = 0,
    ) -> None:
        self.sender = sender
        self.to = to
        self.term = term
        self.success = success
        self.match_index = match_index
        self.hint_index = hint_index
        self.hint_term = hint_term


class Heartbeat(Value):
    """A leader's sign of life (paper 5.2). `leader_commit` is at most what the follower is known to hold (fault F35).

    `round` numbers the heartbeats of a term; it is never repeated within one.
    """

    __slots__ = ("sender", "to", "term", "leader_commit", "round")

    def __init__(self, sender: str, to: str, term: int, leader_commit: int, round: int) -> None:
        self.sender = sender
        self.to = to
        self.term = term
        self.leader_commit = leader_commit
        self.round = round


class HeartbeatResponse(Value):
    """The answer to Heartbeat; echoes its round, or says 0 if that was of a lower term than its own."""

    __slots__ = ("sender", "to", "term", "round")

    def __init__(self, sender: str, to: str, term: int, round: int) -> None:
        self.sender = sender
        self.to = to
        self.term = term
        self.round = round


class ForwardedProposal(Value):
    """Commands proposed at a follower, on their way to the leader (thesis 6.2).

    `term` is the term of the leader they are meant for. (`sender`, `boot`, `sequence`) names the request for ever; a
    leader accepts each name at most once, in that term only.
    """

    __slots__ = ("sender", "to", "term", "boot", "sequence", "commands")

    def __init__(self, sender: str, to: str, term: int, boot: int, sequence: int, commands: Sequence[bytes]) -> None:
        self.sender = sender
        self.to = to
        self.term = term
        self.boot = boot
        self.sequence = sequence
        self.commands = commands


class ForwardedProposalResponse(Value):
    """What became of a forwarded proposal, told by the node it was sent to.

    `outcome` is one of:
      "applied"     every command was applied at the leader; `results` in order
      "superseded"  the first `len(results)` were applied, the rest never will be; empty results if they are not known
      "not_leader"  none was accepted and none ever will be; `leader_hint` names the leader, or is empty
      "overloaded"  none was accepted and none ever will be; `reason` names the bound
      "too_large"   none was accepted and none ever will be; `reason` names the limit
      "unknown"     the answering node cannot tell
    """

    __slots__ = ("sender", "to", "term", "boot", "sequence", "outcome", "results", "leader_hint", "reason")

    def __init__(
        self,
        sender: str,
        to: str,
        term: int,
        boot: int,
        sequence: int,
        outcome: str,
        results: Sequence[bytes] = (),
        leader_hint: str = "",
        reason: str = "",
    ) -> None:
        self.sender = sender
        self.to = to
        self.term = term
        self.boot = boot
        self.sequence = sequence
        self.outcome = outcome
        self.results = results
        self.leader_hint = leader_hint
        self.reason = reason


class InstallSnapshot(Value):
    """A leader offers its snapshot to a follower that lacks entries which are compacted (paper 7, Figure 13).

    Only what the core must know travels here: index and term of the last entry that the snapshot holds, and the
    configuration there. The follower fetches the bytes if it needs them. A follower that has the snapshot, or needs
    none, says so by an AppendEntriesResponse: "holds everything up to this index".
    """

    __slots__ = ("sender", "to", "term", "last_included_index", "last_included_term", "configuration")

    def __init__(
        self,
        sender: str,
        to: str,
        term: int,
        last_included_index: int,
        last_included_term: int,
        configuration: Configuration,
    ) -> None:
        self.sender = sender
        self.to = to
        self.term = term
        self.last_included_index = last_included_index
        self.last_included_term = last_included_term
        self.configuration = configuration


class InstallSnapshotResponse(Value):
    """The snapshot of this index was not installed: it could not be fetched, or the disk stands still, or the term of
    the leader is over."""

    __slots__ = ("sender", "to", "term", "last_included_index")

    def __init__(self, sender: str, to: str, term: int, last_included_index: int) -> None:
        self.sender = sender
        self.to = to
        self.term = term
        self.last_included_index = last_included_index


class TimeoutNow(Value):
    """The leader hands over: the receiver starts an election at once, without a pre-vote (thesis 3.10)."""

    __slots__ = ("sender", "to", "term")

    def __init__(self, sender: str, to: str, term: int) -> None:
        self.sender = sender
        self.to = to
        self.term = term


class ReadIndexRequest(Value):
    """A node asks the leader up to where the log must be applied for a read to be linearizable (thesis 6.4).

    (`sender`, `boot`, `sequence`) names the request for ever. `lease`: an answer by the leader's lease is good enough.
    """

    __slots__ = ("sender", "to", "term", "boot", "sequence", "lease")

    def __init__(self, sender: str, to: str, term: int, boot: int, sequence: int, lease: bool) -> None:
        self.sender = sender
        self.to = to
        self.term = term
        self.boot = boot
        self.sequence = sequence
        self.lease = lease


class ReadIndexResponse(Value):
    """The answer to ReadIndexRequest: the read index; 0 if the asked node does not lead, or does so no more."""

    __slots__ = ("sender", "to", "term", "boot", "sequence", "read_index")

    def __init__(self, sender: str, to: str, term: int, boot: int, sequence: int, read_index: int) -> None:
        self.sender = sender
        self.to = to
        self.term = term
        self.boot = boot
        self.sequence = sequence
        self.read_index = read_index


FORWARD_OUTCOMES = ("applied", "superseded", "not_leader", "overloaded", "too_large", "unknown")

Message: TypeAlias = (
    RequestVote
    | RequestVoteResponse
    | PreVote
    | PreVoteResponse
    | AppendEntries
    | AppendEntriesResponse
    | Heartbeat
    | HeartbeatResponse
    | ForwardedProposal
    | ForwardedProposalResponse
    | InstallSnapshot
    | InstallSnapshotResponse
    | TimeoutNow
    | ReadIndexRequest
    | ReadIndexResponse
)

MESSAGE_TYPES: tuple[type[Message], ...] = (
    RequestVote,
    RequestVoteResponse,
    PreVote,
    PreVoteResponse,
    AppendEntries,
    AppendEntriesResponse,
    Heartbeat,
    HeartbeatResponse,
    ForwardedProposal,
    ForwardedProposalResponse,
    InstallSnapshot,
    InstallSnapshotResponse,
    TimeoutNow,
    ReadIndexRequest,
    ReadIndexResponse,
)
