"""All nodes lose their power at once, again and again, while they take snapshots: what was acknowledged is there."""

from pathlib import Path

import pytest

from tests.end_to_end.cluster import EACH, Writer, wait_for_progress
from tests.end_to_end.growing import GrowingCluster
from tests.end_to_end.session_clients import Crowd


@pytest.mark.parametrize("backend", EACH)
@pytest.mark.parametrize("times", [2, pytest.param(10, marks=pytest.mark.slow)], ids=["twice", "ten times"])
def test_nothing_acknowledged_is_lost_and_sessions_go_on(tmp_path: Path, backend: str, times: int) -> None:
    with GrowingCluster(3, tmp_path, backend=backend, log_bytes=20_000) as cluster:
        cluster.wait_for_leader()
        writers = [Writer(number, cluster.clients) for number in range(2)]
        crowd = Crowd(3, cluster.clients, 1_000_000)
        for writer in writers:
            writer.start()
        for _ in range(times):
            wait_for_progress(writers, 200)
            crowd.wait_for(crowd.known + 500)
            cluster.kill()
            cluster.start()
            cluster.wait_for_leader()
        crowd.wait_for(crowd.known + 100)
        wait_for_progress(writers)
        for writer in writers:
            writer.stop()
            assert not writer.strange
        crowd.end()
        cluster.check_everywhere([key for writer in writers for key in writer.acknowledged])
        for node in cluster.nodes.values():
            assert crowd.check(node.client) > 1000
            info = cluster.info(node)
            assert int(info["raft_first_index"]) > 1, "the log was shortened"
            assert int(info["raft_snapshot_index"]) > 0
        cluster.check_one_leader_in_each_term()
