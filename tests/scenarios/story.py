"""A cluster that moves only when the story says so.

Law: *nothing happens by itself*: no message arrives, no write becomes durable and no time passes unless a line of the
test says it.

Nodes are patient: their election timeouts are far away unless a story gives them a `chance`, so that only those
campaign who are told to. Messages of all nodes hang in `air` until they are delivered or dropped. A node's disk holds
what was persisted, and a restarted node knows that alone.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, TypeVar

from rafty_core import (
    Applied,
    Batch,
    Campaign,
    Change,
    ChangeMembership,
    Committed,
    Config,
    Configuration,
    Event,
    Fetch,
    Lease,
    Member,
    Message,
    Output,
    Persisted,
    Propose,
    Raft,
    Restore,
    Snapshot,
    SnapshotReceived,
    SnapshotTaken,
    Stable,
    Status,
    Write,
)
from rafty_core.output import Answer

PATIENCE = 1000.0
ENOUGH = 1000
"""More rounds than any story needs; a story that needs more has gone wrong and must end."""

M = TypeVar("M")


class Chance:
    """A source of chance that gives the numbers it was told to, and the last of them for ever."""

    def __init__(self, *numbers: float) -> None:
        self.numbers = list(numbers)
        self.drawn = 0

    def random(self) -> float:
        self.drawn += 1
        return self.numbers.pop(0) if len(self.numbers) > 1 else self.numbers[0]


class Disk:
    """What survives a crash: term, vote, snapshot, and the entries behind it as (term, entry)."""

    def __init__(self, term: int, snapshot: Snapshot, log: Sequence[int]) -> None:
        self.term = term
        self.vote: str | None = None
        self.snapshot = snapshot
        self.entries = [
            (entry_term, b"\x01%d of term %d" % (snapshot.index + position, entry_term))
            for position, entry_term in enumerate(log, 1)
        ]

    def write(self, write: Write) -> None:
        if write.snapshot is not None:
            self._take_snapshot(write.snapshot, write.installs)
        self.term, self.vote = write.term, write.vote
        if write.batches:
            del self.entries[write.batches[0].first - self.snapshot.index - 1 :]
        for batch in write.batches:
            self.entries.extend((batch.term, entry) for entry in batch.entries)

    def _take_snapshot(self, snapshot: Snapshot, installs: bool) -> None:
        """What the snapshot holds goes; behind an installed one nothing of the old log stays."""
        self.entries = [] if installs else self.entries[snapshot.index - self.snapshot.index :]
        self.snapshot = snapshot

    def load(self) -> Stable:
        batches: list[Batch] = []
        index = self.snapshot.index + 1
        for term, entries in groupby(self.entries, key=itemgetter(0)):
            batches.append(Batch(index, term, [entry for _, entry in entries]))
            index = batches[-1].last + 1
        return Stable(self.term, self.vote, self.snapshot, batches)


class Node:
    """One node with its disk, its open writes, and all that its application saw."""

    def __init__(self, name: str, disk: Disk, settings: Mapping[str, Any], chance: Chance, now: float) -> None:
        self.name = name
        self.disk = disk
        self.settings = settings
        self.chance = chance
        self.boot = 0
        self.images: dict[int, list[bytes]] = {}  # what the state machine had applied, by index of the snapshot
        self.start(now)

    def start(self, now: float) -> None:
        """Start (again) with what the disk holds."""
        self.boot += 1
        config = Config(id=self.name, boot=self.boot, **self.settings)
        self.raft = Raft(config, self.disk.load(), random=self.chance, now=now)
        self.writes: list[Write] = []
        self.committed: list[Committed | Restore] = []
        self.applied: list[bytes] = list(self.images.get(self.disk.snapshot.index, ()))
        self.answers: list[Answer] = []
        self.notices: list[Any] = []
        self.fetch: Fetch | None = None

    @property
    def status(self) -> Status:
        return self.raft.status()

    @property
    def log(self) -> list[int]:
        """The terms of the log's entries."""
        status = self.status
        return [entry.term for entry in self.raft.entries(status.snapshot_index + 1, status.last_index)]

    def answer(self, token: Any) -> Any:
        """The one answer to the request with this token."""
        (answer,) = (answer for answer in self.answers if answer.token == token)
        return answer


class Story:
    """Nodes named by letters, messages in the air, one clock.

    logs       terms of the entries that a node starts with, by name; the same for all under ""
    terms      stored term by name; by default the last term of the log
    snapshot   (index, term) that every log starts behind
    chances    sources of chance by name; others are patient
    settings   further settings of `Config`
    lease      what the initial configuration promises
    """

    def __init__(
        self,
        names: str,
        *,
        learners: str = "",
        logs: Mapping[str, Sequence[int]] | None = None,
        terms: Mapping[str, int] | None = None,
        snapshot: tuple[int, int] = (0, 0),
        chances: Mapping[str, Chance] | None = None,
        settings: Mapping[str, Any] | None = None,
        lease: Lease | None = None,
    ) -> None:
        self.now = 0.0
        self.air: list[Message] = []
        self.nodes: dict[str, Node] = {}
        configuration = Configuration(
            voters=tuple(map(Member, names)), learners=tuple(Member(learner) for learner in learners), lease=lease
        )
        for name in names + learners:
            log = (logs or {}).get(name, (logs or {}).get("", ()))
            term = (terms or {}).get(name, (terms or {}).get("", log[-1] if log else snapshot[1]))
            disk = Disk(term, Snapshot(*snapshot, configuration), log)
            chance = (chances or {}).get(name) or Chance(PATIENCE)
            self.nodes[name] = Node(name, disk, settings or {}, chance, self.now)

    def __getitem__(self, name: str) -> Node:
        return self.nodes[name]

    # ------------------------------------------------------------ one node

    def step(self, name: str, *events: Event) -> Output:
        """Step one node; its messages go into the air, its writes and entries wait."""
        node = self.nodes[name]
        output = node.raft.step(self.now, *events)
        self.air.extend(output.messages)
        if output.write is not None:
            node.writes.append(output.write)
        node.committed.extend(output.apply)
        node.fetch = output.fetch or node.fetch
        node.answers.extend(output.answers)
        node.notices.extend(output.notices)
        return output

    def propose(self, name: str, *commands: bytes, token: Any = None) -> Output:
        return self.step(name, Propose(token if token is not None else commands, commands))

    def persist(self, name: str, *, confirm: bool = True) -> None:
        """Every open write of this node becomes durable, and the node is told of it, if `confirm`."""
        node = self.nodes[name]
        done, node.writes = node.writes, []
        for write in done:
            node.disk.write(write)
        if done and confirm:
            self.step(name, Persisted(done[-1].seq))

    def apply(self, name: str) -> None:
        """The state machine applies everything that was handed to it; a command's result is its text, doubled."""
        node = self.nodes[name]
        done, node.committed = node.committed, []
        for committed in done:
            if isinstance(committed, Restore):
                node.applied = list(node.images[committed.index])
                self.step(name, Applied(committed.index))
                continue
            commands = committed.commands()
            node.applied.extend(commands)
            self.step(name, Applied(committed.last, [command * 2 for command in commands]))

    def join(self, name: str) -> None:
        """A new node comes up, with nothing and with no configuration; it knows nobody and waits to be added."""
        self.nodes[name] = Node(name, Disk(0, Snapshot(), ()), {}, Chance(PATIENCE), self.now)

    def change(self, name: str, *changes: tuple[str, str], token: Any = "change", **options: Any) -> Output:
        """This node is asked to change the members: ("add_voter", "D"), ("remove", "B"), ..."""
        made = [Change(kind, Member(member)) for kind, member in changes]  # type: ignore[arg-type]
        return self.step(name, ChangeMembership(token, made, **options))

    def take_snapshot(self, name: str, compact_to: int = -1) -> Output:
        """This node takes a snapshot of all that it has applied, and compacts its log up to `compact_to`."""
        node = self.nodes[name]
        snapshot = node.raft.snapshot()
        node.images[snapshot.index] = list(node.applied)
        return self.step(name, SnapshotTaken(snapshot.index, compact_to))

    def receive_snapshot(self, name: str) -> Output:
        """The bytes of the snapshot that this node was asked to fetch arrive whole from that peer."""
        node = self.nodes[name]
        fetch, node.fetch = node.fetch, None
        assert fetch is not None
        node.images[fetch.snapshot.index] = self.nodes[fetch.peer].images[fetch.snapshot.index]
        return self.step(name, SnapshotReceived(fetch.snapshot.index, fetch.snapshot.term))

    def crash(self, *names: str) -> None:
        """These nodes stop; what is in the air for them is lost, and so are their open writes; they start again."""
        for name in names:
            self.drop(to=name)
            self.nodes[name].start(self.now)

    def wait(self, seconds: float, *names: str) -> None:
        """Time passes, and these nodes notice."""
        self.now += seconds
        for name in names:
            self.step(name)

    # ------------------------------------------------------------- messages

    def sent(self, kind: type[M], sender: str | None = None, to: str | None = None) -> list[M]:
        """The messages of this kind that are in the air."""
        return [message for message in self.air if isinstance(message, kind) and _fits(message, None, sender, to)]

    def drop(self, kind: type | None = None, sender: str | None = None, to: str | None = None) -> list[Message]:
        """Take such messages out of the air."""
        taken = [message for message in self.air if _fits(message, kind, sender, to)]
        self.air = [message for message in self.air if not _fits(message, kind, sender, to)]
        return taken

    def deliver(self, kind: type | None = None, sender: str | None = None, to: str | None = None) -> int:
        """Deliver such messages as are in the air now, one by one, in the order they were sent; returns how many."""
        taken = self.drop(kind, sender, to)
        for message in taken:
            self.step(message.to, message)
        return len(taken)

    def settle(self, names: str, *, apply: bool = True) -> int:
        """Let these nodes talk, write and apply until nothing is left to do; messages from and to others are lost.

        Returns the number of messages delivered.
        """
        delivered = 0
        for _ in range(ENOUGH):
            for name in names:
                self.persist(name)
                if apply:
                    self.apply(name)
                fetch = self[name].fetch
                if fetch is not None and fetch.peer in names:
                    self.receive_snapshot(name)
            self.air = [message for message in self.air if message.sender in names and message.to in names]
            open_work = any(self[name].writes or (apply and self[name].committed) for name in names)
            if not self.air and not open_work:
                return delivered
            delivered += self.deliver()
        raise AssertionError(f"{names} do not come to rest")

    def until(self, happened: Callable[[], bool], names: str) -> None:
        """These nodes go on, one write, message or tenth of a second at a time, and stop as soon as this happened."""
        for _ in range(ENOUGH):
            for name in names:
                if happened():
                    return
                self.persist(name)
                if happened():
                    return
                self.apply(name)
            self.air = [message for message in self.air if message.sender in names and message.to in names]
            if happened():
                return
            if self.air:
                message = self.air.pop(0)
                self.step(message.to, message)
            else:
                self.wait(0.1, *names)
        raise AssertionError(f"{names} go on, and it does not happen")

    def beat(self, leader: str, names: str, rounds: int = 10) -> None:
        """Some rounds of heartbeats, among these nodes, with all that follows from them."""
        for _ in range(rounds):
            self.wait(0.1, leader)
            self.settle(names)

    # ------------------------------------------------------------- elections

    def elect(self, name: str, names: str, *, settle: bool = True) -> None:
        """Let `name` campaign among these nodes, after the time in which they would stick to a leader; it must win.

        An attempt that only taught it a higher term is followed by another. Without `settle` the story stops when the
        election is won, before anything of the new leader has arrived.
        """
        for _ in range(3):
            self.now += 0.6
            self.step(name, Campaign())
            for _ in range(ENOUGH):
                if not self._campaign_goes_on(name, names):
                    break
                for member in names:
                    self.persist(member)
                self.air = [message for message in self.air if message.sender in names and message.to in names]
                if self[name].status.role != "leader":
                    self.deliver()
            if self[name].status.role == "leader":
                break
        assert self[name].status.role == "leader"
        if settle:
            self.settle(names)

    def _campaign_goes_on(self, name: str, names: str) -> bool:
        open_work = self.air or any(self[member].writes for member in names)
        return self[name].status.role in ("pre_candidate", "candidate") and bool(open_work)


def _fits(message: Message, kind: type | None, sender: str | None, to: str | None) -> bool:
    return (
        (kind is None or isinstance(message, kind))
        and (sender is None or message.sender == sender)
        and (to is None or message.to == to)
    )
