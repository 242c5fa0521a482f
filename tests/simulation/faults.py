"""What goes wrong, when, and how it is put right.

Law: *every fault is drawn from the seed, and every fault can be undone at once.*
"""

from collections.abc import Callable

from tests.simulation.cluster import Cluster, SimulatedNode


class Faults:
    """Breaks something every now and then, until it is told to stop."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.world = cluster.world
        self.stopped = False

    def start(self) -> None:
        """Begin to break things, and let clients propose."""
        self._again(self.cluster.options.fault_interval, self._break_something)
        self._again(self.cluster.options.proposal_interval, self._propose)

    def repair(self) -> None:
        """Undo every fault: all nodes run at full speed, and all of them reach each other."""
        self.stopped = True
        network = self.cluster.network
        network.blocked.clear()
        network.calm = True
        for node in self.cluster.nodes.values():
            node.disk.slowness = node.slowness = 0.1
            if node.raft is None:
                node.start()
            elif node.paused:
                node.pause(False)

    def isolate(self, node: SimulatedNode, *, deaf: bool, mute: bool) -> None:
        """Cut what this node hears, or what it says, or both."""
        self.world.note(node.id, "is cut off", ("deaf", deaf, "mute", mute))
        for other in self.cluster.nodes:
            if deaf:
                self.cluster.network.blocked[other, node.id] = None
            if mute:
                self.cluster.network.blocked[node.id, other] = None

    def _again(self, interval: float, action: Callable[[], None]) -> None:
        def act() -> None:
            if not self.stopped:
                action()
                self.world.after(self.world.random.expovariate(1 / interval), act)

        self.world.after(self.world.random.expovariate(1 / interval), act)

    def _propose(self) -> None:
        node = self.world.random.choice(list(self.cluster.nodes.values()))
        if node.raft is not None and len(self.cluster.invariants.committed) < 400:
            self.cluster.propose(node)

    def _break_something(self) -> None:
        kinds = (self._divide, self._cut_link, self._isolate, self._heal, self._crash, self._crash_all)
        more = (self._restart, self._restart, self._pause, self._continue, self._slow, self._fast, self._crash_and_back)
        self.world.random.choice((*kinds, *more))()

    def _any_node(self) -> SimulatedNode:
        nodes = list(self.cluster.nodes.values())
        leaders = [node for node in nodes if node.raft is not None and node.raft.status().role == "leader"]
        return self.world.random.choice(leaders if leaders and self.world.chance(0.4) else nodes)

    def _divide(self) -> None:
        one_way = self.world.chance(0.3)
        side = {node: self.world.chance(0.5) for node in self.cluster.nodes}
        self.world.note("network", "divides", side)
        for a, in_a in side.items():
            for b, in_b in side.items():
                if in_a and not in_b:
                    self.cluster.network.blocked[a, b] = None
                    if not one_way:
                        self.cluster.network.blocked[b, a] = None

    def _cut_link(self) -> None:
        a, b = (self.world.random.choice(list(self.cluster.nodes)) for _ in range(2))
        self.world.note("network", "loses a link", (a, b))
        self.cluster.network.blocked[a, b] = None

    def _isolate(self) -> None:
        self.isolate(self._any_node(), deaf=self.world.chance(0.7), mute=self.world.chance(0.7))

    def _heal(self) -> None:
        self.world.note("network", "heals")
        self.cluster.network.blocked.clear()

    def _crash(self) -> None:
        node = self._any_node()
        if node.raft is not None:
            node.crash()

    def _crash_and_back(self) -> None:
        node = self._any_node()
        if node.raft is not None:
            node.crash()
            node.start()

    def _crash_all(self) -> None:
        for node in self.cluster.live:
            node.crash()
        for node in self.cluster.nodes.values():
            if self.world.chance(0.8):
                node.start()

    def _restart(self) -> None:
        for node in self.cluster.nodes.values():
            if node.raft is None and self.world.chance(0.7):
                node.start()

    def _pause(self) -> None:
        node = self._any_node()
        if node.raft is not None and not node.paused:
            node.pause(True)

    def _continue(self) -> None:
        for node in self.cluster.live:
            if node.paused:
                node.pause(False)

    def _slow(self) -> None:
        node = self._any_node()
        node.disk.slowness = self.world.random.choice((1, 3, 10))
        node.slowness = self.world.random.choice((1, 5, 20))

    def _fast(self) -> None:
        for node in self.cluster.nodes.values():
            node.disk.slowness = node.slowness = 1.0
