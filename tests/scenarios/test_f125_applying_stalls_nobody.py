"""Fault F125: a large backlog is applied in one go, heartbeats wait for it, and a healthy leader is deposed.

The backlog comes in portions, and between two portions everything else has its turn.
"""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from time import sleep

import anyio
import anyio.lowlevel
import pytest

from rafty_core import Configuration
from rafty_transports.memory import MemoryNetwork
from rafty_transports.node import Node
from rafty_transports.storage.memory import MemoryStore
from tests.transports.nodes import IDS, QUICK, Recorder, leader_of, until

pytestmark = pytest.mark.anyio

COMMAND = bytes(1000)
COMMANDS = 150
SECONDS_EACH = 0.004
CONFIG = replace(QUICK, max_apply_bytes=4000)


class Slow(Recorder):
    """Takes its time for each command, as a machine with real work does."""

    def __init__(self) -> None:
        super().__init__()
        self.portions: list[int] = []
        self.seconds = 0.0

    def apply(self, first_index: int, commands: Sequence[bytes]) -> list[bytes]:
        self.portions.append(len(commands))
        sleep(self.seconds * len(commands))
        return super().apply(first_index, commands)


async def test_f125_heartbeats_go_on_while_a_large_backlog_is_applied() -> None:
    network, machines = MemoryNetwork(), {node_id: Slow() for node_id in IDS}
    async with AsyncExitStack() as stack:
        nodes = [
            await stack.enter_async_context(
                Node(MemoryStore(name, Configuration.of(*IDS)), network.transport(name), machine, config=CONFIG)
            )
            for name, machine in machines.items()
        ]
        await until(lambda: leader_of(nodes) is not None and all(node.status().leader for node in nodes), 5.0)
        leader = leader_of(nodes)
        assert leader is not None
        machine = machines[leader.identity.node_id]
        machine.seconds = SECONDS_EACH
        term, longest = leader.status().term, 0.0
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(leader.propose_many, [COMMAND] * COMMANDS)
            with anyio.fail_after(8):
                while len(machine.applied) < COMMANDS:
                    before = anyio.current_time()
                    await anyio.lowlevel.checkpoint()
                    longest = max(longest, anyio.current_time() - before)
        assert 2 * QUICK.election_timeout < COMMANDS * SECONDS_EACH
        assert max(machine.portions) <= 4
        assert longest < QUICK.election_timeout
        assert {node.status().term for node in nodes} == {term}
        assert leader.status().role == "leader"
