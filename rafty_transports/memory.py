"""Nodes of one process that talk through queues: for tests, for benchmarks, for a first look.

Law: *what arrives has been bytes in between.* No two nodes ever share an object, and what the codec would refuse is
lost here too (fault F135).
"""

import logging
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rafty_core.configuration import check_node_id
from rafty_core.events import PeerUnreachable
from rafty_transports.codec import DecodeError, EncodeError, decode, encode
from rafty_transports.interfaces import Travelling
from rafty_transports.queues import Inbox, Incoming

logger = logging.getLogger(__name__)


class MemoryNetwork:
    """A network in memory: `transport(node_id)` is one node's end of it.

    `inbox_bytes` bounds what waits for each node. Messages arrive at once, in order, and exactly once, unless a link
    is blocked, an inbox is full, or the receiving transport is not open: then they are lost.
    """

    def __init__(self, inbox_bytes: int = 16 * 1024 * 1024) -> None:
        self._inbox_bytes = inbox_bytes
        self._open: dict[str, MemoryTransport] = {}
        self._blocked: set[frozenset[str]] = set()

    def transport(self, node_id: str) -> "MemoryTransport":
        """A transport for the node of this name; a new one for each start of the node."""
        check_node_id(node_id)
        return MemoryTransport(self, node_id, self._inbox_bytes)

    def block(self, one: str, other: str) -> None:
        """Lose everything between these two from now on, in both directions."""
        self._blocked.add(frozenset((one, other)))

    def heal(self) -> None:
        """Let everything through again."""
        self._blocked.clear()

    def route(self, sender: str, to: str) -> "MemoryTransport | None":
        """The open transport that a message takes, or None if it is lost."""
        return None if frozenset((sender, to)) in self._blocked else self._open.get(to)

    def attach(self, transport: "MemoryTransport") -> None:
        """Called by a transport when it opens. Raises `ValueError` if a node of its name is open."""
        if transport.node_id in self._open:
            raise ValueError(f"a transport of {transport.node_id} is open in this network already")
        self._open[transport.node_id] = transport

    def detach(self, transport: "MemoryTransport") -> None:
        """Called by a transport when it closes."""
        if self._open.get(transport.node_id) is transport:
            del self._open[transport.node_id]


class MemoryTransport:
    """A `Transport` in a `MemoryNetwork`; `dropped` counts messages that were lost on the way from here."""

    def __init__(self, network: MemoryNetwork, node_id: str, inbox_bytes: int) -> None:
        self.node_id = node_id
        self.dropped = 0
        self._network = network
        self._inbox = Inbox(inbox_bytes)
        self._reported: set[str] = set()

    async def __aenter__(self) -> Self:
        self._network.attach(self)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._network.detach(self)
        self._inbox.close()

    def send(self, message: Travelling) -> None:
        """See `Transport.send`. A message with another sender is lost: nobody speaks for others (fault F130)."""
        target = self._network.route(self.node_id, message.to)
        if target is not None and message.sender == self.node_id and target.deliver(message):
            self._reported.discard(message.to)
            return
        self.dropped += 1
        if message.to not in self._reported:
            self._reported.add(message.to)
            self._inbox.add([PeerUnreachable(message.to)], 0)

    def deliver(self, message: Travelling) -> bool:
        """Put a copy of this message into the inbox of this end; False if it is full, or if no copy can be made."""
        if self._inbox.full:
            return False
        try:
            frame = b"".join(encode(message))
            copy = decode(memoryview(frame)[4:])
        except (EncodeError, DecodeError) as error:
            logger.error("a %s to %s is not sent: %s", type(message).__name__, message.to, error)
            return False
        self._inbox.add([copy], len(frame))
        return True

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Sequence[Incoming]:
        return await self._inbox.take()
