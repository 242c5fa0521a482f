"""What the core asks of its driver: an `Output` per step.

Law: *whatever is in `messages` is safe to send now; whatever must wait for the disk is still inside the core.*

The driver has three rules, one for each of `messages`, `write` and `apply`; see `Output`.
"""

from collections.abc import Sequence
from typing import Any, TypeAlias

from rafty_core.configuration import Configuration
from rafty_core.entries import COMMAND, Batch, commands_of
from rafty_core.messages import Message, Value
from rafty_core.outcomes import NotApplied, ProposalError
from rafty_core.stable import Snapshot


class Write(Value):
    """Make this durable, then step `Persisted(seq)`. Writes are numbered 1, 2, 3, ... and are done in that order.

    Several writes may share one fsync. Within one, the parts take effect in this order:

    snapshot    not None: this is the newest snapshot from now on; its bytes are durable already, under its index
    installs    the snapshot came from a leader: everything stored of the log goes (Figure 13, step 7)
    term, vote  always given, and replace what is stored (the vote belongs to that term; None is no vote)
    batches     replace everything stored at the first batch's first index and after it; they are contiguous. Empty:
                the log stays as it is
    compact_to  the log up to this index may go, whenever that is convenient; 0: nothing new may
    """

    __slots__ = ("seq", "term", "vote", "batches", "snapshot", "installs", "compact_to")

    def __init__(
        self,
        seq: int,
        term: int,
        vote: str | None,
        batches: Sequence[Batch] = (),
        snapshot: Snapshot | None = None,
        installs: bool = False,
        compact_to: int = 0,
    ) -> None:
        self.seq = seq
        self.term = term
        self.vote = vote
        self.batches = batches
        self.snapshot = snapshot
        self.installs = installs
        self.compact_to = compact_to


class Restore(Value):
    """Put the state machine into the state of this snapshot; then step `Applied(index)`.

    It comes before any entry behind it, and after all that were handed out before. It also comes first of all if the
    state machine starts with less applied than the snapshot holds.
    """

    __slots__ = ("index", "term")

    def __init__(self, index: int, term: int) -> None:
        self.index = index
        self.term = term

    @property
    def last(self) -> int:
        """The index that is applied afterwards, as `Committed` has it."""
        return self.index


class Fetch(Value):
    """Fetch the bytes of this snapshot from that peer, verify them and make them durable; then step
    `SnapshotReceived`, or `SnapshotFailed`.

    It may take as long as it must. But a fetch that gets on no more has failed, and only the driver sees that: until
    it says so, the leader waits, and accepts no change of membership if this node is to be a voter (R171).
    """

    __slots__ = ("peer", "snapshot")

    def __init__(self, peer: str, snapshot: Snapshot) -> None:
        self.peer = peer
        self.snapshot = snapshot


class Committed(Value):
    """Apply these committed entries, in order; then step `Applied(last, results)`.

    `entries[i]` stands at log index `first + i`; entries have their kind byte. `commands()` gives what the state
    machine wants: the payloads of the commands alone.
    """

    __slots__ = ("first", "entries")

    def __init__(self, first: int, entries: Sequence[bytes]) -> None:
        self.first = first
        self.entries = entries

    @property
    def last(self) -> int:
        """Log index of the last entry."""
        return self.first + len(self.entries) - 1

    @property
    def first_command(self) -> int:
        """Log index of the first command; behind `last` if there is none."""
        kind = COMMAND[0]
        return self.first + next((at for at, entry in enumerate(self.entries) if entry[0] == kind), len(self.entries))

    def commands(self) -> list[bytes]:
        """The commands, in order, without the entries that are Raft's own."""
        return commands_of(self.entries)


class ProposalAnswer(Value):
    """What became of the `Propose` with this token.

    The first `len(results)` commands were applied, with these results (or, if the driver gave `Applied` no results,
    the first `applied` commands were). `error` says what became of the others; None if there are no others.
    """

    __slots__ = ("token", "applied", "results", "error")

    def __init__(self, token: Any, applied: int, results: Sequence[bytes], error: ProposalError | None) -> None:
        self.token = token
        self.applied = applied
        self.results = results
        self.error = error


class ReadAnswer(Value):
    """A `Read` with this token may be served now: the state machine has applied `index`, and that is enough.

    `error`: it may not, and why; it is safe to ask again.
    """

    __slots__ = ("token", "index", "error")

    def __init__(self, token: Any, index: int, error: NotApplied | None = None) -> None:
        self.token = token
        self.index = index
        self.error = error


class MembershipAnswer(Value):
    """What became of a `ChangeMembership`: the configuration that is in force and committed, or why it is not.

    `NotApplied` and its kinds: the members are, or will be, as they were. `OutcomeUnknown`: look.
    """

    __slots__ = ("token", "configuration", "error")

    def __init__(self, token: Any, configuration: Configuration | None, error: ProposalError | None = None) -> None:
        self.token = token
        self.configuration = configuration
        self.error = error


class TransferAnswer(Value):
    """What became of a `TransferLeadership`: the node that leads now, or why it is not the wanted one."""

    __slots__ = ("token", "leader", "error")

    def __init__(self, token: Any, leader: str | None, error: ProposalError | None = None) -> None:
        self.token = token
        self.leader = leader
        self.error = error


Answer: TypeAlias = ProposalAnswer | ReadAnswer | MembershipAnswer | TransferAnswer


class RoleChanged(Value):
    """This node's role or term changed."""

    __slots__ = ("role", "term")

    def __init__(self, role: str, term: int) -> None:
        self.role = role
        self.term = term


class LeaderChanged(Value):
    """The leader that this node knows of changed; None: it knows none."""

    __slots__ = ("leader", "term")

    def __init__(self, leader: str | None, term: int) -> None:
        self.leader = leader
        self.term = term


class PeerContact(Value):
    """A leader lost contact with a peer (nothing heard for an election timeout), or found it again."""

    __slots__ = ("peer", "reachable")

    def __init__(self, peer: str, reachable: bool) -> None:
        self.peer = peer
        self.reachable = reachable


class MembershipChanged(Value):
    """Another configuration is in force here (`committed` False: it was appended, and may be taken back), or final."""

    __slots__ = ("index", "configuration", "committed")

    def __init__(self, index: int, configuration: Configuration, committed: bool) -> None:
        self.index = index
        self.configuration = configuration
        self.committed = committed


class SnapshotChanged(Value):
    """The newest snapshot of this node is another one: taken here, or installed from a leader."""

    __slots__ = ("index", "term", "installed")

    def __init__(self, index: int, term: int, installed: bool) -> None:
        self.index = index
        self.term = term
        self.installed = installed


class Removed(Value):
    """This node was removed from the cluster by a committed configuration: it can stop, and never returns as it is."""

    __slots__ = ("index",)

    def __init__(self, index: int) -> None:
        self.index = index


class ProtocolViolation(Value):
    """A message broke the protocol; it was dropped and counted, and the state is as it was (invariant I27)."""

    __slots__ = ("sender", "text")

    def __init__(self, sender: str, text: str) -> None:
        self.sender = sender
        self.text = text


Notice: TypeAlias = (
    RoleChanged | LeaderChanged | PeerContact | MembershipChanged | SnapshotChanged | Removed | ProtocolViolation
)


class Output(Value):
    """What follows from one step.

    messages  Send them, whenever you like, in any order. They may be lost.
    write     Make it durable, then step `Persisted(write.seq)`. None: nothing to write.
    apply     Carry these out on the state machine, in order, then step `Applied(last, results)`.
    fetch     Fetch this snapshot, then step `SnapshotReceived`; only a node that is far behind is asked to.
    answers   What became of this node's own requests.
    notices   For observers; nothing depends on them.
    """

    __slots__ = ("messages", "write", "apply", "fetch", "answers", "notices")

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.write: Write | None = None
        self.apply: list[Committed | Restore] = []
        self.fetch: Fetch | None = None
        self.answers: list[Answer] = []
        self.notices: list[Notice] = []
