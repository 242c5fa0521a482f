"""Fault F97: a proposal is dropped in silence, at a step-down, a shutdown or a truncation, and its caller waits on.

Every call ends with a result or a typed error, long before its own patience does.
"""

from dataclasses import replace

import anyio
import pytest

from rafty_core import OutcomeUnknown, ProposalError, Superseded
from rafty_transports.memory import MemoryNetwork
from rafty_transports.node import Node
from tests.transports.nodes import IDS, QUICK, cluster, follower_of, leader_of, until

pytestmark = pytest.mark.anyio

LONG = 60.0
CONFIG = replace(QUICK, forward_timeout=LONG)
CALLS = 12


async def call(node: Node, command: bytes, answers: dict[bytes, bytes | ProposalError]) -> None:
    """Propose this and note what comes of it."""
    try:
        answers[command] = await node.propose(command, timeout=LONG)
    except ProposalError as error:
        answers[command] = error


def leader_and_follower(nodes: list[Node]) -> tuple[Node, Node]:
    """The node that leads, and one that does not."""
    leader = leader_of(nodes)
    assert leader is not None
    return leader, follower_of(nodes)


def cut_off(network: MemoryNetwork, node: Node) -> None:
    """Nobody hears this node any more."""
    for other in IDS:
        if other != node.identity.node_id:
            network.block(node.identity.node_id, other)


async def test_f97_leader_steps_down_and_its_entries_are_truncated() -> None:
    network, answers = MemoryNetwork(), dict[bytes, bytes | ProposalError]()
    with anyio.fail_after(10):
        async with cluster(network, config=CONFIG) as nodes, anyio.create_task_group() as tasks:
            old, _ = leader_and_follower(nodes)
            cut_off(network, old)
            for number in range(CALLS):
                tasks.start_soon(call, old, b"%d" % number, answers)
            others = [node for node in nodes if node is not old]
            await until(lambda: leader_of(others) is not None and old.status().role != "leader", 5.0)
            new, _ = leader_and_follower(others)
            await new.propose(b"the new leader's")
            network.heal()
            await until(lambda: len(answers) == CALLS, 5.0)
    assert all(isinstance(answer, bytes | Superseded | OutcomeUnknown) for answer in answers.values())


@pytest.mark.parametrize("role", ["leader", "follower"])
async def test_f97_node_is_stopped_while_proposals_are_open(role: str) -> None:
    network, answers = MemoryNetwork(), dict[bytes, bytes | ProposalError]()
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            async with cluster(network, config=CONFIG) as nodes:
                leader, follower = leader_and_follower(nodes)
                node = leader if role == "leader" else follower
                cut_off(network, leader)
                for number in range(CALLS):
                    tasks.start_soon(call, node, b"%d" % number, answers)
                await until(lambda: bool(node._calls._open), 2.0)
            await until(lambda: len(answers) == CALLS, 2.0)
    assert {type(answer) for answer in answers.values()} <= {OutcomeUnknown}


async def test_f97_leader_that_was_forwarded_to_is_gone() -> None:
    network, answers = MemoryNetwork(), dict[bytes, bytes | ProposalError]()
    with anyio.fail_after(10):
        async with cluster(network, config=CONFIG) as nodes, anyio.create_task_group() as tasks:
            leader, follower = leader_and_follower(nodes)
            cut_off(network, leader)
            for number in range(CALLS):
                tasks.start_soon(call, follower, b"%d" % number, answers)
            await until(lambda: len(answers) == CALLS, 5.0)
    assert all(isinstance(answer, bytes | OutcomeUnknown) for answer in answers.values())
