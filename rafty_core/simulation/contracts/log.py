"""A log and its disk as the contracts see them: what was there before a step, what is durable after it.

Law: *what is durable is told by writes, their completions and truncations, and by nothing else.*
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from rafty_core.entries import Batch
from rafty_core.events import Event, Persisted
from rafty_core.history import History, InvariantViolation
from rafty_core.messages import AppendEntries
from rafty_core.output import Write
from rafty_core.simulation.contracts.before import Before
from rafty_core.state import State


@dataclass(frozen=True, slots=True)
class LogBefore:
    """A log before a step: it shares the lists of its history, of which a truncation makes new ones."""

    history: History
    base: int
    base_term: int
    terms: list[int]
    hashes: list[int]
    last: int

    @classmethod
    def of(cls, history: History) -> "LogBefore":
        """The log that this history is of, as it is now."""
        return cls(history, history.base, history.base_term, history.terms, history.hashes, history.last)

    def term(self, index: int) -> int:
        """Term of the entry at `index`; 0 for what is not known, or not there."""
        if self.base < index <= self.last:
            return self.terms[index - self.base - 1]
        return self.base_term if index == self.base else 0

    def conflict(self, batch: Batch, above: int) -> int:
        """The first index behind `above` at which the batch has an entry of another term; 0 if there is none."""
        first, last = max(batch.first, above + 1, self.base + 1), min(batch.last, self.last)
        if first > last:
            return 0
        if self.term(first) != batch.term:
            return first
        agreed = self.base + bisect_right(self.terms, batch.term, first - self.base - 1, last - self.base)
        return agreed + 1 if agreed < last else 0

    def agreed(self, history: History, commit: int) -> int:
        """Up to where the log of this history is what it was; a snapshot in its place keeps what was committed."""
        if history is not self.history:
            return commit
        if history.terms is self.terms:
            return self.last
        least, most = 0, min(len(self.hashes), len(history.hashes)) - 1
        while least < most:  # chained hashes: equal up to where the logs are
            middle = (least + most + 1) // 2
            if self.hashes[middle] == history.hashes[middle]:
                least = middle
            else:
                most = middle - 1
        return self.base + least


@dataclass(slots=True)
class PendingWrite:
    """A write that was handed out: `last` is up to where it still speaks of the log as it is."""

    seq: int
    last: int
    term: int
    vote: str | None


class DiskContracts:
    """What of a node's log it may take for durable, told by its writes and their completions alone."""

    def __init__(self, state: State, last: int) -> None:
        self.id = state.id
        self.term, self.vote = state.term, state.vote
        """The durable ones."""
        self.durable = last
        self._cut = (state.term, state.vote, last)  # what the newest write made durable, or will
        self._pending: deque[PendingWrite] = deque()
        self._seq = 0
        self._unsure = -1  # the node is believed until this write is done

    def after(
        self,
        was: LogBefore,
        before: Before,
        state: State,
        history: History,
        events: Sequence[Event],
        write: Write | None,
    ) -> None:
        """Follow what the step did to the log and what it wrote, and check that the node believes just that."""
        agreed = was.agreed(history, before.commit)
        for event in events:
            if isinstance(event, Persisted):
                self._persisted(event.seq)
        if agreed < was.last:
            self._lower(agreed)
            for batch in state.log._recent.values():  # what is handed out again, if it is asked for (F53)
                if batch.last > history.last or history.term(batch.last) != batch.term:
                    raise InvariantViolation("I3", f"{self.id} still keeps {batch!r}, which its log has lost (F53)")
        terms = {event.term for event in events if isinstance(event, AppendEntries)} if len(events) > 1 else ()
        if len(terms) > 1 or (len(events) > 1 and history is not was.history):
            self._unsure = self._seq  # what one leader took away another may have brought back
        self._check_write(state, history, write)
        if self._unsure >= 0:
            self.durable = state.writes.index
            if not self._pending or self._pending[0].seq > self._unsure:
                self._unsure = -1
        believed = (state.writes.index, state.writes.term, state.writes.vote)
        if believed != (self.durable, self.term, self.vote):
            text = f"takes (index, term, vote) {believed} for durable, and it is {(self.durable, self.term, self.vote)}"
            raise InvariantViolation("I12", f"{self.id} {text}")

    def _persisted(self, seq: int) -> None:
        while self._pending and self._pending[0].seq <= seq:
            done = self._pending.popleft()
            self.durable = max(self.durable, done.last)
            self.term, self.vote = done.term, done.vote

    def _lower(self, agreed: int) -> None:
        """What stands behind `agreed` in the log is not what was written there."""
        self.durable = min(self.durable, agreed)
        self._cut = (*self._cut[:2], min(self._cut[2], agreed))
        for pending in self._pending:
            pending.last = min(pending.last, agreed)

    def _check_write(self, state: State, history: History, write: Write | None) -> None:
        """Everything that is new is written in the step in which it came to be, in batches that may be sent too."""
        installs = write is not None and write.installs
        start = self._cut[2] if not installs else history.base
        new = history.last > start or (state.term, state.vote) != self._cut[:2] or installs
        if write is None:
            if new:
                raise InvariantViolation("I9", f"{self.id} writes nothing, and {self._cut} is not all")
            return
        if not new and write.snapshot is None:
            raise InvariantViolation("I26", f"{self.id} writes {write!r}, and nothing is new")
        self._seq += 1
        if (write.seq, write.term, write.vote) != (self._seq, state.term, state.vote):
            raise InvariantViolation("I9", f"{self.id} writes {write!r}, in term {state.term} with vote {state.vote}")
        for batch in write.batches:
            check_batch(self.id, batch, start, history, state.config.max_batch_bytes)
            start = batch.last
        if start != history.last:
            raise InvariantViolation("I9", f"{self.id} writes up to {start}, and its log ends at {history.last}")
        self._cut = (state.term, state.vote, history.last)
        self._pending.append(PendingWrite(self._seq, history.last, state.term, state.vote))


def check_batch(node: str, batch: Batch, prev: int, history: History, most_bytes: int) -> None:
    """A batch that a node writes or sends is a part of its log behind `prev`, of one term, and not too large."""
    parts = len(batch.entries)
    if parts == 0 or batch.first != prev + 1 or batch.last > history.last:
        raise InvariantViolation("I3", f"{node} puts together {batch!r} behind {prev}, its log ends at {history.last}")
    if not history.term(batch.first) == batch.term == history.term(batch.last):
        raise InvariantViolation("I3", f"{node} puts together {batch!r}, and has entries of another term there")
    if parts > 1 and sum(map(len, batch.entries)) > most_bytes:
        raise InvariantViolation("I24", f"{node} puts together {batch!r} of more than {most_bytes} bytes")
