"""The replicated log in memory: entries as bytes, terms as runs, and the commit index.

Law: *an entry at or below the commit index never changes* (paper 5.4). Everything above it may still be replaced.

The log starts behind its base, an entry that is not here any more (index 0, term 0 for a fresh cluster): what the
newest snapshot holds may go, and the newest part of it may stay a while for followers that need it. What is durable is
not known here but in `writes.py`; what is applied, in `applying.py`.

Configurations are entries too, and each is in force from the moment it stands here (thesis 4.1); `configurations`
follows every change of the log, so that a truncation takes a configuration back (fault F58).
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate

from rafty_core.configuration import Configuration
from rafty_core.entries import CONFIGURATION, Batch

RECENT_BATCHES = 64
"""How many of the newest batches are kept as they were built or received, so that each is encoded only once."""

MOST_ENTRIES = 4096
"""The most entries in one batch, however small they are."""


class Compacted(LookupError):
    """The entry is gone; a snapshot holds what it did. Its term is not known any more."""


class Unavailable(LookupError):
    """The log does not reach that far."""


class Configurations:
    """The configurations by the log indexes from which on they are in force; the first is the base's."""

    __slots__ = ("_indexes", "_configurations", "index", "newest")

    def __init__(self, index: int, configuration: Configuration) -> None:
        self.restore(index, configuration)

    def restore(self, index: int, configuration: Configuration) -> None:
        """Start anew at this log index: this one is in force there, and nothing before or after it is known."""
        self.index = min(configuration.index, index)  # of the newest
        self._indexes = [self.index]
        self._configurations = [configuration]
        self.newest = configuration

    def append(self, index: int, configuration: Configuration) -> None:
        """This one stands at `index`, behind all others."""
        self._indexes.append(index)
        self._configurations.append(configuration)
        self.index, self.newest = index, configuration

    @property
    def first_index(self) -> int:
        """Index of the oldest that is known."""
        return self._indexes[0]

    def at(self, index: int) -> tuple[int, Configuration]:
        """The configuration that is in force at this log index, and the index where it stands."""
        position = max(bisect_right(self._indexes, index) - 1, 0)
        return self._indexes[position], self._configurations[position]

    def since(self, index: int) -> list[Configuration]:
        """The configuration that is in force at this log index, and all behind it."""
        return self._configurations[max(bisect_right(self._indexes, index) - 1, 0) :]

    def outcome(self, index: int, commit: int) -> Configuration | None:
        """Where a change led that began at `index`: the first configuration at rest there or behind, up to `commit`."""
        known = zip(self._indexes, self._configurations, strict=True)
        return next((found for at, found in known if index <= at <= commit and found.at_rest), None)

    def truncate_from(self, first: int) -> None:
        """Entries from `first` on are gone; so are the configurations among them, however many (fault F58)."""
        while self._indexes[-1] >= first and len(self._indexes) > 1:
            self._indexes.pop()
            self._configurations.pop()
        self.index, self.newest = self._indexes[-1], self._configurations[-1]

    def compact(self, index: int) -> None:
        """Nothing before the one in force at `index` is needed any more."""
        position = max(bisect_right(self._indexes, index) - 1, 0)
        del self._indexes[:position]
        del self._configurations[:position]


class Log:
    """A window of the log: entries `first_index` to `last_index`, behind the entry at `base_index`."""

    __slots__ = (
        "base_index",
        "base_term",
        "commit",
        "last_index",
        "configurations",
        "_entries",
        "_run_firsts",
        "_run_terms",
        "_recent",
    )

    def __init__(self, base_index: int = 0, base_term: int = 0, configuration: Configuration | None = None) -> None:
        self.base_index = base_index
        self.base_term = base_term
        self.commit = base_index
        self.last_index = base_index  # of the last entry; the base if there is none
        self.configurations = Configurations(base_index, configuration or Configuration())
        self._entries: list[bytes] = []
        self._run_firsts: list[int] = []  # terms never fall along the log, so they are kept as runs:
        self._run_terms: list[int] = []  # entries from _run_firsts[i] on have term _run_terms[i]
        self._recent: dict[int, Batch] = {}

    @property
    def first_index(self) -> int:
        """Index of the first entry that is here (or would be)."""
        return self.base_index + 1

    @property
    def last_term(self) -> int:
        """Term of the last entry; the base's term if there is none."""
        return self._run_terms[-1] if self._run_terms else self.base_term

    def term(self, index: int) -> int:
        """Term of the entry at `index`. Raises `Compacted` below the base, `Unavailable` beyond the end."""
        if index > self.last_index:
            raise Unavailable(f"index {index} is beyond the last index {self.last_index}")
        if index <= self.base_index:
            if index < self.base_index:
                raise Compacted(f"index {index} was compacted, with all up to {self.base_index}")
            return self.base_term
        if index >= self._run_firsts[-1]:
            return self._run_terms[-1]
        return self._run_terms[bisect_right(self._run_firsts, index) - 1]

    def matches(self, index: int, term: int) -> bool:
        """Whether the entry at `index` is known here and has this term (paper 5.3, the consistency check)."""
        return self.base_index <= index <= self.last_index and self.term(index) == term

    def run_end(self, index: int) -> int:
        """Index of the last entry of the run of equal terms that the entry at `index` belongs to."""
        following = bisect_right(self._run_firsts, index)
        return self._run_firsts[following] - 1 if following < len(self._run_firsts) else self.last_index

    def slice(self, first: int, last: int) -> list[bytes]:
        """The entries `first` to `last`, both included. Raises `Compacted` or `Unavailable` if not all are here."""
        if first < self.first_index:
            raise Compacted(f"index {first} was compacted, with all up to {self.base_index}")
        if last > self.last_index:
            raise Unavailable(f"index {last} is beyond the last index {self.last_index}")
        return self._entries[first - self.first_index : last - self.base_index]

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
            entries, weight = self.slice_of_bytes(first, last, most_bytes)
            batch = Batch(first, self.term(first), entries, weight=weight)
            self._remember(batch)
        return batch

    def append(self, term: int, entries: Sequence[bytes]) -> None:
        """Append entries of a leader's own at the end (paper 5.3: "appends the command to its log").

        None of them is a configuration: those go through `append_configuration`.
        """
        self._extend(term, entries)

    def append_configuration(self, term: int, configuration: Configuration) -> None:
        """Append a configuration at the end; it is in force from now on."""
        configuration = replace(configuration, index=self.last_index + 1)
        self._extend(term, [CONFIGURATION + configuration.encode()])
        self.configurations.append(self.last_index, configuration)

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
        if CONFIGURATION[0] in batch.kinds:
            for index, entry in enumerate(batch.entries, batch.first):
                if entry[0] == CONFIGURATION[0]:
                    self.configurations.append(index, replace(Configuration.decode(entry[1:]), index=index))
        self._remember(batch)

    def commit_to(self, index: int) -> None:
        """Raise the commit index to `index`; never lowers it. Raises `ValueError` beyond the last index."""
        if index > self.last_index:
            raise ValueError(f"cannot commit {index}, the last index is {self.last_index}")
        self.commit = max(self.commit, index)

    def compact(self, index: int) -> None:
        """Forget the entries up to `index`, which a snapshot holds. Raises `ValueError` unless all are committed.

        Nothing is left to do if they are gone already; `index` below the base is a broken call.
        """
        if not self.base_index <= index <= self.commit:
            raise ValueError(f"cannot compact up to {index}: base {self.base_index}, commit {self.commit}")
        term = self.term(index)
        del self._entries[: index - self.base_index]
        gone = bisect_right(self._run_firsts, index + 1) - 1 if index < self.last_index else len(self._run_firsts)
        del self._run_firsts[: max(gone, 0)]
        del self._run_terms[: max(gone, 0)]
        if self._run_firsts:
            self._run_firsts[0] = index + 1
        self.base_index, self.base_term = index, term
        self.configurations.compact(index)
        self._recent = {first: batch for first, batch in self._recent.items() if first > index}

    def start_of_tail(self, last: int, most_entries: int, most_bytes: int) -> int:
        """The index before the newest of the entries up to `last`: at most so many of them, and so many bytes."""
        first = max(self.first_index, last - most_entries + 1)
        if first > last:
            return last
        weights = list(accumulate(map(len, reversed(self.slice(first, last)))))
        return last - bisect_right(weights, most_bytes)

    def restore(self, index: int, term: int, configuration: Configuration) -> None:
        """Put a snapshot in the place of everything (Figure 13, step 7: "Discard the entire log")."""
        if index <= self.commit:
            raise ValueError(f"cannot restore a snapshot at {index}: everything up to {self.commit} is committed here")
        self.__init__(index, term, configuration)  # type: ignore[misc]

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

        Below the base and beyond the end terms are not known; the search stops there and returns that index.
        """
        while self.base_index <= index <= self.last_index:
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
        self.configurations.truncate_from(first)
        while self._run_firsts and self._run_firsts[-1] >= first:
            self._run_firsts.pop()
            self._run_terms.pop()
        self._recent = {start: batch for start, batch in self._recent.items() if batch.last < first}

    def _remember(self, batch: Batch) -> None:
        self._recent[batch.first] = batch
        if len(self._recent) > RECENT_BATCHES:
            del self._recent[next(iter(self._recent))]
