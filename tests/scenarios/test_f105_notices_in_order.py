"""Fault F105: who watches a node is told of changes in another order than they happened, or not of all, unawares.

Notices come in the order of the log and of the terms. Whoever is too slow loses the oldest, and is told how many.
"""

import anyio
import pytest

from rafty_core import LeaderChanged, RoleChanged
from rafty_transports.memory import MemoryNetwork
from rafty_transports.observers import MOST_WAITING, Notices
from tests.transports.nodes import QUICK, cluster, leader_of, until

pytestmark = pytest.mark.anyio


async def test_f105_slow_watcher_loses_the_oldest_and_is_told_how_many() -> None:
    watchers: set[Notices] = set()
    slow = Notices(watchers)
    for term in range(0, MOST_WAITING + 50, 2):
        slow.put([RoleChanged("follower", term), RoleChanged("leader", term + 1)])
    slow.put([RoleChanged("follower", MOST_WAITING + 50)])
    assert slow.missed == 51
    slow.close()
    taken = [notice.term async for notice in slow if isinstance(notice, RoleChanged)]
    assert taken == list(range(51, MOST_WAITING + 51))
    assert watchers == set()


async def test_f105_changes_of_role_and_leader_come_in_their_order() -> None:
    network = MemoryNetwork()
    with anyio.fail_after(15):
        async with cluster(network) as nodes:
            watched = {node.identity.node_id: node.notices() for node in nodes}
            first = leader_of(nodes)
            assert first is not None
            name = first.identity.node_id
            for other in watched.keys() - {name}:
                network.block(name, other)
            others = [node for node in nodes if node is not first]
            await until(lambda: leader_of(others) is not None and first.status().role != "leader", 5.0)
            second = leader_of(others)
            assert second is not None
            network.heal()
            await until(lambda: first.status().leader == second.identity.node_id, 5.0)
            await anyio.sleep(2 * QUICK.heartbeat_interval)
            for watcher in watched.values():
                watcher.close()  # what follows is the end of the cluster: leaders hand over
    told = {node_id: [notice async for notice in notices] for node_id, notices in watched.items()}
    for notices in told.values():
        terms = [notice.term for notice in notices if isinstance(notice, RoleChanged | LeaderChanged)]
        assert terms == sorted(terms)
    roles = [notice.role for notice in told[second.identity.node_id] if isinstance(notice, RoleChanged)]
    assert roles[-3:] == ["pre_candidate", "candidate", "leader"]
    leaders = [notice.leader for notice in told[name] if isinstance(notice, LeaderChanged)]
    assert leaders == [None, second.identity.node_id]
    assert all(notices.missed == 0 for notices in watched.values())
