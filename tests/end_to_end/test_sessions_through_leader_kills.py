"""Clients with sessions count while leader after leader is killed: every increment is applied exactly once."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.end_to_end.cluster import EACH, wait_until
from tests.end_to_end.growing import GrowingCluster
from tests.end_to_end.session_clients import Crowd

LONG = pytest.mark.slow


@pytest.mark.parametrize("backend", EACH)
@pytest.mark.parametrize(
    ("operations", "kills"), [(3_000, 2), pytest.param(100_000, 10, marks=LONG)], ids=["short", "long"]
)
def test_every_increment_is_applied_exactly_once(
    tmp_path: Path, backend: str, operations: int, kills: int, capsys: pytest.CaptureFixture[str]
) -> None:
    size = 10
    with GrowingCluster(3, tmp_path, backend=backend, log_bytes=40_000) as cluster:
        cluster.wait_for_leader()
        began = time.monotonic()
        crowd = Crowd(size, cluster.clients, operations // size)
        for number in range(1, kills + 1):
            crowd.wait_for(number * operations // (kills + 1), 120.0)
            leader = cluster.leader() or cluster.wait_for_leader()
            leader.kill()
            wait_until(lambda gone=leader: cluster.leader() not in (None, gone), "another one leads")  # type: ignore[misc]
            leader.start()
            cluster.wait_for_leader()
        crowd.wait()
        took = time.monotonic() - began
        cluster.wait_until_equal()
        for node in cluster.nodes.values():
            assert crowd.check(node.client) == operations
        terms = cluster.check_one_leader_in_each_term()
        assert len(terms) > kills
        taken = {node.id: cluster.info(node)["raft_snapshot_index"] for node in cluster.nodes.values()}
        assert all(int(index) > 0 for index in taken.values()), taken
    tell(capsys, f"{operations} calls, {crowd.tries - operations} more tries, {kills} kills: {took:.1f} s, {backend}")


def tell(capsys: pytest.CaptureFixture[str], text: str) -> None:
    """Print a figure that was measured, whether the test is looked at or not."""
    out: Callable[[str], None] = print
    with capsys.disabled():
        out(f"\n{text}")
