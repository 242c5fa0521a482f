"""Stories of a follower whose leader has lost sight of it, told on the cluster of the scripts.

Law: *one heartbeat and its answer are enough to find out what was lost*, also when nobody proposes anything.
"""

from typing import Any

from rafty_core import AppendEntries, InstallSnapshot, Snapshot
from tests.acceptance.cluster import Cluster, configuration


def led_by_1(**settings: Any) -> Cluster:
    """Three nodes behind a snapshot at 10; node 1 leads term 1, its no-op at 11 is everywhere."""
    cluster = Cluster()
    for number in (1, 2, 3):
        cluster.add(number, Snapshot(10, 1, configuration([1, 2, 3])), **settings)
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


def propose_without_3(cluster: Cluster, *commands: bytes) -> None:
    """Nodes 1 and 2 agree on these; the appends to node 3 are lost."""
    for command in commands:
        cluster.propose(1, command)
        cluster.stabilize([1, 2])
    cluster.deliver(3, drop=True, kinds=(AppendEntries,))


def test_follower_whose_window_is_full_gets_a_snapshot_when_the_log_is_gone() -> None:
    """Two appends are in flight to follower 3 and lost; then the log is compacted behind them. Nothing will free the
    window, and no append can help."""
    cluster = led_by_1(max_inflight_messages=2)
    propose_without_3(cluster, b"a", b"b", b"c", b"d")
    assert peers(cluster)[1] == ("n3", "replicate", 11, 14, 2)
    cluster.nodes[1].compact(14)
    cluster.tick(1)
    cluster.stabilize()
    assert peers(cluster)[1] == ("n3", "replicate", 15, 16, 0)
    assert cluster.nodes[3].content == cluster.nodes[1].content == b"abcd"


def test_older_snapshot_than_the_one_on_offer_is_enough_if_the_log_leads_on() -> None:
    """Follower 3 is offered the snapshot at 13, which is lost; it still gets one at 12, and the log starts there."""
    cluster = led_by_1()
    propose_without_3(cluster, b"a")
    cluster.send_snapshot(1, 3)
    (older,) = cluster.in_flight
    propose_without_3(cluster, b"b")
    cluster.in_flight = []
    cluster.nodes[1].compact(12)
    cluster.tick(1)
    cluster.stabilize([1, 2])
    for _ in range(2):  # a heartbeat, then an append: follower 3 refuses it
        cluster.deliver(3)
        cluster.process_ready(3)
        cluster.stabilize([1, 2])
    assert peers(cluster)[1] == ("n3", "snapshot", 11, 14, 0)
    assert [type(message) for message in cluster.in_flight] == [InstallSnapshot]
    cluster.in_flight = [older]
    cluster.stabilize()
    assert peers(cluster)[1] == ("n3", "replicate", 13, 14, 0)
    assert (cluster.nodes[3].status.snapshot_index, cluster.nodes[3].content) == (12, b"ab")


def test_one_snapshot_lets_the_log_go_in_two_steps() -> None:
    """What was kept at first goes later, without another snapshot; the same again changes nothing."""
    cluster = led_by_1()
    propose_without_3(cluster, b"a", b"b")
    node = cluster.nodes[1]
    for index, first in ((11, 12), (12, 13), (12, 13), (11, 13)):
        node.compact(index)
        assert (node.status.snapshot_index, node.status.first_index, node.has_ready) == (13, first, False)
