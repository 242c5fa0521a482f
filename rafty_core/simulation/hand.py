"""What a nemesis does to a cluster with its hands, and undoes: cut off, heal, end a life, slow down.

Law: *what is done for a while is undone at its end, and nothing is, once all was repaired.*
"""

from collections.abc import Callable

from rafty_core.simulation.cluster import Cluster
from rafty_core.simulation.node import SimulatedNode


class Hand:
    """The simple deeds. `stopped`: all was repaired, and nothing that was begun goes on."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster, self.world = cluster, cluster.world
        self.stopped = False
        self.busy: Callable[[], bool] = lambda: False
        """Whether a story goes on in which nothing is to be healed."""

    def isolate(self, node: SimulatedNode, *, deaf: bool, mute: bool) -> None:
        """Cut what this node hears, or what it says, or both."""
        self.world.note(node.id, "is cut off", ("deaf", deaf, "mute", mute))
        for other in self.cluster.nodes:
            if deaf:
                self.cluster.network.blocked[other, node.id] = None
            if mute:
                self.cluster.network.blocked[node.id, other] = None

    def later(self, least: float, most: float, undo: Callable[[], None]) -> None:
        """`repair` has undone everything already when the faults are over."""
        self.world.after(self.world.random.uniform(least, most), lambda: None if self.stopped else undo())

    def heal(self) -> None:
        """Let everybody reach everybody, but in the midst of a story."""
        if self.busy():
            return
        self.world.note("network", "heals")
        self.cluster.network.blocked.clear()

    def crash_one(self, node: SimulatedNode) -> None:
        """End the life of this node; another follows, sooner or later."""
        if node.raft is not None:
            if self.world.chance(0.3):
                self.cluster.network.repeat_requests()
            node.crash()
            longest = self.world.random.choice((0.001, 0.3, 2))
            self.later(0.0, longest, lambda: node.start() if node.raft is None and not node.gone else None)

    def speed_up(self, node: SimulatedNode) -> None:
        """Let this node and its disk work as fast as they can."""
        node.disk.slowness = node.slowness = 1.0
