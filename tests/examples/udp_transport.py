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
        self._socket = socket.socket(type=socket.SOCK_DGRAM)

    async def __aenter__(self) -> Self:
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
            self._socket.sendto(frame, self.nodes[message.to])
        except (EncodeError, OSError):
            self.dropped += 1
        except KeyError:
            self.dropped += 1
            self._unreachable = {*list(self._unreachable)[:1000], message.to}
            self._socket.sendto(b"", self.nodes[self.node_id])  # wakes who waits

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> list[Travelling | PeerUnreachable]:
        while True:
            items: list[Travelling | PeerUnreachable] = [PeerUnreachable(peer) for peer in self._unreachable]
            self._unreachable.clear()
            try:
                while len(items) < 100:
                    frame, source = self._socket.recvfrom(65535)
                    items += self._messages(frame, source)
            except BlockingIOError:
                pass
            except OSError:  # it was closed
                raise StopAsyncIteration from None
            if items:
                return items
            try:
                await anyio.wait_readable(self._socket)
            except anyio.ClosedResourceError:
                raise StopAsyncIteration from None

    def _messages(self, frame: bytes, source: tuple[str, int]) -> list[Travelling]:
        if frame[:8] != self._digest:
            return []
        try:
            message = decode(memoryview(frame)[8:])
        except DecodeError:
            return []
        right = message.to == self.node_id and self.nodes.get(message.sender) == source
        return [message] if right else []
