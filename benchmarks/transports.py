"""One transport on one event loop, beside the raw stream under it.

Law: *what is compared carries the same bytes, in the same process, one right after the other.*

Both ends are tasks of one event loop and share one core, so that a rate is what one core does for sending and receiving
together. Raw rates are of pieces as large as the batch of commands that ours carries in one message (a batch of small
commands against a joined send of as many), and as large as what ours joins when much waits.
"""

import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import anyio
from anyio.abc import ByteStream, SocketAttribute, SocketListener

from rafty_core.entries import COMMAND, Batch
from rafty_core.messages import AppendEntries, Heartbeat, HeartbeatResponse, Message
from rafty_transports.addresses import Address, parse_address
from rafty_transports.codec import encode
from rafty_transports.interfaces import Identity, Transport
from rafty_transports.links import RECEIVE_BYTES, SEND_BYTES, Limits
from rafty_transports.memory import MemoryNetwork
from rafty_transports.security import Credentials
from rafty_transports.tcp import TcpTransport
from rafty_transports.wires import Wires

KINDS: Final = ("memory", "tcp", "tls", "ws", "wss")
ENTRIES, ENTRY = 64, 256
SMALL_PIECE: Final = ENTRIES * ENTRY
IN_FLIGHT: Final = 4 * 1024 * 1024
"""Bytes that are sent and have not been received, at most: far below what an outbox drops."""

LIMITS: Final = Limits(outbox_messages=1 << 16)


@dataclass(frozen=True, slots=True)
class Figures:
    """What one run gave. Rates are per second, round trips in microseconds (medians).

    batched   bytes of commands in AppendEntries of `ENTRIES` commands; raw: sends of as many bytes; most: of many
    """

    batched: float
    raw: float
    most: float
    messages: float
    round_trip: float
    raw_round_trip: float


async def measure(kind: str, seconds: float, certificates: Path) -> Figures:
    """Measure one kind of transport; `seconds` for each of its figures. `certificates` is what `rafty certs` made."""
    credentials = [_credentials(certificates, node_id) if kind in ("tls", "wss") else None for node_id in ("n1", "n2")]
    batch = Batch(1, 1, [COMMAND + bytes(ENTRY)] * ENTRIES)
    append = AppendEntries("n1", "n2", 1, 0, 0, 0, batch)
    async with _pair(kind, credentials) as (one, two):
        batched = await _rate(one, two, append, seconds)
        messages = await _rate(one, two, Heartbeat("n1", "n2", 1, 0, 1), seconds)
        round_trip = await _round_trips(partial(_echo_of, one, two), seconds)
    if kind == "memory":
        return Figures(batched * SMALL_PIECE, 0.0, 0.0, messages, round_trip, 0.0)
    async with _raw(kind, credentials) as (out, back):
        raw = await _raw_rate(out, back, seconds, SMALL_PIECE)
        most = await _raw_rate(out, back, seconds, SEND_BYTES)
        raw_round_trip = await _round_trips(partial(_raw_echo, out, back), seconds)
    return Figures(batched * SMALL_PIECE, raw, most, messages, round_trip, raw_round_trip)


def _credentials(directory: Path, node_id: str) -> Credentials:
    files = (f"{node_id}.pem", f"{node_id}-key.pem", "ca.pem")
    return Credentials.from_files(*(directory / name for name in files))


def _size(message: Message) -> int:
    return sum(map(len, encode(message)))


@asynccontextmanager
async def _pair(kind: str, credentials: list[Credentials | None]) -> AsyncIterator[tuple[Transport, Transport]]:
    """Transports of n1 and n2, connected."""
    async with AsyncExitStack() as stack:
        if kind == "memory":
            network = MemoryNetwork()
            for node_id in ("n1", "n2"):
                await stack.enter_async_context(network.transport(node_id))
            one, two = (network.route("", node_id) for node_id in ("n1", "n2"))
            assert one is not None
            assert two is not None
            yield one, two
            return
        ends = []
        for node_id, own in zip(("n1", "n2"), credentials, strict=True):
            mine = Identity("bench.0", node_id, f"incarnation-{node_id}", 1)
            end = TcpTransport(mine, {}, f"{kind}://127.0.0.1:0", admit=_admit, limits=LIMITS, credentials=own)
            ends.append(await stack.enter_async_context(end))
        ends[0].set_peer("n2", ends[1].address)
        ends[1].set_peer("n1", ends[0].address)
        with anyio.fail_after(10):
            while not (ends[0].peers()["n2"].connected and ends[1].peers()["n1"].connected):
                await anyio.sleep(0.01)
        yield ends[0], ends[1]


def _admit(_: Identity) -> None:
    """Everybody is met."""


async def _rate(one: Transport, two: Transport, message: Message, seconds: float) -> float:
    """Messages a second from one to the other, of which many wait all the time."""
    size, received, sent = _size(message), 0, 0
    window = max(IN_FLIGHT // size, 1) if size > 1000 else 4096
    taken = anyio.Event()

    async def receive() -> None:
        nonlocal received, taken
        async for items in two:
            received += len(items)  # nothing else comes: nobody is away
            taken.set()
            taken = anyio.Event()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(receive)
        began = time.perf_counter()
        while time.perf_counter() - began < seconds:
            for _ in range(min(window - (sent - received), 64)):
                one.send(message)
                sent += 1
            if sent - received >= window:
                with anyio.move_on_after(1.0) as patience:
                    await taken.wait()
                if patience.cancelled_caught:
                    raise RuntimeError(f"{sent - received} messages of {sent} were lost")
            else:
                await anyio.lowlevel.checkpoint()
        rate = received / (time.perf_counter() - began)
        with anyio.fail_after(5):
            while received < sent:
                await anyio.sleep(0.001)
        tasks.cancel_scope.cancel()
    return rate


async def _round_trips(echo: Callable[[], Awaitable[None]], seconds: float) -> float:
    """The median of the times that this takes, in microseconds."""
    times = []
    end = time.perf_counter() + seconds
    while (began := time.perf_counter()) < end:
        await echo()
        times.append(time.perf_counter() - began)
    return statistics.median(times) * 1e6


async def _echo_of(one: Transport, two: Transport) -> None:
    one.send(Heartbeat("n1", "n2", 1, 0, 1))
    await _next(two)
    two.send(HeartbeatResponse("n2", "n1", 1, 1))
    await _next(one)


async def _next(end: Transport) -> None:
    await end.__aiter__().__anext__()


@asynccontextmanager
async def _raw(kind: str, credentials: list[Credentials | None]) -> AsyncIterator[tuple[ByteStream, ByteStream]]:
    """The streams of a connection of this kind, without anything of rafty on it: dialed, accepted."""
    multi = await anyio.create_tcp_listener(local_host="127.0.0.1")
    listener = multi.listeners[0]
    if not isinstance(listener, SocketListener):
        raise TypeError("this is no listener for sockets")
    address = parse_address(f"{kind}://127.0.0.1:{listener.extra(SocketAttribute.local_port)}")
    dialing, accepting = (Wires(LIMITS, own, ()) for own in credentials)
    came: list[ByteStream] = []
    async with multi, anyio.create_task_group() as tasks:
        tasks.start_soon(_accept_one, listener, accepting, address, came)
        async with dialing.dialed(address, "n2") as out:
            while not came:
                await anyio.sleep(0.001)
            yield out, came[0]
            tasks.cancel_scope.cancel()


async def _accept_one(listener: SocketListener, wires: Wires, address: Address, came: list[ByteStream]) -> None:
    async with wires.accepted(await listener.accept(), address) as (stream, _):
        came.append(stream)
        await anyio.sleep_forever()


async def _raw_rate(out: ByteStream, back: ByteStream, seconds: float, size: int) -> float:
    """Bytes a second from one end to the other, in pieces of this size."""
    piece, received, sent = bytes(size), 0, 0

    async def receive() -> None:
        nonlocal received
        while True:
            received += len(await back.receive(RECEIVE_BYTES))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(receive)
        began = time.perf_counter()
        while time.perf_counter() - began < seconds:
            await out.send(piece)
            sent += len(piece)
        rate = received / (time.perf_counter() - began)
        with anyio.fail_after(5):
            while received < sent:
                await anyio.sleep(0.001)
        tasks.cancel_scope.cancel()
    return rate


async def _raw_echo(out: ByteStream, back: ByteStream) -> None:
    await out.send(bytes(64))
    await back.receive(RECEIVE_BYTES)
    await back.send(bytes(64))
    await out.receive(RECEIVE_BYTES)
