"""Two of three are lost for ever: the survivor goes on as a new cluster, and the old ones cannot come back into it."""

from pathlib import Path

import pytest

from tests.end_to_end.cluster import EACH, Writer, ask, check_present, wait_for_progress
from tests.end_to_end.growing import GrowingCluster, listen_of, members_told, rafty, wait_for_words


@pytest.mark.parametrize("backend", EACH)
def test_survivor_goes_on_alone_refuses_the_others_and_grows_again(tmp_path: Path, backend: str) -> None:
    with GrowingCluster(3, tmp_path, backend=backend) as cluster:
        leader = cluster.wait_for_leader()
        writer = Writer(0, [leader.client])
        writer.start()
        wait_for_progress([writer])
        writer.stop()
        cluster.wait_until_equal()
        old_id = cluster.cluster_id()
        cluster.kill()
        lost = [node for node in cluster.nodes.values() if node is not leader]
        cluster.leave_out(*[node.id for node in lost])

        seen = rafty("recover", "--data", str(tmp_path / leader.id))
        assert f"of cluster {old_id}" in seen
        assert f"given up for lost: {', '.join(f'{node.id} ({listen_of(node)})' for node in lost)}" in seen
        assert "nothing was changed" in seen
        done = rafty("recover", "--data", str(tmp_path / leader.id), "--yes")

        survivor = cluster.newcomer(leader.id, listen=listen_of(leader))
        cluster.nodes[leader.id] = survivor
        survivor.start()
        cluster.wait_for_leader()
        new_id = cluster.cluster_id()
        assert new_id != old_id
        assert f"node {leader.id} of the new cluster {new_id}" in done
        check_present(writer.acknowledged, survivor.client)

        # The other two come back, as they were. They are a majority of the old cluster, and nothing of the new one.
        for node in lost:
            node.start()
        for node in lost:
            wait_for_words(node, leader.id, old_id, new_id)
        wait_for_words(survivor, old_id, new_id)
        assert cluster.voters() == {leader.id}
        for node in lost:
            node.kill()

        assert ask(survivor.client, [b"SET", b"after", b"recovery"]) == [b"OK"]
        cluster.grow("n4", "n5")
        cluster.wait_for_voters(leader.id, "n4", "n5")
        assert {members_told(node)["cluster_id"] for node in cluster.running} == {new_id}
        survivor.kill()
        cluster.wait_for_leader()
        check_present(writer.acknowledged, cluster.running[0].client)
        assert ask(cluster.running[0].client, [b"GET", b"after"]) == [b"recovery"]
