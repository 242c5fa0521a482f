"""Faults aimed at what others have promised: half of a joint configuration goes away, a voter forgets at a restart.

Law: *who counts on promises is left alone with just those that do not suffice.*
"""

from rafty_core import AppendEntries, Campaign
from rafty_core.invariants import state_of
from rafty_core.quorum import majority
from rafty_core.simulation.cluster import Cluster
from rafty_core.simulation.hand import Hand
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
    if cluster.over:
        return
    cluster.world.note(node.id, "is left with", friends)
    for other in cluster.nodes:
        if other != node.id and other not in friends:
            cluster.network.blocked[node.id, other] = cluster.network.blocked[other, node.id] = None


def forget_promise(cluster: Cluster, voter: SimulatedNode) -> bool:
    """A leader falls silent, a voter restarts a moment later, and is asked for its vote when the others' promises have
    ended, and its own has not (F137)."""
    world, lease = cluster.world, cluster.options.lease
    if lease <= ELECTION_TIMEOUT or voter.raft is None:
        return False
    for leader in cluster.leaders:
        keep_only(cluster, leader, [])

    def restart() -> None:
        if voter.raft is not None and not cluster.over:
            voter.crash()
            world.after(0.001, lambda: voter.start() if voter.raft is None and not voter.gone else None)

    def campaign() -> None:
        for other in cluster.live:
            if other is not voter and not cluster.over:
                other.receive(Campaign())

    world.after(0.09, restart)
    for part in range(8):
        world.after(lease + 0.09 * part / 7, campaign)
    return True


def freeze_leader(hand: Hand) -> None:
    """Stop a leader that has old answers in its inbox, let others lead, and let it go on with reads and nothing that
    tells it of them (faults F91, F93)."""
    cluster, world = hand.cluster, hand.world
    leaders = [leader for leader in cluster.leaders if not leader.paused]
    if not leaders:
        return
    leader = world.random.choice(leaders)
    leader.pause(True)
    deaf_in, longest = world.random.uniform(0, 0.05), world.random.uniform(0.3, 2.5)

    def go_on() -> None:
        if leader.paused and leader.raft is not None:
            for _ in range(world.random.randint(1, 3)):
                cluster.calls.read(leader, world.random.choice(("linearizable", "lease")))
            leader.pause(False)

    hand.later(deaf_in, deaf_in, lambda: hand.isolate(leader, deaf=True, mute=False))
    hand.later(longest, longest, go_on)
    hand.later(longest + 0.05, longest + 0.2, hand.heal)


def starve(cluster: Cluster, leader: SimulatedNode) -> None:
    """Some voters get no appends for a while and answer heartbeats; those that have everything fall silent (R32)."""
    state, draw = state_of(leader.raft) if leader.raft is not None else None, cluster.world.random
    if state is None:
        return
    others = [voter for voter in state.configuration.all_voter_ids if voter != leader.id]
    draw.shuffle(others)
    starved = others[: (len(others) + 1) // 2]
    cluster.world.note(leader.id, "sends nothing more to", starved)
    for voter in starved:
        cluster.network.hold(AppendEntries, voter, 1.5)

    def fall_silent() -> None:
        if not cluster.over:
            keep_only(cluster, leader, starved)

    cluster.world.after(draw.choice((0.1, 0.3)), fall_silent)
