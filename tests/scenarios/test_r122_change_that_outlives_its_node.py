"""R122: a change of membership ends when its node ends, also while the newcomer is asked who it is.

Found by reading: the node forgot the call, for nothing had been asked of the core yet; seconds later, when the newcomer
had answered, the call asked a core that nobody drives any more, and waited for ever. Nor did its `timeout` count.
"""

from collections.abc import Iterable, Sequence

import anyio
import pytest

from rafty_core import Change, ChangeRefused, Configuration, Member, Stopped
from rafty_transports.interfaces import Identity
from rafty_transports.memory import MemoryNetwork, MemoryTransport
from rafty_transports.node import Node
from rafty_transports.storage.memory import MemoryStore
from tests.transports.nodes import QUICK, Recorder

pytestmark = pytest.mark.anyio

ADDED = [Change("add_voter", Member("n2", "host:1"))]


class Asking(MemoryTransport):
    """A transport whose peers answer who they are when the test wants it."""

    def __init__(self) -> None:
        super().__init__(MemoryNetwork(), "n1", 1 << 20)
        self.asked = anyio.Event()
        self.answered = anyio.Event()

    def set_members(self, members: Sequence[Member], removed: Iterable[Member]) -> None:
        pass

    async def identify(self, node_id: str, address: str) -> Identity:
        self.asked.set()
        await self.answered.wait()
        return Identity("c.1", node_id, "cafe", 1)


@pytest.mark.parametrize("answers", [False, True])
async def test_r122_the_end_of_the_node_is_told(answers: bool) -> None:
    transport = Asking()
    ended: list[Exception] = []

    async def change(node: Node) -> None:
        try:
            await node.change_membership(ADDED)
        except Stopped as error:
            ended.append(error)

    with anyio.fail_after(3):
        async with anyio.create_task_group() as tasks:
            store = MemoryStore("n1", Configuration.of("n1"))
            async with Node(store, transport, Recorder(), config=QUICK) as node:
                await node.read()
                tasks.start_soon(change, node)
                await transport.asked.wait()
            if answers:  # in the same moment
                transport.answered.set()
    assert len(ended) == 1


async def test_r122_the_time_of_the_call_counts() -> None:
    store = MemoryStore("n1", Configuration.of("n1"))
    async with Node(store, Asking(), Recorder(), config=QUICK) as node:
        await node.read()
        with anyio.fail_after(3), pytest.raises(ChangeRefused, match="did not say in time who it is"):
            await node.change_membership(ADDED, timeout=0.05)
        assert node.status().configuration.voter_ids == ("n1",)
