"""A running node, as those who embed it and those who wait for it see it."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import anyio
import pytest

from rafty_core import (
    Configuration,
    LeaderChanged,
    NotLeader,
    OutcomeUnknown,
    Overloaded,
    RoleChanged,
    Stopped,
    TooLarge,
    Write,
)
from rafty_transports.interfaces import Identity
from rafty_transports.memory import MemoryNetwork
from rafty_transports.node import Node, NodeFailed
from rafty_transports.storage.memory import MemoryStore
from rafty_transports.storage.sqlite import SqliteStore
from tests.transports.nodes import PATIENT, QUICK, Recorder, applied_by, cluster, follower_of, leader_of, until

pytestmark = pytest.mark.anyio
ALONE = Configuration.of("n1")


def alone(machine: Recorder | None = None, store: MemoryStore | None = None) -> Node:
    """A cluster of one."""
    store = store or MemoryStore("n1", ALONE)
    return Node(store, MemoryNetwork().transport("n1"), machine or Recorder(), config=QUICK)


async def test_a_cluster_elects_a_leader_and_applies_the_same_commands_everywhere() -> None:
    async with cluster(MemoryNetwork()) as nodes:
        assert await nodes[0].propose(b"one") == b"did one"
        assert await nodes[1].propose_many([b"two", b"three"]) == [b"did two", b"did three"]
        assert await nodes[2].propose(b"four") == b"did four"
        await until(lambda: all(len(applied_by(node)) == 4 for node in nodes))
        assert applied_by(nodes[0]) == applied_by(nodes[1]) == applied_by(nodes[2])
        assert sorted(applied_by(nodes[0])) == [b"four", b"one", b"three", b"two"]


async def test_many_callers_at_once_each_get_their_own_result() -> None:
    async with cluster(MemoryNetwork()) as nodes:
        results: dict[bytes, bytes] = {}

        async def caller(node: Node, command: bytes) -> None:
            results[command] = await node.propose(command)

        async with anyio.create_task_group() as tasks:
            for number in range(100):
                tasks.start_soon(caller, nodes[number % 3], b"%d" % number)
        assert results == {b"%d" % number: b"did %d" % number for number in range(100)}


async def test_a_cluster_goes_on_without_its_leader_and_the_old_one_catches_up() -> None:
    network = MemoryNetwork()
    async with cluster(network) as nodes:
        old = leader_of(nodes)
        assert old is not None
        await old.propose(b"before")
        others = [node for node in nodes if node is not old]
        for other in others:
            network.block(old.identity.node_id, other.identity.node_id)
        await until(lambda: leader_of(others) is not None)
        assert await others[0].propose(b"after") == b"did after"
        await until(lambda: old.status().role != "leader")  # CheckQuorum
        network.heal()
        await until(lambda: applied_by(old) == [b"before", b"after"])


async def test_without_a_quorum_the_error_names_who_was_heard_and_nothing_is_accepted() -> None:
    network = MemoryNetwork()
    configuration = Configuration.of("n1", "n2", "n3")
    async with Node(MemoryStore("n1", configuration), network.transport("n1"), Recorder(), config=QUICK) as node:
        with pytest.raises(NotLeader, match=r"no leader: .*; heard 1 of 3 voters, n2 never, n3 never"):
            await node.propose(b"x", timeout=0.2)


async def test_a_leader_cut_off_from_its_majority_says_unknown_not_failed() -> None:
    network = MemoryNetwork()
    async with cluster(network) as nodes:
        leader = leader_of(nodes)
        assert leader is not None
        for node in nodes:
            if node is not leader:
                network.block(leader.identity.node_id, node.identity.node_id)
        with pytest.raises(OutcomeUnknown, match="heard"):
            await leader.propose(b"lost?", timeout=0.3)


async def test_a_machine_that_raises_stops_the_node_with_index_and_command() -> None:
    class Broken(Recorder):
        def apply(self, first_index: int, commands: Sequence[bytes]) -> list[bytes]:
            raise KeyError("no such account")

    with pytest.raises(NodeFailed, match=r"KeyError\('no such account'\) for commands at index 2 to 2.*b'boom'"):
        async with alone(Broken()) as node:
            with pytest.raises(OutcomeUnknown):
                await node.propose(b"boom")
            await anyio.sleep(10)


async def test_a_store_that_fails_stops_the_node_and_cancels_the_body() -> None:
    class Failing(MemoryStore):
        def write(self, writes: Sequence[Write]) -> None:
            raise OSError(5, "Input/output error")

    cancelled = False
    with pytest.raises(NodeFailed, match="Input/output error") as caught:
        async with alone(store=Failing("n1", ALONE)):
            try:
                await anyio.sleep(10)
            except anyio.get_cancelled_exc_class():
                cancelled = True
                raise
    assert cancelled
    assert isinstance(caught.value.__cause__, OSError)


async def test_the_bodys_own_exception_leaves_as_itself() -> None:
    with pytest.raises(ZeroDivisionError):
        async with alone() as node:
            await node.propose(b"x")
            _ = 1 / 0


async def test_a_stopped_node_says_so_and_a_waiting_call_is_not_left_waiting() -> None:
    network = MemoryNetwork()
    told: list[Exception] = []

    async def waiting(node: Node) -> None:
        try:
            await node.propose(b"waits")
        except (OutcomeUnknown, Stopped) as error:
            told.append(error)

    async with anyio.create_task_group() as tasks:
        async with cluster(network) as nodes:
            leader = leader_of(nodes)
            assert leader is not None
            await leader.propose(b"first")  # so that nothing but the next command is not committed
            for node in nodes:
                if node is not leader:
                    network.block(leader.identity.node_id, node.identity.node_id)
            tasks.start_soon(waiting, leader)
            await until(lambda: leader.status().last_index > leader.status().commit_index)
    assert [type(error) for error in told] == [OutcomeUnknown]
    with pytest.raises(Stopped):
        await nodes[0].propose(b"late")


async def test_wrong_and_oversize_commands_are_refused_at_once() -> None:
    async with alone() as node:
        with pytest.raises(TypeError, match="commands are bytes"):
            await node.propose("text")  # type: ignore[arg-type]
        with pytest.raises(TooLarge, match="limit"):
            await node.propose(bytes(5 * 1024 * 1024))
        assert await node.propose_many([]) == []
        assert await node.propose(b"") == b"did "


async def test_a_full_queue_refuses_and_names_its_bound() -> None:
    node = Node(MemoryStore("n1", ALONE), MemoryNetwork().transport("n1"), Recorder(), config=QUICK, most_waiting=1000)
    async with node:
        await node.propose(b"x")
        outcomes: list[object] = []

        async def caller() -> None:
            outcomes.extend(await node.propose_many([bytes(400)]))

        async with anyio.create_task_group() as tasks:
            for _ in range(10):
                tasks.start_soon(caller)
        refused = [outcome for outcome in outcomes if isinstance(outcome, Overloaded)]
        assert refused
        assert "the bound is 1000" in str(refused[0])


async def test_notices_tell_of_roles_and_leaders_and_end_with_the_node() -> None:
    seen = []
    async with anyio.create_task_group() as tasks:
        async with alone() as node:

            async def watch() -> None:
                with node.notices() as notices:
                    async for notice in notices:
                        seen.append(notice)

            tasks.start_soon(watch)
            await node.propose(b"x")
    assert RoleChanged("leader", 1) in seen
    assert LeaderChanged("n1", 1) in seen


async def test_a_node_is_restarted_from_its_disk_and_applies_everything_again(tmp_path: Path) -> None:
    for boot in (1, 2):
        store = SqliteStore.open(tmp_path / "n1", node_id="n1", initial=ALONE)
        machine = Recorder()
        async with Node(store, MemoryNetwork().transport("n1"), machine, config=QUICK) as node:
            assert node.identity.boot == boot
            await node.propose(b"boot %d" % boot)
    assert machine.applied == [b"boot 1", b"boot 2"]


async def test_a_follower_forwards_and_the_result_comes_back() -> None:
    async with cluster(MemoryNetwork()) as nodes:
        follower = follower_of(nodes)
        assert await follower.propose_many([b"a", b"b"]) == [b"did a", b"did b"]


async def test_a_node_takes_id_and_boot_from_its_store() -> None:
    store = MemoryStore("n1", ALONE).restarted()
    node = Node(store, MemoryNetwork().transport("n1"), Recorder(), config=QUICK)
    assert (node.config.id, node.config.boot) == ("n1", 2)
    assert isinstance(node.identity, Identity)
    with pytest.raises(Stopped):
        node.status()
    async with node:
        pass
    with pytest.raises(RuntimeError, match="entered once"):
        await node.__aenter__()


async def test_a_call_waits_as_long_as_it_was_told_to_and_no_longer() -> None:
    network = MemoryNetwork()
    configuration = Configuration.of("n1", "n2", "n3")
    node = Node(MemoryStore("n1", configuration), network.transport("n1"), Recorder(), config=QUICK, timeout=0.2)
    async with node:
        for timeout, seconds in ((None, 0.2), (0.5, 0.5)):
            began = anyio.current_time()
            with pytest.raises(NotLeader):
                await node.propose(b"x", timeout=timeout)
            assert seconds <= anyio.current_time() - began < seconds + 0.3


async def test_a_call_may_wait_longer_than_the_node_does() -> None:
    network = MemoryNetwork()
    async with cluster(network, config=PATIENT) as nodes:
        leader = leader_of(nodes)
        assert leader is not None
        leader._calls.timeout = 0.1  # the node's own patience
        others = [node.identity.node_id for node in nodes if node is not leader]
        for other in others:
            network.block(leader.identity.node_id, other)
        began = anyio.current_time()
        with pytest.raises(OutcomeUnknown):
            await leader.propose(b"x", timeout=0.4)
        assert anyio.current_time() - began >= 0.4


async def test_commands_that_gather_stay_within_the_limit_of_a_proposal() -> None:
    config = dataclasses.replace(QUICK, max_command_bytes=1000, max_proposal_bytes=1000)
    node = Node(MemoryStore("n1", ALONE), MemoryNetwork().transport("n1"), Recorder(), config=config)
    async with node:
        outcomes: list[object] = []

        async def caller() -> None:
            outcomes.extend(await node.propose_many([bytes(90)]))

        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(caller)
        assert outcomes == [b"did " + bytes(90)] * 20


async def test_notices_of_a_stopped_node_end_at_once() -> None:
    async with alone() as node:
        pass
    with anyio.fail_after(1):
        assert [notice async for notice in node.notices()] == []


async def test_results_that_are_not_bytes_stop_the_node_where_they_were_made() -> None:
    class Talkative(Recorder):
        def apply(self, first_index: int, commands: Sequence[bytes]) -> list[bytes]:
            return ["done"] * len(commands)  # type: ignore[list-item]

    with pytest.raises(NodeFailed, match="results that are not bytes"):
        async with alone(Talkative()) as node:
            with pytest.raises(OutcomeUnknown):
                await node.propose(b"x")
            await anyio.sleep(10)


async def test_limits_that_no_frame_can_carry_are_refused() -> None:
    with pytest.raises(ValueError, match="max_command_bytes must be at most"):
        dataclasses.replace(QUICK, max_command_bytes=32 * 1024 * 1024)
