"""What keeps a cluster alive for years, through `Node`: members, snapshots, reads, transfer."""

from collections.abc import Callable, Sequence
from typing import BinaryIO

import anyio
import pytest

from rafty_core import (
    Change,
    ChangeRefused,
    Configuration,
    Lease,
    Member,
    NotApplied,
    NotLeader,
    RoleChanged,
    Stopped,
)
from rafty_core.output import MembershipChanged
from rafty_transports.compaction import SnapshotNotTaken, SnapshotPolicy
from rafty_transports.memory import MemoryNetwork
from rafty_transports.node import Node, NodeFailed, NodeRemoved
from rafty_transports.storage.memory import MemoryStore
from tests.transports.nodes import IDS, PATIENT, QUICK, Recorder, applied_by, cluster, follower_of, leader_of, until

pytestmark = pytest.mark.anyio

SMALL = SnapshotPolicy(trailing_entries=0)


def joining(network: MemoryNetwork, node_id: str, like: Node, **settings: object) -> Node:
    """A node with nothing, which waits to be added to the cluster of `like`."""
    store = MemoryStore(node_id, Configuration(), join=like.identity.cluster_id)
    return Node(store, network.transport(node_id), Recorder(), config=QUICK, snapshots=SMALL)


async def test_a_cluster_grows_from_one_to_three_and_tells_the_stages() -> None:
    network = MemoryNetwork()
    async with cluster(network, ["n1"], snapshots=SMALL) as [first]:
        await first.propose(b"before")
        stages: list[MembershipChanged] = []
        async with joining(network, "n2", first) as second, joining(network, "n3", first) as third:
            changes = [Change("add_voter", Member("n2")), Change("add_voter", Member("n3"))]
            done = await first.change_membership(changes, on_stage=stages.append)
            assert done.voter_ids == IDS
            assert [stage.configuration.is_joint for stage in stages if not stage.committed] == [False, True, False]
            assert await third.propose(b"after") == b"did after"
            await until(lambda: all(applied_by(node) == [b"before", b"after"] for node in (first, second, third)))


async def test_a_change_is_refused_with_its_reason_and_leaves_no_trace() -> None:
    async with cluster(MemoryNetwork()) as nodes:
        leader = leader_of(nodes)
        assert leader is not None
        before = leader.status()
        for change in (Change("remove", Member("n9")), Change("update", Member("n8"))):
            with pytest.raises(ChangeRefused) as refused:
                await leader.change_membership([change])
            assert refused.value.reason == "unknown"
        with pytest.raises(ChangeRefused) as refused:
            await leader.change_membership([Change("remove", Member("n1"))], based_on=77)
        assert refused.value.reason == "based_on"
        with pytest.raises(NotLeader) as elsewhere:
            await follower_of(nodes).change_membership([Change("remove", Member("n1"))])
        assert elsewhere.value.leader == leader.identity.node_id
        assert leader.status().last_index == before.last_index


async def test_a_removed_node_is_told_and_stops() -> None:
    network = MemoryNetwork()
    async with cluster(network) as nodes:
        leader = leader_of(nodes)
        assert leader is not None
        with pytest.raises(NodeRemoved, match="removed"):
            async with joining(network, "n4", leader) as late:
                member = Member("n4", "", late.identity.incarnation)
                await leader.change_membership([Change("add_learner", member)])
                await leader.change_membership([Change("remove", member)])
                await anyio.sleep(20)
        assert [gone.id for gone in leader.status().configuration.removed] == ["n4"]


async def test_a_late_node_gets_a_snapshot() -> None:
    network = MemoryNetwork()
    async with cluster(network, ["n1"], snapshots=SMALL) as [first]:
        await first.propose_many([b"%d" % number for number in range(50)])
        info = await first.snapshot()
        assert info.snapshot.index == await first.read()
        await until(lambda: first.status().first_index > 50)
        async with joining(network, "n2", first) as late:
            await first.change_membership([Change("add_learner", Member("n2"))])
            await until(lambda: applied_by(late) == [b"%d" % number for number in range(50)])
            assert late.status().snapshot_index == info.snapshot.index
            await first.propose(b"more")
            await until(lambda: applied_by(late)[-1] == b"more")


async def test_the_log_is_compacted_as_it_grows_and_a_restart_goes_on_from_there() -> None:
    network = MemoryNetwork()
    store = MemoryStore("n1", Configuration.of("n1"))
    policy = SnapshotPolicy(log_bytes=20_000, trailing_entries=5)
    async with Node(store, network.transport("n1"), Recorder(), config=QUICK, snapshots=policy) as node:
        for number in range(100):
            await node.propose(b"%03d" % number * 300)
        await until(lambda: node.status().first_index > 60)
        assert node.status().snapshot_index - node.status().first_index < 10
    async with Node(store.restarted(), network.transport("n1"), Recorder(), config=QUICK, snapshots=policy) as node:
        await node.read()
        assert applied_by(node) == [b"%03d" % number * 300 for number in range(100)]


async def test_reads_see_what_was_acknowledged_on_any_node() -> None:
    async with cluster(MemoryNetwork()) as nodes:
        leader = leader_of(nodes)
        assert leader is not None
        for turn in range(20):
            await nodes[turn % 3].propose(b"%d" % turn)
            reader = nodes[(turn + 1) % 3]
            index = await reader.read()
            assert applied_by(reader)[-1] == b"%d" % turn
            assert await leader.read("stale", at_least=index) >= index
        await leader.change_membership([], lease=Lease(0.2, 0.01))
        await leader.propose(b"last")
        await follower_of(nodes).read("lease")
        assert applied_by(follower_of(nodes))[-1] == b"last"


async def test_a_read_without_a_majority_ends_in_time() -> None:
    network = MemoryNetwork()
    async with cluster(network) as nodes:
        leader = leader_of(nodes)
        assert leader is not None
        await leader.read()
        for other in nodes:
            network.block(leader.identity.node_id, other.identity.node_id)
        with pytest.raises(NotApplied):
            await leader.read(timeout=0.5)
        assert await leader.read("stale") > 0


async def test_leadership_goes_where_it_is_wanted() -> None:
    async with cluster(MemoryNetwork()) as nodes:
        leader = leader_of(nodes)
        assert leader is not None
        target = follower_of(nodes)
        assert await leader.transfer_leadership(target.identity.node_id) == target.identity.node_id
        assert target.status().role == "leader"
        assert await leader.propose(b"x") == b"did x"


async def test_a_leader_that_is_shut_down_hands_over_first() -> None:
    """Nobody waits for an election timeout: the successor stands at once, without a pre-vote."""
    network, configuration = MemoryNetwork(), Configuration.of(*IDS)
    nodes = [
        Node(MemoryStore(name, configuration), network.transport(name), Recorder(), config=PATIENT) for name in IDS
    ]
    ends = {node: anyio.Event() for node in nodes}

    async def run(node: Node) -> None:
        async with node:
            await ends[node].wait()

    async with anyio.create_task_group() as tasks:
        for node in nodes:
            tasks.start_soon(run, node)
        await until(lambda: all(node.running for node in nodes) and leader_of(nodes) is not None)
        leader = leader_of(nodes)
        assert leader is not None
        await leader.propose(b"x")
        others = [node for node in nodes if node is not leader]
        with others[0].notices() as one, others[1].notices() as other:
            ends[leader].set()
            await until(lambda: leader_of(others) is not None)
            seen = [*one._waiting, *other._waiting]
        assert "pre_candidate" not in {notice.role for notice in seen if isinstance(notice, RoleChanged)}
        assert await others[0].propose(b"y") == b"did y"
        for end in ends.values():
            end.set()


class Broken(Recorder):
    """A machine that raises where it is told to."""

    def __init__(self, where: str) -> None:
        super().__init__()
        self.where = where

    def apply(self, first_index: int, commands: Sequence[bytes]) -> list[bytes]:
        if self.where == "apply" and b"bad" in commands:
            raise ZeroDivisionError("no such thing")
        return super().apply(first_index, commands)

    def snapshot(self) -> Callable[[BinaryIO], None]:
        if self.where == "snapshot":
            raise ZeroDivisionError("no such thing")

        def write(target: BinaryIO) -> None:
            raise ZeroDivisionError("no such thing")

        return write if self.where == "writing" else super().snapshot()

    def restore(self, index: int, source: BinaryIO) -> None:
        raise ZeroDivisionError("no such thing")


@pytest.mark.parametrize(
    ("where", "text"),
    [("apply", "index 2 to 2.*b'bad'"), ("snapshot", "at index 2"), ("writing", "snapshot at index 2")],
)
async def test_a_machine_that_raises_stops_the_node_with_index_and_command(where: str, text: str) -> None:
    store = MemoryStore("n1", Configuration.of("n1"))
    with pytest.raises(NodeFailed, match=text):
        async with Node(store, MemoryNetwork().transport("n1"), Broken(where), config=QUICK) as node:
            await node.propose(b"bad")
            await node.snapshot()
            await anyio.sleep(20)


async def test_a_machine_that_raises_in_restore_stops_the_node() -> None:
    store = MemoryStore("n1", Configuration.of("n1"))
    async with Node(store, MemoryNetwork().transport("n1"), Recorder(), config=QUICK) as node:
        await node.propose(b"x")
        await node.snapshot()
        await until(lambda: node.status().snapshot_index == 2)
    with pytest.raises(NodeFailed, match="restored from the snapshot at 2"):
        async with Node(store.restarted(), MemoryNetwork().transport("n1"), Broken("restore"), config=QUICK):
            await anyio.sleep(20)


async def test_a_disk_that_takes_no_snapshot_is_told_and_nothing_is_lost() -> None:
    store = MemoryStore("n1", Configuration.of("n1"))
    async with Node(store, MemoryNetwork().transport("n1"), Recorder(), config=QUICK) as node:
        await node.propose(b"x")

        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        store.snapshots.create = full  # type: ignore[method-assign, assignment]
        with pytest.raises(SnapshotNotTaken, match="No space left"):
            await node.snapshot()
        assert await node.propose(b"y") == b"did y"
        assert node.status().first_index == 1


class OnlyApply:
    """A machine that has no snapshot."""

    def apply(self, first_index: int, commands: Sequence[bytes]) -> list[bytes]:
        return [b"" for _ in commands]


async def test_a_machine_without_snapshots_is_never_compacted() -> None:
    store = MemoryStore("n1", Configuration.of("n1"))
    policy = SnapshotPolicy(log_bytes=1)
    async with Node(store, MemoryNetwork().transport("n1"), OnlyApply(), config=QUICK, snapshots=policy) as node:
        await node.propose(b"x" * 1000)
        with pytest.raises(SnapshotNotTaken, match="never compacted"):
            await node.snapshot()
        assert node.status().first_index == 1
        with pytest.raises(TypeError, match="Sessions"):
            node.session()


async def test_a_node_that_was_not_entered_takes_no_call() -> None:
    node = Node(MemoryStore("n1", Configuration.of("n1")), MemoryNetwork().transport("n1"), Recorder(), config=QUICK)
    for call in (node.transfer_leadership, node.read, node.snapshot):
        with anyio.fail_after(3), pytest.raises(Stopped):
            await call()
    with pytest.raises(Stopped):
        await node.change_membership([])
    with pytest.raises(Stopped):
        await node.propose(b"x")


async def test_what_is_raised_on_a_stage_leaves_as_itself() -> None:
    def refuse(stage: MembershipChanged) -> None:
        raise KeyError(stage.index)

    async with Node(
        MemoryStore("n1", Configuration.of("n1")), MemoryNetwork().transport("n1"), Recorder(), config=QUICK
    ) as node:
        await node.read()
        with pytest.raises(KeyError):
            await node.change_membership([Change("add_learner", Member("n2"))], on_stage=refuse)
        await node.read()


async def test_a_node_that_applied_nothing_takes_no_snapshot() -> None:
    store = MemoryStore("n1", Configuration.of("n1", "n2"))
    async with Node(store, MemoryNetwork().transport("n1"), Recorder(), config=QUICK) as node:
        with pytest.raises(SnapshotNotTaken, match="nothing has been applied"):
            await node.snapshot()
        assert node.running
    assert store.snapshots.infos() == []
