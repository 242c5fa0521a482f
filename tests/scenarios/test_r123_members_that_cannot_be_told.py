"""R123: a store that fails while a node starts is the node's failure, and no exception group.

Found by reading: the members are told to store and transport at the start; that was done inside the group of the node's
tasks, which wraps what its body raises. `rafty serve` then died with a traceback instead of a sentence.
"""

from collections.abc import Sequence

import pytest

from rafty_core import Configuration, Member
from rafty_transports.memory import MemoryNetwork
from rafty_transports.node import Node, NodeFailed
from rafty_transports.storage.errors import WriteFailed
from rafty_transports.storage.memory import MemoryStore
from tests.transports.nodes import QUICK, Recorder

pytestmark = pytest.mark.anyio


class Full(MemoryStore):
    """A store on a disk that is full."""

    def admit(self, members: Sequence[Member]) -> None:
        raise WriteFailed("the disk is full")


async def test_r123_the_failure_is_told_as_the_nodes() -> None:
    network = MemoryNetwork()
    with pytest.raises(NodeFailed, match="n1 failed: the disk is full") as raised:
        async with Node(Full("n1", Configuration.of("n1")), network.transport("n1"), Recorder(), config=QUICK):
            raise RuntimeError("the body must not begin")
    assert isinstance(raised.value.__cause__, WriteFailed)
    async with Node(
        MemoryStore("n1", Configuration.of("n1")), network.transport("n1"), Recorder(), config=QUICK
    ) as node:
        await node.read()  # nothing of the first is left
