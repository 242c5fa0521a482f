"""A live cluster over TCP under load, for tests of hostile peers, and what those do to it."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace

import anyio
from anyio.abc import SocketStream

from rafty_core import Campaign, Config, Configuration
from rafty_core.configuration import Member
from rafty_transports.interfaces import Identity
from rafty_transports.links import Limits
from rafty_transports.node import Node
from rafty_transports.storage.memory import MemoryStore
from rafty_transports.tcp import TcpTransport
from tests.transports.connections import connect_as, free_address
from tests.transports.nodes import Recorder, leader_of, until

STEADY = Config(id="any", election_timeout=1.0, heartbeat_interval=0.05)
LIMITS = Limits(
    handshake=0.4,
    keep_alive=0.05,
    idle=1.0,
    frame=0.4,
    backoff_first=0.01,
    backoff_last=0.05,
    connections=40,
    connections_per_address=24,
    handshakes=8,
    guests=3,
    guest_bytes=20 * 1024 * 1024,
)


@dataclass
class Besieged:
    """Three nodes, one of which leads; somebody writes all the time. `gate` is the transport of the leader."""

    nodes: list[Node]
    transports: dict[str, TcpTransport]
    leader: Node
    term: int
    latencies: list[float] = field(default_factory=list)
    failures: list[Exception] = field(default_factory=list)

    @property
    def gate(self) -> TcpTransport:
        """The transport of the leader."""
        return self.transports[self.leader.identity.node_id]

    @property
    def stranger(self) -> Identity:
        """Somebody who knows the cluster, and of whom the cluster knows nothing."""
        return replace(self.leader.identity, node_id="x1", incarnation="incarnation-of-x1", boot=1)

    @property
    def member(self) -> Identity:
        """A follower: somebody who was told its names could claim to be it."""
        return next(node.identity for node in self.nodes if node is not self.leader)

    async def connect(self, mine: Identity) -> SocketStream:
        """A connection to the leader with a finished handshake."""
        return await connect_as(self.gate.address, mine, self.leader.identity.node_id)

    async def refused(self, reason: str, count: int = 1) -> None:
        """Wait until the leader has refused so many for this reason."""
        await until(lambda: self.gate.refusals[reason] >= count, 5.0)

    async def stands(self) -> None:
        """Fail unless the same leader leads in the same term, and 20 more writes are done without a failure."""
        done = len(self.latencies) + 20
        await until(lambda: len(self.latencies) >= done or bool(self.failures), 10.0)
        assert not self.failures
        assert leader_of(self.nodes) is self.leader
        assert [node.status().term for node in self.nodes] == [self.term] * 3
        assert {node.status().leader for node in self.nodes} == {self.leader.identity.node_id}

    async def write(self) -> None:
        """Write one after the other, for ever, but not as fast as can be: others are to be served, too."""
        number = 0
        while True:
            number += 1
            begin = anyio.current_time()
            try:
                with anyio.fail_after(5):
                    await self.leader.propose(b"%d" % number)
            except Exception as error:
                self.failures.append(error)
                return
            self.latencies.append(anyio.current_time() - begin)
            await anyio.sleep(0.002)


@asynccontextmanager
async def besieged(limits: Limits = LIMITS, absent: str = "") -> AsyncIterator[Besieged]:
    """A cluster that is written to; `absent` is one more member that never runs."""
    addresses = {node_id: free_address() for node_id in ("n1", "n2", "n3")}
    members = [Member(*pair) for pair in addresses.items()] + [Member(absent)] * bool(absent)
    configuration = Configuration(voters=tuple(members))
    transports: dict[str, TcpTransport] = {}
    async with AsyncExitStack() as stack:
        nodes = []
        for node_id, address in addresses.items():
            store = MemoryStore(node_id, configuration)
            peers = {other: where for other, where in addresses.items() if other != node_id}
            transport = TcpTransport(store.identity, peers, address, admit=store.meet, limits=limits)
            transports[node_id] = transport
            nodes.append(await stack.enter_async_context(Node(store, transport, Recorder(), config=STEADY)))
        await until(
            lambda: all(peer.connected for end in transports.values() for peer in end.peers().values()) or absent != ""
        )
        nodes[0]._tell(Campaign())
        await until(lambda: leader_of(nodes) is not None and all(node.status().leader for node in nodes))
        leader = leader_of(nodes)
        assert leader is not None
        state = Besieged(nodes, transports, leader, leader.status().term)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(state.write)
            await until(lambda: len(state.latencies) > 5)
            yield state
            await state.stands()
            tasks.cancel_scope.cancel()
