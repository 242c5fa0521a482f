"""What tests of connections share: names, waiting with a deadline, and peers that do not keep the rules."""

import itertools
import os
import secrets
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress

import anyio
from anyio.abc import SocketStream

from rafty_core.events import PeerUnreachable
from rafty_core.messages import Heartbeat
from rafty_transports.handshake import Admission, dial
from rafty_transports.interfaces import Identity, Transport, Travelling
from rafty_transports.links import Limits
from rafty_transports.tcp import TcpTransport, split_address

QUICK = Limits(handshake=2.0, keep_alive=0.05, idle=5.0, backoff_first=0.01, backoff_last=0.05)
FORGETFUL = Limits(
    keep_alive=0.05, idle=5.0, backoff_first=0.01, backoff_last=0.05, guests=3, guest_silence=0.4, farewell=0.4
)
ANYWHERE = "127.0.0.1:0"
NOWHERE = "127.0.0.1:1"
BOOTSTRAP = "n1,n2,n3"


def identity(
    node_id: str,
    cluster_id: str = "shop.0123",
    incarnation: str = "",
    boot: int = 1,
    bootstrap: str = BOOTSTRAP,
    address: str = "",
) -> Identity:
    """The identity of a node of the cluster that all tests use."""
    return Identity(cluster_id, node_id, incarnation or f"incarnation-{node_id}", boot, bootstrap, address)


def admit_all(_: Identity) -> None:
    """Meets every peer without a second look."""


def admission() -> Admission:
    """Asks `admit_all`."""
    return Admission(admit_all)


async def until(condition: Callable[[], object], seconds: float = 8.0) -> None:
    """Wait until the condition holds; fail after `seconds`."""
    with anyio.fail_after(seconds):
        while not condition():
            await anyio.sleep(0.005)


async def messages_of(transport: Transport, count: int, seconds: float = 8.0) -> list[Travelling]:
    """The next `count` messages that come in, without what is said of peers."""
    got: list[Travelling] = []
    with anyio.fail_after(seconds):
        async for items in transport:
            got += [item for item in items if not isinstance(item, PeerUnreachable)]
            if len(got) >= count:
                break
    return got


async def unreachable_of(transport: Transport, seconds: float = 8.0) -> str:
    """The next peer that is said to be unreachable."""
    with anyio.fail_after(seconds):
        async for items in transport:
            for item in items:
                if isinstance(item, PeerUnreachable):
                    return item.peer
    raise RuntimeError("the transport closed")


def heartbeat(sender: str, to: str, round: int = 1) -> Heartbeat:
    """A small message with a number in it."""
    return Heartbeat(sender, to, 1, 0, round)


def rounds(messages: Sequence[object]) -> list[int]:
    """The numbers of the heartbeats among these."""
    return [message.round for message in messages if isinstance(message, Heartbeat)]


def node(node_id: str, peers: dict[str, str], limits: Limits = QUICK, listen: str = ANYWHERE) -> TcpTransport:
    """A transport of this node that admits everybody."""
    return TcpTransport(identity(node_id), peers, listen, admit=admit_all, limits=limits)


def _ports() -> Iterator[int]:
    """Ports for this process, one after the other, so that none is given to two; other workers have others.

    They are below those that the system takes for outgoing connections: one of them might have it by then.
    """
    count, worker = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")), os.environ.get("PYTEST_XDIST_WORKER", "gw0")
    size = 12_000 // count
    first = 20_000 + int(worker.removeprefix("gw")) * size
    begin = secrets.randbelow(size)
    return (first + (begin + number) % size for number in itertools.count())


_PORTS = _ports()


def free_address() -> str:
    """An address on which nobody listens, for a node that must know its own before it starts."""
    while True:
        address = ("127.0.0.1", next(_PORTS))
        with socket.socket() as probe, suppress(OSError):
            probe.bind(address)
            return f"{address[0]}:{address[1]}"


def reachable(
    node_id: str, peers: dict[str, str] | None = None, *, limits: Limits = QUICK, incarnation: str = "", boot: int = 1
) -> TcpTransport:
    """A transport of a node that says where it is reached, and admits everybody. It joined: no bootstrap."""
    address = free_address()
    mine = identity(node_id, incarnation=incarnation, boot=boot, bootstrap="", address=address)
    return TcpTransport(mine, peers or {}, address, admit=admit_all, limits=limits)


@asynccontextmanager
async def two_nodes(limits: Limits = QUICK) -> AsyncIterator[tuple[TcpTransport, TcpTransport]]:
    """n1 and n2, connected in both directions."""
    async with node("n1", {}, limits) as one, node("n2", {"n1": one.address}, limits) as two:
        one.set_peer("n2", two.address)
        await until(lambda: one.peers()["n2"].connected and two.peers()["n1"].connected)
        await until(lambda: one.peers()["n2"].accepted and two.peers()["n1"].accepted)
        yield one, two


async def connect(address: str) -> SocketStream:
    """A bare connection to this address."""
    host, port = split_address(address)
    return await anyio.connect_tcp(host, port)


async def connect_as(address: str, mine: Identity, to: str) -> SocketStream:
    """A connection with a finished handshake, on which a test may then say what it likes."""
    stream = await connect(address)
    try:
        await dial(stream, mine, to, admission())
    except BaseException:
        await anyio.aclose_forcefully(stream)
        raise
    return stream


async def closed_by_peer(stream: SocketStream, seconds: float = 5.0) -> bytes:
    """What the other side still said before it closed the connection."""
    said = b""
    with anyio.fail_after(seconds):
        try:
            while True:
                said += await stream.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            return said
