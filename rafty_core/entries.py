"""An entry in the log is bytes, and entries travel in batches of one term.

Law: *an entry's index is its position and its term is its batch's; nothing of it is an object.*

The first byte of an entry is its kind, the rest its payload. A million entries alive are then a million `bytes`,
which the garbage collector never looks at; as objects they would cost more than all of Raft together, and pauses as
long as an election timeout. `Entry` is built only for people: for `Raft.entries`, for tests, for debugging.

A `Batch` is what messages carry and what writes make durable: consecutive entries of one term. Since the term is the
batch's, the consistency check of AppendEntries (paper 5.3) costs the same for one entry and for a thousand. A batch is
never changed after it is built, so that nodes, stores and transports may share it (fault F135).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

NO_OP = b"\x00"
"""The entry a new leader appends: kind 0, no payload (paper 8: "a blank no-op entry into the log")."""

COMMAND = b"\x01"
"""The kind byte of a command of the application; the payload is the command, which Raft never reads."""

CONFIGURATION = b"\x02"
"""The kind byte of a configuration of the cluster; the payload is `Configuration.encode`."""

KNOWN_KINDS = frozenset((NO_OP[0], COMMAND[0], CONFIGURATION[0]))

KIND_NAMES = {NO_OP[0]: "no-op", COMMAND[0]: "command", CONFIGURATION[0]: "configuration"}

LARGEST = 2**63 - 1
"""The largest term, index or sequence number that is accepted from anywhere (fault F28)."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One log entry as a person reads it. `kind` is "no-op", "command" or "configuration"."""

    index: int
    term: int
    kind: str
    data: bytes


class Batch:
    """Consecutive entries of one term: `entries[i]` stands at log index `first + i`.

    `packed` is an opaque cell: codec and store keep in it the one encoded form that stands in frames and in the
    log's records alike. It is no part of equality. Everything else is fixed at construction.
    """

    __slots__ = ("first", "term", "entries", "packed", "_weight", "_kinds")

    def __init__(
        self, first: int, term: int, entries: Sequence[bytes], packed: Any = None, *, weight: int = -1
    ) -> None:
        self.first = first
        self.term = term
        self.entries = entries
        self.packed = packed
        self._weight = weight
        self._kinds: frozenset[int] | None = None

    @property
    def weight(self) -> int:
        """Bytes of all entries together; counted once."""
        if self._weight < 0:
            self._weight = sum(map(len, self.entries))
        return self._weight

    @property
    def kinds(self) -> frozenset[int]:
        """The kind bytes that occur among the entries; looked at once. No entry may be empty."""
        if self._kinds is None:
            self._kinds = frozenset([entry[0] for entry in self.entries])
        return self._kinds

    @property
    def last(self) -> int:
        """Log index of the last entry; `first - 1` when the batch is empty."""
        return self.first + len(self.entries) - 1

    def slice_from(self, first: int) -> "Batch":
        """The part of this batch from index `first` on (which must lie in it or right behind it)."""
        if first == self.first:
            return self
        return Batch(first, self.term, self.entries[first - self.first :])

    def slice_to(self, last: int) -> "Batch":
        """The part of this batch up to index `last` (which must lie in it or right before it)."""
        if last == self.last:
            return self
        return Batch(self.first, self.term, self.entries[: last - self.first + 1])

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Batch)
            and (self.first, self.term) == (other.first, other.term)
            and list(self.entries) == list(other.entries)
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Batch({self.first}..{self.last} of term {self.term})"


def commands_of(entries: Sequence[bytes]) -> list[bytes]:
    """The payloads of the commands among `entries`, in order; entries of Raft's own are left out."""
    kind = COMMAND[0]
    return [entry[1:] for entry in entries if entry[0] == kind]
