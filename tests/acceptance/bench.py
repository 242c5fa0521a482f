"""One node on a bench: brought into a state by what it stored and by messages, then watched.

Law: *a state is reached as a real node reaches it*; nothing inside the node is touched.

Times are ticks, as in the acceptance rules: election timeout 10, heartbeat 1. Timeouts are drawn at the top of their
interval (19), so that no timer runs out that a test does not mean. A node that starts with a term above 0 votes only
after one election timeout; so the clock of a bench starts there.
"""

import random
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any, Protocol, TypeVar

from rafty_core import (
    AppendEntries,
    AppendEntriesResponse,
    Applied,
    Batch,
    Campaign,
    Config,
    Entry,
    Event,
    Fetch,
    Heartbeat,
    HeartbeatResponse,
    Message,
    Output,
    Persisted,
    PreVote,
    PreVoteResponse,
    ProtocolViolation,
    Raft,
    RequestVote,
    RequestVoteResponse,
    Restore,
    RoleChanged,
    Snapshot,
    Stable,
    Status,
    Write,
)
from rafty_core.entries import COMMAND, NO_OP
from tests.acceptance.cluster import configuration, name_of, number_of
from tests.acceptance.data import Json

ELECTION_TICKS = 10
HEARTBEAT_TICKS = 1

Kind = TypeVar("Kind", bound=Message)


class Chance(Protocol):
    """A source of chance, as the core wants it."""

    def random(self) -> float:
        """A number in [0, 1)."""
        ...


class LongTimeouts:
    """Chance that always draws the longest timeout, 19 ticks."""

    def random(self) -> float:
        """The same number each time."""
        return 0.9


class WholeTicks:
    """Chance that draws whole ticks: each of 10 to 19 equally often."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def random(self) -> float:
        """A multiple of a tenth."""
        return self._random.randrange(ELECTION_TICKS) / ELECTION_TICKS


def terms_of(entries: Json | None) -> list[int]:
    """The terms of entries as the tables give them; null and [] are no entries."""
    return list(entries["terms"]) if entries else []


def batches(first: int, terms: Sequence[int], data: Sequence[str] = ()) -> list[Batch]:
    """Entries of these terms from index `first` on, split into batches of one term. Without data, a number each."""
    contents = [text.encode() for text in data] or [b"%d" % index for index in range(first, first + len(terms))]
    found, position = [], 0
    for term, run in groupby(terms):
        length = len(list(run))
        entries = [COMMAND + content for content in contents[position : position + length]]
        found.append(Batch(first + position, term, entries))
        position += length
    return found


def appends(
    term: int, prev: tuple[int, int], commit: int, entries: Json | None = None, sender: int = 2, to: int = 1
) -> Iterator[AppendEntries]:
    """One append as the tables give it, `prev` being (index, term): a message for each run of equal terms.

    No leader of a term can know of an entry of a later one, so the messages have the least term, from `term` on, that
    could have sent them.
    """
    term = max([term, prev[1], *terms_of(entries)])
    parts: list[Batch | None] = []
    if entries:
        parts.extend(batches(entries["first_index"], entries["terms"], entries.get("data", ())))
    for batch in parts or [None]:
        if batch is not None and prev[0] != batch.first - 1:
            raise ValueError(f"{batch!r} does not follow {prev}")
        yield AppendEntries(name_of(sender), name_of(to), term, prev[0], prev[1], commit, batch)
        if batch is not None:
            prev = (batch.last, batch.term)


class Happened:
    """What a step led to, with everything that followed when its writes were durable and its entries applied."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.writes: list[Write] = []
        self.applied: list[bytes] = []
        self.restored: list[Restore] = []
        self.fetches: list[Fetch] = []
        self.answers: list[Any] = []
        self.notices: list[Any] = []

    def take(self, output: Output) -> None:
        """Add an output."""
        self.messages.extend(output.messages)
        self.answers.extend(output.answers)
        self.notices.extend(output.notices)
        if output.write is not None:
            self.writes.append(output.write)
        if output.fetch is not None:
            self.fetches.append(output.fetch)

    def add(self, later: "Happened") -> None:
        """Add what happened later."""
        self.messages.extend(later.messages)
        self.writes.extend(later.writes)
        self.applied.extend(later.applied)
        self.restored.extend(later.restored)
        self.fetches.extend(later.fetches)
        self.answers.extend(later.answers)
        self.notices.extend(later.notices)

    def only(self, kind: type[Kind]) -> list[Kind]:
        """The messages of this kind."""
        return [message for message in self.messages if isinstance(message, kind)]

    @property
    def violations(self) -> list[ProtocolViolation]:
        """The notices of messages that broke the protocol."""
        return [notice for notice in self.notices if isinstance(notice, ProtocolViolation)]

    @property
    def roles(self) -> list[str]:
        """The roles that were taken up, in order."""
        return [notice.role for notice in self.notices if isinstance(notice, RoleChanged)]


class Bench:
    """Node 1 of a cluster (or another), alone with what it is told."""

    def __init__(
        self,
        number: int = 1,
        voters: Sequence[int] = (1, 2, 3),
        learners: Sequence[int] = (),
        *,
        term: int = 0,
        vote: int = 0,
        log: Sequence[int] = (),
        snapshot: tuple[int, int] = (0, 0),
        chance: Chance | None = None,
        waited: bool = True,
        stable: Stable | None = None,
        **settings: Any,
    ) -> None:
        self.number = number
        self.now = 0.0
        self.round = 0  # the newest round of heartbeats that this node sent
        self.config = Config(
            id=name_of(number), election_timeout=ELECTION_TICKS, heartbeat_interval=HEARTBEAT_TICKS, **settings
        )
        self.stable = stable or Stable(
            term=max([term, *log]),
            vote=name_of(vote) if vote else None,
            snapshot=Snapshot(*snapshot, configuration(voters, learners)),
            batches=batches(snapshot[0] + 1, log),
        )
        self.raft = Raft(self.config, self.stable, random=chance or LongTimeouts(), now=0.0)
        if waited:
            self.now = float(ELECTION_TICKS)

    # -------------------------------------------------------------- happening

    def step(self, *events: Event, persist: bool = True, apply: bool = True) -> Happened:
        """Let events happen; unless told otherwise, the disk and the state machine then do all that they are asked."""
        happened = Happened()
        output = self.raft.step(self.now, *events)
        while True:
            happened.take(output)
            self.round = max([self.round, *(each.round for each in happened.only(Heartbeat))])
            following: list[Event] = []
            if output.write is not None and persist:
                following.append(Persisted(output.write.seq))
            for portion in output.apply:
                if isinstance(portion, Restore):
                    happened.restored.append(portion)
                else:
                    happened.applied.extend(portion.entries)
                if apply:
                    following.append(Applied(portion.last))
            if not following:
                return happened
            output = self.raft.step(self.now, *following)

    def wait(self, ticks: float) -> Happened:
        """Let so much time pass at once."""
        self.now += ticks
        return self.step()

    # ------------------------------------------------------------------ roles

    def ask(self) -> Happened:
        """Become a pre-candidate."""
        return self.step(Campaign(), persist=False)

    def stand(self) -> Happened:
        """Become a candidate, with its own vote durable: everybody grants the pre-vote."""
        happened = self.ask()
        grants = [
            PreVoteResponse(each.to, each.sender, each.term - 1, each.term, True) for each in happened.only(PreVote)
        ]
        happened.add(self.step(*grants, persist=False))
        if happened.writes:
            happened.add(self.step(Persisted(happened.writes[-1].seq), persist=False))
        return happened

    def lead(self, persist: bool = True) -> Happened:
        """Become leader: everybody grants the vote. With `persist` the entry of its own is durable then."""
        happened = self.stand()
        votes = [RequestVoteResponse(each.to, each.sender, each.term, True) for each in happened.only(RequestVote)]
        happened.add(self.step(*votes, persist=False))
        if persist:
            happened.add(self.step(Persisted(happened.writes[-1].seq)))
        return happened

    def lead_committed(self) -> Happened:
        """Become leader, and have all followers acknowledge everything."""
        self.lead()
        return self.all_acknowledge()

    def follow(self, leader: int = 2, commit: int = 0) -> Happened:
        """Hear a leader of the node's own term, which tells that everything up to `commit` is committed."""
        return self.step(Heartbeat(name_of(leader), name_of(self.number), self.status.term, commit, 1))

    def take(self, role: str) -> None:
        """Take up this role: leader and candidate one term on, pre-candidate and follower in the node's own."""
        {"leader": self.lead, "candidate": self.stand, "pre_candidate": self.ask, "follower": Happened}[role]()

    # --------------------------------------------------------- as its follower

    def acknowledge(self, follower: int, index: int, **how: bool) -> Happened:
        """The follower acknowledges everything up to `index`."""
        message = AppendEntriesResponse(name_of(follower), name_of(self.number), self.status.term, True, index)
        return self.step(message, **how)

    def refuse(self, follower: int, rejected: int, hint: int = 0, hint_term: int = 0) -> Happened:
        """The follower refuses the append behind entry `rejected`."""
        to, term = name_of(self.number), self.status.term
        return self.step(AppendEntriesResponse(name_of(follower), to, term, False, rejected, hint, hint_term))

    def all_acknowledge(self) -> Happened:
        """Each follower acknowledges the whole log."""
        last, to, term = self.status.last_index, name_of(self.number), self.status.term
        return self.step(*(AppendEntriesResponse(peer.id, to, term, True, last) for peer in self.status.peers))

    def all_answer_heartbeats(self) -> Happened:
        """Each follower answers the newest round of heartbeats."""
        to, term = name_of(self.number), self.status.term
        return self.step(*(HeartbeatResponse(peer.id, to, term, self.round) for peer in self.status.peers))

    # ------------------------------------------------------------------ facts

    @property
    def status(self) -> Status:
        """The picture of the node."""
        return self.raft.status()

    @property
    def leader(self) -> int:
        """The number of the leader that the node knows; 0 for none."""
        return number_of(self.status.leader)

    @property
    def entries(self) -> list[Entry]:
        """The whole log."""
        return self.raft.entries(self.status.first_index, self.status.last_index)

    @property
    def terms(self) -> list[int]:
        """The terms of the whole log."""
        return [entry.term for entry in self.entries]

    def peer(self, number: int) -> tuple[str, int, int]:
        """(flow, match, next) of a follower."""
        peer = next(peer for peer in self.status.peers if peer.id == name_of(number))
        return peer.flow, peer.match_index, peer.next_index

    def picture(self) -> tuple[Any, ...]:
        """Everything that must not change when nothing may change."""
        status = self.status
        return (status.role, status.term, status.vote, status.leader, status.commit_index, self.entries, status.peers)


__all__ = ["NO_OP", "Bench", "Happened", "LongTimeouts", "WholeTicks", "appends", "batches", "terms_of"]
