"""A cluster that lives for long: one member after the other is replaced, nodes lose their power and stand still."""

import random
from pathlib import Path

import pytest

from rafty_transports.demo_cluster import NodeProcess
from rafty_transports.exits import REMOVED
from tests.end_to_end.cluster import EACH, Writer, wait_for_progress, wait_until
from tests.end_to_end.growing import GrowingCluster, listen_of, paused, wait_for_end, wait_for_service
from tests.end_to_end.session_clients import Crowd


@pytest.mark.slow
@pytest.mark.parametrize("backend", EACH)
@pytest.mark.parametrize("rounds", [20])
def test_everything_is_there_after_members_were_replaced(tmp_path: Path, backend: str, rounds: int) -> None:
    chance = random.Random(rounds)
    with GrowingCluster(3, tmp_path, backend=backend, log_bytes=30_000) as cluster:
        cluster.wait_for_leader()
        clients = list(cluster.clients)  # shared with those who write: they follow the members
        writers = [Writer(number, clients) for number in range(2)]
        crowd = Crowd(2, clients, 1_000_000)
        for writer in writers:
            writer.start()
        for number in range(rounds):
            old = chance.choice(list(cluster.nodes.values()))
            new = replace(cluster, old, f"m{number}", clients)
            disturb(cluster, chance)
            cluster.wait_for_leader(30.0)
            assert cluster.voters() == set(cluster.nodes), new.id
            wait_for_progress(writers)
            crowd.wait_for(crowd.known + 50)
        for writer in writers:
            writer.stop()
            assert not writer.strange
        crowd.end()
        cluster.check_everywhere([key for writer in writers for key in writer.acknowledged])
        for node in cluster.nodes.values():
            crowd.check(node.client)
        cluster.check_one_leader_in_each_term()


def replace(cluster: GrowingCluster, old: NodeProcess, new_id: str, clients: list[str]) -> NodeProcess:
    """Put a new node in the place of this one, in one change; the old one is told and ends."""
    cluster.join(new_id)
    new = cluster.nodes[new_id]
    wait_for_service(new)
    cluster.change("REPLACE", old.id, new_id, listen_of(new))
    clients[clients.index(old.client)] = new.client
    wait_for_end(old, REMOVED)
    cluster.leave_out(old.id)
    return new


def disturb(cluster: GrowingCluster, chance: random.Random) -> None:
    """Kill one node, or all of them, or have one stand still until another one leads if it was the leader."""
    what = chance.choice(("one", "all", "pause"))
    node = chance.choice(list(cluster.nodes.values()))
    if what == "one":
        node.kill()
        node.start()
    elif what == "all":
        cluster.kill()
        cluster.start()
    else:
        leads = cluster.leader() is node
        with paused(node):
            wait_until(lambda: not leads or cluster.leader_besides(node) is not None, "another one leads")
