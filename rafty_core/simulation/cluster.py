"""A whole cluster in one process and one thread: its nodes, and what watches them.

Law: *after every step of every node everything that must hold is checked, and every answer must be true.*
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from rafty_core import AppendEntries, Configuration, Message, Output, ProposalAnswer, Propose, Raft
from rafty_core.invariants import ClusterInvariants, InvariantViolation, state_of
from rafty_core.reads import lease_holds
from rafty_core.roles import Leader
from rafty_core.simulation.application import Reference
from rafty_core.simulation.callers import Callers
from rafty_core.simulation.calls import Calls
from rafty_core.simulation.clients import Clients
from rafty_core.simulation.contentless import contentless
from rafty_core.simulation.forged import forged
from rafty_core.simulation.lies import lie_to
from rafty_core.simulation.machine import Replay
from rafty_core.simulation.misshapen import misshapen
from rafty_core.simulation.network import Network, corrupted, rewritten
from rafty_core.simulation.node import SimulatedNode
from rafty_core.simulation.options import Options
from rafty_core.simulation.parts import SIMULATED, Parts
from rafty_core.simulation.points import points_of
from rafty_core.simulation.registers import machine_of
from rafty_core.simulation.world import World
from rafty_core.state import State


class Cluster:
    """All nodes, their network, their clients, and the invariants that watch them."""

    def __init__(
        self, options: Options, parts: Parts = SIMULATED, *, keep: int | None = 40, with_digest: bool = False
    ) -> None:
        machine = machine_of(options) if parts.machine is None else None
        self.options, self.parts = options, parts if machine is None else replace(parts, machine=machine)
        self.world = World(options.luck, keep, with_digest)
        ids = [f"n{number}" for number in range(1, options.size + 1)]
        self.invariants = ClusterInvariants()
        self.callers = Callers(self, options.callers if machine is not None else 0)
        reference = Reference(self.parts.machine) if self.parts.machine is not None else None
        self.replay = Replay(reference, self.callers.see)
        self.clients = Clients(self.world, self.replay, parts.command)
        self.calls = Calls(self)
        self.network = Network(self.world, options, self)
        members = options.members(ids)
        self.nodes = {node_id: SimulatedNode(self, node_id, members) for node_id in ids}
        self.cells: Counter[tuple[str, str]] = Counter()
        """How often which role was told what, as the first event of a step."""
        self.points: Counter[str] = Counter()
        """How often each named point was reached."""
        self.over = False
        """Whether the faults are over: what was begun then does not go on."""
        self.strike_at: Callable[[SimulatedNode, str], None] | None = None
        """What the nemesis does at a named point."""
        self._born = 0

    @property
    def live(self) -> list[SimulatedNode]:
        """The nodes that are up, paused or not."""
        return [node for node in self.nodes.values() if node.raft is not None]

    @property
    def there(self) -> list[SimulatedNode]:
        """The nodes that are up, or may come back."""
        return [node for node in self.nodes.values() if not node.gone]

    @property
    def leaders(self) -> list[SimulatedNode]:
        """The nodes that lead, or think so."""
        return [node for node in self.live if node.raft is not None and isinstance(state_of(node.raft).role, Leader)]

    def start(self) -> None:
        """Start every node."""
        for node in self.nodes.values():
            node.start()
        self.callers.start()

    def join(self, node_id: str) -> SimulatedNode:
        """A node of this name with an empty data directory, and so a new incarnation; it is not started yet."""
        if node_id in self.nodes:
            if self.nodes[node_id].raft is not None:
                self.nodes[node_id].crash()
            self.nodes[node_id].gone = True
        self._born += 1
        self.invariants.reborn(node_id)
        node = self.nodes[node_id] = SimulatedNode(self, node_id, Configuration(), f"i{self._born}")
        self.world.note(node_id, "is born", node.incarnation)
        return node

    def crashed(self, node_id: str) -> None:
        """A node's life has ended."""
        self.invariants.crashed(node_id)
        self.clients.crashed(node_id)
        self.calls.crashed(node_id)
        self.callers.crashed(node_id)

    def propose(self, node: SimulatedNode) -> int:
        """A client proposes something at this node; returns its token."""
        token, commands = self.clients.request(node.id)
        if node.raft is None:
            self.clients.crashed(node.id)  # nobody is there, so nobody answers
        node.receive(Propose(token, commands))
        return token

    def reached(self, node: SimulatedNode, raft: Raft, output: Output) -> None:
        """A step is done and checked, and nothing of it has left yet: look at the named points that it reached."""
        before = node.contracts.last
        for point in points_of(before, state_of(raft), output) if before is not None else ():
            self.points[point] += 1
            if self.strike_at is not None:
                self.strike_at(node, point)

    # ------------------------------------------------------------------- checks

    def check(self, node: SimulatedNode, raft: Raft, output: Output) -> None:
        """Check everything that must hold after a step."""
        self.invariants.stepped(raft, output)
        committed = self.invariants.committed
        self.clients.see(committed)
        self.calls.see()
        self.replay.see(committed)
        for answer in output.answers:
            if not isinstance(answer, ProposalAnswer):
                self.calls.answered(node, answer)
            elif isinstance(answer.token, int):
                self.clients.answered(node.id, answer, self.options.with_results)
            self.callers.answered(node, answer)
        node.deadline = raft.deadline
        if not node.deadline > node.clock:
            raise InvariantViolation("I25", f"{node.id} asks to be called again at once, at {node.deadline}")
        if self.options.lease:
            self._check_leases()

    def _check_leases(self) -> None:
        """I22: never two nodes that both consider their lease valid, each by its own clock at this moment."""
        leaders = self.leaders
        if len(leaders) > 1:
            holding = [node.id for node in leaders if node.raft is not None and _holds_lease(node, node.raft)]
            if len(holding) > 1:
                raise InvariantViolation("I22", f"{holding} all consider their lease valid")

    def deliver(self, message: Message) -> None:
        """A message arrives."""
        node = self.nodes[message.to]
        if self.world.chance(self.options.corrupting) and node.raft is not None and not node.paused:
            state, false = state_of(node.raft), None
            if self.world.chance(0.6):
                false = forged(state, self.world) if self.world.chance(0.6) else lie_to(state, message, self.world)
            elif self.world.chance(0.5):
                false = misshapen(state, message, self.world)
            self._deliver_corrupted(node, node.raft, false or corrupted(message, self.world))
        elif isinstance(message, AppendEntries) and self.options.corrupting and node.raft is not None:
            damaged = None if node.paused else rewritten(message, state_of(node.raft), self.world)
            if damaged is not None and self.world.chance(0.2):
                self._deliver_corrupted(node, node.raft, damaged)
        if node.raft is not None and not node.paused and self.world.wrong.random() < self.options.corrupting:
            false = contentless(state_of(node.raft), message.sender, self.world.wrong)
            self._deliver_corrupted(node, node.raft, false)
        node.receive(message)

    def _deliver_corrupted(self, node: SimulatedNode, raft: Raft, message: Message) -> None:
        """I27: a message that no node can have sent changes nothing, and nothing follows from it."""
        state = state_of(raft)
        if isinstance(state.role, Leader) and _is_changing_members(state):
            return  # any step, of whatever reason, may find that learners are close, or that the new members suffice
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


def _is_changing_members(state: State) -> bool:
    """Whether members are caught up, or another quorum has just come into force."""
    return state.configuration.goal is not None or state.log.configurations.index > state.log.commit


def _holds_lease(node: SimulatedNode, raft: Raft) -> bool:
    state = state_of(raft)
    leader = state.role
    if not isinstance(leader, Leader) or state.log.term(state.log.commit) != state.term:
        return False
    now, state.now = state.now, node.clock
    try:
        return lease_holds(state, leader)
    finally:
        state.now = now
