"""The replicated log in memory: entries as bytes, terms as runs, and the commit index.

Law: *an entry at or below the commit index never changes* (paper 5.4). Everything above it may still be replaced.

The log starts behind a snapshot (index 0, term 0 for a fresh cluster). What is durable is not known here but in
`writes.py`; what is applied, in `applying.py`.
"""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

from rafty_core.entries import Batch

RECENT_BATCHES = 64
"""How many of the newest batches are kept as they were built or received, so that each is encoded only once."""

MOST_ENTRIES = 4096
"""The most entries in one batch, however small they are."""


class Compacted(LookupError):
    """The entry is covered by the snapshot; its term is not known any more."""


class Unavailable(LookupError):
    """The log does not reach that far."""


class Log:
    """A window of the log: entries `first_index` to `last_index`, behind a snapshot's last entry."""

    __slots__ = (
        "snapshot_index",
        "snapshot_term",
        "commit",
        "last_index",
        "_entries",
        "_run_firsts",
        "_run_terms",
        "_recent",
    )

    def __init__(self, snapshot_index: int = 0, snapshot_term: int = 0) -> None:
        self.snapshot_index = snapshot_index
        self.snapshot_term = snapshot_term
        self.commit = snapshot_index
        self.last_index = snapshot_index  # of the last entry; the snapshot's if there is none
        self._entries: list[bytes] = []
        self._run_firsts: list[int] = []  # terms never fall along the log, so they are kept as runs:
        self._run_terms: list[int] = []  # entries from _run_firsts[i] on have term _run_terms[i]
        self._recent: dict[int, Batch] = {}

    @property
    def first_index(self) -> int:
        """Index of the first entry that is still here (or would be)."""
        return self.snapshot_index + 1

    @property
    def last_term(self) -> int:
        """Term of the last entry; the snapshot's term if there is none."""
        return self._run_terms[-1] if self._run_terms else self.snapshot_term

    def term(self, index: int) -> int:
        """Term of the entry at `index`. Raises `Compacted` below the snapshot, `Unavailable` beyond the end."""
        if index > self.last_index:
            raise Unavailable(f"index {index} is beyond the last index {self.last_index}")
        if index <= self.snapshot_index:
            if index < self.snapshot_index:
                raise Compacted(f"index {index} is covered by the snapshot at {self.snapshot_index}")
            return self.snapshot_term
        if index >= self._run_firsts[-1]:
            return self._run_terms[-1]
        return self._run_terms[bisect_right(self._run_firsts, index) - 1]

    def matches(self, index: int, term: int) -> bool:
        """Whether the entry at `index` is known here and has this term (paper 5.3, the consistency check)."""
        return self.snapshot_index <= index <= self.last_index and self.term(index) == term

    def run_end(self, index: int) -> int:
        """Index of the last entry of the run of equal terms that the entry at `index` belongs to."""
        following = bisect_right(self._run_firsts, index)
        return self._run_firsts[following] - 1 if following < len(self._run_firsts) else self.last_index

    def slice(self, first: int, last: int) -> list[bytes]:
        """The entries `first` to `last`, both included. Raises `Compacted` or `Unavailable` if not all are here."""
        if first < self.first_index:
            raise Compacted(f"index {first} is covered by the snapshot at {self.snapshot_index}")
        if last > self.last_index:
            raise Unavailable(f"index {last} is beyond the last index {self.last_index}")
        return self._entries[first - self.first_index : last - self.snapshot_index]

    def slice_of_bytes(self, first: int, last: int, most_bytes: int) -> tuple[list[bytes], int]:
        """As many of the entries `first` to `last` as weigh `most_bytes`, but at least one, and their weight."""
        entries = self.slice(first, last)
        weights = list(accumulate(map(len, entries)))
        count = max(1, bisect_right(weights, most_bytes))
        return (entries, weights[-1]) if count >= len(entries) else (entries[:count], weights[count - 1])

    def batch_at(self, first: int, most_bytes: int) -> Batch:
        """A batch that starts at `first`: entries of one term, of at most `most_bytes` (but at least one entry).

        The batch that was built or received for this index is handed out again while it is among the newest, so that
        both followers and the store share one encoding of it.
        """
        batch = self._recent.get(first)
        if batch is None or (batch.weight > most_bytes and len(batch.entries) > 1):
            last = min(self.run_end(first), first + MOST_ENTRIES - 1)
            entries, _ = self.slice_of_bytes(first, last, most_bytes)
            batch = Batch(first, self.term(first), entries)
            self._remember(batch)
        return batch

    def append(self, term: int, entries: Sequence[bytes]) -> None:
        """Append entries of a leader's own at the end (paper 5.3: "appends the command to its log")."""
        self._extend(term, entries)

    def replace_from(self, batch: Batch) -> None:
        """Put the batch in the place of everything from its first index on. Raises `ValueError` for a broken call.

        Paper 5.3: "delete the existing entry and all that follow it". Nothing at or below the commit index is ever
        replaced; that is checked here once more, whatever the caller proved.
        """
        if not self.commit < batch.first <= self.last_index + 1:
            raise ValueError(f"cannot put {batch!r} into a log of commit {self.commit}, last index {self.last_index}")
        if batch.first <= self.last_index:
            self._truncate_from(batch.first)
        self._extend(batch.term, batch.entries)
        self._remember(batch)

    def commit_to(self, index: int) -> None:
        """Raise the commit index to `index`; never lowers it. Raises `ValueError` beyond the last index."""
        if index > self.last_index:
            raise ValueError(f"cannot commit {index}, the last index is {self.last_index}")
        self.commit = max(self.commit, index)

    def is_up_to_date(self, last_log_index: int, last_log_term: int) -> bool:
        """Whether a log that ends so is at least as up-to-date as this one.

        Paper 5.4.1: "the log with the later term is more up-to-date. If the logs end with the same term, then
        whichever log is longer is more up-to-date."
        """
        return (last_log_term, last_log_index) >= (self.last_term, self.last_index)

    def find_conflict(self, batch: Batch) -> int:
        """Index of the first entry of `batch` that differs from this log or is new to it; 0 if there is none.

        The entry before the batch must match already. Entries of equal index and term are equal (paper 5.3, the Log
        Matching Property), so that one look at the runs of terms decides for the whole batch.
        """
        if batch.first > self.last_index:
            return batch.first if batch.entries else 0
        if self.term(batch.first) != batch.term:
            return batch.first
        agreed = self.run_end(batch.first)
        return 0 if batch.last <= agreed else agreed + 1

    def find_conflict_by_term(self, index: int, term: int) -> int:
        """The largest index at or below `index` whose term is at most `term`: the last that may still agree.

        Below the snapshot and beyond the end terms are not known; the search stops there and returns that index.
        """
        while self.snapshot_index <= index <= self.last_index:
            if self.term(index) <= term:
                return index
            run = bisect_right(self._run_firsts, index) - 1
            index = self._run_firsts[run] - 1 if run >= 0 else index - 1
        return max(index, 0)

    def _extend(self, term: int, entries: Sequence[bytes]) -> None:
        if term < self.last_term:
            raise ValueError(f"an entry of term {term} cannot follow one of term {self.last_term}")
        if not self._run_terms or term != self._run_terms[-1]:
            self._run_firsts.append(self.last_index + 1)
            self._run_terms.append(term)
        self._entries.extend(entries)
        self.last_index += len(entries)

    def _truncate_from(self, first: int) -> None:
        del self._entries[first - self.first_index :]
        self.last_index = first - 1
        while self._run_firsts and self._run_firsts[-1] >= first:
            self._run_firsts.pop()
            self._run_terms.pop()
        self._recent = {start: batch for start, batch in self._recent.items() if batch.last < first}

    def _remember(self, batch: Batch) -> None:
        self._recent[batch.first] = batch
        if len(self._recent) > RECENT_BATCHES:
            del self._recent[next(iter(self._recent))]
