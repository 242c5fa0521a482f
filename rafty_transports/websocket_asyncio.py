"""WebSocket on asyncio and uvloop: the protocol of the library `websockets`, without its IO.

Law: *whoever receives reads from below, and nobody else does.*

There is no task and no second connection: `receive` reads, tells the protocol, answers what the protocol wants
answered, and returns what came of it.
"""

from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeAlias

import anyio
import anyio.lowlevel
from anyio.abc import ByteStream
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from rafty_transports.handshake import ENDED, HandshakeFailed
from rafty_transports.websocket_http import SUBPROTOCOL, linger, read_answer
from rafty_transports.websocket_stream import (
    EMPTY_FRAMES,
    FRAGMENTS,
    GONE,
    LOST,
    MESSAGE_LIMIT,
    NO_TEXT,
    POLICY,
    RECEIVE_BYTES,
    TOO_BIG,
    UNSUPPORTED,
    Below,
    WebSocketStream,
    broke,
    too_many_empty_frames,
    too_many_frames,
)

_Protocol: TypeAlias = ClientProtocol | ServerProtocol
_SLICE = 16 * 1024  # so much is parsed at once: some thousand frames, if they are as small as can be
_SUBPROTOCOLS = [Subprotocol(SUBPROTOCOL)]


@asynccontextmanager
async def dial(stream: ByteStream, host: str, path: str) -> AsyncIterator[WebSocketStream]:
    """The dialing side; see `dial_websocket`."""
    protocol = ClientProtocol(
        parse_uri(f"ws://rafty{path}"), extensions=None, subprotocols=_SUBPROTOCOLS, max_size=MESSAGE_LIMIT
    )
    web = _Stream(stream, protocol, serving=False)
    request = protocol.connect()
    del request.headers["Host"]
    request.headers["Host"] = host
    protocol.send_request(request)
    async with web.agreement():
        await web.flush()
        head, rest = await read_answer(stream)
        web.feed(head)
        if protocol.state is not State.OPEN:
            raise HandshakeFailed(f"the web server's answer is no consent to WebSocket: {protocol.handshake_exc}")
        web.feed(rest)
    async with web.block():
        yield web


@asynccontextmanager
async def accept(stream: ByteStream, request: bytes, rest: bytes) -> AsyncIterator[WebSocketStream]:
    """The accepting side, once `read_request` has returned `request`; see `accept_websocket`."""
    protocol = ServerProtocol(extensions=None, subprotocols=_SUBPROTOCOLS, max_size=MESSAGE_LIMIT)
    web = _Stream(stream, protocol, serving=True)
    protocol.receive_data(request)
    for event in protocol.events_received():
        if isinstance(event, Request):
            protocol.send_response(protocol.accept(event))
    async with web.agreement():
        if protocol.state is not State.OPEN:
            raise HandshakeFailed(f"the WebSocket request was not understood: {protocol.handshake_exc}")
        await web.flush()
        web.feed(rest)
    async with web.block():
        yield web


class _Stream(WebSocketStream):
    def __init__(self, stream: ByteStream, protocol: _Protocol, serving: bool) -> None:
        super().__init__(Below(stream), serving)
        self._protocol = protocol
        self._writing = anyio.Lock(fast_acquire=True)
        self._pieces: deque[bytes] = deque()  # what one read brought, and no more is read before it is taken
        self._frames = 0
        self._empty = 0
        self._wrong = ""

    async def flush(self) -> None:
        """Write what the protocol wants to have written, frames of other tasks among it."""
        async with self._writing:
            if data := b"".join(self._protocol.data_to_send()):
                await self._below.send(data)
            elif self._below.cut:
                raise anyio.BrokenResourceError(GONE)

    def feed(self, data: bytes) -> None:
        """Tell the protocol what came in."""
        for start in range(0, len(data), _SLICE):
            self._protocol.receive_data(data[start : start + _SLICE])
            for event in self._protocol.events_received():
                if isinstance(event, Frame) and not self._wrong:
                    self._note(event)
            if self._protocol.parser_exc is not None and not self._wrong:
                self._wrong = broke(str(self._protocol.parser_exc))
            if self._wrong:
                break
        if (said := self._protocol.close_rcvd) is not None:
            self.close_code, self.close_reason = int(said.code), said.reason

    def _note(self, frame: Frame) -> None:
        data = frame.opcode is Opcode.BINARY or frame.opcode is Opcode.CONT
        if data:
            self._frames = 1 if frame.opcode is Opcode.BINARY else self._frames + 1
        self._empty = 0 if data and frame.data else self._empty + 1
        if frame.opcode is Opcode.TEXT:
            self._fail(UNSUPPORTED, NO_TEXT)
        elif self._frames > FRAGMENTS:
            self._fail(TOO_BIG, too_many_frames())
        elif self._empty > EMPTY_FRAMES:
            self._fail(POLICY, too_many_empty_frames())
        elif data and frame.data:
            self._pieces.append(bytes(frame.data))

    def _fail(self, code: int, text: str) -> None:
        self._wrong = broke(text)
        if self._protocol.state is State.OPEN:
            self._protocol.fail(code, text)

    async def _send_message(self, message: bytes) -> None:
        if self._protocol.state is not State.OPEN:
            raise anyio.BrokenResourceError(self._wrong or GONE)
        self._protocol.send_binary(message)
        await self.flush()

    async def _receive_piece(self) -> bytes:
        if self._pieces:
            await anyio.lowlevel.checkpoint()
        while not self._pieces:
            self._check_end()
            try:
                data = await self._below.stream.receive(RECEIVE_BYTES)
            except ENDED as error:
                self._check_open()
                raise anyio.BrokenResourceError(LOST) from error
            self.feed(data)
            await self._answer()
        return self._pieces.popleft()

    def _check_end(self) -> None:
        self._check_open()
        if self._wrong:
            raise anyio.BrokenResourceError(self._wrong)
        if self._protocol.close_rcvd is not None:
            raise anyio.EndOfStream

    async def _answer(self) -> None:
        """Pongs, and the answer to a close frame. Whether the peer takes them is no matter of the receiver."""
        if self._protocol.writes:
            try:
                await self.flush()
            except ENDED:
                return

    async def _say_goodbye(self, code: int, reason: str) -> None:
        if self._protocol.state is State.OPEN:
            self._protocol.send_close(code, reason)
        await self.flush()
        while self._protocol.close_rcvd is None and not self._wrong and not self._receiving:
            self.feed(await self._below.stream.receive(RECEIVE_BYTES))
            self._pieces.clear()
            await self._answer()
        if not self._receiving and (self._wrong or not self._serving):
            await linger(self._below.stream)
