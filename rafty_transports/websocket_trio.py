"""WebSocket on trio: the library `trio-websocket`, over any stream of anyio.

Law: *the library's task may fail as it likes: here that is an error of the one connection, in one sentence.*

`trio-websocket` reads in a task of its own, one piece ahead of whoever receives, and hangs or raises in that task what
goes wrong there. So that task runs guarded: when it ends, whoever waits for it stops waiting.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeAlias, cast

import anyio
import trio
from anyio.abc import ByteStream, TaskGroup
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_client_stream, wrap_server_stream
from wsproto.utilities import LocalProtocolError

from rafty_transports.handshake import ENDED, HandshakeFailed
from rafty_transports.websocket_frames import BoundedConnection
from rafty_transports.websocket_http import SUBPROTOCOL, linger, read_answer
from rafty_transports.websocket_stream import GONE, LOST, MESSAGE_LIMIT, RECEIVE_BYTES, Below, WebSocketStream, broke

_ABNORMAL = 1006
_LIMITS: Any = {"message_queue_size": 1, "max_message_size": MESSAGE_LIMIT, "receive_buffer_size": RECEIVE_BYTES}


@asynccontextmanager
async def dial(stream: ByteStream, host: str, path: str) -> AsyncIterator[WebSocketStream]:
    """The dialing side; see `dial_websocket`."""

    async def agree(guard: "_Guard", beneath: "_Beneath") -> WebSocketConnection:
        return await wrap_client_stream(guard, beneath, host, path, subprotocols=[SUBPROTOCOL], **_LIMITS)  # type: ignore[arg-type]

    async with _library(stream, lambda: read_answer(stream), agree, serving=False) as web:
        yield web


@asynccontextmanager
async def accept(stream: ByteStream, request: bytes, rest: bytes) -> AsyncIterator[WebSocketStream]:
    """The accepting side, once `read_request` has returned `request`; see `accept_websocket`."""

    async def head() -> tuple[bytes, bytes]:
        return request, rest

    async def agree(guard: "_Guard", beneath: "_Beneath") -> WebSocketConnection:
        proposal = await wrap_server_stream(guard, beneath, **_LIMITS)  # type: ignore[arg-type]
        return await proposal.accept(subprotocol=SUBPROTOCOL)

    async with _library(stream, head, agree, serving=True) as web:
        yield web


_Agree: TypeAlias = "Callable[[_Guard, _Beneath], Awaitable[WebSocketConnection]]"
_Head: TypeAlias = Callable[[], Awaitable[tuple[bytes, bytes]]]


@asynccontextmanager
async def _library(stream: ByteStream, head: _Head, agree: _Agree, serving: bool) -> AsyncIterator[WebSocketStream]:
    """The library at work in a task beside the block. What the block raises leaves as it is, in no group."""
    failure: BaseException | None = None
    async with anyio.create_task_group() as tasks:
        web = _Stream(Below(stream), _Guard(tasks), serving)
        try:
            async with web.agreement():
                await web.agree(head, agree)
            async with web.block():
                yield web
        except anyio.get_cancelled_exc_class():
            raise
        except BaseException as error:
            failure = error
        finally:
            tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure


class _Beneath(trio.abc.Stream):
    """A stream of anyio as trio-websocket wants one.

    `head` reads the HTTP with which it begins. After that nothing is read before `opened` is set.
    """

    def __init__(self, below: Below, head: _Head) -> None:
        self._below = below
        self._head: _Head | None = head
        self._rest = b""
        self._done = False
        self.opened = anyio.Event()

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        if data:
            try:
                await self._below.send(bytes(data))
            except ENDED as error:
                raise trio.BrokenResourceError from error

    async def wait_send_all_might_not_block(self) -> None:
        await trio.lowlevel.checkpoint()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        if self._head is not None:
            read, self._head = self._head, None
            head, self._rest = await read()
            return head
        await self.opened.wait()
        if self._done:
            raise trio.ClosedResourceError
        if self._rest:
            data, self._rest = self._rest, b""
            return data
        try:
            return await self._below.stream.receive(max_bytes or RECEIVE_BYTES)
        except anyio.EndOfStream:
            return b""
        except ENDED as error:
            raise trio.BrokenResourceError from error

    async def aclose(self) -> None:
        """The library has done with it: it reads no more. `WebSocketStream` closes what is beneath."""
        self._done = True
        await trio.lowlevel.checkpoint()


class _Guard:
    """Runs the library's task in the place of a nursery, and keeps what it fails with."""

    def __init__(self, tasks: TaskGroup) -> None:
        self._tasks = tasks
        self.failure: Exception | None = None
        self.waiting = anyio.CancelScope()
        """Cancelled when the task ends: whoever waits for what the task would do stops waiting."""
        self.ended = anyio.Event()

    def start_soon(self, function: Callable[[], Awaitable[None]]) -> None:
        """What trio-websocket wants of a nursery."""
        self._tasks.start_soon(self._run, function)

    async def _run(self, function: Callable[[], Awaitable[None]]) -> None:
        try:
            await function()
        except Exception as error:  # what the library does not expect of a peer is the failure of this connection
            self.failure = error
        finally:
            self.ended.set()
            self.waiting.cancel()


class _Stream(WebSocketStream):
    _connection: WebSocketConnection
    _frames: BoundedConnection

    def __init__(self, below: Below, guard: _Guard, serving: bool) -> None:
        super().__init__(below, serving)
        self._guard = guard

    async def agree(self, head: _Head, agree: _Agree) -> None:
        """Let the library agree with the peer to speak WebSocket. Raises `HandshakeFailed`."""
        beneath = _Beneath(self._below, head)
        try:
            with self._guard.waiting:
                self._connection = await agree(self._guard, beneath)
                wire = self._connection._wsproto
                wire.connection = self._frames = BoundedConnection(wire.client)
                beneath.opened.set()
                return
        except ConnectionClosed as error:
            raise anyio.BrokenResourceError from error
        failure = self._guard.failure
        if failure is None:
            raise anyio.BrokenResourceError
        if isinstance(failure, HandshakeFailed):
            raise failure
        raise HandshakeFailed("the web server's answer is no consent to WebSocket") from failure

    async def _send_message(self, message: bytes) -> None:
        try:
            await self._connection.send_message(bytes(message))
        except (ConnectionClosed, LocalProtocolError) as error:
            self._check_open()
            raise anyio.BrokenResourceError(broke(self._frames.wrong) if self._frames.wrong else GONE) from error

    async def _receive_piece(self) -> bytes:
        try:
            return cast(bytes, await self._connection.get_message())
        except ConnectionClosed as error:
            self._check_open()
            if self._frames.wrong:
                raise anyio.BrokenResourceError(broke(self._frames.wrong)) from error
            if self._guard.failure is not None:
                text = f"trio-websocket failed: {self._guard.failure!r:.200}"
                raise anyio.BrokenResourceError(text) from self._guard.failure
            if error.reason is None or error.reason.code == _ABNORMAL:
                raise anyio.BrokenResourceError(LOST) from error
            self.close_code, self.close_reason = int(error.reason.code), error.reason.reason or ""
            raise anyio.EndOfStream from error

    async def _say_goodbye(self, code: int, reason: str) -> None:
        await self._connection.aclose(code, reason)
        await self._guard.ended.wait()  # until then the library reads from below
        if not self._serving or self._frames.wrong or self._guard.failure is not None:
            await linger(self._below.stream)
