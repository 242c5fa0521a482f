"""One message is one frame of bytes, and a frame that is not exactly right is no message.

Law: *bytes become a message only if all of them are right, and whatever is wrong with them is one `DecodeError`.*

A frame:

    u32 length    of everything behind this number
    u32 crc32     of header and fields
    header        u8 protocol version, u8 kind of message, u32 group, u16 length of the fields
    fields        one flat msgpack array, in the order of the message's slots
    body          entries, commands, results, a configuration, a piece of a snapshot: length and crc32 are in `fields`

The group is 0; it stands there so that one connection can carry many Raft groups one day without a new protocol. The
body has its own CRC since it is packed once and travels in many frames (see `packing`). What stands in the frame of
each kind is `shapes`. Limits are checked on the length and the kind, before anything is kept of a frame (fault F129).
Types are exact: `True` is no term, `1.0` no index (fault F136), and nothing reaches 2**63 (fault F28).
"""

import struct
from collections.abc import Sequence
from typing import Any, Final, TypeAlias
from zlib import crc32

import msgpack

from rafty_core.messages import AppendEntries, ForwardedProposal, ForwardedProposalResponse, InstallSnapshot
from rafty_transports.chunks import SnapshotChunk
from rafty_transports.interfaces import Travelling
from rafty_transports.packing import DecodeError, EncodeError, Packed, pack_batch, unpack_batch
from rafty_transports.shapes import LARGE_FRAME, REASON_LIMIT, RESULTS_FRAME, SHAPES, SMALL_FRAME, read_fields

__all__ = [
    "KEEP_ALIVE",
    "LARGEST_FRAME",
    "LARGE_FRAME",
    "REASON_LIMIT",
    "VERSION",
    "DecodeError",
    "EncodeError",
    "FrameSplitter",
    "Packed",
    "decode",
    "encode",
    "is_keep_alive",
    "pack_batch",
    "unpack_batch",
    "weight",
]

VERSION: Final = 1
"""The protocol version of every frame that this module writes and reads."""

LARGEST_FRAME: Final = RESULTS_FRAME

FIELDS_LIMIT: Final = 2048
"""Limit in bytes on the fields of any frame, without the body."""

_LENGTH = struct.Struct(">I")
_PREFIX = struct.Struct(">II")
_HEADER = struct.Struct(">BBIH")
_FRAME = struct.Struct(">IBBIH")  # a frame without its length
_AT_LEAST = _LENGTH.size + 6  # length, crc, version and kind: enough to know the limit
_KEEP_ALIVE_KIND = 0


_SHAPE_OF: Final = {shape.message: shape for shape in SHAPES}
_BY_KIND: Final = {shape.kind: shape for shape in SHAPES}
_LIMITS: Final = {_KEEP_ALIVE_KIND: SMALL_FRAME, **{shape.kind: shape.limit for shape in SHAPES}}

_packer = msgpack.Packer()

Frame: TypeAlias = bytes | memoryview


def encode(message: Travelling, group: int = 0) -> tuple[bytes, ...]:
    """The pieces of this message's frame, ready for one join.

    Raises `EncodeError` for a message that no receiver would take: too large, or a field out of range.
    """
    shape = _SHAPE_OF[type(message)]
    fields = shape.own(message)
    if shape.write is None:
        return (_head(shape.kind, group, fields, 0, shape.limit),)
    every, body = shape.write(message, fields)
    head = _head(shape.kind, group, every, len(body), shape.limit)
    return (head, body) if body else (head,)


def _head(kind: int, group: int, fields: Sequence[Any], body_length: int, limit: int) -> bytes:
    try:
        packed: bytes = _packer.pack(fields)
        head = _HEADER.pack(VERSION, kind, group, len(packed)) + packed
    except (TypeError, ValueError, OverflowError, struct.error) as error:
        raise EncodeError(f"a field cannot be encoded: {error}") from error
    length = 4 + len(head) + body_length
    if length > limit or len(packed) > FIELDS_LIMIT:
        raise EncodeError(f"a frame of {length} bytes is above the limit of {limit} bytes for its kind")
    return _PREFIX.pack(length, crc32(head)) + head


KEEP_ALIVE: Final = _head(_KEEP_ALIVE_KIND, 0, (), 0, SMALL_FRAME)
"""A frame that says "still here" and carries no message."""

_KEEP_ALIVE_FRAME: Final = KEEP_ALIVE[4:]


def is_keep_alive(frame: Frame) -> bool:
    """Whether this frame (without its length) is a keep-alive, which is no message."""
    return len(frame) == len(_KEEP_ALIVE_FRAME) and frame == _KEEP_ALIVE_FRAME


def weight(message: Travelling) -> int:
    """About how many bytes the frame of this message has, for bounds. Packs a batch, which happens once anyway.

    Raises `EncodeError` for one that cannot be packed.
    """
    if isinstance(message, AppendEntries):
        return 100 if message.batch is None else 100 + len(pack_batch(message.batch).body)
    if isinstance(message, ForwardedProposal):
        return 100 + sum(map(len, message.commands)) + 5 * len(message.commands)
    if isinstance(message, ForwardedProposalResponse):
        return 100 + sum(map(len, message.results)) + 5 * len(message.results)
    if isinstance(message, SnapshotChunk):
        return 200 + len(message.data)
    if isinstance(message, InstallSnapshot):
        return sum(map(len, encode(message)))
    return 100


def decode(frame: Frame, group: int = 0) -> Travelling:
    """The message of this frame (without its leading length). Nothing of it refers to `frame` afterwards.

    Raises `DecodeError`, and nothing else, for any bytes that are not a whole and right frame of this protocol version
    and group. Does not promise that the message makes sense to Raft, only that each field is a legal value.
    """
    try:
        crc, version, kind, frame_group, length = _FRAME.unpack_from(frame)
    except struct.error as error:
        raise DecodeError(f"a frame of {len(frame)} bytes is shorter than a header") from error
    shape = _BY_KIND.get(kind)
    end: int = _FRAME.size + length
    if version != VERSION or shape is None or frame_group != group:
        raise DecodeError(f"unknown frame: protocol version {version}, kind {kind}, group {frame_group}")
    if length > FIELDS_LIMIT or not end <= len(frame) <= shape.limit:
        raise DecodeError(f"a frame of {len(frame)} bytes cannot have {length} bytes of fields, or is above its limit")
    if crc32(frame[4:end]) != crc:
        raise DecodeError("a frame does not match its CRC")
    fields = read_fields(frame[_FRAME.size : end], shape)
    if shape.read is not None:
        return shape.read(fields, bytes(frame[end:]))
    if end != len(frame):
        raise DecodeError(f"{len(frame) - end} bytes follow the fields of a {shape.message.__name__}")
    return shape.message(*fields)


class FrameSplitter:
    """Cuts received chunks into frames, whatever the chunks' borders, and holds at most one unfinished frame."""

    def __init__(self) -> None:
        self.completed = 0
        """How many frames have been cut so far."""
        self._rest = bytearray()
        self._needed = _AT_LEAST

    @property
    def unfinished(self) -> int:
        """How many bytes the frame will have that has begun and has not ended; 0 if there is none."""
        return self._needed if self._rest else 0

    def feed(self, chunk: bytes | bytearray) -> list[memoryview]:
        """The frames, without their length, that this chunk completes. They are views: decode them soon.

        Raises `DecodeError` as soon as a frame announces more than its kind may have, before it is kept (fault F129).
        """
        frames: list[memoryview] = []
        view = memoryview(chunk)
        start, end = self._complete(view, frames) if self._rest else 0, len(chunk)
        while end - start >= _AT_LEAST:
            stop = start + _size_of(chunk, start)
            if stop > end:
                self._needed = stop - start
                break
            frames.append(view[start + 4 : stop])
            start = stop
        self._rest += view[start:]
        self.completed += len(frames)
        return frames

    def _complete(self, view: memoryview, frames: list[memoryview]) -> int:
        """Add to the frame that has begun what it lacks, and no more; how much of the chunk that was."""
        start = 0
        while len(self._rest) < self._needed:
            missing = self._needed - len(self._rest)
            self._rest += view[start : start + missing]
            start += missing
            if start > len(view):
                return len(view)
            if self._needed == _AT_LEAST:
                self._needed = _size_of(self._rest, 0)
        frames.append(memoryview(self._rest)[4:])
        self._rest, self._needed = bytearray(), _AT_LEAST
        return start


def _size_of(data: bytes | bytearray, start: int) -> int:
    """How many bytes the frame has that begins there, its length included. Raises `DecodeError` above its limit."""
    length: int = _LENGTH.unpack_from(data, start)[0]
    kind = data[start + 9]
    if not _FRAME.size <= length <= _LIMITS.get(kind, 0):
        raise DecodeError(f"a frame of kind {kind} announces {length} bytes, which its limit does not allow")
    return 4 + length
