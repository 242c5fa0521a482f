"""Three processes, two dead leaders, clients that write: nothing acknowledged is lost, and all states are equal."""

from pathlib import Path

import pytest

from tests.end_to_end.cluster import Cluster, Writer, check_present, wait_for_progress, wait_until

SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    "backends",
    [("asyncio", "trio"), pytest.param(("asyncio",), marks=SLOW), pytest.param(("trio",), marks=SLOW)],
    ids=["mixed", "asyncio", "trio"],
)
def test_acknowledged_writes_survive_two_dead_leaders(tmp_path: Path, backends: tuple[str, ...]) -> None:
    with Cluster(3, tmp_path, backends=backends) as cluster:
        cluster.wait_for_leader()
        writers = [Writer(number, cluster.clients) for number in range(3)]
        for writer in writers:
            writer.start()
        for _ in range(2):
            wait_for_progress(writers)
            leader = cluster.leader() or cluster.wait_for_leader()
            leader.kill()
            wait_for_progress(writers)
            leader.start()
            wait_until(lambda node=leader: "raft_role" in cluster.info(node), "the killed node serves again")  # type: ignore[misc]
        wait_for_progress(writers)
        for writer in writers:
            writer.stop()
            assert not writer.strange
        state = cluster.wait_until_equal()
        keys = [key for writer in writers for key in writer.acknowledged]
        assert int(state["kv_keys"]) >= len(keys) > 100
        check_present(keys, cluster.clients[0])
