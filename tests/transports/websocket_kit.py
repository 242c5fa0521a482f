"""What tests of WebSocket share: a server beside the test, servers in other event loops, and peers of bare bytes."""

import base64
import struct
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from queue import Queue
from typing import Any

import anyio
from anyio.abc import ByteStream, SocketAttribute, SocketStream

from rafty_transports.websocket import WebSocketStream, accept_websocket, dial_websocket

Handler = Callable[[WebSocketStream], Awaitable[None]]

KEY = base64.b64encode(b"sixteen bytes ok").decode()
FIELDS = {
    "Host": "n1:7101",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": KEY,
    "Sec-WebSocket-Protocol": "rafty.v1",
}
CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


def request(line: str = "GET /rafty HTTP/1.1", **changes: str | None) -> bytes:
    """A request for WebSocket; a change names a field with _ for -, and None leaves it out."""
    changed = {name.replace("_", "-"): value for name, value in changes.items()}
    fields = {name: value for name, value in {**FIELDS, **changed}.items() if value is not None}
    return "\r\n".join([line, *(f"{name}: {value}" for name, value in fields.items()), "", ""]).encode()


def frame(
    opcode: int, data: bytes = b"", *, fin: bool = True, masked: bool = True, announced: int | None = None
) -> bytes:
    """One frame as a client writes it, with a mask of zeros; `announced` is the length that its header says."""
    size = len(data) if announced is None else announced
    bit = 0x80 if masked else 0
    first = (0x80 if fin else 0) | opcode
    if size < 126:
        header = struct.pack("!BB", first, bit | size)
    elif size < 65536:
        header = struct.pack("!BBH", first, bit | 126, size)
    else:
        header = struct.pack("!BBQ", first, bit | 127, size)
    return header + (bytes(4) if masked else b"") + data


def close_frame(said: bytes) -> tuple[int, str] | None:
    """Code and reason of the close frame among the frames that a server said; None if there is none."""
    while len(said) >= 2:
        opcode, size, begin = said[0] & 15, said[1] & 127, 2
        if size >= 126:
            begin = 4 if size == 126 else 10
            size = int.from_bytes(said[2:begin], "big")
        if opcode == CLOSE:
            return struct.unpack("!H", said[2:4])[0], said[4 : 2 + size].decode()
        said = said[begin + size :]
    return None


@asynccontextmanager
async def serving(handler: Handler, failures: list[Exception] | None = None, **options: Any) -> AsyncIterator[int]:
    """A server that runs the handler for each connection; yields its port. Failures are kept, or fail the test."""

    async def serve(stream: SocketStream) -> None:
        try:
            async with accept_websocket(stream, **options) as web:
                await handler(web)
        except Exception as error:
            if failures is None:
                raise
            failures.append(error)

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, serve)
        yield listener.extra(SocketAttribute.local_port)
        tasks.cancel_scope.cancel()


@asynccontextmanager
async def dialed(port: int) -> AsyncIterator[WebSocketStream]:
    """A stream to this server."""
    stream = await anyio.connect_tcp("127.0.0.1", port)
    async with dial_websocket(stream, f"127.0.0.1:{port}") as web:
        yield web


@asynccontextmanager
async def pair() -> AsyncIterator[tuple[WebSocketStream, WebSocketStream]]:
    """Both ends of one connection: who dialed, who accepted. The accepting block ends when the test's does."""
    ends: list[WebSocketStream] = []
    there, over = anyio.Event(), anyio.Event()

    async def hold(web: WebSocketStream) -> None:
        ends.append(web)
        there.set()
        await over.wait()

    async with serving(hold) as port, dialed(port) as web:
        await there.wait()
        try:
            yield web, ends[0]
        finally:
            over.set()


@asynccontextmanager
async def bare(port: int, opening: bytes = b"") -> AsyncIterator[SocketStream]:
    """A connection of bare bytes; with no `opening`, one that has agreed to WebSocket."""
    async with await anyio.connect_tcp("127.0.0.1", port) as stream:
        await stream.send(opening or request())
        if not opening:
            answer = b""
            while not answer.endswith(b"\r\n\r\n"):
                answer += await stream.receive(1)
            if not answer.startswith(b"HTTP/1.1 101 "):
                raise AssertionError(answer)
        yield stream


async def echo(web: WebSocketStream) -> None:
    """Says back what it hears, until the other side closes."""
    try:
        while True:
            await web.send(await web.receive(256 * 1024))
    except anyio.EndOfStream:
        return


async def exactly(stream: ByteStream, count: int) -> bytes:
    """The next `count` bytes."""
    data = bytearray()
    while len(data) < count:
        data += await stream.receive(min(count - len(data), 256 * 1024))
    return bytes(data)


def run(function: Callable[..., Awaitable[Any]], backend: str, *args: Any) -> Any:
    """Run it in an event loop of its own: asyncio, trio or uvloop."""
    options = {"use_uvloop": True} if backend == "uvloop" else {}
    return anyio.run(function, *args, backend="trio" if backend == "trio" else "asyncio", backend_options=options)


@contextmanager
def elsewhere(backend: str, handler: Handler, failures: list[Exception] | None = None, **options: Any) -> Iterator[int]:
    """`serving` in another thread, on this backend; yields its port."""
    over = threading.Event()
    told: Queue[int | BaseException] = Queue()

    async def main() -> None:
        async with serving(handler, failures, **options) as port:
            told.put(port)
            while not over.is_set():
                await anyio.sleep(0.01)

    def body() -> None:
        try:
            run(main, backend)
        except BaseException as error:
            told.put(error)

    thread = threading.Thread(target=body)
    thread.start()
    try:
        first = told.get(timeout=10)
        if isinstance(first, BaseException):
            raise first
        yield first
    finally:
        over.set()
        thread.join(10)
    if not told.empty():
        raise AssertionError("the server failed") from told.get()  # type: ignore[misc]
