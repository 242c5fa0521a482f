"""Proposals whose outcome is not known yet.

Law: *an entry is this proposal's only if index and term both agree* (fault F98).

Three small tables. *Accepted*: what this node appended while it led, for itself or for others; it outlives the
leadership, since a later leader may still commit it, or commit something else in its place. *Forwarded*: what this node
sent to a leader. *Windows*: which requests of others this node has seen, so that a repeated message is not a repeated
command (fault F139).
"""

from collections import deque
from collections.abc import Sequence
from typing import Any, NamedTuple

from rafty_core.configuration import Configuration, Member
from rafty_core.entries import COMMAND
from rafty_core.log import Log

MOST_BEHIND = 4096
"""How far behind the newest request of a node an older one may arrive and still be accepted."""

MOST_ORIGINS = 256
"""From how many nodes requests are remembered."""


class Origin(NamedTuple):
    """Who asked: the node, its boot and its sequence number. Together they name a request for ever."""

    sender: str
    boot: int
    sequence: int


class Accepted:
    """Commands that stand in the log from `first` to `last` in `term`, until something else is committed there."""

    __slots__ = ("first", "last", "term", "token", "origin", "applied", "results")

    def __init__(self, first: int, last: int, term: int, token: Any, origin: Origin | None) -> None:
        self.first = first
        self.last = last
        self.term = term
        self.token = token
        self.origin = origin
        self.applied = 0
        self.results: list[bytes] = []


class Forwarded:
    """Commands that were sent to the leader of `term`; waits for its word until `expires`."""

    __slots__ = ("token", "count", "leader", "term", "expires")

    def __init__(self, token: Any, count: int, leader: str, term: int, expires: float) -> None:
        self.token = token
        self.count = count
        self.leader = leader
        self.term = term
        self.expires = expires


class Window:
    """The newest requests of one node in one of its lives: since its start number `boot`, under that incarnation."""

    __slots__ = ("boot", "incarnation", "highest", "seen")

    def __init__(self, boot: int, incarnation: str) -> None:
        self.boot = boot
        self.incarnation = incarnation  # empty if it is not known
        self.highest = 0
        self.seen: set[int] = set()

    def admit(self, sequence: int) -> bool:
        """Whether this request is certainly new; it is remembered either way."""
        if sequence <= self.highest - MOST_BEHIND or sequence in self.seen:
            return False
        self.seen.add(sequence)
        if sequence > self.highest:
            self.highest = sequence
            if len(self.seen) > 2 * MOST_BEHIND:
                self.seen = {number for number in self.seen if number > sequence - MOST_BEHIND}
        return True


def _is_gone(sender: str, configuration: Configuration) -> bool:
    """Whether this node was removed and is no member under another life of its name."""
    return configuration.member(sender) is None and any(gone.id == sender for gone in configuration.removed)


def _is_earlier_life(gone: Member, member: Member) -> bool:
    return gone.id == member.id and gone.incarnation != member.incarnation


class JustApplied(NamedTuple):
    """Entries `first` to `last` were applied; `results` of those that are commands, in order, or none at all."""

    first: int
    last: int
    results: Sequence[bytes]


class Proposals:
    """All proposals whose outcome is open."""

    __slots__ = ("accepted", "forwarded", "windows", "last_sequence")

    def __init__(self) -> None:
        self.accepted: deque[Accepted] = deque()
        self.forwarded: dict[int, Forwarded] = {}  # by sequence number, and so by the time at which they expire
        self.windows: dict[str, Window] = {}
        self.last_sequence = 0

    @property
    def count(self) -> int:
        """How many proposals are open."""
        return len(self.accepted) + len(self.forwarded)

    def admit(self, origin: Origin, configuration: Configuration) -> bool:
        """Whether a forwarded request is certainly new. Whatever the answer, it will not be new again."""
        window = self.windows.get(origin.sender)
        if window is None or window.boot < origin.boot:
            member = configuration.member(origin.sender)
            if window is None and (len(self.windows) >= MOST_ORIGINS or _is_gone(origin.sender, configuration)):
                return False
            window = self.windows[origin.sender] = Window(origin.boot, "" if member is None else member.incarnation)
        return window.boot == origin.boot and window.admit(origin.sequence)

    def follow_members(self, settled: Configuration) -> None:
        """Forget what was asked by nodes, or in lives of nodes, that this committed configuration removed: they never
        return, and a new life counts its boots from 1 (R93, R102). Who merely is no member may return (R101)."""
        for sender, window in list(self.windows.items()):
            member = settled.member(sender)
            if member is None:
                if _is_gone(sender, settled):
                    del self.windows[sender]
            elif member.incarnation != window.incarnation:
                if window.incarnation or any(_is_earlier_life(gone, member) for gone in settled.removed):
                    del self.windows[sender]
                else:
                    window.incarnation = member.incarnation  # it has become known

    def decided_by(self, applied: JustApplied, log: Log) -> list[tuple[Accepted, bool]]:
        """What the application of these committed entries decides: (proposal, whether all of it was applied).

        Committed entries are final, so each of them decides the proposals that hoped for its index; and since terms
        never fall along a log, an entry of a later term decides all proposals of earlier terms.
        """
        decided = []
        newest_term = log.term(applied.last)
        while self.accepted:
            proposal = self.accepted[0]
            start = max(proposal.first, applied.first)  # what was applied before is this proposal's, or compacted
            if proposal.first > applied.last:
                if newest_term <= proposal.term:
                    break
                whole = False
            elif log.term(start) != proposal.term:
                whole = False
            else:
                reached = min(proposal.last, log.run_end(start), applied.last)
                self._collect(proposal, reached, applied, log)
                whole = reached == proposal.last
                if not whole and reached == applied.last:
                    break
            decided.append((self.accepted.popleft(), whole))
        return decided

    @staticmethod
    def _collect(proposal: Accepted, reached: int, applied: JustApplied, log: Log) -> None:
        """Take over the results of the proposal's entries among those just applied."""
        start = max(proposal.first, applied.first)
        if reached < start:
            return
        proposal.applied = reached - proposal.first + 1
        if not applied.results:
            return
        position = start - applied.first
        if len(applied.results) != applied.last - applied.first + 1:  # entries of Raft's own have no result
            position = sum(entry[0] == COMMAND[0] for entry in log.slice(applied.first, start - 1))
        proposal.results.extend(applied.results[position : position + reached - start + 1])
