"""The transports of the examples: each passes the kit, and carries a cluster of real nodes."""

import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import anyio
import pytest

from rafty_core import Config, Configuration
from rafty_transports.interfaces import Transport
from rafty_transports.node import Node
from rafty_transports.storage import MemoryStore
from rafty_transports.testing import check_transport
from tests.examples.redis_transport import RedisTransport
from tests.examples.udp_transport import UdpTransport
from tests.transports.connections import heartbeat, messages_of, rounds
from tests.transports.nodes import IDS, Recorder, applied_by, until

pytestmark = pytest.mark.anyio

CONFIG = Config(id="any", election_timeout=0.4, heartbeat_interval=0.05, max_batch_bytes=40_000)
NETWORKS = count(1)


def udp_network() -> Callable[[str], UdpTransport]:
    probes = [socket.socket(type=socket.SOCK_DGRAM) for _ in IDS]
    nodes: dict[str, tuple[str, int]] = {}
    for node_id, probe in zip(IDS, probes, strict=True):
        probe.bind(("127.0.0.1", 0))
        nodes[node_id] = probe.getsockname()
    for probe in probes:
        probe.close()
    return lambda node_id: UdpTransport(node_id, "shop", nodes)


@pytest.fixture(scope="module")
def redis_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a Redis server of this test's own."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("redis-server is not installed (Debian: apt-get install redis-server)")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    directory: Path = tmp_path_factory.mktemp("redis")
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(directory)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        yield port
    finally:
        server.terminate()
        server.wait(10)


class Cluster:
    """Three nodes over these transports, each in a task of its own, so that each can be ended alone."""

    def __init__(self, make: Callable[[str], Transport]) -> None:
        self.make = make
        self.nodes: dict[str, Node] = {}
        self.ends = {node_id: anyio.Event() for node_id in IDS}

    async def live(self, node_id: str) -> None:
        store = MemoryStore(node_id, Configuration.of(*IDS))
        async with Node(store, self.make(node_id), Recorder(), config=CONFIG, timeout=10.0) as node:
            self.nodes[node_id] = node
            await self.ends[node_id].wait()
        del self.nodes[node_id]


async def carries_a_cluster(make: Callable[[str], Transport]) -> None:
    """Three nodes commit what is proposed on each of them; so do two of them when the leader has gone."""
    cluster = Cluster(make)
    nodes = cluster.nodes
    async with anyio.create_task_group() as tasks:
        for node_id in IDS:
            tasks.start_soon(cluster.live, node_id)
        await until(lambda: len(nodes) == 3)
        for number, node in enumerate(nodes.values()):
            commands = [b"%d/%d" % (number, at) + bytes(200) for at in range(50)]
            assert len(await node.propose_many(commands)) == 50
        await until(lambda: all(len(applied_by(node)) == 150 for node in nodes.values()))
        first = [applied_by(node) for node in nodes.values()]
        assert first[0] == first[1] == first[2]
        leader = next(node_id for node_id, node in nodes.items() if node.status().role == "leader")
        cluster.ends[leader].set()
        await until(lambda: len(nodes) == 2)
        for node in nodes.values():
            await node.propose(b"without the first leader")
        await until(lambda: all(len(applied_by(node)) == 152 for node in nodes.values()))
        for end in cluster.ends.values():
            end.set()


async def test_udp_keeps_the_rules() -> None:
    await check_transport(udp_network, reports_loss=False, largest=50_000, most_bytes=8 << 20)


async def test_udp_carries_a_cluster() -> None:
    await carries_a_cluster(udp_network())


async def test_udp_refuses_strangers() -> None:
    """Another cluster's frames, those from another address, and bytes that are none."""
    make = udp_network()
    async with make("n1") as one, make("n2") as two:
        stranger = UdpTransport("n3", "another shop", one.nodes)
        async with stranger:
            one.nodes.pop("n3")
            stranger.send(heartbeat("n3", "n1", 7))
            stranger._socket.sendto(b"noise", one.nodes["n1"])
            two.nodes["n1"] = one.nodes["n1"]
            for number in range(3):
                two.send(heartbeat("n2", "n1", number))
            assert rounds(await messages_of(one, 3)) == [0, 1, 2]


def redis_network(port: int) -> Callable[[str], RedisTransport]:
    cluster = f"shop-{next(NETWORKS)}"
    return lambda node_id: RedisTransport(node_id, cluster, IDS, "127.0.0.1", port)


async def test_redis_keeps_the_rules(redis_port: int) -> None:
    await check_transport(lambda: redis_network(redis_port), ordered=True, reports_loss=False)


async def test_redis_carries_a_cluster(redis_port: int) -> None:
    await carries_a_cluster(redis_network(redis_port))


async def test_redis_server_that_comes_late(redis_port: int) -> None:
    """Nodes that find no server go on trying, and neither end nor block."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        nobody: int = probe.getsockname()[1]
    async with redis_network(nobody)("n1"):
        await anyio.sleep(0.05)
