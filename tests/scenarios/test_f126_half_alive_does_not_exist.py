"""Fault F126: one of a node's tasks dies and the others go on: it sends heartbeats, but applies nothing.

Whatever fails, the node ends, soon and with the reason; and after the failure nothing is applied, and nothing is sent.
"""

from collections.abc import Callable, Sequence
from random import Random

import anyio
import pytest

from rafty_core import Configuration, Heartbeat, ProposalError, Write
from rafty_transports.interfaces import Travelling
from rafty_transports.memory import MemoryNetwork, MemoryTransport
from rafty_transports.node import Node, NodeFailed
from rafty_transports.queues import Incoming
from rafty_transports.storage.memory import MemoryStore
from tests.transports.nodes import QUICK, Recorder, applied_by, leader_of, until

pytestmark = pytest.mark.anyio

PAIR = Configuration.of("n1", "n2")


class Failing(Random):
    """What may break, all of it in one place: a source of chance (asked by timers), and a note of when it was."""

    def __init__(self) -> None:
        super().__init__(1)
        self.broken = ""
        self.failed = False
        self.stops: Callable[[], bool] = lambda: False

    @property
    def is_over(self) -> bool:
        """Whether something has failed, and the node has got to know that."""
        return self.failed or self.stops()

    def fail_if(self, part: str) -> None:
        if self.broken == part:
            self.failed = part != "disk"  # that one fails in its thread, and the node knows a moment later
            raise ArithmeticError(f"the {part} is broken")

    def random(self) -> float:
        self.fail_if("timer")
        return super().random()


class Machine(Recorder):
    """Breaks when it is told to."""

    def __init__(self, chance: Failing) -> None:
        super().__init__()
        self.chance = chance
        self.late: list[bytes] = []

    def apply(self, first_index: int, commands: Sequence[bytes]) -> list[bytes]:
        if self.chance.is_over:
            self.late.extend(commands)
        if b"bad" in commands:
            self.chance.fail_if("machine")
        return super().apply(first_index, commands)


class Store(MemoryStore):
    """Breaks when it is told to."""

    chance: Failing

    def write(self, writes: Sequence[Write]) -> None:
        self.chance.fail_if("disk")
        super().write(writes)


class Link(MemoryTransport):
    """Breaks when it is told to, and notes what is sent after a failure."""

    chance: Failing
    late: list[Travelling]

    def send(self, message: Travelling) -> None:
        if self.chance.is_over:
            self.late.append(message)
        super().send(message)

    async def __anext__(self) -> Sequence[Incoming]:
        received = await super().__anext__()
        self.chance.fail_if("transport")
        return received


def fragile(network: MemoryNetwork, chance: Failing, initial: Configuration) -> tuple[Node, Machine, Link]:
    """n1, whose parts may all break."""
    store, machine = Store("n1", initial), Machine(chance)
    link = Link(network, "n1", 1_000_000)
    store.chance = link.chance = chance
    link.late = []
    node = Node(store, link, machine, config=QUICK, random=chance)
    chance.stops = lambda: node._stopping
    return node, machine, link


@pytest.mark.parametrize("part", ["machine", "disk", "transport", "timer"])
async def test_f126_failure_of_any_part_ends_the_node(part: str) -> None:
    network, chance, outcomes = MemoryNetwork(), Failing(), list[object]()
    two = Node(MemoryStore("n2", PAIR), network.transport("n2"), Recorder(), config=QUICK)
    node, machine, link = fragile(network, chance, PAIR)

    async def propose() -> None:
        try:
            outcomes.append(await node.propose(b"bad", timeout=30.0))
        except ProposalError as error:
            outcomes.append(error)

    with anyio.fail_after(8):
        async with two, anyio.create_task_group() as tasks:
            with pytest.raises(NodeFailed, match=f"the {part} is broken") as caught:
                async with node:
                    await until(lambda: leader_of([node, two]) is not None, 5.0)
                    chance.broken = part
                    if part == "timer":
                        network.block("n1", "n2")
                    tasks.start_soon(propose)
                    await anyio.sleep_forever()
            assert caught.value.__cause__ is not None
            await until(lambda: len(outcomes) == 1, 2.0)
    assert isinstance(outcomes[0], ProposalError) or applied_by(two) == [b"bad"]  # if the other one led
    assert (machine.late, link.late) == ([], [])


async def test_f126_task_that_runs_once_more_after_the_failure_does_nothing() -> None:
    """It was woken before the failure, by a message that would be answered at once."""
    network, chance = MemoryNetwork(), Failing()
    node, machine, link = fragile(network, chance, PAIR)
    two = Node(MemoryStore("n2", PAIR), network.transport("n2"), Recorder(), config=QUICK)
    with anyio.fail_after(8):
        async with two:
            with pytest.raises(NodeFailed):
                async with node:
                    await until(lambda: leader_of([node, two]) is not None, 5.0)
                    chance.broken = "machine"
                    await node.propose(b"bad")
                    await anyio.sleep_forever()
    assert chance.failed
    node._step([Heartbeat("n2", "n1", node.status().term + 1, 0, 1)])
    assert (machine.late, link.late) == ([], [])
