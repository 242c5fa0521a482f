"""What the core asks of its driver: an `Output` per step.

Law: *whatever is in `messages` is safe to send now; whatever must wait for the disk is still inside the core.*

The driver has three rules, one for each of `messages`, `write` and `apply`; see `Output`.
"""

from collections.abc import Sequence
from typing import Any, TypeAlias

from rafty_core.entries import COMMAND, Batch, commands_of
from rafty_core.messages import Message, Value
from rafty_core.outcomes import ProposalError


class Write(Value):
    """Make this durable, then step `Persisted(seq)`. Writes are numbered 1, 2, 3, ... and are done in that order.

    Several writes may share one fsync. `term` and `vote` are always given and replace what is stored (the vote
    belongs to that term; None is no vote). `batches` replace everything stored at the first batch's first index and
    after it; they are contiguous. An empty `batches` leaves the log as it is.
    """

    __slots__ = ("seq", "term", "vote", "batches")

    def __init__(self, seq: int, term: int, vote: str | None, batches: Sequence[Batch] = ()) -> None:
        self.seq = seq
        self.term = term
        self.vote = vote
        self.batches = batches


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


class ProtocolViolation(Value):
    """A message broke the protocol; it was dropped and counted, and the state is as it was (invariant I27)."""

    __slots__ = ("sender", "text")

    def __init__(self, sender: str, text: str) -> None:
        self.sender = sender
        self.text = text


Notice: TypeAlias = RoleChanged | LeaderChanged | PeerContact | ProtocolViolation


class Output(Value):
    """What follows from one step.

    messages  Send them, whenever you like, in any order. They may be lost.
    write     Make it durable, then step `Persisted(write.seq)`. None: nothing to write.
    apply     Carry these out on the state machine, in order, then step `Applied(index, results)`.
    answers   What became of this node's own proposals.
    notices   For observers; nothing depends on them.
    """

    __slots__ = ("messages", "write", "apply", "answers", "notices")

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.write: Write | None = None
        self.apply: list[Committed] = []
        self.answers: list[ProposalAnswer] = []
        self.notices: list[Notice] = []
