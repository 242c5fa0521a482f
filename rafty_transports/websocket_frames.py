"""The frames of WebSocket for trio: those of `wsproto`, with bounds, and without its slow masks.

Law: *what a peer may not send is refused at the header that announces it.*

`trio-websocket` lets `wsproto` read and write frames. Three things are different here. A message that is too large, in
too many pieces, or text is refused as soon as a frame header says so. Data is handed on as it comes in, so nothing
gathers, and is not copied on its way, where `wsproto` copies it three times. And masks, which are one pass over every
byte that a client sends, are computed by the C code of the library `websockets` if it is there: the way of `wsproto`
takes a hundred times as long.
"""

import os
import struct
from collections.abc import Callable, Generator
from typing import Final, TypeAlias

from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Event, Message, Pong
from wsproto.frame_protocol import (
    Buffer,
    CloseReason,
    FrameDecoder,
    FrameProtocol,
    Opcode,
    ParseFailed,
    XorMaskerNull,
    XorMaskerSimple,
)

from rafty_transports.websocket_stream import (
    EMPTY_FRAMES,
    FRAGMENTS,
    MESSAGE_LIMIT,
    NO_TEXT,
    too_many_empty_frames,
    too_many_frames,
)

_HEADER: Final = {0: struct.Struct("!BB"), 126: struct.Struct("!BBH"), 127: struct.Struct("!BBQ")}
_FINAL_BINARY = 0x82
_MASKED = 0x80
_ENOUGH = 64 * 1024  # a message of so many bytes is worth a task switch
_CHUNK = 64 * 1024  # masked at once: a multiple of four, and small enough for memory that is used again at once
_Data: TypeAlias = bytes | bytearray | memoryview


def _slow_mask(data: _Data, key: bytes) -> bytes:
    return bytes(XorMaskerSimple(key).process(bytearray(data)))


def _find_mask() -> Callable[[_Data, bytes], bytes]:
    try:
        from websockets.speedups import apply_mask
    except ImportError:
        return _slow_mask
    return apply_mask


_mask = _find_mask()


class _Masker(XorMaskerSimple):
    """Unmasks one frame, which comes in pieces."""

    def process(self, data: _Data) -> bytearray:
        plain = _mask(data, bytes(self._masking_key))
        turn = len(data) % 4
        self._masking_key = self._masking_key[turn:] + self._masking_key[:turn]
        return plain  # type: ignore[return-value]  # bytes serve as well, and are not copied again


class _NoMask(XorMaskerNull):
    def process(self, data: _Data) -> bytearray:
        return bytes(data)  # type: ignore[return-value]


class _Views(Buffer):
    """What has come in and is not read yet; hands out views of it, where wsproto would copy."""

    def __init__(self) -> None:
        super().__init__()
        self._view = memoryview(b"")

    def feed(self, new_bytes: bytes) -> None:
        left = self._view[self.bytes_used :]
        self._view = memoryview(bytes(left) + new_bytes if left else new_bytes)  # what is left is part of a header
        self.bytes_used = 0

    def consume_at_most(self, nbytes: int) -> bytearray:
        data = self._view[self.bytes_used : self.bytes_used + nbytes]
        self.bytes_used += len(data)
        return data  # type: ignore[return-value]

    def commit(self) -> None:
        self._view = self._view[self.bytes_used :]
        self.bytes_used = 0

    def consume_exactly(self, nbytes: int) -> bytearray | None:
        enough = len(self._view) - self.bytes_used >= nbytes
        return bytearray(self.consume_at_most(nbytes)) if enough else None  # part of a header

    def __len__(self) -> int:
        return len(self._view)


class _Decoder(FrameDecoder):
    """Reads frames, and refuses those that are out of bounds."""

    def __init__(self, client: bool) -> None:
        super().__init__(client)
        self.buffer = _Views()
        self._size = 0
        self._frames = 0
        self._empty = 0

    def parse_header(self) -> bool:
        """Whether a header has come in. Raises `ParseFailed` with the close code for one that is refused."""
        if not super().parse_header():
            return False
        if isinstance(self.masker, XorMaskerSimple):
            self.masker = _Masker(self.masker.process(bytearray(4)))  # four zeros masked are the key
        else:
            self.masker = _NoMask()
        if self.header is not None:
            self._check(self.header.opcode, self.header.payload_len)
        return True

    def _check(self, opcode: Opcode, size: int) -> None:
        control = opcode.iscontrol()
        self._empty = self._empty + 1 if control or not size else 0
        if self._empty > EMPTY_FRAMES:
            raise ParseFailed(too_many_empty_frames(), CloseReason.POLICY_VIOLATION)
        if control:
            return
        if opcode is Opcode.TEXT:
            raise ParseFailed(NO_TEXT, CloseReason.UNSUPPORTED_DATA)
        first = opcode is Opcode.BINARY
        self._size = size if first else self._size + size
        self._frames = 1 if first else self._frames + 1
        if self._size > MESSAGE_LIMIT:
            raise ParseFailed(f"a message has more than {MESSAGE_LIMIT} bytes", CloseReason.MESSAGE_TOO_BIG)
        if self._frames > FRAGMENTS:
            raise ParseFailed(too_many_frames(), CloseReason.MESSAGE_TOO_BIG)


class _Frames(FrameProtocol):
    def __init__(self, client: bool) -> None:
        super().__init__(client, [])
        self._frame_decoder = _Decoder(client)


class BoundedConnection(Connection):
    """One side of an open WebSocket connection; `wrong` says which rule the peer broke, "" as long as it broke none."""

    def __init__(self, client: bool) -> None:
        super().__init__(ConnectionType.CLIENT if client else ConnectionType.SERVER)
        self._proto = _Frames(client)
        self.wrong = ""

    def send(self, event: Event) -> bytes:
        """The bytes that say this event."""
        if isinstance(event, Message) and isinstance(event.data, bytes) and self.state is ConnectionState.OPEN:
            return _frame(event.data, self.client)
        if isinstance(event, Pong) and self.state is not ConnectionState.OPEN:
            return b""  # who closes owes no pongs, and wsproto refuses to write them
        return super().send(event)

    def events(self) -> Generator[Event, None, None]:
        """What has come in; small messages are joined, and of a large one each piece is a message."""
        pieces: list[bytes] = []
        size = 0
        for event in super().events():
            if isinstance(event, BytesMessage):
                pieces.append(bytes(event.data))
                size += len(event.data)
            if size >= _ENOUGH or (size and not isinstance(event, BytesMessage)):
                yield BytesMessage(data=b"".join(pieces))
                pieces, size = [], 0
            if isinstance(event, BytesMessage):
                continue
            if isinstance(event, CloseConnection) and self.state is ConnectionState.OPEN:
                # wsproto found a fault. As if the peer had closed with this code, it is answered with it.
                self.wrong = event.reason or "its frames are wrong"
                self._state = ConnectionState.REMOTE_CLOSING
            yield event
        if size:
            yield BytesMessage(data=b"".join(pieces))


def _frame(message: bytes, masked: bool) -> bytes:
    """One binary message as one frame (RFC 6455, section 5.2)."""
    size = len(message)
    short = size if size < 126 else 126 if size < 65536 else 127
    bit = _MASKED if masked else 0
    header = _HEADER[0].pack(_FINAL_BINARY, bit | size) if size < 126 else _HEADER[short].pack(0x82, bit | short, size)
    if not masked:
        return header + message
    key = os.urandom(4)
    view = memoryview(message)
    return b"".join((header, key, *(_mask(view[start : start + _CHUNK], key) for start in range(0, size, _CHUNK))))
