"""A transport over UDP: no connections, no tasks, one datagram for each message.

Law: *what arrives is a whole frame of this cluster from the address of the node that it names, or it is nothing.*

Raft stands all that UDP does: loss, repetition, other order. What does not fit into a datagram never arrives: give the
node `Config(max_batch_bytes=...)` that fits, and do without snapshots, whose pieces are larger. Not done here: whoever
can send from a peer's address is believed, and a node that lost its disk is not told from the one before, since no
frame has its incarnation and boot (fault F116); a peer that is away, or slow, goes unnoticed.
"""

import hashlib
import socket
from collections.abc import Mapping
from contextlib import suppress
from typing import Self

import anyio

from rafty_core.events import PeerUnreachable
from rafty_transports.codec import DecodeError, EncodeError, decode, encode
from rafty_transports.interfaces import Travelling

LARGEST = 60_000


class UdpTransport:
    """`nodes` maps the id of each node, of this one too, to (IP address, port); `cluster` is the cluster's name."""

    def __init__(self, node_id: str, cluster: str, nodes: Mapping[str, tuple[str, int]]) -> None:
        self.node_id, self.nodes = node_id, dict(nodes)
        self.dropped = 0
        self._digest = hashlib.sha256(cluster.encode()).digest()[:8]
        self._unreachable: set[str] = set()

    async def __aenter__(self) -> Self:
        self._socket = socket.socket(type=socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind(self.nodes[self.node_id])
        return self

    async def __aexit__(self, *_: object) -> None:
        anyio.notify_closing(self._socket)
        self._socket.close()

    def send(self, message: Travelling) -> None:
        """See `Transport.send`."""
        try:
            frame = self._digest + b"".join(encode(message))[4:]
            if len(frame) > LARGEST or message.sender != self.node_id:
                raise EncodeError("this is not sent")
            if message.to not in self.nodes and len(self._unreachable) < 1000:
                self._unreachable.add(message.to)
            to = message.to if message.to in self.nodes else self.node_id  # what is not to it wakes who waits
            self._socket.sendto(frame, self.nodes[to])
        except (EncodeError, OSError):
            self.dropped += 1

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> list[Travelling | PeerUnreachable]:
        try:
            while not (items := self._received()):
                await anyio.wait_readable(self._socket)
        except (OSError, anyio.ClosedResourceError):
            raise StopAsyncIteration from None
        return items

    def _received(self) -> list[Travelling | PeerUnreachable]:
        items: list[Travelling | PeerUnreachable] = [PeerUnreachable(peer) for peer in self._unreachable]
        self._unreachable.clear()
        with suppress(BlockingIOError):
            while len(items) < 100:
                items += self._messages(*self._socket.recvfrom(65535))
        return items

    def _messages(self, frame: bytes, source: tuple[str, int]) -> list[Travelling]:
        with suppress(DecodeError):
            message = decode(memoryview(frame)[8:])
            if (frame[:8], source, self.node_id) == (self._digest, self.nodes.get(message.sender), message.to):
                return [message]
        return []
