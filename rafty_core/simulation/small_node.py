"""One node of the small world: a real core and its disk, as a value.

Law: *what a node does follows from what it is and from what happens to it, and from nothing else*: so each pair of the
two is tried once, by a core that is woken for it, and remembered.

Time is taken out. The clock of a node stands still, and a timer fires when the search says so; a node forgets at once
that it has just heard its leader, or its majority. So a search meets every order of events, also those that clocks
would forbid (paper 5.6: "safety must not depend on timing"; leases, which do, are not in this world).
"""

import pickle
from collections import deque
from collections.abc import Callable, Hashable, Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from rafty_core.config import Config
from rafty_core.configuration import Configuration
from rafty_core.entries import COMMAND, Batch
from rafty_core.events import Applied, Campaign, Event, Persisted, Propose
from rafty_core.history import Image, InvariantViolation
from rafty_core.log import Log
from rafty_core.messages import AppendEntriesResponse, Message, RequestVote, RequestVoteResponse
from rafty_core.node_invariants import NodeInvariants, state_of
from rafty_core.output import Committed, Output, Write
from rafty_core.raft import Raft
from rafty_core.roles import NEVER, Leader
from rafty_core.stable import Snapshot, Stable
from rafty_core.state import State

TIMEOUT = 0.5
FORGOTTEN = frozenset(
    ("config", "random", "first_term", "noticed_term", "_last_seq", "seq", "packed", "_weight", "_kinds")
)
"""What two nodes may differ in and are the same: what never changes, what only notices or forwarded requests look at,
the numbers of writes (they count only relative to each other), and what batches compute once and keep."""

Logged = tuple[tuple[int, bytes], ...]
"""A log as (term, entry), from index 1 on."""


def logged(log: Log) -> Logged:
    """All of this log, from which nothing was compacted."""
    entries = log.slice(1, log.last_index)
    return tuple((log.term(index), entry) for index, entry in enumerate(entries, 1))


class Constant:
    """A source of chance for nodes whose timers do not run."""

    def random(self) -> float:
        """Always the same."""
        return 0.5


class Disk(NamedTuple):
    """What a node's disk holds."""

    term: int = 0
    vote: str | None = None
    log: Logged = ()

    def stable(self, configuration: Configuration) -> Stable:
        """What a store would load from it."""
        batches, first = [], 1
        for term, run in groupby(self.log, key=lambda entry: entry[0]):
            entries = [entry for _, entry in run]
            batches.append(Batch(first, term, entries))
            first += len(entries)
        return Stable(self.term, self.vote, Snapshot(configuration=configuration), batches)

    def after(self, write: Write, configuration: Configuration) -> "Disk":
        """What it holds when this write is done. Raises `InvariantViolation` for what no node may write (I6, I7)."""
        Image(self.stable(configuration)).write(write)
        log = self.log
        for batch in write.batches:
            log = log[: batch.first - 1] + tuple((batch.term, entry) for entry in batch.entries)
        return Disk(write.term, write.vote, log)


class Node:
    """A node at one moment: its core, asleep; its disk, and what the disk has still to write; and what the checks of
    the world look at."""

    __slots__ = (
        "id",
        "disk",
        "pending",
        "_raft",
        "_asleep",
        "role",
        "term",
        "log",
        "commit",
        "round",
        "commands",
        "matches",
    )

    def __init__(self, raft: Raft, disk: Disk, pending: Sequence[Write]) -> None:
        state = state_of(raft)
        log, role = state.log, state.role
        self.id = state.id
        self.disk = disk
        self.pending = tuple(pending)
        self._raft: Raft | None = raft
        self._asleep = b""
        self.role = role.name
        self.term = state.term
        self.log = logged(log)
        self.commit = log.commit
        self.round = role.round if isinstance(role, Leader) else 0
        self.commands = sum(entry[:1] == COMMAND for _, entry in self.log)
        peers = role.progress.items() if isinstance(role, Leader) else ()
        self.matches = {peer: progress.match for peer, progress in peers}

    @property
    def leads(self) -> bool:
        """Whether it leads, or thinks so."""
        return self.role == Leader.name

    def key(self, names: Mapping[str, str]) -> Hashable:
        """What is equal for equal nodes, if names are changed so. Raises `ValueError` when it is asleep."""
        if self._raft is None:
            raise ValueError(f"{self.id} is asleep")
        disk = (self.disk.term, frozen(self.disk.vote, names), self.disk.log)
        return frozen(state_of(self._raft), names), disk, frozen(self.pending, names)

    def fall_asleep(self) -> None:
        """From now on every step is made by a copy."""
        self._asleep = pickle.dumps(self._raft, pickle.HIGHEST_PROTOCOL)
        self._raft = None

    def wake(self) -> Raft:
        """A core for one step; a node that was not asleep is no more of use then."""
        raft: Raft = self._raft or pickle.loads(self._asleep)
        return raft


class Step(NamedTuple):
    """What became of a node, and what it sent."""

    node: Node
    messages: list[Message]


def frozen(value: object, names: Mapping[str, str]) -> Any:
    """This value as nested tuples, with the names of nodes changed so: equal for two that no core can tell apart."""
    kind = type(value)
    if isinstance(value, str):
        return names.get(value, value)
    if kind in ATOMS:
        return value
    if isinstance(value, list | tuple | deque):
        return tuple([frozen(item, names) for item in value])
    if isinstance(value, dict):
        return tuple(sorted([(frozen(key, names), frozen(item, names)) for key, item in value.items()]))
    if isinstance(value, set | frozenset):
        return tuple(sorted(value))
    slots = _slots.get(kind)
    if slots is None:
        every = [name for base in reversed(kind.__mro__) for name in getattr(base, "__slots__", ())]
        slots = _slots[kind] = [name for name in every if name not in FORGOTTEN]
    return (kind.__name__, *[frozen(getattr(value, name), names) for name in slots])


ATOMS = frozenset((int, bytes, float, bool, type(None), Configuration))
_slots: dict[type, list[str]] = {}


class Nodes:
    """The nodes of one cluster: how each begins, and what becomes of one to which something happens."""

    def __init__(self, size: int, slow_disks: bool = True) -> None:
        self.slow_disks = slow_disks
        self.ids = [f"n{number}" for number in range(1, size + 1)]
        self.configuration = Configuration.of(*self.ids)

    def start(self, node_id: str, disk: Disk) -> Step:
        """A node starts from what its disk holds."""
        config = Config(id=node_id, election_timeout=TIMEOUT, heartbeat_interval=TIMEOUT / 5)
        raft = Raft(config, disk.stable(self.configuration), random=Constant(), now=-TIMEOUT)
        state = state_of(raft)
        if Disk(state.term, state.vote, logged(state.log)) != disk:
            raise InvariantViolation("I20", f"{node_id} does not start from what its disk holds")
        return self._step(raft, disk, ())

    def happens(self, node: Node, what: str, detail: Any = None) -> Step:
        """What becomes of this node if this happens to it: see `HAPPENINGS`. Raises `InvariantViolation`."""
        step = HAPPENINGS[what](self, node, detail)
        while step.node.pending and not self.slow_disks:
            then = self.persist(step.node, None)
            step = Step(then.node, step.messages + then.messages)
        return step

    def crash(self, node: Node, done: int) -> Step:
        """It loses power when so many of its writes are done, and starts again."""
        disk = node.disk
        for write in node.pending[:done]:
            disk = disk.after(write, self.configuration)
        return self.start(node.id, disk)

    def persist(self, node: Node, _: None) -> Step:
        """The oldest of its writes is done, and it hears so."""
        disk = node.disk.after(node.pending[0], self.configuration)
        return self._step(node.wake(), disk, node.pending[1:], Persisted(node.pending[0].seq))

    def receive(self, node: Node, event: Event) -> Step:
        """A message, or a wish, reaches it."""
        return self._step(node.wake(), node.disk, node.pending, event)

    def beat(self, node: Node, _: None) -> Step:
        """A leader's heartbeat is due."""
        return self._fire(node, "next_heartbeat")

    def resign(self, node: Node, _: None) -> Step:
        """A leader has not heard its majority for an election timeout."""
        return self._fire(node, "quorum_deadline")

    def _fire(self, node: Node, timer: str) -> Step:
        raft = node.wake()
        setattr(state_of(raft).role, timer, 0.0)
        return self._step(raft, node.disk, node.pending)

    def _step(self, raft: Raft, disk: Disk, pending: Sequence[Write], *events: Event) -> Step:
        """Wake a core for one step, and for what it applies at once."""
        watch, messages, writes = NodeInvariants(raft), list[Message](), list(pending)
        while True:
            before = state_of(raft).log.commit, state_of(raft).applying.handed_out
            output = raft.step(0.0, *events)
            watch.check(raft)
            self._check(raft, disk, before, output)
            messages += output.messages
            if output.write is not None:
                writes.append(output.write)
            _forget_times(state_of(raft))
            if not output.apply:
                return Step(Node(raft, disk, writes), messages)
            events = (Applied(output.apply[-1].last),)

    def _check(self, raft: Raft, disk: Disk, before: tuple[int, int], output: Output) -> None:
        """What one node must not do, whatever the others do: I5, I9, I11, I12 and I27 as far as it alone can tell."""
        state, (commit, handed_out) = state_of(raft), before
        log, durable = state.log, state.writes.index
        if disk.log[:durable] != logged(log)[:durable]:
            raise InvariantViolation("I12", f"{state.id} takes {durable} for durable, and its disk holds no such")
        if log.commit > commit and isinstance(state.role, Leader) and log.term(log.commit) != state.term:
            text = f"{state.id} commits {log.commit} of term {log.term(log.commit)} in term {state.term}"
            raise InvariantViolation("I11", text)
        for item in output.apply:
            first = handed_out + 1
            right = isinstance(item, Committed) and item.first == first <= item.last <= log.commit
            if not right or list(item.entries) != log.slice(first, item.last):  # type: ignore[union-attr]
                raise InvariantViolation("I5", f"{state.id} applies {item!r} after {handed_out}")
            handed_out = item.last
        if state.violations:
            raise InvariantViolation("I27", f"{state.id} refuses what a correct node has sent: {output.notices}")
        for message in output.messages:
            _check_leaving(state, disk, message)


def _check_leaving(state: State, disk: Disk, message: Message) -> None:
    """I9: what rests on the disk leaves only when it is there."""
    if isinstance(message, RequestVote):
        right = disk.term > message.term or (disk.term, disk.vote) == (message.term, state.id)
    elif isinstance(message, RequestVoteResponse) and message.vote_granted:
        right = disk.term > message.term or (disk.term, disk.vote) == (message.term, message.to)
    elif isinstance(message, AppendEntriesResponse) and message.success:
        right = disk.term >= message.term and len(disk.log) >= message.match_index
    else:
        return
    if not right:
        raise InvariantViolation("I9", f"this leaves {state.id} before it is durable: {message!r}")


def _forget_times(state: State) -> None:
    """Whatever was heard, was heard long ago."""
    state.heard_leader = -NEVER
    if isinstance(state.role, Leader):
        for progress in state.role.progress.values():
            progress.contact = -NEVER


HAPPENINGS: Mapping[str, Callable[[Nodes, Node, Any], Step]] = {
    "message": Nodes.receive,
    "campaign": lambda nodes, node, _: nodes.receive(node, Campaign()),
    "propose": lambda nodes, node, _: nodes.receive(node, Propose(None, [b""])),
    "persist": Nodes.persist,
    "crash": Nodes.crash,
    "beat": Nodes.beat,
    "resign": Nodes.resign,
}
"""What can happen to a node; "message" has the message as its detail, "crash" how many writes are done."""
