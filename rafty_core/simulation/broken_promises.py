"""Faults aimed at what others have promised: half of a joint configuration goes away, a voter forgets at a restart.

Law: *who counts on promises is left alone with just those that do not suffice.*
"""

from rafty_core import Campaign
from rafty_core.invariants import state_of
from rafty_core.quorum import majority
from rafty_core.simulation.cluster import Cluster
from rafty_core.simulation.node import SimulatedNode
from rafty_core.simulation.options import ELECTION_TIMEOUT


def keep_one_half(cluster: Cluster, leader: SimulatedNode) -> bool:
    """Leave a leader with a majority of one half of its joint configuration, and with reads (faults F63, F94)."""
    draw = cluster.world.random
    configuration = state_of(leader.raft).configuration if leader.raft is not None else None
    if configuration is None or not configuration.is_joint:
        return False
    halves = [configuration.voter_ids, configuration.outgoing_ids]
    draw.shuffle(halves)
    half, other = halves
    chosen = sorted(half, key=lambda voter: (voter != leader.id, voter in other, draw.random()))
    if draw.random() < 0.7:
        chosen = chosen[: majority(len(half))]
    keep_only(cluster, leader, chosen)
    for _ in range(3):
        cluster.calls.read(leader, "linearizable" if draw.random() < 0.7 else "lease")
    return True


def keep_only(cluster: Cluster, node: SimulatedNode, friends: list[str]) -> None:
    """Cut this node off from all but these."""
    cluster.world.note(node.id, "is left with", friends)
    for other in cluster.nodes:
        if other != node.id and other not in friends:
            cluster.network.blocked[node.id, other] = cluster.network.blocked[other, node.id] = None


def forget_promise(cluster: Cluster, voter: SimulatedNode) -> bool:
    """A voter restarts, hears no leader, and is asked for its vote just before its earlier promise ends (F137)."""
    world, lease = cluster.world, cluster.options.lease
    if lease <= ELECTION_TIMEOUT or voter.raft is None:
        return False
    voter.crash()
    world.after(0.001, lambda: voter.start() if voter.raft is None and not voter.gone else None)
    for leader in cluster.leaders:
        cluster.network.blocked[leader.id, voter.id] = None

    def campaign() -> None:
        for other in cluster.live:
            if other is not voter and other not in cluster.leaders and not cluster.network.calm:
                other.receive(Campaign())

    for part in range(1, 6):
        world.after(ELECTION_TIMEOUT + (lease - ELECTION_TIMEOUT) * part / 6, campaign)
    return True
