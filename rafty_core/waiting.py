"""Requests that wait: reads, a transfer, a change of membership, and the learners that it waits for.

Law: *who asked is remembered until there is an answer, whoever leads by then.* What only a leader can answer is in its
role, and comes back here when it leads no more.
"""

import heapq
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from rafty_core.configuration import Configuration
from rafty_core.pending import Origin

PATIENCE = 10
"""Election timeouts of silence after which a learner is given up, or a removed member is told no more; and that a write
may take before the leader whose snapshot waits behind it is told so."""


class LocalRead(NamedTuple):
    """A read of this node's own, not confirmed yet; refused at `expires`."""

    token: Any
    lease: bool
    expires: float


class ReadyRead(NamedTuple):
    """A read of this node's own that waits until the entry `wanted` is applied; refused at `expires`."""

    token: Any
    wanted: int
    expires: float


class WaitingRead(NamedTuple):
    """What a leader is to confirm: the reads of another node, or one of its own."""

    asker: Origin | LocalRead
    lease: bool
    expires: float


class Asking(NamedTuple):
    """Reads for which this node has asked the leader of `term`; asked again at `again`."""

    sequence: int
    leader: str
    term: int
    again: float
    reads: list[LocalRead]


class Reads:
    """Reads of this node that wait: for somebody to ask, for an answer, for the state machine."""

    __slots__ = ("new", "asking", "ready", "last_sequence", "_number", "_by_index")

    def __init__(self) -> None:
        self.new: list[LocalRead] = []
        self.asking: Asking | None = None
        self.ready: dict[int, ReadyRead] = {}  # by order of arrival, and so by the time at which they expire
        self.last_sequence = 0
        self._number = 0
        self._by_index: list[tuple[int, int]] = []  # a heap of (index, order of arrival)

    def wait_for(self, index: int, token: Any, expires: float) -> None:
        """This read may be served when `index` is applied; later ones do not expire before it."""
        self._number += 1
        self.ready[self._number] = ReadyRead(token, index, expires)
        heapq.heappush(self._by_index, (index, self._number))

    def take_served(self, applied: int) -> list[ReadyRead]:
        """The reads that wait for nothing beyond `applied`; they wait no more."""
        served = []
        while self._by_index and self._by_index[0][0] <= applied:
            read = self.ready.pop(heapq.heappop(self._by_index)[1], None)
            if read is not None:
                served.append(read)
        return served

    def take_expired(self, now: float) -> list[ReadyRead]:
        """The reads that have waited too long; they wait no more."""
        expired = []
        while self.ready and now >= next(iter(self.ready.values())).expires:
            expired.append(self.ready.pop(next(iter(self.ready))))
        if len(self._by_index) > 2 * len(self.ready):
            self._by_index = [(read.wanted, number) for number, read in self.ready.items()]
            heapq.heapify(self._by_index)
        return expired

    @property
    def count(self) -> int:
        """How many reads of this node wait, those not counted that its own leadership is to confirm."""
        return len(self.new) + len(self.ready) + (0 if self.asking is None else len(self.asking.reads))


@dataclass(slots=True)
class Transfer:
    """A leader's attempt to hand over: to whom, until when, and the last round of heartbeats in which it was told."""

    target: str
    deadline: float
    told_round: int = 0


class Handover(NamedTuple):
    """A request for a transfer that is still to be answered; it outlives the leadership that it ends."""

    token: Any
    target: str
    deadline: float
    term: int


@dataclass(slots=True)
class PendingChange:
    """A change of membership that this node accepted and has not answered: its first entry, and where it leads."""

    token: Any
    index: int
    term: int
    target: Configuration
    reason: str = ""


@dataclass(slots=True)
class CatchUp:
    """A learner on its way to being a voter: the round that it is in (thesis 4.2.1)."""

    target: int
    began: float
    round: int = 1
    done: bool = False
    match: int = 0
    since: float = field(init=False)
    moved: float = field(init=False)  # when its match index grew last

    def __post_init__(self) -> None:
        self.since = self.moved = self.began

    def begin_round(self, target: int, now: float) -> None:
        """The next round is over when the learner has everything up to `target`. One that is close needs no more."""
        self.target, self.began, self.round = target, now, self.round + (not self.done)
