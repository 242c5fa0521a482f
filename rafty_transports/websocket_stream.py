"""A stream of bytes that travels as WebSocket messages: what is the same whichever library speaks the protocol.

Law: *one `send` is one binary message, and nothing is read from below before somebody receives.*

The boundaries of messages mean nothing to the receiver: it takes bytes, as from TCP. What a peer does wrong ends the
stream, and the peer is told by a close code: 1002 for broken rules, 1003 for text, 1008 for more than `EMPTY_FRAMES`
frames in a row that carry nothing, 1009 for a message that is larger than `MESSAGE_LIMIT` or in more than `FRAGMENTS`
pieces. Pings of others are answered while somebody receives; none are sent here, for rafty says something of its own
on each connection every 0.75 s (`links.py`).
"""

import sys
from abc import abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, Self

import anyio
import anyio.lowlevel
from anyio.abc import ByteStream

from rafty_transports.handshake import ENDED, HandshakeFailed
from rafty_transports.websocket_http import CLOSING_SECONDS

MESSAGE_LIMIT: Final = 1024 * 1024
"""Limit in bytes on one message; `send` splits what is larger, and a peer that sends a larger one is closed."""

FRAGMENTS: Final = 4096
"""Into so many frames may a peer split one message, at most."""

EMPTY_FRAMES: Final = 1024
"""So many frames without a byte for the receiver may follow each other: pings, pongs, and data of no length."""

RECEIVE_BYTES: Final = 256 * 1024
"""How much is read from below at a time."""

NORMAL, GOING_AWAY, BROKEN_RULES, UNSUPPORTED, POLICY, TOO_BIG = 1000, 1001, 1002, 1003, 1008, 1009
"""Close codes (RFC 6455, section 7.4.1)."""

LOST: Final = "the connection ended without a closing handshake"
"""Why nothing can be received from a peer that did not close."""

GONE: Final = "the connection is lost, or the peer has closed it"
"""Why nothing can be sent."""

NO_TEXT: Final = "text is not spoken here, only binary messages"
"""What a peer did that sends text."""

_CODES = (NORMAL, GOING_AWAY, BROKEN_RULES, UNSUPPORTED, POLICY, TOO_BIG)
_REASON_BYTES = 123


def shortened(reason: str) -> str:
    """So much of a reason as fits into a close frame: 123 bytes of UTF-8, no letter cut in two."""
    return reason.encode("utf-8", "replace")[:_REASON_BYTES].decode("utf-8", "ignore")


def _checked(code: int) -> int:
    if not (code in _CODES or 3000 <= code <= 4999):
        raise ValueError(f"{code} is no close code that may be sent; use 1000, 1001, 1002, 1008 or 1009")
    return code


def broke(rule: str) -> str:
    """The sentence for a peer that did this."""
    return f"the peer broke the rules of WebSocket: {rule}"


def too_many_frames() -> str:
    """What a peer did that split a message too often."""
    return f"a message has more than {FRAGMENTS} frames"


def too_many_empty_frames() -> str:
    """What a peer did that floods."""
    return f"more than {EMPTY_FRAMES} frames in a row carry nothing"


def on_trio() -> bool:
    """Whether trio runs this task; otherwise it is asyncio, or uvloop, which is the same here."""
    trio = sys.modules.get("trio")
    return trio is not None and bool(trio.lowlevel.in_trio_run())


class Below:
    """The stream beneath, which carries whole frames or none.

    A write that was cut short, by cancellation or an error, has left half a frame: nothing that is written after it
    would be understood, so nothing is.
    """

    def __init__(self, stream: ByteStream) -> None:
        self.stream = stream
        self.cut = False

    async def send(self, data: bytes) -> None:
        """Raises as `ByteStream.send` does, and `BrokenResourceError` after a write that was cut short."""
        if self.cut:
            raise anyio.BrokenResourceError("a write was cut short before, and nothing can follow half a frame")
        self.cut = True
        await self.stream.send(data)
        self.cut = False


class WebSocketStream(ByteStream):
    """A stream of bytes over WebSocket; `dial_websocket` and `accept_websocket` make them.

    One task may send while another receives; a second one of either gets `BusyResourceError`. A `send` that is
    cancelled leaves the stream broken in that direction, for half a frame may have left. `extra_attributes` are those
    of the stream beneath.

    Not promised: that bytes arrive in the pieces in which they were sent; that pings are answered while nobody
    receives.
    """

    def __init__(self, below: Below, serving: bool) -> None:
        self._below = below
        self._serving = serving  # who serves hangs up first, once both have said that they close (RFC 6455, 7.1.1)
        self._closed = False
        self._last_word: tuple[int, str] | None = None
        self._arrived = memoryview(b"")
        self._sends = anyio.ResourceGuard("sending on")
        self._receives = anyio.ResourceGuard("receiving from")
        self._receiving = False
        self.close_code: int | None = None
        """The close code that the peer sent; None as long as it sent none."""
        self.close_reason = ""
        """The reason that the peer gave for closing."""

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        """Those of the stream beneath."""
        return self._below.stream.extra_attributes

    async def send(self, item: bytes) -> None:
        """Send these bytes as one message, or as several if they are more than `MESSAGE_LIMIT`.

        Raises `BrokenResourceError` if the connection is lost or the peer closed it, `ClosedResourceError` if this
        side did.
        """
        with self._sends:
            self._check_open()
            if len(item) <= MESSAGE_LIMIT:
                if item:
                    await self._send_message(item)
                else:
                    await anyio.lowlevel.checkpoint()
                return
            view = memoryview(item)
            for start in range(0, len(view), MESSAGE_LIMIT):
                await self._send_message(bytes(view[start : start + MESSAGE_LIMIT]))
                self._check_open()

    async def receive(self, max_bytes: int = 65536) -> bytes:
        """What has arrived, at least one byte and at most `max_bytes`; waits if nothing has.

        Raises `EndOfStream` once the peer has closed (`close_code` and `close_reason` say why),
        `BrokenResourceError`, with one sentence, if the connection was lost or the peer broke the rules of WebSocket,
        `ClosedResourceError` if this side closed, `ValueError` if `max_bytes` is less than 1.
        """
        if max_bytes < 1:
            raise ValueError(f"max_bytes is {max_bytes}, and at least 1 is needed")
        with self._receives:
            self._check_open()
            if self._arrived:
                await anyio.lowlevel.checkpoint()
                return self._take(max_bytes)
            self._receiving = True
            try:
                piece = await self._receive_piece()
            finally:
                self._receiving = False
            if len(piece) <= max_bytes:
                return bytes(piece)
            self._arrived = memoryview(piece)
            return self._take(max_bytes)

    def _take(self, max_bytes: int) -> bytes:
        taken, self._arrived = self._arrived[:max_bytes], self._arrived[max_bytes:]
        return bytes(taken)

    def _check_open(self) -> None:
        if self._closed:
            raise anyio.ClosedResourceError

    async def send_eof(self) -> None:
        """Not supported: WebSocket closes both directions at once. Raises `NotImplementedError`."""
        raise NotImplementedError("WebSocket has no end of one direction; close the stream instead")

    def closing(self, code: int, reason: str) -> None:
        """Say what `aclose` and the end of the block will tell the peer, if nothing closes it before."""
        self._last_word = (_checked(code), reason)

    @asynccontextmanager
    async def agreement(self) -> AsyncIterator[None]:
        """Within it both sides agree to speak WebSocket: whatever fails there closes the stream beneath.

        Raises `HandshakeFailed` if the connection ends.
        """
        try:
            yield
        except ENDED as error:
            await self.abort()
            raise HandshakeFailed("the other side ended the connection before WebSocket was agreed") from error
        except BaseException:
            await self.abort()
            raise

    @asynccontextmanager
    async def block(self) -> AsyncIterator[Self]:
        """Closes at the end: with what `closing` was told, otherwise with 1000, or 1001 after an error.

        Cancellation ends it at once, without a word.
        """
        try:
            yield self
        except Exception:
            await self.close(*(self._last_word or (GOING_AWAY, "")))
            raise
        else:
            await self.aclose()
        finally:
            if not self._closed:
                await self.abort()

    async def aclose(self) -> None:
        """Close with what `closing` was told; otherwise with 1000."""
        await self.close(*(self._last_word or (NORMAL, "")))

    async def close(self, code: int, reason: str) -> None:
        """Tell the peer why, wait for its answer, and close the stream beneath: all within half a second.

        `code` is 1000 (normal), 1001 (going away), 1002 (protocol error), 1008 (refused), 1009 (too big) or one of
        3000 to 4999; `reason` is cut to 123 bytes of UTF-8. A stream that is closed is left as it is. Whoever still
        receives in another task gets `ClosedResourceError`; the answer of the peer is not waited for then. Not
        promised: that the peer hears it.
        """
        _checked(code)
        if self._closed:
            return
        self._closed = True
        self._arrived = memoryview(b"")
        try:
            with anyio.move_on_after(CLOSING_SECONDS):
                with suppress(*ENDED):
                    await self._say_goodbye(code, shortened(reason))
        finally:
            await self.abort()

    async def abort(self) -> None:
        """End at once, without a word."""
        self._closed = True
        await anyio.aclose_forcefully(self._below.stream)

    @abstractmethod
    async def _send_message(self, message: bytes) -> None:
        """Send one message, not empty and within the limit."""

    @abstractmethod
    async def _receive_piece(self) -> bytes:
        """The next bytes, not empty. Raises as `receive` does."""

    @abstractmethod
    async def _say_goodbye(self, code: int, reason: str) -> None:
        """Send a close frame, unless one was sent; return when the stream beneath may be closed."""
