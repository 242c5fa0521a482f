"""Logs and disks as the invariants see them.

Law: *two logs are identical up to an index if and only if their chained hashes there are equal.*

So "identical up to here" costs one comparison, however long the logs are. The hashes are Python's own and differ
between processes: they are compared, never kept.
"""

from collections.abc import Iterable, Sequence

from rafty_core.entries import Batch
from rafty_core.output import Write
from rafty_core.stable import Stable


class InvariantViolation(Exception):
    """What must always hold does not. `number` names the invariant ("I4"); the text says where."""

    def __init__(self, number: str, text: str) -> None:
        super().__init__(f"{number}: {text}")
        self.number = number


class History:
    """A log as the checks see it: behind `base` entries, the term and the chained hash of each entry."""

    __slots__ = ("base", "terms", "hashes")

    def __init__(self, base: int = 0, base_hash: int = 0) -> None:
        self.base = base
        self.terms: list[int] = []
        self.hashes: list[int] = [base_hash]  # hashes[i] is that of the entries up to base + i

    @property
    def last(self) -> int:
        """Index of the last entry."""
        return self.base + len(self.terms)

    def term(self, index: int) -> int:
        """Term of the entry at `index`; 0 for what is not there."""
        return self.terms[index - self.base - 1] if self.base < index <= self.last else 0

    def hash(self, index: int) -> int | None:
        """The hash of all entries up to `index`; None beyond the end, or before the base."""
        return self.hashes[index - self.base] if self.base <= index <= self.last else None

    def shared(self) -> "History":
        """This log as it grows from now on; a truncation of this one leaves the shared one as it was."""
        ghost = History(self.base)
        ghost.terms, ghost.hashes = self.terms, self.hashes
        return ghost

    def replace_from(self, first: int, term: int, entries: Iterable[bytes]) -> None:
        """These entries stand at `first` and after it now, and nothing behind them."""
        if first <= self.last:
            self.terms = self.terms[: first - self.base - 1]
            self.hashes = self.hashes[: first - self.base]
        for entry in entries:
            self.terms.append(term)
            self.hashes.append(hash((self.hashes[-1], term, entry)))


class Image(History):
    """What a node's disk really holds: term, vote and log. It survives a crash; nothing else does."""

    __slots__ = ("term_number", "vote")

    def __init__(self, stable: Stable) -> None:
        super().__init__(stable.snapshot.index)
        self.term_number = stable.term
        self.vote = stable.vote
        self.write_batches(stable.batches)

    def write(self, write: Write) -> None:
        """This write has become durable."""
        if write.term < self.term_number:
            raise InvariantViolation("I6", f"the durable term falls from {self.term_number} to {write.term}")
        if write.term == self.term_number and self.vote is not None and write.vote != self.vote:
            raise InvariantViolation("I6", f"in term {write.term} the durable vote {self.vote} becomes {write.vote}")
        self.term_number, self.vote = write.term, write.vote
        self.write_batches(write.batches)

    def write_batches(self, batches: Sequence[Batch]) -> None:
        """These batches replace everything from the first one's first index on."""
        for batch in batches:
            if batch.first > self.last + 1:
                raise InvariantViolation("I7", f"{batch!r} leaves a hole behind the stored entry {self.last}")
            self.replace_from(batch.first, batch.term, batch.entries)
