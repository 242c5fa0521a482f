"""A follower is left behind until it needs a snapshot, most often with a log of its own that leads elsewhere.

Law: *who comes back finds the log gone that it would need.*
"""

from rafty_core import AppendEntries, PeerUnreachable
from rafty_core.simulation.broken_promises import keep_only
from rafty_core.simulation.cluster import Cluster
from rafty_core.simulation.node import SimulatedNode
from rafty_core.simulation.options import ELECTION_TIMEOUT


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
        if alone > ELECTION_TIMEOUT and not lost.paused and draw.random() < 0.4:
            return halt(cluster)
    keep_only(cluster, lost, [])
    for _ in range(draw.choice((0, 4, 20))):
        cluster.propose(lost)
    cluster.world.after(alone, lambda: go_on(cluster, lost))
    cluster.world.after(alone + 0.2, lambda: forget(cluster, lost))
    cluster.world.after(alone + draw.choice((0.25, 0.5)), lambda: let_back(cluster, lost))
    return True


def leave_behind_twice(cluster: Cluster) -> bool:
    """A leader loses a long tail of its log, leads again, appends less, and gets a snapshot that ends in between: what
    it waits for does not stand in order any more (R33)."""
    leaders, world = cluster.leaders, cluster.world
    if not leaders or len(cluster.live) < 3 or not cluster.options.snapshot_interval:
        return False
    lost = world.random.choice(leaders)
    keep_only(cluster, lost, [])
    lost.halt_machine(True)  # it learns late what is decided
    world.after(5.0, lambda: lost.halt_machine(False))
    for _ in range(10):
        cluster.propose(lost)

    def hand_back() -> None:
        for leader in cluster.leaders:
            if leader is not lost and not cluster.over:
                cluster.calls.transfer(leader, lost.id, 1.0)

    def strand_again() -> None:
        if lost in cluster.leaders:
            keep_only(cluster, lost, [])
            cluster.propose(lost)
            world.after(1.4, lambda: forget(cluster, lost))
            world.after(1.7, lambda: let_back(cluster, lost))

    world.after(1.4, lambda: let_back(cluster, lost))
    world.after(1.7, hand_back)
    world.after(2.1, strand_again)
    return True


def late_appends(cluster: Cluster) -> bool:
    """What a follower lacks comes late, when it has been offered a snapshot already, or is fetching it (F77, F78)."""
    leaders, world = cluster.leaders, cluster.world
    others = [node for node in cluster.live if node not in leaders]
    if not leaders or not others or not cluster.options.snapshot_interval:
        return False
    leader, lost = world.random.choice(leaders), world.random.choice(others)
    world.note(lost.id, "gets its appends late")
    late = world.random.uniform(0.35, 0.8)
    cluster.network.hold(AppendEntries, lost.id, late)
    lost.snapshots.held = True
    for _ in range(3):
        cluster.propose(leader)
    world.after(0.003, lambda: cluster.network.hold(AppendEntries, lost.id, late + 0.3))  # that they are committed
    world.after(late + world.random.uniform(0.001, 0.01), lost.snapshots.let_go)
    world.after(0.1, lambda: leader.receive(PeerUnreachable(lost.id)))
    world.after(0.15, lambda: forget(cluster, lost))
    return True


def halt(cluster: Cluster) -> bool:
    """A follower stops; its leader finds out that messages are lost when the log is gone already (F85)."""
    leaders, world, alone = cluster.leaders, cluster.world, 0.7
    others = [node for node in cluster.live if node not in leaders and not node.paused]
    if not leaders or not others or not cluster.options.snapshot_interval:
        return False
    leader, lost = world.random.choice(leaders), world.random.choice(others)
    lost.pause(True)
    world.after(alone - 0.3, lambda: go_on(cluster, lost))
    world.after(alone, lambda: forget(cluster, lost))
    world.after(alone + 0.4, lambda: leader.receive(PeerUnreachable(lost.id)))
    world.after(alone + 0.5, lambda: lost.pause(False) if lost.paused else None)
    return True


def go_on(cluster: Cluster, lost: SimulatedNode) -> None:
    """Whoever leads now, but for the one that is lost, gets some proposals."""
    for leader in cluster.leaders:
        if leader is not lost and not cluster.over:
            for _ in range(3):
                cluster.propose(leader)


def forget(cluster: Cluster, lost: SimulatedNode) -> None:
    """The leader forgets its log, or all do; if others have theirs, the next leader needs no snapshot."""
    if cluster.over:
        return
    for node in cluster.leaders if cluster.world.chance(0.5) else cluster.live:
        if node is not lost and node.raft is not None:
            node.snapshots.take(node.raft, everything=True)


def let_back(cluster: Cluster, lost: SimulatedNode) -> None:
    """The one that was lost reaches the others again, and they reach it."""
    if cluster.over:
        return  # what is blocked now stays so
    cluster.world.note(lost.id, "is let back")
    for a, b in list(cluster.network.blocked):
        if lost.id in (a, b):
            del cluster.network.blocked[a, b]
