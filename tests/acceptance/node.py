"""One node of the small cluster: a core, its clock, its disk, its state machine, and the outputs nobody has taken yet.

Law: *the core decides as soon as something happens; nothing that follows takes effect before somebody takes it.*

A snapshot of what is applied can be had of a node at any time. So, before a leader finds out that a peer lacks what is
compacted, it takes one (`offers_newest`): what it then offers is its newest state, whatever it has compacted.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

from rafty_core import (
    AppendEntries,
    AppendEntriesResponse,
    Applied,
    Batch,
    Change,
    ChangeMembership,
    ChangeRefused,
    Committed,
    Config,
    Configuration,
    Event,
    Fetch,
    Heartbeat,
    HeartbeatResponse,
    Member,
    MembershipAnswer,
    Message,
    Persisted,
    Raft,
    RequestVote,
    RequestVoteResponse,
    Restore,
    Snapshot,
    SnapshotReceived,
    SnapshotTaken,
    Stable,
    Status,
    Write,
)

HELD = (RequestVote, RequestVoteResponse, AppendEntriesResponse)
"""Messages that may have waited for a write, and leave with it."""

LATER = ("not_ready", "in_progress")
"""Reasons for which a change is refused now and may be accepted soon."""

Images = Callable[[str, Snapshot], bytes]
"""Where the content of a snapshot is fetched from: a peer, and what it is a snapshot of."""


def name_of(number: int) -> str:
    """The data call nodes 1, 2, 3; here they are n1, n2, n3."""
    return f"n{number}"


def number_of(name: str | None) -> int:
    """The number of a node; 0 for nobody."""
    return 0 if name is None else int(name[1:])


def configuration(voters: Iterable[int], learners: Iterable[int] = ()) -> Configuration:
    """A configuration by numbers."""
    return Configuration(
        voters=tuple(Member(name_of(voter)) for voter in voters),
        learners=tuple(Member(name_of(learner)) for learner in learners),
    )


class LongTimeouts:
    """Chance that always gives 5 of the 3 to 5 ticks: no timer runs out but by the ticks of a test."""

    def random(self) -> float:
        """The same number each time."""
        return 2 / 3


class Disk:
    """What a node has made durable: term, vote, snapshot, and the log behind `base` as (term, entry)."""

    def __init__(self, stable: Stable) -> None:
        self.term = stable.term
        self.vote = stable.vote
        self.snapshot = stable.snapshot
        self.base = stable.snapshot.index
        self.log: list[tuple[int, bytes]] = []
        for batch in stable.batches:
            self.log.extend((batch.term, entry) for entry in batch.entries)

    def make_durable(self, write: Write) -> None:
        """Carry out a write: batches replace everything at and behind their first index."""
        if write.snapshot is not None:
            self.snapshot = write.snapshot
            if write.installs:
                self.base, self.log = write.snapshot.index, []
        self.term, self.vote = write.term, write.vote
        for batch in write.batches:
            del self.log[batch.first - self.base - 1 :]
            self.log.extend((batch.term, entry) for entry in batch.entries)
        if write.compact_to > self.base:
            self.log = self.log[write.compact_to - self.base :]
            self.base = write.compact_to

    def load(self) -> Stable:
        """What a node finds that starts with this."""
        batches: list[Batch] = []
        first = self.base + 1
        for term, entries in groupby(self.log, key=itemgetter(0)):
            batches.append(Batch(first, term, [entry for _, entry in entries]))
            first = batches[-1].last + 1
        return Stable(self.term, self.vote, self.snapshot, batches)


class Node:
    """One node. Its state machine is what it started from, or restored, and the commands `applied` since."""

    def __init__(self, number: int, stable: Stable, content: bytes, config: Config) -> None:
        self.number = number
        self.config = config
        self.clock = 0.0
        self.heard = 0.0  # when a leader was last heard, or a leader last heard a follower, by this clock
        self.silent_ticks = 0  # ticks since then
        self.campaigns_after: int | None = None  # silent ticks after which it campaigns, if a script says so
        self.disk = Disk(stable)
        self.start = content
        self.applied: list[bytes] = []
        self.images = {(stable.snapshot.index, stable.snapshot.term): content}
        self.messages: list[Message] = []
        self.writes: list[Write] = []
        self.committed: list[Committed | Restore] = []
        self.fetch: Fetch | None = None
        self.answers: list[Any] = []
        self.wanted: list[list[Change]] = []  # changes of membership to be made as soon as they may be
        self.raft = Raft(config, stable, random=LongTimeouts(), now=0.0)

    @property
    def status(self) -> Status:
        """The picture of the core."""
        return self.raft.status()

    @property
    def content(self) -> bytes:
        """The state machine: all bytes that were applied."""
        return self.start + b"".join(self.applied)

    @property
    def has_ready(self) -> bool:
        """Whether there is anything to take."""
        return bool(self.messages or self.writes or self.committed or self.fetch)

    # -------------------------------------------------------------- happening

    def step(self, *events: Event) -> None:
        """Let events happen now; gather what follows."""
        led = self.status.role == "leader"
        self._gather(*events)
        contact = (AppendEntriesResponse, HeartbeatResponse) if led else (AppendEntries, Heartbeat)
        if any(isinstance(event, contact) for event in events) or (not led and self.status.role == "leader"):
            self.heard, self.silent_ticks = self.clock, 0
        self._make_changes()

    def _gather(self, *events: Event) -> None:
        output = self.raft.step(self.clock, *events)
        self.messages.extend(output.messages)
        if output.write is not None:
            self.writes.append(output.write)
        self.committed.extend(output.apply)
        self.fetch = output.fetch or self.fetch
        self.answers.extend(output.answers)

    def receive(self, message: Message) -> None:
        """A message arrives."""
        if self.status.role == "leader":
            self.offers_newest()
        self.step(message)

    # --------------------------------------------------------------- a driver

    def process_ready(self, images: Images) -> list[Message]:
        """Take one batch; return the messages that leave with it."""
        leaving, self.messages = self.messages, []
        if self.fetch is not None:
            fetch, self.fetch = self.fetch, None
            snapshot = fetch.snapshot
            self.images[(snapshot.index, snapshot.term)] = images(fetch.peer, snapshot)
            self.step(SnapshotReceived(snapshot.index, snapshot.term))
        commit = self.status.commit_index
        leaving.extend(self._persist())
        self._apply_to(commit)
        return leaving

    def _persist(self) -> list[Message]:
        """Make all open writes durable; return the messages that only waited for that."""
        writes, self.writes = self.writes, []
        if not writes:
            return []
        for write in writes:
            self.disk.make_durable(write)
        before, self.messages = self.messages, []
        self.step(Persisted(writes[-1].seq))
        leaving: list[Message] = [message for message in before + self.messages if isinstance(message, HELD)]
        self.messages = [message for message in before + self.messages if not isinstance(message, HELD)]
        return leaving

    def _apply_to(self, commit: int) -> None:
        while self.committed:
            handed_out = self.committed[0]
            if isinstance(handed_out, Restore):
                del self.committed[0]
                self.start, self.applied = self.images[(handed_out.index, handed_out.term)], []
                self.step(Applied(handed_out.index))
                continue
            if handed_out.first > commit:
                return
            del self.committed[0]
            count = min(handed_out.last, commit) - handed_out.first + 1
            now, later = handed_out.entries[:count], handed_out.entries[count:]
            if later:
                self.committed.insert(0, Committed(handed_out.first + count, later))
            commands = Committed(handed_out.first, now).commands()
            self.applied.extend(commands)
            self.step(Applied(handed_out.first + count - 1, commands))

    def restart(self, wait: float) -> None:
        """Start again with what is durable and applied, and wait so long."""
        applied = self.status.applied_index
        self._persist()
        self.messages, self.writes, self.committed, self.fetch = [], [], [], None
        self.raft = Raft(self.config, self.disk.load(), random=LongTimeouts(), now=self.clock, applied=applied)
        self.clock += wait

    # -------------------------------------------------------------- snapshots

    def take_snapshot(self) -> Snapshot:
        """A snapshot of what is applied, with its content; the log is as it was."""
        snapshot = self.raft.snapshot()
        self.images[(snapshot.index, snapshot.term)] = self.content
        return snapshot

    def compact(self, index: int) -> None:
        """Take a snapshot, and forget the log up to `index`: at once, if no write is under way."""
        self.take_snapshot()
        idle = not self.writes
        self._gather(SnapshotTaken(self.status.applied_index, index))
        if idle:
            self._persist()

    def offers_newest(self) -> None:
        """If a peer lacks what is compacted, and may be offered a snapshot: let it be one of all that is applied."""
        status = self.status
        if status.snapshot_index < status.applied_index and any(
            peer.match_index + 1 < status.first_index and peer.flow != "snapshot" for peer in status.peers
        ):
            self.compact(status.first_index - 1)

    # ---------------------------------------------------------------- members

    def want(self, changes: Sequence[Change]) -> None:
        """Make this change of membership, as soon as this node leads and may: an application would ask again."""
        self.wanted.append(list(changes))
        self._make_changes()

    def refuses(self, changes: Sequence[Change]) -> bool:
        """Whether this change of membership is refused now."""
        return self._change(changes) is not None

    def _make_changes(self) -> None:
        while self.wanted and self.status.role == "leader":
            if self._change(self.wanted[0]) in LATER:
                return
            del self.wanted[0]

    def _change(self, changes: Sequence[Change]) -> str | None:
        """Ask for the change; return the reason for which it is refused at once, or None."""
        token = object()
        self._gather(ChangeMembership(token, changes, force=True))
        for answer in self.answers:
            if isinstance(answer, MembershipAnswer) and answer.token is token and answer.error is not None:
                return answer.error.reason if isinstance(answer.error, ChangeRefused) else "not_leader"
        return None
