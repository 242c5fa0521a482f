"""Those who mean harm to one node: each does one thing, again and again, as fast as it is let.

Law: *they know all that is no secret: addresses, the cluster's id, the names of its nodes.* The cluster is one without
certificates, for with them most of these do not come as far.
"""

import itertools
import struct
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import anyio
from anyio.abc import SocketStream

from rafty_core.messages import Heartbeat, RequestVote
from rafty_transports.addresses import split_address
from rafty_transports.codec import VERSION, encode
from rafty_transports.handshake import Admission, HandshakeFailed, dial
from rafty_transports.interfaces import Identity, Refused

_numbers = itertools.count(1)
_GONE = (OSError, anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError, HandshakeFailed, Refused)


class Target:
    """The node that is attacked: where it listens for nodes and for clients, and what it is called."""

    def __init__(self, node_id: str, cluster_id: str, nodes: str, clients: str) -> None:
        self.node_id = node_id
        self.cluster_id = cluster_id
        self.nodes = nodes
        self.clients = clients
        self.done: dict[str, int] = {}

    async def connect(self, address: str) -> SocketStream:
        """A bare connection."""
        host, port = split_address(address)
        return await anyio.connect_tcp(host, port)

    async def agreed(self) -> tuple[SocketStream, str]:
        """A connection with a right handshake, in a name that nobody has; and the name."""
        name = f"x{next(_numbers)}"
        stream = await self.connect(self.nodes)
        stranger = Identity(self.cluster_id, name, f"incarnation-{name}", 1)
        try:
            await dial(stream, stranger, self.node_id, Admission(lambda _: None))
        except BaseException:
            await anyio.aclose_forcefully(stream)
            raise
        return stream, name


async def junk(target: Target) -> None:
    """What is no handshake."""
    async with await target.connect(target.nodes) as stream:
        await stream.send(b"GET / HTTP/1.1\r\n\r\n" * 50)
        await stream.receive()


async def silence(target: Target) -> None:
    """Connections that say nothing, many at a time."""
    async with await target.connect(target.nodes) as stream:
        await stream.receive()


async def trickle(target: Target) -> None:
    """A handshake, a byte at a time."""
    async with await target.connect(target.nodes) as stream:
        for byte in b"rfty\x0f" + bytes(4000):
            await stream.send(bytes([byte]))
            await anyio.sleep(0.02)


async def announcements(target: Target) -> None:
    """A right handshake, then frames that announce sixteen mebibytes and do not end."""
    stream, _ = await target.agreed()
    async with stream:
        await stream.send(struct.pack(">IIBB", 16 * 1024 * 1024, 0, VERSION, 5))
        while True:
            await stream.send(bytes(65536))


async def wrong_frames(target: Target) -> None:
    """A right handshake, then frames that are none."""
    stream, _ = await target.agreed()
    async with stream:
        await stream.send(struct.pack(">IIBB", 2**31, 0, VERSION, 7) + bytes(100))
        await stream.receive()


async def terms(target: Target) -> None:
    """A right handshake, then a flood of candidates with better logs, and of terms that no cluster reaches."""
    stream, name = await target.agreed()
    async with stream:
        for term in itertools.count(2):
            vote = encode(RequestVote(name, target.node_id, term, 2**40, term - 1))
            absurd = encode(Heartbeat(name, target.node_id, 2**50 + term, 0, 1))
            await stream.send(b"".join((*vote, *absurd)) * 50)
            await anyio.sleep(0.001)


async def slow_requests(target: Target) -> None:
    """A client whose request announces megabytes and comes a byte at a time."""
    async with await target.connect(target.clients) as stream:
        await stream.send(b"*2\r\n$3\r\nGET\r\n$4000000\r\n")
        while True:
            await stream.send(b"x")
            await anyio.sleep(0.05)


async def wrong_requests(target: Target) -> None:
    """A client that does not speak RESP."""
    async with await target.connect(target.clients) as stream:
        await stream.send(b"*99999999\r\n" + bytes(1000))
        while True:
            await stream.receive()


ATTACKS: Final[Mapping[str, tuple[Callable[[Target], Awaitable[None]], int]]] = {
    "junk": (junk, 4),
    "silence": (silence, 60),
    "trickle": (trickle, 20),
    "announcements": (announcements, 8),
    "wrong frames": (wrong_frames, 4),
    "terms": (terms, 2),
    "slow requests": (slow_requests, 100),
    "wrong requests": (wrong_requests, 4),
}
"""What is done, and by how many at a time."""


async def attack(target: Target) -> None:
    """All attacks at once, for ever; `target.done` counts how often each ended."""
    async with anyio.create_task_group() as tasks:
        for name, (function, many) in ATTACKS.items():
            target.done[name] = 0
            for _ in range(many):
                tasks.start_soon(_again, name, function, target)


async def _again(name: str, function: Callable[[Target], Awaitable[None]], target: Target) -> None:
    while True:
        try:
            await function(target)
        except* _GONE:
            pass
        target.done[name] += 1
        await anyio.sleep(0.02)
