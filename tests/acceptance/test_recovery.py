"""Stories of a follower whose leader has lost sight of it, told on the cluster of the scripts.

Law: *one heartbeat and its answer are enough to find out what was lost*, also when nobody proposes anything.
"""

from rafty_core import Snapshot
from tests.acceptance.cluster import Cluster, configuration


def led_by_1() -> Cluster:
    """Three nodes behind a snapshot at 10; node 1 leads term 1, its no-op at 11 is everywhere."""
    cluster = Cluster()
    for number in (1, 2, 3):
        cluster.add(number, Snapshot(10, 1, configuration([1, 2, 3])))
    cluster.campaign(1)
    cluster.stabilize()
    return cluster


def peers(cluster: Cluster) -> list[tuple[str, str, int, int, int]]:
    """(name, flow, match, next, in flight) of each follower, as node 1 sees it."""
    return [
        (peer.id, peer.flow, peer.match_index, peer.next_index, peer.inflight_messages)
        for peer in cluster.nodes[1].status.peers
    ]


def test_heartbeat_answer_brings_a_probed_follower_back_that_lacks_nothing() -> None:
    """The transport reports a follower unreachable that holds everything; nothing is proposed (fault F45)."""
    cluster = led_by_1()
    cluster.report_unreachable(1, 2)
    assert peers(cluster) == [("n2", "probe", 11, 12, 0), ("n3", "replicate", 11, 12, 0)]
    cluster.tick(1)
    cluster.stabilize()
    assert peers(cluster) == [("n2", "replicate", 11, 12, 0), ("n3", "replicate", 11, 12, 0)]


def test_heartbeat_answer_makes_up_for_a_lost_acknowledgement_and_a_lost_commit_index() -> None:
    """Follower 3 has written two entries; its acknowledgement is lost, and then the news that they are committed
    (fault F43)."""
    cluster = led_by_1()
    cluster.propose(1, b"one")
    cluster.propose(1, b"two")
    cluster.process_ready(1)
    cluster.deliver(2)
    cluster.deliver(3)
    cluster.process_ready(3)
    cluster.deliver(1, drop=True)
    cluster.stabilize([1, 2])
    cluster.deliver(3, drop=True)
    assert peers(cluster) == [("n2", "replicate", 13, 14, 0), ("n3", "replicate", 11, 14, 2)]
    cluster.tick(1)
    cluster.stabilize()
    assert peers(cluster) == [("n2", "replicate", 13, 14, 0), ("n3", "replicate", 13, 14, 0)]
    assert [node.status.commit_index for node in cluster.nodes.values()] == [13, 13, 13]
