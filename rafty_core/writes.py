"""What of this node's state is durable, known by the numbers of its writes.

Law: *a completed write proves durable exactly what it wrote, and of that only what is still in the log.*

Writes are numbered. A late completion of a write whose entries were truncated since must not mark their successors
durable (the ABA race, fault F40): so each pending write remembers up to where it still speaks of the log as it is, and
a truncation, or a snapshot in the place of the log, lowers that.
"""

from collections import deque

from rafty_core.log import Log
from rafty_core.output import Write
from rafty_core.stable import Snapshot


class _Pending:
    __slots__ = ("seq", "now", "term", "vote", "last")

    def __init__(self, seq: int, now: float, term: int, vote: str | None, last: int) -> None:
        self.seq = seq
        self.now = now
        self.term = term
        self.vote = vote
        self.last = last


class Writes:
    """Cuts writes, and knows what is durable: `term`, `vote` in it, and the log up to `index`."""

    __slots__ = ("term", "vote", "index", "_pending", "_last_seq", "_cut_term", "_cut_vote", "_cut_index", "_new")

    def __init__(self, term: int, vote: str | None, last_index: int) -> None:
        self.term = term
        self.vote = vote
        self.index = last_index
        self._pending: deque[_Pending] = deque()
        self._last_seq = 0
        self._cut_term = term
        self._cut_vote = vote
        self._cut_index = last_index
        self._new: tuple[Snapshot, bool, int] | None = None  # snapshot, whether it installs, up to where to compact

    @property
    def last_seq(self) -> int:
        """Number of the newest write that was handed out."""
        return self._last_seq

    @property
    def oldest_cut(self) -> float:
        """When the oldest write that is not known to be durable was handed out; infinity if there is none."""
        return self._pending[0].now if self._pending else float("inf")

    def cut(self, now: float, term: int, vote: str | None, log: Log, batch_bytes: int) -> Write | None:
        """The write that makes everything new durable; None if nothing is new."""
        same = self._cut_index == log.last_index and self._cut_term == term and self._cut_vote == vote
        if same and self._new is None:
            return None
        batches = []
        while self._cut_index < log.last_index:
            batch = log.batch_at(self._cut_index + 1, batch_bytes)
            batches.append(batch)
            self._cut_index = batch.last
        self._cut_term, self._cut_vote = term, vote
        self._last_seq += 1
        self._pending.append(_Pending(self._last_seq, now, term, vote, log.last_index))
        if self._new is None:
            return Write(self._last_seq, term, vote, batches)
        (snapshot, installs, compact_to), self._new = self._new, None
        return Write(self._last_seq, term, vote, batches, snapshot, installs, compact_to)

    def truncated(self, first: int) -> None:
        """The log was truncated: what stands from index `first` on is not what was written there."""
        self.index = min(self.index, first - 1)
        self._cut_index = min(self._cut_index, first - 1)
        for pending in self._pending:
            pending.last = min(pending.last, first - 1)

    def installed(self, snapshot: Snapshot, committed: int) -> None:
        """A snapshot stands in the place of the log. Until that is durable, the old log is: up to `committed` it is
        part of the history that the snapshot holds; behind it, it proves nothing any more (fault F142)."""
        self.truncated(committed + 1)
        self._cut_index = snapshot.index
        self._new = (snapshot, True, 0)

    def compacted(self, snapshot: Snapshot, index: int) -> None:
        """This snapshot is durable, so that the log up to `index` may go."""
        installs = self._new is not None and self._new[1]
        self._new = (snapshot, installs, index)

    def persisted(self, seq: int) -> None:
        """Every write up to number `seq` is durable."""
        while self._pending and self._pending[0].seq <= seq:
            done = self._pending.popleft()
            self.term, self.vote = done.term, done.vote
            self.index = max(self.index, done.last)
