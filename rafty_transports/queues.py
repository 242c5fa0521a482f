"""What waits to be sent and what waits to be taken: two bounded queues without a lock, a task or a stream per message.

Law: *everything that waits is counted in bytes, and what does not fit is dropped or made to wait, never kept.*

An `Outbox` belongs to one peer and drops the newest when it is full (faults F124, F149): the oldest are what the
follower needs next, and without them every later pipelined append would only be refused. Its three lanes let
heartbeats, votes and acknowledgements overtake appends, and appends overtake pieces of snapshots; nothing overtakes
within a lane. An `Inbox` is one node's, and readers wait while it is full, so that a slow node is felt by its peers as
a full window instead of by its own memory.
"""

import logging
from collections import deque
from collections.abc import Sequence
from typing import Final, TypeAlias

import anyio
import anyio.lowlevel

from rafty_core.events import PeerUnreachable
from rafty_core.messages import AppendEntries, ForwardedProposal, ForwardedProposalResponse, InstallSnapshot
from rafty_transports.chunks import SnapshotChunk
from rafty_transports.codec import KEEP_ALIVE, EncodeError, encode, weight
from rafty_transports.interfaces import Travelling

logger = logging.getLogger(__name__)

BULK: Final = frozenset((AppendEntries, ForwardedProposal, ForwardedProposalResponse, InstallSnapshot))
"""The kinds of message that keep to the slow lane. Every AppendEntries does: one that overtakes another is refused."""

HELD_MESSAGES: Final = 16
"""How many urgent messages wait for a connection that is being opened; of the others none."""

HELD_CHUNKS: Final = 16
"""How many pieces of snapshots wait for one peer: it asks for few at once, and again for what is lost."""

GUEST_SECONDS: Final = 0.0001
"""Guests say ten thousand messages a second, all together, at most."""

Incoming: TypeAlias = Travelling | PeerUnreachable


class Outbox:
    """Messages for one peer, until its writer takes them.

    `limit_messages` bounds each lane, `limit_bytes` the slow lane; a message always fits into an empty lane. While
    `connected` is False only a few urgent messages are held, so that no stale appends pile up for a peer that is away;
    none if `holding` is False, which is for one that cannot be reached at all. A piece of a snapshot is taken only
    behind everything else, one at a time, and only as far as the rest leaves room.
    """

    def __init__(self, limit_messages: int, limit_bytes: int) -> None:
        self.connected = False
        self.holding = True
        self.dropped = 0
        self._limit_messages = limit_messages
        self._limit_bytes = limit_bytes
        self._urgent: deque[Travelling] = deque()
        self._bulk: deque[tuple[Travelling, int]] = deque()
        self._chunks: deque[Travelling] = deque()
        self._bytes = 0
        self._missed = False
        self._keep_alive = False
        self._taken = False
        self._wake: anyio.Event | None = None

    def put(self, message: Travelling) -> bool:
        """Queue this message; False if it is dropped. Never waits, never raises."""
        kind = type(message)
        if kind in BULK:
            taken = self._has_room() and self._put_bulk(message)
        elif kind is SnapshotChunk:
            taken = self.connected and len(self._chunks) < HELD_CHUNKS
            if taken:
                self._chunks.append(message)
        else:
            taken = len(self._urgent) < (self._limit_messages if self.connected else self._held)
            if taken:
                self._urgent.append(message)
        if not taken:
            self.dropped += 1
            if self.connected:
                return False
            self._missed = True
        self._notify()
        return taken

    def _has_room(self) -> bool:
        if not self.connected:
            return False
        return len(self._bulk) < self._limit_messages and self._bytes < self._limit_bytes

    def _put_bulk(self, message: Travelling) -> bool:
        try:
            size = weight(message)
        except EncodeError as error:
            self._complain(message, error)
            return False
        self._bulk.append((message, size))
        self._bytes += size
        return True

    @property
    def _held(self) -> int:
        return HELD_MESSAGES if self.holding else 0

    async def wanted(self) -> None:
        """Wait until something is there to be sent, or was dropped since there is no connection."""
        while self.empty and not self._missed:
            self._wake = wake = anyio.Event()
            await wake.wait()
        self._missed = False

    def beat(self) -> None:
        """Have a keep-alive sent, unless something was taken since the last call."""
        if not self._taken:
            self._keep_alive = True
            self._notify()
        self._taken = False

    def _notify(self) -> None:
        if self._wake is not None:
            self._wake.set()
            self._wake = None

    async def take(self, limit_bytes: int) -> list[bytes]:
        """Wait until there is something, then take what has gathered, up to about `limit_bytes`, encoded.

        A message that cannot be encoded is dropped and counted.
        """
        while True:
            pieces = self._encode_urgent(limit_bytes) + self._encode_bulk(limit_bytes)
            if self._chunks and sum(map(len, pieces)) < limit_bytes:
                self._encode(self._chunks.popleft(), pieces)
            if not pieces and self._keep_alive:
                pieces = [KEEP_ALIVE]
            if pieces:
                self._taken = True
                self._keep_alive = False
                return pieces
            self._wake = wake = anyio.Event()
            await wake.wait()

    def _encode_urgent(self, limit_bytes: int) -> list[bytes]:
        pieces: list[bytes] = []
        while self._urgent and len(pieces) * 100 < limit_bytes:
            self._encode(self._urgent.popleft(), pieces)
        return pieces

    def _encode_bulk(self, limit_bytes: int) -> list[bytes]:
        pieces: list[bytes] = []
        total = 0
        while self._bulk and total < limit_bytes:
            message, size = self._bulk.popleft()
            self._bytes -= size
            total += size
            self._encode(message, pieces)
        return pieces

    def _encode(self, message: Travelling, pieces: list[bytes]) -> None:
        try:
            pieces += encode(message)
        except EncodeError as error:
            self.dropped += 1
            self._complain(message, error)

    def _complain(self, message: Travelling, error: EncodeError) -> None:
        logger.error("a %s to %s is not sent: %s", type(message).__name__, message.to, error)

    @property
    def empty(self) -> bool:
        """Whether nothing waits."""
        return not self._urgent and not self._bulk and not self._chunks

    def clear(self) -> None:
        """Drop everything that waits, and count it."""
        self.dropped += len(self._urgent) + len(self._bulk) + len(self._chunks)
        self._urgent.clear()
        self._bulk.clear()
        self._chunks.clear()
        self._bytes = 0


class Inbox:
    """What came in for one node, until it is taken; holds about `limit_bytes`, and one chunk per reader beyond."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._items: list[Incoming] = []
        self._bytes = 0
        self._closed = False
        self._error: BaseException | None = None
        self._guests = False
        self._guests_again = 0.0
        self._wake: anyio.Event | None = None
        self._room: anyio.Event | None = None

    @property
    def full(self) -> bool:
        """Whether a reader has to wait."""
        return self._bytes >= self._limit_bytes

    async def put(self, items: Sequence[Incoming], size: int, *, guest: bool = False) -> None:
        """Add these, which have about `size` bytes; waits while the inbox is full.

        What comes of a guest waits too while anything of a guest is there, and for `GUEST_SECONDS` for each of their
        messages: no flood of all of them together holds up the members.
        """
        while self._must_wait(guest):
            if guest and not self._guests and not self.full:
                await anyio.sleep_until(self._guests_again)
                continue
            if self._room is None:
                self._room = anyio.Event()
            await self._room.wait()
        await anyio.lowlevel.checkpoint_if_cancelled()  # who was cut off meanwhile is not heard any more (R208)
        if guest:
            self._guests = True
            self._guests_again = anyio.current_time() + GUEST_SECONDS * len(items)
        self.add(items, size)

    def forget(self, sender: str) -> None:
        """What this one has said and nobody has taken is not taken any more."""
        self._items = [item for item in self._items if isinstance(item, PeerUnreachable) or item.sender != sender]
        if not self._items:  # nothing to take, and so nobody would ever wake those who wait for room
            self._emptied()

    def _emptied(self) -> None:
        self._bytes, self._guests = 0, False
        if self._room is not None:
            self._room.set()
            self._room = None

    def _must_wait(self, guest: bool) -> bool:
        return self.full or (guest and (self._guests or anyio.current_time() < self._guests_again))

    def add(self, items: Sequence[Incoming], size: int) -> None:
        """Add these without waiting, full or not: for what is bounded already."""
        self._items += items
        self._bytes += size
        self._notify()

    def close(self, error: BaseException | None = None) -> None:
        """End the iteration, with this error if there is one. The first call counts."""
        if not self._closed:
            self._closed = True
            self._error = error
            self._notify()

    def _notify(self) -> None:
        if self._wake is not None:
            self._wake.set()
            self._wake = None

    async def take(self) -> list[Incoming]:
        """All that has gathered, at least one; waits for it. Raises `StopAsyncIteration` when closed, or the error."""
        while not self._items and not self._closed:
            if self._wake is None:
                self._wake = anyio.Event()
            await self._wake.wait()
        if self._closed:
            if self._error is not None:
                raise self._error
            raise StopAsyncIteration
        items, self._items = self._items, []
        self._emptied()
        return items
