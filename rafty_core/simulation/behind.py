"""A follower is left behind until it needs a snapshot, most often with a log of its own that leads elsewhere.

Law: *who comes back finds the log gone that it would need.*
"""

from rafty_core.simulation.broken_promises import keep_only
from rafty_core.simulation.cluster import Cluster
from rafty_core.simulation.node import SimulatedNode


def leave_behind(cluster: Cluster) -> bool:
    """Cut one node off, a leader or not; let the others go on, take snapshots and forget their logs; let it back."""
    leaders, draw = cluster.leaders, cluster.world.random
    if not leaders or len(cluster.live) < 2 or not cluster.options.snapshot_interval:
        return False
    leader = draw.choice(leaders)
    if draw.random() < 0.5:
        lost, alone = leader, draw.uniform(1.2, 2.0)
    else:
        lost, alone = draw.choice([node for node in cluster.live if node is not leader]), draw.choice((0.1, 0.7))
    keep_only(cluster, lost, [])
    for _ in range(draw.randint(0, 8)):
        cluster.propose(lost)
    cluster.world.after(alone, lambda: _go_on(cluster, lost))
    cluster.world.after(alone + 0.2, lambda: _forget(cluster, lost))
    cluster.world.after(alone + draw.choice((0.25, 0.5)), lambda: _let_back(cluster, lost))
    return True


def _go_on(cluster: Cluster, lost: SimulatedNode) -> None:
    for leader in cluster.leaders:
        if leader is not lost and not cluster.network.calm:
            for _ in range(3):
                cluster.propose(leader)


def _forget(cluster: Cluster, lost: SimulatedNode) -> None:
    """The leader forgets its log, or all do; if others have theirs, the next leader needs no snapshot."""
    for node in cluster.leaders if cluster.world.chance(0.5) else cluster.live:
        if node is not lost and node.raft is not None:
            node.snapshots.take(node.raft, everything=True)


def _let_back(cluster: Cluster, lost: SimulatedNode) -> None:
    cluster.world.note(lost.id, "is let back")
    for a, b in list(cluster.network.blocked):
        if lost.id in (a, b):
            del cluster.network.blocked[a, b]
