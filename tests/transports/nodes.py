"""Small clusters of real nodes in one process, for the tests of `Node`."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, BinaryIO

import anyio

from rafty_core import Config, Configuration
from rafty_transports.memory import MemoryNetwork
from rafty_transports.node import Node
from rafty_transports.storage.memory import MemoryStore

QUICK = Config(id="any", election_timeout=0.25, heartbeat_interval=0.03)
PATIENT = Config(id="any", election_timeout=1.0, heartbeat_interval=0.02)
IDS = ("n1", "n2", "n3")


class Recorder:
    """A state machine that keeps what it applied; its result names the command."""

    def __init__(self) -> None:
        self.applied: list[bytes] = []

    def apply(self, first_index: int, commands: Sequence[bytes]) -> list[bytes]:
        self.applied.extend(commands)
        return [b"did " + command for command in commands]

    def snapshot(self) -> Callable[[BinaryIO], None]:
        image = b"".join(b"%d:%b" % (len(command), command) for command in self.applied)

        def write(target: BinaryIO) -> None:
            target.write(image)

        return write

    def restore(self, index: int, source: BinaryIO) -> None:
        data, self.applied = source.read(), []
        while data:
            length, _, rest = data.partition(b":")
            self.applied.append(rest[: int(length)])
            data = rest[int(length) :]


async def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait for a condition, with a deadline."""
    with anyio.fail_after(seconds):
        while not condition():
            await anyio.sleep(0.005)


@asynccontextmanager
async def cluster(
    network: MemoryNetwork, ids: Sequence[str] = IDS, config: Config = QUICK, **settings: Any
) -> AsyncIterator[list[Node]]:
    """Nodes over an in-memory network, one of them leading."""
    configuration = Configuration.of(*ids)
    async with AsyncExitStack() as stack:
        nodes = []
        for node_id in ids:
            store = MemoryStore(node_id, configuration)
            node = Node(store, network.transport(node_id), Recorder(), config=config, **settings)
            nodes.append(await stack.enter_async_context(node))
        await until(lambda: leader_of(nodes) is not None and all(node.status().leader for node in nodes))
        yield nodes


def leader_of(nodes: Sequence[Node]) -> Node | None:
    """The node that leads, if there is one."""
    return next((node for node in nodes if node.status().role == "leader"), None)


def follower_of(nodes: Sequence[Node]) -> Node:
    """Some node that does not lead."""
    return next(node for node in nodes if node.status().role != "leader")


def applied_by(node: Node) -> list[bytes]:
    """What this node's recorder applied."""
    machine = node._machine.machine
    if not isinstance(machine, Recorder):
        raise TypeError("this node has another machine")
    return machine.applied
