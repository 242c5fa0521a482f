"""A transport through a Redis server: each node has a list there, on which the others push, and from which it pops.

Law: *a list that nobody pops from is cut, the newest first; a server that is away is tried again.*

Frames that have gathered for a peer are pushed as one value. An `Outbox` for each peer and an `Inbox` are what rafty's
own transports have: bounded, with lanes. Not done here: nobody is asked who he is, so that whoever may use the server
is believed (give it a password, and a network of its own), and a node that lost its disk is not told from the one
before (fault F116). A broker hides who is away. It must be up for the cluster to be up.
"""

import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Self

import anyio
import hiredis
from anyio.abc import ByteStream

from rafty_core.events import PeerUnreachable
from rafty_transports.codec import DecodeError, FrameSplitter, decode, is_keep_alive
from rafty_transports.interfaces import Travelling
from rafty_transports.queues import Inbox, Incoming, Outbox

MOST_VALUES = 32
"""So many values of about `VALUE_BYTES` at most wait for a node on the server, from all others together."""

VALUE_BYTES = 512 * 1024
LOST = (OSError, anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError)


class Redis:
    """A client that makes one call at a time."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream, self._reader = stream, hiredis.Reader()

    async def call(self, *words: Any) -> Any:
        await self._stream.send(hiredis.pack_command(words))
        while (reply := self._reader.gets()) is False:
            self._reader.feed(await self._stream.receive())
        if isinstance(reply, hiredis.HiredisError):
            raise OSError(f"the server refuses {words[0]!r}: {reply}")
        return reply


class RedisTransport:
    """The node of this id in a cluster of this name, whose other nodes are `peers`; the server is at host and port."""

    def __init__(self, node_id: str, cluster: str, peers: Iterable[str], host: str, port: int) -> None:
        self.node_id = node_id
        self._prefix, self._server = f"rafty:{cluster}:", (host, port)
        self._outboxes = {peer: Outbox(4096, 8 * 1024 * 1024) for peer in peers if peer != node_id}
        self._inbox = Inbox(8 * 1024 * 1024)
        self._reported: set[str] = set()

    def _key(self, node_id: str) -> bytes:
        return (self._prefix + node_id).encode()

    async def __aenter__(self) -> Self:
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        self._tasks.start_soon(self._keep, self._pull)
        for peer in self._outboxes:
            self._tasks.start_soon(self._keep, self._push, peer)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._inbox.close()
        self._tasks.cancel_scope.cancel()
        await self._tasks.__aexit__(None, None, None)

    def send(self, message: Travelling) -> None:
        """See `Transport.send`."""
        outbox = self._outboxes.get(message.to)
        if outbox is None or message.sender != self.node_id or not outbox.put(message):
            self._report(message.to)

    def _report(self, peer: str) -> None:
        if peer not in self._reported and len(self._reported) < 1000:
            self._reported.add(peer)
            self._inbox.add([PeerUnreachable(peer)], 0)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Sequence[Incoming]:
        return await self._inbox.take()

    async def _keep(self, work: Callable[..., Awaitable[None]], *arguments: str) -> None:
        """Do this on a connection of its own, and again on another one when that is lost."""
        while True:
            try:
                async with await anyio.connect_tcp(*self._server) as stream:
                    await work(Redis(stream), *arguments)
            except LOST as error:
                logging.getLogger(__name__).warning("%s lost the Redis server: %r", self.node_id, error)
            await anyio.sleep(0.2)

    async def _push(self, redis: Redis, peer: str) -> None:
        outbox = self._outboxes[peer]
        outbox.connected = True
        try:
            while True:
                value = b"".join(await outbox.take(VALUE_BYTES))
                if await redis.call(b"RPUSH", self._key(peer), value) > MOST_VALUES:
                    await redis.call(b"LTRIM", self._key(peer), 0, MOST_VALUES - 1)
                    self._report(peer)
                else:
                    self._reported.discard(peer)
        finally:
            outbox.connected = False
            outbox.clear()

    async def _pull(self, redis: Redis) -> None:
        await redis.call(b"DEL", self._key(self.node_id))  # what was meant for an earlier life
        while True:
            if (popped := await redis.call(b"BLPOP", self._key(self.node_id), 5)) is not None:
                await self._inbox.put(self._messages(popped[1]), len(popped[1]))

    def _messages(self, value: bytes) -> list[Travelling]:
        try:
            frames = [frame for frame in FrameSplitter().feed(value) if not is_keep_alive(frame)]
            messages = [decode(frame) for frame in frames]
        except DecodeError:
            return []
        return [message for message in messages if message.to == self.node_id]
