"""Logs and disks as the invariants see them, and the ghost that forgets nothing.

Law: *two logs are identical up to an index if and only if their chained hashes there are equal.*

So "identical up to here" costs one comparison, however long the logs are, and whatever was compacted: nodes forget
entries, a history keeps its hashes, and the ghost keeps everything that was ever committed. The hashes are Python's own
and differ between processes: they are compared, never kept.
"""

from collections.abc import Iterable, Sequence

from rafty_core.configuration import Configuration
from rafty_core.entries import CONFIGURATION, Batch
from rafty_core.output import Write
from rafty_core.stable import Snapshot, Stable


class InvariantViolation(Exception):
    """What must always hold does not. `number` names the invariant ("I4"); the text says where."""

    def __init__(self, number: str, text: str) -> None:
        super().__init__(f"{number}: {text}")
        self.number = number


class History:
    """A log as the checks see it: behind `base` entries, the term and the chained hash of each entry."""

    __slots__ = ("base", "base_term", "terms", "hashes")

    def __init__(self, base: int = 0, base_hash: int = 0, base_term: int = 0) -> None:
        self.base = base
        self.base_term = base_term
        self.terms: list[int] = []
        self.hashes: list[int] = [base_hash]  # hashes[i] is that of the entries up to base + i

    @property
    def last(self) -> int:
        """Index of the last entry."""
        return self.base + len(self.terms)

    def term(self, index: int) -> int:
        """Term of the entry at `index`; 0 for what is not there."""
        if self.base < index <= self.last:
            return self.terms[index - self.base - 1]
        return self.base_term if index == self.base else 0

    def hash(self, index: int) -> int | None:
        """The hash of all entries up to `index`; None beyond the end, or before the base."""
        return self.hashes[index - self.base] if self.base <= index <= self.last else None

    def shared(self) -> "History":
        """This log as it grows from now on; a truncation of this one leaves the shared one as it was."""
        ghost = History(self.base, base_term=self.base_term)
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

    def restore(self, index: int, base_hash: int, term: int) -> None:
        """A snapshot stands in the place of everything."""
        self.base, self.base_term = index, term
        self.terms, self.hashes = [], [base_hash]


class Ghost(History):
    """What was ever committed, from the first entry on: `entries[i]` stands at log index `i + 1`.

    `configurations` are the committed ones with the indexes where they stand; `commit_terms` says in which term each
    entry was first seen committed.
    """

    __slots__ = ("entries", "configurations", "commit_terms", "committed_terms")

    def __init__(self) -> None:
        super().__init__()
        self.entries: list[bytes] = []
        self.configurations: list[tuple[int, Configuration]] = [(0, Configuration())]
        self.commit_terms: list[int] = []
        self.committed_terms: set[int] = {0}  # terms of which at least one entry is committed

    def bootstrap(self, configuration: Configuration) -> None:
        """The cluster begins with this configuration."""
        self.configurations[0] = (0, configuration)

    def commit(self, term: int, entry: bytes, in_term: int) -> None:
        """The next entry, of `term`, is committed while `in_term` lasts."""
        self.replace_from(self.last + 1, term, (entry,))
        self.entries.append(entry)
        self.commit_terms.append(in_term)
        self.committed_terms.add(term)
        if entry[:1] == CONFIGURATION:
            self.configurations.append((self.last, Configuration.decode(entry[1:])))

    def configuration_at(self, index: int) -> Configuration:
        """The configuration that is in force at this index."""
        return next(configuration for at, configuration in reversed(self.configurations) if at <= index)

    def hash_in(self, history: History, index: int) -> int | None:
        """The hash of `history` up to `index`. What lies before its base is a snapshot's, and so is the ghost's."""
        return self.hash(index) if index < history.base else history.hash(index)

    def check_snapshot(self, snapshot: Snapshot, whose: str) -> int:
        """I19: a snapshot is of committed entries, with the configuration in force there. Returns the hash there."""
        known = self.hash(snapshot.index)
        if known is None or self.term(snapshot.index) != snapshot.term:
            text = f"{whose} has a snapshot of ({snapshot.index}, {snapshot.term}), and no such entry is committed"
            raise InvariantViolation("I19", text)
        if snapshot.configuration != self.configuration_at(snapshot.index):
            text = f"{whose} has a snapshot at {snapshot.index} with another configuration than the one in force there"
            raise InvariantViolation("I19", text)
        return known


class Image(History):
    """What a node's disk really holds: term, vote, snapshot and log. It survives a crash; nothing else does.

    What is compacted stays known here. Without a `ghost` what a snapshot holds is taken on trust.
    """

    __slots__ = ("term_number", "vote", "snapshot", "compactable", "_ghost")

    def __init__(self, stable: Stable, ghost: Ghost | None = None) -> None:
        self._ghost = ghost
        snapshot = stable.snapshot
        super().__init__(snapshot.index, self._snapshot_hash(snapshot), snapshot.term)
        self.term_number = stable.term
        self.vote = stable.vote
        self.snapshot = snapshot
        self.compactable = snapshot.index  # up to where the log may be gone
        behind = [batch for batch in stable.batches if batch.last > snapshot.index]
        self.write_batches([batch.slice_from(max(batch.first, snapshot.index + 1)) for batch in behind])

    def _snapshot_hash(self, snapshot: Snapshot) -> int:
        if self._ghost is None or snapshot.index == 0:
            return 0
        return self._ghost.check_snapshot(snapshot, "a disk")

    def write(self, write: Write) -> None:
        """This write has become durable."""
        if write.snapshot is not None:
            self._write_snapshot(write.snapshot, write.installs)
        if write.compact_to > self.snapshot.index:
            text = f"the log may go up to {write.compact_to}, but the snapshot ends at {self.snapshot.index}"
            raise InvariantViolation("I7", text)
        self.compactable = max(self.compactable, write.compact_to)
        if write.term < self.term_number:
            raise InvariantViolation("I6", f"the durable term falls from {self.term_number} to {write.term}")
        if write.term == self.term_number and self.vote is not None and write.vote != self.vote:
            raise InvariantViolation("I6", f"in term {write.term} the durable vote {self.vote} becomes {write.vote}")
        self.term_number, self.vote = write.term, write.vote
        self.write_batches(write.batches)

    def _write_snapshot(self, snapshot: Snapshot, installs: bool) -> None:
        if snapshot.index < self.snapshot.index:
            raise InvariantViolation("I6", f"the snapshot falls from {self.snapshot.index} to {snapshot.index}")
        known = self._snapshot_hash(snapshot)
        self.snapshot = snapshot
        if installs:
            self.restore(snapshot.index, known, snapshot.term)
            self.compactable = snapshot.index
        elif self.term(snapshot.index) != snapshot.term and snapshot.index >= self.base:
            raise InvariantViolation("I7", f"the log behind the snapshot at {snapshot.index} is another one's")

    def write_batches(self, batches: Sequence[Batch]) -> None:
        """These batches replace everything from the first one's first index on."""
        for batch in batches:
            if batch.first > self.last + 1:
                raise InvariantViolation("I7", f"{batch!r} leaves a hole behind the stored entry {self.last}")
            if batch.first <= self.snapshot.index:
                raise InvariantViolation("I7", f"{batch!r} replaces what the snapshot at {self.snapshot.index} holds")
            self.replace_from(batch.first, batch.term, batch.entries)
