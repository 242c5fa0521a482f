"""A whole cluster in one process and one thread: real cores, simulated everything else.

Law: *a driver has three rules*, and `SimulatedNode.carry_out` is nothing but them.
"""

import random
from collections import deque
from collections.abc import Sequence

from rafty_core import (
    Applied,
    Configuration,
    Event,
    Message,
    Output,
    PeerUnreachable,
    Persisted,
    Propose,
    Raft,
    Write,
)
from rafty_core.entries import COMMAND
from rafty_core.invariants import ClusterInvariants, InvariantViolation
from tests.simulation.clients import Clients, result_of
from tests.simulation.disk import Disk
from tests.simulation.network import Network, corrupted
from tests.simulation.options import Options
from tests.simulation.world import World

GRAIN = 1e-6
"""Timers are late by at least this much, in seconds: clocks that drift are compared in floating point."""


class SimulatedNode:
    """A node over all its lives: its disk, its clock, what waits for it, and the core while it is up."""

    def __init__(self, cluster: "Cluster", node_id: str) -> None:
        self.cluster = cluster
        self.id = node_id
        self.world, self.options = cluster.world, cluster.options
        self.disk = Disk(self.world, self.options, cluster.members, self._durable)
        self.raft: Raft | None = None
        self.boot = 0
        self.paused = False
        self.slowness = 1.0
        self._rate, self._offset = 1.0, 0.0
        self._inbox: list[Event] = []
        self._wake_at = float("inf")
        self._to_apply: deque[tuple[int, bytes]] = deque()
        self._applying = False
        self._ordinal = 0

    # ------------------------------------------------------------------ lives

    def start(self) -> None:
        """Begin a life, with what the disk holds and with a clock that has nothing to do with the last one's."""
        self.boot += 1
        draw, drift = self.world.random, self.options.clock_drift
        self._rate, self._offset = 1 + draw.uniform(-drift, drift), draw.uniform(0, 1000)
        self._inbox, self._wake_at, self._ordinal = [], float("inf"), 0
        self._to_apply.clear()
        self._applying = self.paused = False
        stable = self.disk.load()
        chance = random.Random(f"{self.options.seed} {self.id} {self.boot}")
        self.raft = Raft(self.options.config(self.id, self.boot), stable, random=chance, now=self.clock)
        self.world.note(self.id, "starts", self.boot)
        self.cluster.invariants.started(self.raft, stable)
        self._set_timer()

    def crash(self) -> None:
        """End this life, with everything that was not synced."""
        self.world.note(self.id, "crashes")
        self.raft = None
        self.disk.crash()
        self.cluster.invariants.crashed(self.id)
        self.cluster.clients.crashed(self.id)

    def pause(self, paused: bool) -> None:
        """Stop or continue, as a stopped process does: nothing is lost, time goes on."""
        self.world.note(self.id, "pauses" if paused else "continues")
        self.paused = paused
        self._wake_after(0.0)

    @property
    def clock(self) -> float:
        """What this node's clock shows."""
        return self._offset + self.world.time * self._rate

    # ----------------------------------------------------------------- events

    def receive(self, event: Event) -> None:
        """Something happens to this node; it will step soon, with whatever else has come by then."""
        if self.raft is not None:
            self._inbox.append(event)
            self._wake_after(self.world.random.uniform(0, 0.001) * self.slowness)

    def _wake_after(self, delay: float) -> None:
        time = self.world.time + delay
        if time < self._wake_at:
            self._wake_at = time
            boot = self.boot
            self.world.after(delay, lambda: self._wake(boot, time))

    def _wake(self, boot: int, time: float) -> None:
        if self.raft is None or boot != self.boot or time != self._wake_at:
            return
        self._wake_at = float("inf")
        if self.paused:
            return
        if self._inbox or self.clock >= self.raft.deadline:
            self._step(self.raft)
        if self.raft is not None:
            self._set_timer()

    def _set_timer(self) -> None:
        if self.raft is not None and self.raft.deadline < float("inf"):
            self._wake_after(max(0.0, (self.raft.deadline - self.clock) / self._rate) + GRAIN)

    def _step(self, raft: Raft) -> None:
        events, self._inbox = self._inbox, []
        for event in events:
            self.world.note(self.id, "<-", event)
        self.world.steps += 1
        output = raft.step(self.clock, *events)
        self.cluster.check(self, raft, output)
        self.carry_out(output)

    def carry_out(self, output: Output) -> None:
        """The driver's three rules."""
        if output.write is not None:
            self.world.note(self.id, "writes", output.write)
            self.disk.submit(output.write, self._persisted)
        for message in output.messages:
            self.world.note(self.id, "->", message)
            if not self.cluster.network.send(message) and self.world.chance(self.options.reporting):
                self.receive(PeerUnreachable(message.to))
        for committed in output.apply:
            self.world.note(self.id, "is to apply", (committed.first, committed.last))
            self._to_apply.extend(enumerate(committed.entries, committed.first))
        if self._to_apply and not self._applying:
            self._apply_some()
        for answer in output.answers:
            self.world.note(self.id, "answers", answer)

    # ------------------------------------------------- disk and state machine

    def _durable(self, write: Write) -> None:
        self.world.note(self.id, "has on disk", write.seq)
        self.cluster.invariants.persisted(self.id, write)

    def _persisted(self, seq: int) -> None:
        self.receive(Persisted(seq))

    def _apply_some(self) -> None:
        self._applying = True
        chunk = [self._to_apply.popleft() for _ in range(self.world.random.randint(1, len(self._to_apply)))]
        boot = self.boot
        delay = self.options.apply_time * self.slowness * self.world.random.uniform(0.3, 2)
        self.world.after(delay, lambda: self._applied(boot, chunk))

    def _applied(self, boot: int, chunk: Sequence[tuple[int, bytes]]) -> None:
        if boot != self.boot or self.raft is None:
            return
        results = []
        for _, entry in chunk:
            if entry[:1] == COMMAND:
                self._ordinal += 1
                results.append(result_of(self._ordinal))
        self.receive(Applied(chunk[-1][0], results if self.options.with_results else ()))
        self._applying = False
        if self._to_apply:
            self._apply_some()


class Cluster:
    """All nodes, their network, their clients, and the invariants that watch them."""

    def __init__(self, options: Options, *, keep: int = 40, with_digest: bool = False) -> None:
        self.options = options
        self.world = World(options.seed, keep, with_digest)
        ids = [f"n{number}" for number in range(1, options.size + 1)]
        self.members = Configuration.of(*ids)
        self.invariants = ClusterInvariants()
        self.clients = Clients(self.world)
        self.network = Network(self.world, options, self._deliver)
        self.nodes = {node_id: SimulatedNode(self, node_id) for node_id in ids}

    @property
    def live(self) -> list[SimulatedNode]:
        """The nodes that are up, paused or not."""
        return [node for node in self.nodes.values() if node.raft is not None]

    def start(self) -> None:
        """Start every node."""
        for node in self.nodes.values():
            node.start()

    def propose(self, node: SimulatedNode) -> int:
        """A client proposes something at this node; returns its token."""
        token, commands = self.clients.request(node.id)
        node.receive(Propose(token, commands))
        return token

    def check(self, node: SimulatedNode, raft: Raft, output: Output) -> None:
        """Check everything that must hold after a step."""
        self.invariants.stepped(raft, output)
        self.clients.see(self.invariants.committed)
        for answer in output.answers:
            self.clients.answered(node.id, answer, self.options.with_results)
        if not raft.deadline > node.clock:
            raise InvariantViolation("I25", f"{node.id} asks to be called again at once, at {raft.deadline}")

    def _deliver(self, message: Message) -> None:
        node = self.nodes[message.to]
        if self.world.chance(self.options.corrupting) and node.raft is not None and not node.paused:
            self._deliver_corrupted(node, node.raft, corrupted(message, self.world))
        node.receive(message)

    def _deliver_corrupted(self, node: SimulatedNode, raft: Raft, message: Message) -> None:
        """I27: a message that no node can have sent changes nothing, and nothing follows from it."""
        self.world.note(node.id, "<- (corrupted)", message)
        now = raft._state.now
        before = (raft.status(), raft.deadline)
        output = raft.step(now, message)
        after = raft.status()
        self.invariants.stepped(raft, output)
        if (output.messages, output.write, output.answers) != ([], None, []):
            raise InvariantViolation("I27", f"{node.id} acts on {message!r}: {output!r}")
        if after.violations != before[0].violations + 1 or len(output.notices) != 1:
            raise InvariantViolation("I27", f"{node.id} does not note {message!r}")
        if (after.role, after.term, after.commit_index, raft.deadline) != (
            before[0].role,
            before[0].term,
            before[0].commit_index,
            before[1],
        ):
            raise InvariantViolation("I27", f"{node.id} is changed by {message!r}")
        node.carry_out(output)
