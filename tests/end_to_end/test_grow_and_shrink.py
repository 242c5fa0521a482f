"""From one node to five, and to three others, under writes: thesis 4, on processes that are killed meanwhile."""

from pathlib import Path

import pytest

from rafty_transports.demo_cluster import NodeProcess
from rafty_transports.exits import REMOVED
from tests.end_to_end.cluster import EACH, Writer, ask, wait_for_progress, wait_until
from tests.end_to_end.growing import GrowingCluster, Request, listen_of, paused, wait_for_end, wait_for_service


@pytest.mark.parametrize("backend", EACH)
def test_from_one_to_five_to_three_others_while_the_leader_is_killed_in_a_joint_change(
    tmp_path: Path, backend: str
) -> None:
    with GrowingCluster(1, tmp_path, backend=backend) as cluster:
        cluster.wait_for_leader()
        cluster.join("n2", "n3", "n4", "n5")
        writers = [Writer(number, cluster.clients) for number in range(2)]
        for writer in writers:
            writer.start()
        wait_for_service(cluster.nodes["n2"])
        assert "OK" in cluster.command("add", "n2", listen_of(cluster.nodes["n2"]))
        cluster.add("n3", "n4", "n5")
        wait_for_progress(writers)
        kill_leader_in_the_joint_change(cluster)
        cluster.wait_for_voters("n3", "n4", "n5")
        wait_for_progress(writers)

        # Whoever was removed is told: the one that ran, and the one that was dead while it was removed.
        wait_for_end(cluster.nodes["n2"], REMOVED)
        cluster.nodes["n1"].start()
        wait_for_end(cluster.nodes["n1"], REMOVED)
        assert "n1 (incarnation" in cluster.nodes["n1"].tail()
        cluster.leave_out("n1", "n2")

        wait_for_progress(writers)
        for writer in writers:
            writer.stop()
            assert not writer.strange
        cluster.check_everywhere([key for writer in writers for key in writer.acknowledged])
        leaders = cluster.check_one_leader_in_each_term()
        assert set(leaders.values()) & {"n2", "n3", "n4", "n5"}


def kill_leader_in_the_joint_change(cluster: GrowingCluster) -> None:
    """n1 removes itself and n2, and is killed when n2 and n3 have the joint configuration; n4 and n5 cannot confirm it.

    n2 or n3 must succeed, for their logs are longer; whoever it is goes on with the change.
    """
    n1, n2, n3, n4, n5 = cluster.nodes.values()
    leader = cluster.leader()
    if leader is not n1:
        cluster.command("transfer", "n1")
    with paused(n4, n5):
        request = Request(n1, "RAFTY", "MEMBER", "REMOVE", "n1", "n2")
        wait_until(
            lambda: request.reply is not None or all(is_joint(cluster, node) for node in (n1, n2, n3)), "a joint change"
        )
        assert request.reply is None, request.reply
        n1.kill()
    request.join(20.0)
    assert isinstance(request.reply, OSError), request.reply


def is_joint(cluster: GrowingCluster, node: NodeProcess) -> bool:
    """Whether this node has the configuration in which old and new voters decide together."""
    return bool(cluster.info(node).get("raft_outgoing"))


@pytest.mark.parametrize("backend", EACH)
def test_change_that_only_the_killed_leader_had_is_undone(tmp_path: Path, backend: str) -> None:
    with GrowingCluster(3, tmp_path, backend=backend) as cluster:
        leader = cluster.wait_for_leader()
        others = [node for node in cluster.nodes.values() if node is not leader]
        assert ask(leader.client, [b"SET", b"k", b"v"]) == [b"OK"]
        with paused(*others):
            request = Request(leader, "RAFTY", "MEMBER", "REMOVE", others[0].id)
            wait_until(lambda: request.reply is not None or is_joint(cluster, leader), "a joint change")
            assert request.reply is None, request.reply
            cluster.kill()  # the others too: what was sent to them still waits in their sockets
        request.join(20.0)
        for node in others:
            node.start()
        cluster.wait_for_leader()
        cluster.wait_for_voters("n1", "n2", "n3")
        leader.start()
        wait_for_service(leader)
        cluster.wait_for_leader()
        cluster.wait_for_voters("n1", "n2", "n3")
        state = cluster.wait_until_equal()
        assert (state["voters"].count("="), state["outgoing"]) == (3, "")
        assert ask(leader.client, [b"GET", b"k"]) == [b"v"]
        cluster.check_one_leader_in_each_term()
        # The cluster is not stuck in it: the same change, with nobody killed, is done.
        cluster.command("remove", others[0].id)
        wait_for_end(others[0], REMOVED)
