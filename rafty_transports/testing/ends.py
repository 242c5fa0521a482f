"""One end of a network under test: the transport of one node, and a task that takes what comes in, as a node does.

Law: *the kit uses a transport as `Node` does: opened once, one iteration for its whole life, `send` at any time.*
"""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio
from anyio.abc import TaskGroup

from rafty_core.events import PeerUnreachable
from rafty_transports.interfaces import Transport, Travelling
from rafty_transports.testing.conformance import Fault, calling, require
from rafty_transports.testing.samples import bytes_of, heartbeat, named

MakeTransport = Callable[[str], Transport]
"""A new transport for the node of this name, one for each of its starts; not open yet."""

RETRY = 0.05
"""Seconds after which a message that has not arrived is sent again."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the caller of the kit says of the transport; see `check_transport`."""

    ordered: bool
    reports_loss: bool
    largest: int
    most_bytes: int
    patience: float
    leave_within: float
    address: Callable[[Transport], str] | None


@dataclass
class End:
    """One node's end: what came in so far, and how the iteration ended."""

    node_id: str
    transport: Transport
    got: list[Travelling] = field(default_factory=list)
    unreachable: set[str] = field(default_factory=set)
    sent: dict[int, Travelling] = field(default_factory=dict)
    ended: bool = False
    error: Exception | None = None
    fault: str = ""
    failure: Exception | None = None
    gate: anyio.Event | None = None
    opened: anyio.Event = field(default_factory=anyio.Event)
    leaving: anyio.Event = field(default_factory=anyio.Event)
    left: anyio.Event = field(default_factory=anyio.Event)
    reader: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    read_ended: anyio.Event = field(default_factory=anyio.Event)

    async def live(self) -> None:
        """Open the transport, in a task of its own, and close it when `leaving` is set."""
        try:
            async with self.transport as entered:
                if entered is not self.transport:
                    self.fault = f"__aenter__ of {self.node_id}'s transport returned {entered!r:.80}, not itself"
                self.opened.set()
                await self.leaving.wait()
        except Exception as error:
            self.failure = error
        self.opened.set()
        self.left.set()

    def resume(self) -> None:
        """Take lists again."""
        if self.gate is not None:
            self.gate.set()
            self.gate = None

    def send(self, message: Travelling) -> None:
        """Send this. A `send` that raises, or returns something to wait for, is a fault."""
        self.sent[id(message)] = message
        with calling(f"send() on {self.node_id} for a message to {message.to}"):
            returned = self.transport.send(message)  # type: ignore[func-returns-value]
        if returned is not None:
            if hasattr(returned, "close"):
                returned.close()  # a coroutine that nobody waits for would warn later
            raise Fault(f"send() returned {returned!r:.80}; it must be a plain function that returns None")

    async def read(self) -> None:
        """Take everything that comes in until the transport closes, or `reader` is cancelled; never raises."""
        with self.reader:
            iterator = aiter(self.transport)
            try:
                async for items in iterator:
                    self._take(items)
                    del items  # or it would be held while this reader pauses
                    while self.gate is not None:
                        await self.gate.wait()
            except Exception as error:
                self.error = error
            finally:
                if isinstance(iterator, AsyncGenerator):
                    with anyio.CancelScope(shield=True):
                        await iterator.aclose()
            self.ended = True
        self.read_ended.set()

    def _take(self, items: Sequence[Travelling | PeerUnreachable]) -> None:
        if not isinstance(items, list | tuple):
            self.fault = f"{self.node_id} got {items!r:.80} from the iteration, where a list of messages is due"
            return
        for item in items:
            if isinstance(item, PeerUnreachable):
                self.unreachable.add(item.peer)
            else:
                self.got.append(item)
                if not self.fault and getattr(item, "to", None) != self.node_id:
                    self.fault = f"{self.node_id} got a message that is not to {self.node_id}: {named(item)}"

    def check(self) -> None:
        """Raise `Fault` for what was noticed while reading."""
        require(not self.fault, self.fault)
        if self.error is not None:
            raise Fault(f"the iteration on {self.node_id} raised {self.error!r:.200}") from self.error
        require(not self.ended, f"the iteration on {self.node_id} ended though the transport is open")


@dataclass(frozen=True)
class Net:
    """A fresh network, its ends, and how long to wait."""

    make: MakeTransport
    wanted: Wanted

    @asynccontextmanager
    async def open(self, *node_ids: str) -> AsyncIterator[list[End]]:
        """These nodes' ends. How they are left is judged by rules of its own."""
        async with together() as tasks:
            ends = [await self.enter(tasks, node_id) for node_id in node_ids]
            try:
                yield ends
            finally:
                for end in ends:
                    end.leaving.set()
                with anyio.move_on_after(self.wanted.leave_within):
                    for end in ends:
                        await end.left.wait()

    async def enter(self, tasks: TaskGroup, node_id: str) -> End:
        """Open a transport of this node, with a reader in the background; `leave` it."""
        with calling(f"making the transport of {node_id}"):
            end = End(node_id, self.make(node_id))
        tasks.start_soon(end.live)
        with within(self.wanted.patience, f"opening the transport of {node_id}"):
            await end.opened.wait()
        if end.failure is not None:
            raise Fault(f"opening the transport of {node_id} raised {end.failure!r:.200}") from end.failure
        tasks.start_soon(end.read)
        return end

    async def leave(self, end: End) -> None:
        """Close this transport; a fault if it takes long or raises."""
        end.leaving.set()
        with within(self.wanted.leave_within, f"leaving the transport of {end.node_id}"):
            await end.left.wait()
        if end.failure is not None:
            raise Fault(f"leaving the transport of {end.node_id} raised {end.failure!r:.200}") from end.failure

    async def until(self, condition: Callable[[], object], fault: str, seconds: float | None = None) -> None:
        """Wait until this holds; `fault` if it does not in time."""
        with within(self.wanted.patience if seconds is None else seconds, fault, exactly=True):
            while not condition():
                await anyio.sleep(0.005)

    async def deliver(self, one: End, other: End, message: Travelling) -> Travelling:
        """Send until it arrives, since transports may lose; returns what arrived."""
        expected = bytes_of(message)
        looked = 0
        with within(self.wanted.patience, _not_arrived(message, self.wanted.patience), exactly=True):
            while True:
                one.send(message)
                with anyio.move_on_after(RETRY):
                    while True:
                        for item in other.got[looked:]:
                            if same(item, expected):
                                return item
                        looked = len(other.got)
                        other.check()
                        await anyio.sleep(0.002)

    async def stop_reading(self, one: End, two: End) -> None:
        """From now on `two` takes nothing, once a connection from `one` is there and has brought one more message."""
        await self.warm(one, two)
        two.gate = anyio.Event()
        await self.deliver(one, two, heartbeat(one.node_id, two.node_id, 999))
        two.got.clear()

    async def warm(self, one: End, other: End) -> None:
        """Have both hear of each other once, so that connections are there."""
        for start, goal in ((one, other), (other, one)):
            await self.deliver(start, goal, heartbeat(start.node_id, goal.node_id, 0))


def same(item: object, expected: bytes) -> bool:
    """Whether this is the message of these bytes."""
    try:
        return bytes_of(item) == expected  # type: ignore[arg-type]
    except Exception:
        return False


def _not_arrived(message: Travelling, seconds: float) -> str:
    text = f"a {type(message).__name__} from {message.sender} to {message.to} did not arrive within {seconds:g} s"
    return f"{text}, though it was sent again and again: {named(message)}"


class within:  # noqa: N801
    """What is inside takes less than `seconds`, or is cancelled, which is a fault."""

    def __init__(self, seconds: float, what: str, *, exactly: bool = False) -> None:
        self._fault = what if exactly else f"{what} did not end within {seconds:g} s"
        self._scope = anyio.move_on_after(seconds)

    def __enter__(self) -> None:
        self._scope.__enter__()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> bool | None:
        swallowed = self._scope.__exit__(kind, error, trace)  # type: ignore[arg-type]
        if self._scope.cancelled_caught:
            raise Fault(self._fault)
        return swallowed


@asynccontextmanager
async def together() -> AsyncIterator[TaskGroup]:
    """A task group whose body's error leaves as itself, in no group; its tasks are cancelled at the end."""
    failure: Exception | None = None
    async with anyio.create_task_group() as tasks:
        try:
            yield tasks
        except Exception as error:
            failure = error
        tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure
