"""A connection in use: one writer that joins what has gathered, or one reader that slices what came in.

Law: *a connection on which nothing is heard for a while is closed, whichever side it is* (fault F122).

It works on any byte stream, once the handshake is done. Messages go from the dialing node to the other; in the other
direction only keep-alives go, so that the dialing node learns of a peer that is paused or unplugged, which the
operating system may not notice for a quarter of an hour. None of these functions closes the stream or leaks an
exception group.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

import anyio
from anyio.abc import ByteStream, TaskGroup

from rafty_transports.codec import KEEP_ALIVE, FrameSplitter, decode, is_keep_alive
from rafty_transports.handshake import ENDED, HANDSHAKE_SECONDS
from rafty_transports.interfaces import Travelling
from rafty_transports.packing import DecodeError
from rafty_transports.queues import Inbox, Outbox

SEND_BYTES: Final = 112 * 1024
"""About how much one send joins. Below 128 KiB the allocator hands out memory that it has: a larger piece is new pages,
made, filled and given back each time, which costs more than the calls that it saves."""

RECEIVE_BYTES: Final = 256 * 1024
"""How much one receive takes."""

GUEST_BYTES: Final = 8 * 1024
"""How much one receive takes of a guest: some hundred messages."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds and times of a transport with connections. Times are in seconds."""

    outbox_messages: int = 4096
    """Messages that wait for one peer, urgent ones and appends each."""
    outbox_bytes: int = 16 * 1024 * 1024
    """Bytes of appends and forwarded proposals that wait for one peer."""
    inbox_bytes: int = 16 * 1024 * 1024
    """Bytes received and not yet taken; readers wait beyond it. Entries take about twice as much: once as they came,
    for the log and for others, and once each by itself."""
    handshake: float = HANDSHAKE_SECONDS
    """For resolving a name, and again for agreeing."""
    connect: float = 1.0
    """For one attempt to connect to one address. A lost packet is repeated only after a second, then two, then four."""
    keep_alive: float = 0.75
    """A keep-alive is sent when nothing else was for this long."""
    idle: float = 3.0
    """A connection on which nothing was heard for this long is closed: after a partition the operating system would
    repeat what it has not delivered only once in many seconds, and a new connection is as quick as the first."""
    frame: float = 10.0
    """A frame that has begun is there whole after this long, or the connection is closed; the largest at 13 Mbit/s."""
    connections: int = 256
    """Incoming connections, at most."""
    connections_per_address: int = 64
    """Of them from one host, at most."""
    connections_per_peer: int = 4
    """Of them in the name of one peer, at most: its last one, and those that it is about to replace."""
    handshakes: int = 64
    """Incoming connections that have not agreed yet, at most."""
    backoff_first: float = 0.05
    """Pause before the second attempt to connect; it doubles with each further one."""
    backoff_last: float = 1.0
    """Longest pause between attempts to connect."""
    guests: int = 32
    """Peers that are heard though they are no members, at most."""
    guest_bytes: int = 64 * 1024 * 1024
    """Bytes of frames that guests have begun and not ended, of all together."""
    guest_silence: float = 60.0
    """A guest that says nothing for this long is forgotten."""
    farewell: float = 10.0
    """A peer that was removed keeps its connections for this long, so that the leader can tell it."""


class FrameTooSlow(DecodeError):
    """A frame began and did not end in time."""


class _Pulse:
    """When the other side was heard last; None while nobody listens, as when the inbox is full. And since when it has
    owed the rest of a frame; None if it owes none."""

    def __init__(self) -> None:
        self.heard: float | None = anyio.current_time()
        self.owing: float | None = None
        self._completed = 0

    def silent(self, seconds: float) -> bool:
        return self.heard is not None and anyio.current_time() - self.heard > seconds

    def note(self, splitter: FrameSplitter) -> None:
        """Look at what the last chunk left: whether a frame is unfinished, and since when."""
        if not splitter.unfinished:
            self.owing = None
        elif self.owing is None or splitter.completed > self._completed:
            self.owing = anyio.current_time()
        self._completed = splitter.completed

    def slow(self, seconds: float) -> bool:
        listens = self.heard is not None
        return listens and self.owing is not None and anyio.current_time() - self.owing > seconds


async def send_side(stream: ByteStream, outbox: Outbox, limits: Limits, drained: Callable[[], None]) -> str:
    """Send what the outbox gathers until the connection ends; say how it ended.

    `drained` is called whenever the outbox was emptied into the connection.
    """
    pulse = _Pulse()
    ends = ["the peer ended the connection"]
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_listen, stream, pulse, tasks)
        tasks.start_soon(_watch_sending, outbox, pulse, limits, tasks, ends)
        try:
            while True:
                await stream.send(b"".join(await outbox.take(SEND_BYTES)))
                if outbox.empty:
                    drained()
        except ENDED:
            tasks.cancel_scope.cancel()
    return ends[-1]


async def _listen(stream: ByteStream, pulse: _Pulse, tasks: TaskGroup) -> None:
    try:
        while True:
            await stream.receive(4096)  # keep-alives; whatever it is, the peer lives
            pulse.heard = anyio.current_time()
    except ENDED:
        tasks.cancel_scope.cancel()


async def _watch_sending(outbox: Outbox, pulse: _Pulse, limits: Limits, tasks: TaskGroup, ends: list[str]) -> None:
    while not pulse.silent(limits.idle):
        await anyio.sleep(limits.keep_alive)
        outbox.beat()
    ends.append(f"the peer was silent for more than {limits.idle:g} s")
    tasks.cancel_scope.cancel()


class Source(Protocol):
    """Whom a connection receives from, as `receive_side` must know it."""

    @property
    def id(self) -> str:
        """The node that the handshake proved."""
        ...

    @property
    def guest(self) -> bool:
        """Whether it is no member now."""
        ...

    def note(self, now: float) -> None:
        """It said something."""
        ...

    def hold(self, size: int) -> bool:
        """Whether there is room for the frame of this size that has begun and not ended; 0: none has begun."""
        ...


async def receive_side(stream: ByteStream, rest: bytes, source: Source, to: str, inbox: Inbox, limits: Limits) -> str:
    """Receive messages of `source` to `to` into the inbox until the connection ends; say how it ended.

    `rest` is what came in behind the handshake. Raises `DecodeError` for a frame that is none, for one that is not
    finished in time, and for a message with another sender or destination than the handshake said (fault F130).
    """
    pulse = _Pulse()
    ends = ["the peer ended the connection"]
    wrong: DecodeError | None = None
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_watch_receiving, stream, pulse, limits, tasks, ends)
        try:
            await _receive(stream, rest, source, to, inbox, pulse)
        except ENDED:
            pass
        except DecodeError as error:
            wrong = error
        tasks.cancel_scope.cancel()
    if wrong is not None:
        raise wrong
    if pulse.slow(limits.frame):
        raise FrameTooSlow(f"{source.id} began a frame and did not finish it within {limits.frame:g} s")
    return ends[-1]


async def _receive(stream: ByteStream, rest: bytes, source: Source, to: str, inbox: Inbox, pulse: _Pulse) -> None:
    splitter = FrameSplitter()
    chunk, size, heard = rest, 0, anyio.current_time()
    while True:
        messages: list[Travelling] = []
        size += len(chunk)
        try:
            _read(splitter, chunk, source.id, to, messages)
        finally:
            if messages:
                source.note(heard)
                pulse.heard = None
                await inbox.put(messages, size, guest=source.guest)
                size = 0
                pulse.heard = anyio.current_time()
        pulse.note(splitter)
        if not source.hold(splitter.unfinished):
            raise DecodeError(f"{source.id} began a large frame while many others have done so")
        chunk = await stream.receive(GUEST_BYTES if source.guest else RECEIVE_BYTES)
        pulse.heard = heard = anyio.current_time()


def _read(splitter: FrameSplitter, chunk: bytes, sender: str, to: str, messages: list[Travelling]) -> None:
    for frame in splitter.feed(chunk):
        if is_keep_alive(frame):
            continue
        message = decode(frame)
        if message.sender != sender or message.to != to:
            raise DecodeError(
                f"on the connection of {sender} to {to} came a message of {message.sender} to {message.to}"
            )
        messages.append(message)


async def _watch_receiving(
    stream: ByteStream, pulse: _Pulse, limits: Limits, tasks: TaskGroup, ends: list[str]
) -> None:
    try:
        while not pulse.silent(limits.idle):
            await anyio.sleep(min(limits.keep_alive, limits.frame))
            if pulse.slow(limits.frame):
                break
            with anyio.move_on_after(limits.idle) as patience:
                await stream.send(KEEP_ALIVE)
            if patience.cancelled_caught:
                ends.append(f"the peer took nothing for more than {limits.idle:g} s")
                break
        else:
            ends.append(f"the peer was silent for more than {limits.idle:g} s")
    except ENDED:
        pass
    tasks.cancel_scope.cancel()
