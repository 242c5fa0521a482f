"""Transports that are wrong in one way each, for the tests of the kit that must name it.

Law: *each takes one rule out of a transport that is right.* They are ends of a `MemoryNetwork`, which delivers as soon
as `send` is called.
"""

import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from copy import copy
from types import TracebackType
from typing import Any, Self

import anyio

from rafty_core.events import PeerUnreachable
from rafty_core.messages import AppendEntries, Heartbeat
from rafty_transports.interfaces import Transport, Travelling
from rafty_transports.memory import MemoryNetwork, MemoryTransport

Items = Sequence[Travelling | PeerUnreachable]
LEFT: list[Callable[[], object]] = []
"""What ends that which leaks here, so that a test can."""


class Wrapped:
    """A transport around one that is right; a fault is one method that differs."""

    def __init__(self, inner: MemoryTransport, all_of_them: "dict[str, Any]") -> None:
        self.inner = inner
        self.node_id = inner.node_id
        self.all_of_them = all_of_them
        all_of_them[inner.node_id] = self

    async def __aenter__(self) -> Self:
        await self.inner.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        self.all_of_them.pop(self.node_id, None)
        await self.inner.__aexit__(kind, error, traceback)
        return None

    def send(self, message: Travelling) -> None:
        self.inner.send(message)

    def changed(self, items: Items) -> Items:
        """What is handed out of what came in."""
        return items

    async def __aiter__(self) -> AsyncIterator[Items]:
        async for items in self.inner:
            yield self.changed(items)


class Right(Wrapped):
    """Nothing is wrong with this one."""


class AsyncSend(Wrapped):
    async def send(self, message: Travelling) -> None:  # type: ignore[override]
        self.inner.send(message)


class RaisesForUnknown(Wrapped):
    def send(self, message: Travelling) -> None:
        if message.to == "n9":
            raise KeyError(message.to)
        self.inner.send(message)


class BlocksInSend(Wrapped):
    """Waits for ever for a peer that is away."""

    def send(self, message: Travelling) -> None:
        if message.to == "n3" and "n3" not in self.all_of_them:
            threading.Event().wait()
        self.inner.send(message)


class SlowSend(Wrapped):
    def send(self, message: Travelling) -> None:
        if message.to == "n9":
            time.sleep(1.2)
        self.inner.send(message)


class LosesAKind(Wrapped):
    def send(self, message: Travelling) -> None:
        if type(message).__name__ != "SnapshotChunk":
            self.inner.send(message)


class ChangesAField(Wrapped):
    def changed(self, items: Items) -> Items:
        for item in items:
            if isinstance(item, Heartbeat) and item.term == 2**63 - 1:
                item.term = 2**62
        return items


class LosesTheSender(Wrapped):
    def changed(self, items: Items) -> Items:
        for item in items:
            if not isinstance(item, PeerUnreachable):
                item.sender = "n3"
        return items


class TellsEverybody(Wrapped):
    """Broadcasts, and leaves it to the receiver to look at `to`."""

    def send(self, message: Travelling) -> None:
        self.inner.send(message)
        for other in self.all_of_them.values():
            if other.node_id not in (message.to, self.node_id):
                other.inner._inbox.add([message], 100)


class HandsOutTheObject(Wrapped):
    def send(self, message: Travelling) -> None:
        target = self.all_of_them.get(message.to)
        if target is None or message.sender != self.node_id:
            self.inner.send(message)
        elif not target.inner._inbox.full:
            target.inner._inbox.add([self.handed(message)], 100)

    def handed(self, message: Travelling) -> Travelling:
        return message


class SharesTheBatch(HandsOutTheObject):
    def handed(self, message: Travelling) -> Travelling:
        return copy(message)


class Forges(Wrapped):
    """Believes the sender that stands in the message."""

    def send(self, message: Travelling) -> None:
        target = self.all_of_them.get(message.to)
        if message.sender == self.node_id or target is None:
            self.inner.send(message)
        else:
            target.inner.deliver(message)


class Reorders(Wrapped):
    def changed(self, items: Items) -> Items:
        return list(reversed(items))


class DropsTheOldest(Wrapped):
    def changed(self, items: Items) -> Items:
        appends = sum(isinstance(item, AppendEntries) for item in items)
        return items[len(items) // 2 :] if appends > 4 and len(items) == appends else items


class SaysNothingOfUnknown(Wrapped):
    def changed(self, items: Items) -> Items:
        return [item for item in items if not isinstance(item, PeerUnreachable)]


class SaysNothingOfSlow(Wrapped):
    def changed(self, items: Items) -> Items:
        return [item for item in items if not isinstance(item, PeerUnreachable) or item.peer == "n9"]


class Grows(Wrapped):
    """Keeps whatever waits for a peer that does not read."""

    def send(self, message: Travelling) -> None:
        target = self.all_of_them.get(message.to)
        if target is not None:
            target.inner._inbox._limit_bytes = 1 << 40
        self.inner.send(message)


class OneForAll(Wrapped):
    """Has one queue for all peers, so that one that does not read holds up the others."""

    def send(self, message: Travelling) -> None:
        if not any(end.inner._inbox.full for end in self.all_of_them.values() if end is not self):
            self.inner.send(message)


class NeedsItsPeers(Wrapped):
    async def __aenter__(self) -> Self:
        while len(self.all_of_them) < 2:
            await anyio.sleep(0.01)
        return await super().__aenter__()


class ForgetsRestarted(Wrapped):
    """Never sends to a peer again that was away."""

    def __init__(self, inner: MemoryTransport, all_of_them: dict[str, Any]) -> None:
        super().__init__(inner, all_of_them)
        self.away: set[str] = set()

    def send(self, message: Travelling) -> None:
        if message.to not in self.all_of_them:
            self.away.add(message.to)
        if message.to not in self.away:
            self.inner.send(message)


class NeverEnds(Wrapped):
    async def __aiter__(self) -> AsyncIterator[Items]:
        async for items in self.inner:
            yield items
        await anyio.sleep_forever()


class EndsWithAnError(Wrapped):
    async def __aiter__(self) -> AsyncIterator[Items]:
        async for items in self.inner:
            yield items
        raise ConnectionError("the connection is closed")


class TakesCancellation(Wrapped):
    """Ends the iteration when it is cancelled, as if the transport had closed."""

    def __aiter__(self) -> Any:
        return self

    async def __anext__(self) -> Items:
        try:
            return await self.inner.__anext__()
        except anyio.get_cancelled_exc_class():
            raise StopAsyncIteration from None


class LeavesInAGroup(Wrapped):
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        await super().__aexit__(kind, error, traceback)
        if isinstance(error, Exception):
            raise ExceptionGroup("unhandled errors in a task group", [error])
        return None


class SwallowsErrors(Wrapped):
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        await super().__aexit__(kind, error, traceback)
        return True


class NeverLeaves(Wrapped):
    """Waits, on leaving, until its peers have taken everything."""

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        while any(end.inner._inbox._bytes for end in self.all_of_them.values() if end is not self):
            await anyio.sleep(0.01)
        return await super().__aexit__(kind, error, traceback)


class LeaksAThread(Wrapped):
    async def __aenter__(self) -> Self:
        stop = threading.Event()
        LEFT.append(stop.set)
        threading.Thread(target=stop.wait, name="the leak", daemon=True).start()
        return await super().__aenter__()


class LeaksASocket(Wrapped):
    async def __aenter__(self) -> Self:
        LEFT.append(socket.socket().close)
        return await super().__aenter__()


def broken(kind: Callable[[MemoryTransport, dict[str, Any]], Transport]) -> Callable[[], Callable[[str], Transport]]:
    """What makes networks of this kind of transport."""

    def network() -> Callable[[str], Transport]:
        memory: MemoryNetwork = MemoryNetwork(2 * 1024 * 1024)
        all_of_them: dict[str, Any] = {}
        return lambda node_id: kind(memory.transport(node_id), all_of_them)

    return network
