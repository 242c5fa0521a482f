"""A program with a node of its own calls through `node.session()` while the leaders of its cluster are killed."""

from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from rafty_core.sessions import Sessions
from rafty_transports.demo_cluster import LOOPBACK, NodeProcess, free_ports
from rafty_transports.kv import KeyValueMachine, encode_incr
from rafty_transports.node import Node
from rafty_transports.storage import SqliteStore
from rafty_transports.tcp import TcpTransport
from tests.end_to_end.cluster import ask, wait_until
from tests.end_to_end.growing import GrowingCluster
from tests.end_to_end.session_clients import SHARED

CALLERS = 20


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("calls", "kills"), [(1_000, 2), pytest.param(20_000, 10, marks=pytest.mark.slow)], ids=["short", "long"]
)
async def test_calls_of_a_learner_in_this_process_are_applied_exactly_once(
    tmp_path: Path, anyio_backend: str, calls: int, kills: int
) -> None:
    with GrowingCluster(3, tmp_path, backend=anyio_backend, log_bytes=20_000) as cluster:
        await anyio.to_thread.run_sync(cluster.wait_for_leader)
        where = f"{LOOPBACK}:{free_ports(1)[0]}"
        cluster_id = await anyio.to_thread.run_sync(cluster.cluster_id)
        store = SqliteStore.open(tmp_path / "n4", node_id="n4", join=cluster_id, address=where)
        machine = KeyValueMachine()
        transport = TcpTransport(store.identity, {}, where, admit=store.meet)
        async with Node(store, transport, Sessions(machine)) as node:
            await anyio.to_thread.run_sync(cluster.change, "ADD", "n4", where, "LEARNER")
            sums = await count_while_leaders_are_killed(node, cluster, calls, kills)
            assert sorted(sums) == list(range(1, calls + 1))
            await node.read()
            assert machine.read([b"G" + SHARED]) == [b"$%d\r\n%d\r\n" % (len(str(calls)), calls)]
        await anyio.to_thread.run_sync(cluster.wait_until_equal)
        for served in cluster.nodes.values():
            assert await anyio.to_thread.run_sync(ask, served.client, [b"GET", SHARED]) == [b"%d" % calls]


async def count_while_leaders_are_killed(node: Node, cluster: GrowingCluster, calls: int, kills: int) -> list[int]:
    """What each call answered: the sum after it."""
    sums: list[int] = []
    async with node.session() as session, anyio.create_task_group() as tasks:

        async def count() -> None:
            for _ in range(calls // CALLERS):
                sums.append(int((await session.propose(encode_incr(SHARED)))[1:]))

        for _ in range(CALLERS):
            tasks.start_soon(count)
        for number in range(1, kills + 1):
            reached = partial(has, sums, number * calls // (kills + 1))
            await anyio.to_thread.run_sync(wait_until, reached, f"{kills} kills: number {number}", 60.0)
            leader = await anyio.to_thread.run_sync(cluster.wait_for_leader)
            leader.kill()
            await anyio.to_thread.run_sync(wait_until, partial(is_succeeded, cluster, leader), "another one leads")
            leader.start()  # here, in the main thread: a node ends with the thread that started it
            await anyio.to_thread.run_sync(cluster.wait_for_leader)
    return sums


def has(sums: list[int], count: int) -> bool:
    """Whether so many calls were answered."""
    return len(sums) >= count


def is_succeeded(cluster: GrowingCluster, gone: NodeProcess) -> bool:
    """Whether another one leads."""
    return cluster.leader() not in (None, gone)
