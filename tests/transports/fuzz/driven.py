"""Cores with everything that a driver owes them, driven by hand.

Law: *whatever a core asks for is done in order, or is still owed to it.*

Everything here can be pickled, so that a moment in the life of a cluster is a string of bytes, and any number of copies
can be made of it.
"""

from collections.abc import Sequence

from rafty_core.config import Config
from rafty_core.configuration import Configuration
from rafty_core.events import Applied, Event, Persisted, SnapshotFailed, SnapshotReceived
from rafty_core.messages import Message
from rafty_core.output import Fetch, Output
from rafty_core.raft import Raft
from rafty_core.stable import Snapshot, Stable
from rafty_core.status import Status
from tests.transports.fuzz.wire import Broken

Owed = Persisted | Applied | SnapshotReceived | SnapshotFailed

MOST_OWED = 2000
"""What a core may ask for, one thing after the other, without anything from outside. More is without end."""

BOUNDS = {"max_pending_reads": 64, "max_pending_proposals": 64, "max_inflight_messages": 8, "forward_timeout": 2.0}
"""What may wait in a core: little, so that a bound that does not hold is seen soon."""


class Luck:
    """A source of chance for a core: small when it is pickled, which `random.Random` is not."""

    def __init__(self, seed: int) -> None:
        self._state = seed

    def random(self) -> float:
        """The next number in [0, 1), by a linear congruence."""
        self._state = (self._state * 6364136223846793005 + 1442695040888963407) % 2**64
        return self._state / 2**64


class Driven:
    """A core, and what it is owed: writes that are not confirmed, portions that are not applied, a snapshot."""

    def __init__(self, node_id: str, configuration: Configuration, luck: int, incarnation: str = "") -> None:
        stable = Stable(snapshot=Snapshot(configuration=configuration))
        settings = Config(id=node_id, incarnation=incarnation, **BOUNDS)  # type: ignore[arg-type]
        self.raft = Raft(settings, stable, random=Luck(luck), now=0.0)
        self.writes: list[int] = []
        self.portions: list[int] = []
        self.fetch: Fetch | None = None

    def step(self, now: float, *events: Event) -> Output:
        """Step the core at `now` (seconds), and note what it asks for."""
        output = self.raft.step(now, *events)
        if output.write is not None:
            self.writes.append(output.write.seq)
        if output.apply:
            self.portions += [item.last for item in output.apply]
        if output.fetch is not None:
            self.fetch = output.fetch
        return output

    def owed(self) -> Owed | None:
        """The next thing that is owed and is done now: a write, a portion, a snapshot that came. None: nothing is."""
        if self.writes:
            return Persisted(self.writes.pop(0))
        if self.portions:
            return Applied(self.portions.pop(0))
        if self.fetch is not None:
            snapshot, self.fetch = self.fetch.snapshot, None
            return SnapshotReceived(snapshot.index, snapshot.term)
        return None

    def lose_fetch(self) -> SnapshotFailed | None:
        """The snapshot that is to be fetched cannot be had."""
        if self.fetch is None:
            return None
        snapshot, self.fetch = self.fetch.snapshot, None
        return SnapshotFailed(snapshot.index, snapshot.term)


class Fellows:
    """Nodes of one cluster and what is on its way between them. `now` is the clock of all of them."""

    def __init__(self) -> None:
        self.nodes: dict[str, Driven] = {}
        self.now = 0.0
        self.network: list[Message] = []
        self.held: set[str] = set()
        """Nodes whose writes and portions are not done for now."""
        self.cut: set[str] = set()
        """Nodes that nothing reaches, and from which nothing comes."""

    def step(self, node_id: str, *events: Event) -> Output:
        """Let this happen to that node, and send what it says."""
        output = self.nodes[node_id].step(self.now, *events)
        self.network += output.messages
        return output

    def settle(self, most: int = 400) -> list[Message]:
        """Do what is owed and deliver what is on its way until nothing is, or so many messages were delivered."""
        delivered: list[Message] = []
        for node_id in self.nodes:
            self._pay(node_id)
        while self.network and len(delivered) < most:
            message = self.network.pop(0)
            if message.to not in self.nodes or {message.to, message.sender} & self.cut:
                continue
            delivered.append(message)
            self.step(message.to, message)
            self._pay(message.to)
        return delivered

    def _pay(self, node_id: str) -> None:
        if node_id in self.held:
            return
        driven = self.nodes[node_id]
        for _ in range(MOST_OWED):
            event = driven.owed()
            if event is None:
                return
            self.step(node_id, event)
        raise Broken(f"{node_id} is never done: {driven.raft.status()}")

    def pass_time(self, among: Sequence[str] = ()) -> None:
        """Let the clock run to the next deadline of these nodes (none: of all), and let their timers fire."""
        names = among or list(self.nodes)
        deadline = min(self.nodes[name].raft.deadline for name in names)
        self.now = max(self.now, deadline) if deadline < float("inf") else self.now + 1.0
        for name in names:
            self.step(name)

    @property
    def leader(self) -> str | None:
        """The node that leads in the highest term, if one does."""
        leading = [status for status in self.statuses() if status.role == "leader"]
        return max(leading, key=lambda status: status.term).id if leading else None

    def statuses(self) -> list[Status]:
        """What each node says of itself."""
        return [driven.raft.status() for driven in self.nodes.values()]
