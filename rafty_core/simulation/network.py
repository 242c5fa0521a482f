"""A network that loses, repeats, reorders, delays and divides.

Law: *a message arrives as it was sent, or as something no node takes for a message; how often and when is chance.*
"""

from collections import deque
from copy import copy
from typing import TYPE_CHECKING

from rafty_core import (
    AppendEntries,
    ForwardedProposal,
    ForwardedProposalResponse,
    InstallSnapshot,
    Message,
    ReadIndexRequest,
    ReadIndexResponse,
    TimeoutNow,
)
from rafty_core.entries import Batch
from rafty_core.history import InvariantViolation
from rafty_core.simulation.options import Options
from rafty_core.simulation.world import World
from rafty_core.state import State

if TYPE_CHECKING:
    from rafty_core.simulation.cluster import Cluster

MOST_REMEMBERED = 100

SEQUENCES = (ForwardedProposal, ForwardedProposalResponse)
"""Messages that may arrive with a tuple in the place of a list, and so are not equal to what was sent."""


class Network:
    """Carries messages between the nodes of a cluster.

    It vouches for who is who: what was said by or to an earlier incarnation of a node never arrives.
    """

    def __init__(self, world: World, options: Options, cluster: "Cluster") -> None:
        self.world = world
        self.options = options
        self.blocked: dict[tuple[str, str], None] = {}
        self.calm = False
        self.sent = 0
        self._cluster = cluster
        self._remembered: list[tuple[Message, str]] = []
        self._requests: deque[tuple[Message, str]] = deque(maxlen=30)
        self._held: dict[tuple[type[Message], str], float] = {}
        self._newest: deque[tuple[Message, str]] = deque(maxlen=60)
        self._latest: dict[tuple[type[Message], str], tuple[Message, str]] = {}
        self._appends: dict[str, deque[tuple[Message, str]]] = {}
        self._confirmed: dict[tuple[str, int], tuple[ReadIndexResponse, str]] = {}

    def send(self, message: Message) -> bool:
        """Let the message arrive never, once or twice. Returns False if it was dropped."""
        self.sent += 1
        world, options, names = self.world, self.options, self._names(message)
        if self.calm:
            delay = world.random.uniform(0.5, 1.5) * min(options.latency, 0.01)
            return self._travel(message, names, delay + (self._wait_of(message) if self._held else 0.0))
        self._remember(message, names)
        if world.chance(options.lossy):
            return False
        for _ in range(1 + world.chance(options.repeating)):
            delay = world.random.expovariate(1) * options.latency
            if world.chance(options.delaying):
                delay += world.random.uniform(0, 2)
            if self._held:
                delay += self._wait_of(message)
            if not self._travel(message, names, delay):
                return False
        return True

    def calm_down(self) -> None:
        """From now on everybody reaches everybody, and nothing is lost, repeated or held back."""
        self.blocked.clear()
        self._held.clear()
        self.calm = True

    def _wait_of(self, message: Message) -> float:
        ends = (self._held.get((type(message), name), 0.0) for name in (message.sender, message.to))
        return max(0.0, max(ends) - self.world.time)

    def repeat_requests(self) -> None:
        """Send the newest forwarded proposals once more, over the next moments."""
        for message, names in self._requests:
            self._travel(message, names, self.world.random.uniform(0, 0.7))

    def hold(self, kind: type[Message], node: str, seconds: float) -> None:
        """Messages of this kind from or to this node arrive after so many seconds at the earliest."""
        self._held[kind, node] = self.world.time + seconds

    def repeat_to(self, node: str) -> None:
        """Send some of the newest messages to this node once more, over the next moments."""
        for message, names in list(self._newest):
            if message.to == node and self.world.chance(0.7):
                self._travel(message, names, self.world.random.choice((0.0, 0.02, 0.5)) * self.world.random.random())

    def repeat_latest(self, kind: type[Message], node: str) -> None:
        """Send the last message of this kind to this node once more, at once."""
        if (kind, node) in self._latest:
            self._travel(*self._latest[kind, node], 0.0)

    def repeat_appends(self, node: str, until: int | None = None) -> None:
        """Send the newest appends to this node once more, at once and in order; none behind one that brings the entry
        at index `until`."""
        for number, (message, names) in enumerate(self._appends.get(node, ())):
            self._travel(message, names, number * 1e-6)
            batch = message.batch if isinstance(message, AppendEntries) else None
            if until is not None and batch is not None and batch.last >= until:
                break

    def _answer_earlier_life(self, message: ReadIndexRequest) -> None:
        """A node asks under a number that it used in an earlier life: the answer of then comes now (fault F140)."""
        late = self._confirmed.get((message.sender, message.sequence))
        if late is not None and (late[0].sender, late[0].boot < message.boot) == (message.to, True):
            self._travel(*late, 0.0)

    def _names(self, message: Message) -> str:
        """The incarnations of sender and receiver as they are now."""
        nodes = (self._cluster.nodes.get(name) for name in (message.sender, message.to))
        return " ".join("" if node is None else node.incarnation for node in nodes)

    def _remember(self, message: Message, names: str) -> None:
        """Keep some messages for ever, to send them again when nobody expects them."""
        self._newest.append((message, names))
        if isinstance(message, ForwardedProposal):
            self._requests.append((message, names))
        elif isinstance(message, InstallSnapshot | TimeoutNow):
            self._latest[type(message), message.to] = (message, names)
        elif isinstance(message, AppendEntries):
            self._appends.setdefault(message.to, deque(maxlen=60)).append((message, names))
        elif isinstance(message, ReadIndexResponse) and message.read_index > 0:
            self._confirmed[message.to, message.sequence] = (message, names)
        elif isinstance(message, ReadIndexRequest):
            self._answer_earlier_life(message)
        if not self.options.replaying:
            return
        if len(self._remembered) < MOST_REMEMBERED:
            self._remembered.append((message, names))
        elif self.world.chance(0.3):
            self._remembered[self.world.random.randrange(MOST_REMEMBERED)] = (message, names)
        if self.world.chance(self.options.replaying):
            self._travel(*self.world.random.choice(self._remembered), 0.0)

    def _travel(self, message: Message, names: str, delay: float) -> bool:
        if (message.sender, message.to) in self.blocked or message.to not in self._cluster.nodes:
            return False
        codec = self._cluster.parts.codec
        if codec is not None and self.world.chance(self.options.encoding):
            sent, message = message, codec(message)
            if message != sent and not isinstance(sent, SEQUENCES):
                raise InvariantViolation("I27", f"{sent!r} is {message!r} when it arrives")
        self.world.after(delay, lambda: self._arrive(message, names))
        return True

    def _arrive(self, message: Message, names: str) -> None:
        if (message.sender, message.to) in self.blocked or names != self._names(message):
            return
        sender, receiver = self._cluster.nodes[message.sender], self._cluster.nodes[message.to]
        if receiver.raft is not None and receiver.knows(sender) and sender.knows(receiver):
            self._cluster.deliver(message)


def rewritten(message: Message, state: State, world: World) -> Message | None:
    """An append that has another entry at an index that is committed, if it can be made of this message; None if not.

    Such a leader must not be obeyed, whatever the rest of its message says (faults F31, F54).
    """
    log = state.log
    if not isinstance(message, AppendEntries) or message.term != state.term or message.sender != state.role.leader:
        return None
    batch = message.batch
    if batch is None or not log.base_index < batch.first <= log.commit:
        return None
    terms = [term for term in range(message.prev_log_term, message.term + 1) if term not in (0, log.term(batch.first))]
    if not terms:
        return None
    damaged = copy(message)
    damaged.batch = Batch(batch.first, world.random.choice(terms), batch.entries)
    return damaged


def corrupted(message: Message, world: World) -> Message:
    """A copy of the message that no correct node sends; every node must drop it without a trace (I27)."""
    damaged = copy(message)
    harm = world.random.choice(("number", "to", "sender", "absurd"))
    if harm == "to":
        damaged.to = "nobody"
    elif harm == "sender":
        damaged.sender = message.to
    elif harm == "absurd":
        damaged.term = message.term + 2**40
    else:
        names = [name for name in message.__slots__ if type(getattr(message, name)) is int]
        setattr(damaged, world.random.choice(names), world.random.choice((-1, True, 1.0, 2**63, None, "1")))
    return damaged
