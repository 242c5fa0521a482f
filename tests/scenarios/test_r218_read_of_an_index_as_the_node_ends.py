"""R218: a read is confirmed, is to wait for an index that is not applied yet, and in the same moment the node ends.

Found by reading: a stopped node tells everybody who waits; this one began to wait afterwards, for as long as its time
was, and was then told that the index had not been applied in time.
"""

from typing import Any

import anyio
import pytest

from rafty_core import Configuration, Stopped
from rafty_transports.memory import MemoryNetwork
from rafty_transports.node import Node
from rafty_transports.storage.memory import MemoryStore
from tests.transports.nodes import QUICK, Recorder

pytestmark = pytest.mark.anyio


async def test_r218_the_end_of_the_node_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    confirmed, ended = anyio.Event(), anyio.Event()
    wait_for = Node._wait_for
    told: list[Stopped] = []

    async def wait_a_little_longer(node: Node, *arguments: Any) -> Any:
        answer = await wait_for(node, *arguments)
        confirmed.set()
        await ended.wait()
        return answer

    async def read(node: Node) -> None:
        try:
            await node.read(at_least=1_000_000, timeout=60.0)
        except Stopped as stopped:
            told.append(stopped)

    store = MemoryStore("n1", Configuration.of("n1"))
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            async with Node(store, MemoryNetwork().transport("n1"), Recorder(), config=QUICK) as node:
                await node.read()
                monkeypatch.setattr(Node, "_wait_for", wait_a_little_longer)
                tasks.start_soon(read, node)
                await confirmed.wait()
            ended.set()
    assert len(told) == 1
