"""One message is one frame of bytes, and a frame that is not exactly right is no message.

Law: *bytes become a message only if all of them are right, and whatever is wrong with them is one `DecodeError`.*

A frame:

    u32 length    of everything behind this number
    u32 crc32     of header and fields
    header        u8 protocol version, u8 kind of message, u32 group, u16 length of the fields
    fields        one flat msgpack array, in the order of the message's slots
    body          byte strings of an AppendEntries or a forwarded proposal, with their length and crc32 in `fields`

The group is 0; it stands there so that one connection can carry many Raft groups one day without a new protocol. The
body has its own CRC since it is packed once and travels in many frames (see `packing`). Limits are checked on the
length and the kind, before anything is kept of a frame (fault F129). Types are exact: `True` is no term, `1.0` no
index (fault F136), and nothing reaches 2**63 (fault F28).
"""

import struct
from collections.abc import Callable, Sequence
from operator import attrgetter, itemgetter
from typing import Any, Final, NamedTuple, TypeAlias
from zlib import crc32

import msgpack

from rafty_core.configuration import check_node_id
from rafty_core.entries import LARGEST
from rafty_core.messages import (
    FORWARD_OUTCOMES,
    AppendEntries,
    AppendEntriesResponse,
    ForwardedProposal,
    ForwardedProposalResponse,
    Heartbeat,
    HeartbeatResponse,
    Message,
    PreVote,
    PreVoteResponse,
    RequestVote,
    RequestVoteResponse,
)
from rafty_transports.packing import DecodeError, EncodeError, Packed, pack, pack_batch, unpack, unpack_batch

__all__ = [
    "KEEP_ALIVE",
    "LARGEST_FRAME",
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

SMALL_FRAME: Final = 1024
"""Limit in bytes on frames of votes, heartbeats and acknowledgements, without the length itself."""

LARGE_FRAME: Final = 16 * 1024 * 1024 + 64 * 1024
"""Limit in bytes on frames of AppendEntries and forwarded proposals: 16 MiB of entries, and their encoding."""

RESULTS_FRAME: Final = 32 * 1024 * 1024
"""Limit in bytes on the answer to a forwarded proposal: results may be larger than commands."""

LARGEST_FRAME: Final = RESULTS_FRAME

FIELDS_LIMIT: Final = 2048
"""Limit in bytes on the fields of any frame, without the body."""

REASON_LIMIT: Final = 256
"""A reason that travels is cut to this many characters: it is words for people."""

_LENGTH = struct.Struct(">I")
_PREFIX = struct.Struct(">II")
_HEADER = struct.Struct(">BBIH")
_FRAME = struct.Struct(">IBBIH")  # a frame without its length
_AT_LEAST = _LENGTH.size + 6  # length, crc, version and kind: enough to know the limit
_KEEP_ALIVE_KIND = 0


class _Shape(NamedTuple):
    """How one class of message stands in a frame."""

    kind: int
    message: type[Message]
    own: Callable[[Message], tuple[Any, ...]]
    types: tuple[type, ...]
    numbers: Callable[[Sequence[Any]], tuple[int, ...]]
    limit: int


def _shape(kind: int, message: type[Message], *types: type, extra: int = 0, limit: int = SMALL_FRAME) -> _Shape:
    own = attrgetter(*(name for name in message.__slots__ if name not in ("batch", "commands", "results")))
    every = (str, str, *types, *(int,) * extra)
    places = [place for place, wanted in enumerate(every) if wanted is int]
    return _Shape(kind, message, own, every, itemgetter(places[0], *places), limit)


_SHAPES: Final = (
    _shape(1, RequestVote, int, int, int),
    _shape(2, RequestVoteResponse, int, bool),
    _shape(3, PreVote, int, int, int),
    _shape(4, PreVoteResponse, int, int, bool),
    _shape(5, AppendEntries, int, int, int, int, extra=3, limit=LARGE_FRAME),  # batch's term; length, CRC of the body
    _shape(6, AppendEntriesResponse, int, bool, int, int, int),
    _shape(7, Heartbeat, int, int, int),
    _shape(8, HeartbeatResponse, int, int),
    _shape(9, ForwardedProposal, int, int, int, extra=2, limit=LARGE_FRAME),  # length, CRC of the body
    _shape(10, ForwardedProposalResponse, int, int, int, str, str, str, extra=2, limit=RESULTS_FRAME),
)
_SHAPE_OF: Final = {shape.message: shape for shape in _SHAPES}
_BY_KIND: Final = {shape.kind: shape for shape in _SHAPES}
_WITH_BODY: Final = frozenset((AppendEntries, ForwardedProposal, ForwardedProposalResponse))
_LIMITS: Final = {_KEEP_ALIVE_KIND: SMALL_FRAME, **{shape.kind: shape.limit for shape in _SHAPES}}

_packer = msgpack.Packer()
_known_ids: dict[str, str] = {}

Frame: TypeAlias = bytes | memoryview


def encode(message: Message, group: int = 0) -> tuple[bytes, ...]:
    """The pieces of this message's frame, ready for one join.

    Raises `EncodeError` for a message that no receiver would take: too large, or a field out of range.
    """
    shape = _SHAPE_OF[type(message)]
    fields = shape.own(message)
    body = b""
    if isinstance(message, AppendEntries):
        packed = _batch_of(message)
        body = packed.body
        fields += (message.batch.term if message.batch else 0, len(body), packed.crc)
    elif isinstance(message, ForwardedProposal):
        body, crc = pack(message.commands)
        fields += (len(body), crc)
    elif isinstance(message, ForwardedProposalResponse):
        body, crc = pack(message.results)
        fields = (*fields[:-1], message.reason[:REASON_LIMIT], len(body), crc)
    head = _head(shape.kind, group, fields, len(body), shape.limit)
    return (head, body) if body else (head,)


def _batch_of(message: AppendEntries) -> Packed:
    batch = message.batch
    if batch is None:
        return Packed(b"", 0)
    if not batch.entries or batch.first != message.prev_log_index + 1:
        raise EncodeError(f"an AppendEntries behind index {message.prev_log_index} cannot carry {batch!r}")
    return pack_batch(batch)


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


def weight(message: Message) -> int:
    """About how many bytes the frame of this message has, for bounds. Packs a batch, which happens once anyway."""
    if isinstance(message, AppendEntries):
        return 100 if message.batch is None else 100 + len(pack_batch(message.batch).body)
    if isinstance(message, ForwardedProposal):
        return 100 + sum(map(len, message.commands)) + 5 * len(message.commands)
    if isinstance(message, ForwardedProposalResponse):
        return 100 + sum(map(len, message.results)) + 5 * len(message.results)
    return 100


def decode(frame: Frame, group: int = 0) -> Message:
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
    fields = _read_fields(frame[_FRAME.size : end], shape)
    if shape.message in _WITH_BODY:
        return _with_body(shape.message, fields, bytes(frame[end:]))
    if end != len(frame):
        raise DecodeError(f"{len(frame) - end} bytes follow the fields of a {shape.message.__name__}")
    return shape.message(*fields)


def _read_fields(data: Frame, shape: _Shape) -> list[Any]:
    try:
        fields = msgpack.unpackb(
            data, max_array_len=len(shape.types), max_str_len=len(data), max_bin_len=0, max_map_len=0, max_ext_len=0
        )
    except Exception as error:  # whatever the library raises, the answer is the same (fault F132)
        raise DecodeError(f"the fields are not one flat list: {error}") from error
    if type(fields) is not list or len(fields) != len(shape.types):
        raise DecodeError(f"a {shape.message.__name__} has {len(shape.types)} fields")
    if tuple(map(type, fields)) != shape.types:  # exactly: True is an int to isinstance (fault F136)
        raise DecodeError(f"a field of a {shape.message.__name__} has another type than it must have: {fields!r:.200}")
    numbers = shape.numbers(fields)
    if min(numbers) < 0 or max(numbers) > LARGEST:  # faults F28, F136
        raise DecodeError(f"a number in a {shape.message.__name__} is out of range: {fields!r:.200}")
    fields[0] = _node_id(fields[0])
    fields[1] = _node_id(fields[1])
    return fields


def _node_id(text: str) -> str:
    known = _known_ids.get(text)
    if known is None:
        try:
            check_node_id(text)
        except ValueError as error:
            raise DecodeError(str(error)) from error
        if len(_known_ids) >= 4096:
            _known_ids.clear()
        known = _known_ids[text] = text
    return known


def _with_body(kind: type[Message], fields: list[Any], body: bytes) -> Message:
    length: int = fields[-2]
    crc: int = fields[-1]
    if len(body) != length:
        raise DecodeError(f"the body has {len(body)} bytes, its length says {length}")
    if kind is AppendEntries:
        sender, to, term, prev_log_index, prev_log_term, leader_commit, batch_term, _, _ = fields
        batch = unpack_batch(prev_log_index + 1, batch_term, body, crc) if length else None
        if batch is None and (batch_term or crc):
            raise DecodeError("an AppendEntries without entries gives a term or a CRC for them")
        return AppendEntries(sender, to, term, prev_log_index, prev_log_term, leader_commit, batch)
    items: Sequence[bytes] = tuple(unpack(body, crc))
    if kind is ForwardedProposal:
        sender, to, term, boot, sequence, _, _ = fields
        return ForwardedProposal(sender, to, term, boot, sequence, items)
    sender, to, term, boot, sequence, outcome, leader_hint, reason, _, _ = fields
    if outcome not in FORWARD_OUTCOMES or len(reason) > REASON_LIMIT:
        raise DecodeError(f"unknown outcome of a forwarded proposal, or too long a reason: {outcome!r:.60}")
    hint = _node_id(leader_hint) if leader_hint else ""
    return ForwardedProposalResponse(sender, to, term, boot, sequence, outcome, items, hint, reason)


class FrameSplitter:
    """Cuts received chunks into frames, whatever the chunks' borders, and holds at most one unfinished frame."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._needed = _AT_LEAST

    def feed(self, chunk: bytes | bytearray) -> list[memoryview]:
        """The frames, without their length, that this chunk completes. They are views: decode them soon.

        Raises `DecodeError` as soon as a frame announces more than its kind may have, before it is kept (fault F129).
        """
        if self._rest:
            self._rest += chunk
            if len(self._rest) < self._needed:
                return []
            chunk, self._rest = self._rest, bytearray()
        frames: list[memoryview] = []
        view = memoryview(chunk)
        start, end = 0, len(chunk)
        while end - start >= _AT_LEAST:
            length: int = _LENGTH.unpack_from(chunk, start)[0]
            kind = chunk[start + 9]
            if not _FRAME.size <= length <= _LIMITS.get(kind, 0):
                raise DecodeError(f"a frame of kind {kind} announces {length} bytes, which its limit does not allow")
            stop = start + 4 + length
            if stop > end:
                self._needed = 4 + length
                self._rest += view[start:]
                return frames
            frames.append(view[start + 4 : stop])
            start = stop
        self._needed = _AT_LEAST
        self._rest += view[start:]
        return frames
