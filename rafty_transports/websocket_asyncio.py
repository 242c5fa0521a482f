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

from rafty_transports.handshake import HandshakeFailed
from rafty_transports.websocket_http import ENDED, SUBPROTOCOL, linger, read_answer
from rafty_transports.websocket_stream import (
    FRAGMENTS,
    MESSAGE_LIMIT,
    RECEIVE_BYTES,
    TOO_BIG,
    UNSUPPORTED,
    Below,
    WebSocketStream,
)

_Protocol: TypeAlias = ClientProtocol | ServerProtocol
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
        self._wrong = ""

    async def flush(self) -> None:
        """Write what the protocol wants to have written, frames of other tasks among it."""
        async with self._writing:
            if data := b"".join(self._protocol.data_to_send()):
                await self._below.send(data)
            elif self._below.cut:
                raise anyio.BrokenResourceError

    def feed(self, data: bytes) -> None:
        """Tell the protocol what came in."""
        if data:
            self._protocol.receive_data(data)
            for event in self._protocol.events_received():
                if isinstance(event, Frame):
                    self._note(event)
            if self._protocol.parser_exc is not None and not self._wrong:
                self._wrong = f"the peer broke the rules of WebSocket: {self._protocol.parser_exc}"
            if (said := self._protocol.close_rcvd) is not None:
                self.close_code, self.close_reason = int(said.code), said.reason

    def _note(self, frame: Frame) -> None:
        if frame.opcode is Opcode.TEXT:
            self._fail(UNSUPPORTED, "text is not spoken here, only binary messages")
        elif frame.opcode is Opcode.BINARY or frame.opcode is Opcode.CONT:
            self._frames = 1 if frame.opcode is Opcode.BINARY else self._frames + 1
            if self._frames > FRAGMENTS:
                self._fail(TOO_BIG, f"a message has more than {FRAGMENTS} frames")
            elif frame.data and not self._wrong:
                self._pieces.append(bytes(frame.data))

    def _fail(self, code: int, text: str) -> None:
        if not self._wrong:
            self._wrong = f"the peer broke the rules of WebSocket: {text}"
            if self._protocol.state is State.OPEN:
                self._protocol.fail(code, text)

    async def _send_message(self, message: bytes) -> None:
        if self._protocol.state is not State.OPEN:
            raise anyio.BrokenResourceError
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
                raise anyio.BrokenResourceError("the connection ended without a closing handshake") from error
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
