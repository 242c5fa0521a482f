"""A leader that is told to end hands over first: its successor stands at once, without an election timeout."""

import signal
from pathlib import Path

import pytest

from tests.end_to_end.cluster import EACH, Cluster


@pytest.mark.parametrize("backend", EACH)
def test_leader_that_gets_a_signal_hands_over_first(tmp_path: Path, backend: str) -> None:
    with Cluster(3, tmp_path, backends=(backend,), options=("--verbose",)) as cluster:
        leader = cluster.wait_for_leader()
        term = int(cluster.info(leader)["raft_term"])
        assert leader.stop() == -signal.SIGTERM
        successor = cluster.wait_for_leader()
        assert int(cluster.info(successor)["raft_term"]) == term + 1
        said = successor.tail(200)
        assert f"is candidate in term {term + 1}" in said
        assert f"is pre_candidate in term {term}" not in said
