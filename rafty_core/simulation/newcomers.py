"""Nodes that are to join a cluster that is well, and are not well themselves.

Law: *a learner that is hopeless is given up in time, and one that was close must still be close when all are.*

While other faults last, a leader seldom leads for as long as it takes to give a learner up (thesis 4.2.1). So this is
tried when they have stopped.
"""

from collections.abc import Callable, Sequence

from rafty_core import Change, Member
from rafty_core.invariants import state_of
from rafty_core.simulation.churn import NAMES
from rafty_core.simulation.cluster import Cluster
from rafty_core.simulation.disk import Disk
from rafty_core.simulation.node import SimulatedNode

NORMAL, STANDING = 0.05, 1e9
"""Seconds that a disk of a node that joins takes for a write."""

SLOW = ((0.0, 0.8), (9.0, NORMAL))
LAGGING, LATE = ((0.0, NORMAL), (0.7, 3.0), (4.5, NORMAL)), ((2.6, NORMAL),)

FATES: Sequence[Sequence[Sequence[tuple[float, float]]]] = (
    (((0.0, STANDING),),),
    ((),),
    ((),),
    (SLOW,),
    (SLOW, ((0.0, NORMAL),)),
    (LAGGING, LATE),
    (LAGGING, LATE),
)
"""For each node that is to join: from when on its disk takes how long. Nothing: it is never started."""

WRITING = 12.0
"""Seconds in which clients go on to write, so that there is something to catch up with."""


class Newcomers:
    """Asks a leader to take some nodes in, and lets things happen to them."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster, self.world = cluster, cluster.world
        self.nodes: list[SimulatedNode] = []
        self.token = ""

    def ask(self, leader: SimulatedNode) -> None:
        """Ask this leader to take in some nodes as voters."""
        cluster = self.cluster
        if leader.raft is None:
            return
        now = state_of(leader.raft).configuration
        taken = {member.id for member in now.members}
        free = [name for name in NAMES if name not in taken]
        fates = self.world.random.choice(FATES)
        if fates is FATES[0] and cluster.parts.storage is not Disk:
            return  # another storage may get on, however slow it is
        changes = []
        for name, fate in zip(free, fates, strict=False):
            node = cluster.join(name)
            self.nodes.append(node)
            node.gone = not fate
            node.disk.calm()
            for delay, seconds in fate:
                self.world.after(delay, self._with_disk(node, seconds))
            changes.append(Change("add_voter", Member(name, f"{name}:new", node.incarnation)))
        if changes:
            self.token = cluster.calls.change(leader, changes)
            for number in range(int(WRITING / 0.25)):
                self.world.after(0.25 * number, lambda: self._write(leader))

    @property
    def undecided(self) -> bool:
        """Whether the change is still open."""
        return self.token in self.cluster.calls.open

    def end(self) -> list[SimulatedNode]:
        """The nodes that are members now, at full speed; the others are gone."""
        members = self.cluster.invariants.ghost.configurations[-1][1].members
        known = {(member.id, member.incarnation) for member in members}
        for node in self.nodes:
            node.slowness = node.disk.slowness = 0.1
            if (node.id, node.incarnation) not in known:
                node.shut_down(node.boot)
        return [node for node in self.nodes if (node.id, node.incarnation) in known and node.raft is not None]

    def _with_disk(self, node: SimulatedNode, seconds: float) -> Callable[[], None]:
        def act() -> None:
            node.disk.slowness = seconds / max(self.cluster.options.sync_time, 1e-3)
            if node.raft is None and node.boot == 0:
                node.start()

        return act

    def _write(self, leader: SimulatedNode) -> None:
        if self.undecided and leader.raft is not None:
            self.cluster.propose(leader)
