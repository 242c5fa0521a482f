"""The replicated SQL database, on real stores: through restarts, snapshots, and a member that comes late."""

import json
from pathlib import Path

import pytest

from rafty_core import Change, Configuration, Member
from rafty_transports.compaction import SnapshotPolicy
from rafty_transports.memory import MemoryNetwork
from rafty_transports.node import Node
from rafty_transports.storage import SqliteStore
from tests.examples.replicated_sql import ReplicatedSql, statement
from tests.transports.nodes import QUICK, until

pytestmark = pytest.mark.anyio

POLICY = SnapshotPolicy(trailing_entries=1)


async def rows(node: Node, sql: str, *parameters: object) -> object:
    answer = json.loads(await node.propose(statement(sql, *parameters)))
    return answer.get("rows", answer.get("error"))


async def test_every_statement_takes_effect_once_through_restarts(tmp_path: Path) -> None:
    """After each restart the machine goes on where its own database stands; what it has is not applied again."""
    network = MemoryNetwork()
    for start in range(1, 4):
        store = SqliteStore.open(tmp_path / "n1", node_id="n1", initial=Configuration.of("n1"))
        machine = ReplicatedSql(tmp_path / "n1.db")
        before = machine.applied_index
        async with Node(store, network.transport("n1"), machine, config=QUICK, snapshots=POLICY) as node:
            await rows(node, "CREATE TABLE IF NOT EXISTS t (n INTEGER)")
            await rows(node, "INSERT INTO t VALUES (?)", start)
            assert await rows(node, "SELECT count(*), sum(n) FROM t") == [[start, sum(range(start + 1))]]
            if start == 2:
                await node.snapshot()
        assert machine.applied_index > before
        machine.close()


async def test_what_differs_between_nodes_is_refused_and_counts(tmp_path: Path) -> None:
    store = SqliteStore.open(tmp_path / "n1", node_id="n1", initial=Configuration.of("n1"))
    machine = ReplicatedSql(tmp_path / "n1.db")
    async with Node(store, MemoryNetwork().transport("n1"), machine, config=QUICK) as node:
        await rows(node, "CREATE TABLE t (n INTEGER PRIMARY KEY)")
        assert "not authorized" in str(await rows(node, "INSERT INTO t VALUES (random())"))
        assert "not authorized" in str(await rows(node, "UPDATE rafty_applied SET number = 1"))
        assert await rows(node, "INSERT INTO t VALUES (1)") == []
        assert "UNIQUE" in str(await rows(node, "INSERT INTO t VALUES (1)"))
        applied = machine.applied_index
        assert applied == await node.read()
    machine.close()


async def test_member_that_comes_late_gets_the_database_and_goes_on(tmp_path: Path) -> None:
    """The log that it would need is compacted; it fetches the snapshot, and applies only what comes after it."""
    network = MemoryNetwork()
    store = SqliteStore.open(tmp_path / "n1", node_id="n1", initial=Configuration.of("n1"))
    joining = SqliteStore.open(tmp_path / "n2", node_id="n2", join=store.identity.cluster_id)
    machines = [ReplicatedSql(tmp_path / "n1.db"), ReplicatedSql(tmp_path / "n2.db")]
    async with Node(store, network.transport("n1"), machines[0], config=QUICK, snapshots=POLICY) as node:
        await rows(node, "CREATE TABLE t (n INTEGER)")
        for number in range(20):
            await rows(node, "INSERT INTO t VALUES (?)", number)
        await node.snapshot()
        async with Node(joining, network.transport("n2"), machines[1], config=QUICK, snapshots=POLICY) as late:
            await node.change_membership([Change("add_voter", Member("n2"))])
            await rows(late, "INSERT INTO t VALUES (20)")
            await late.read()
            assert machines[1].query("SELECT count(*), sum(n) FROM t") == [(21, 210)]
            assert late.status().snapshot_index > 0
            await until(lambda: machines[0].applied_index == machines[1].applied_index)
    for machine in machines:
        machine.close()
