"""What stands in the frame of each kind of message: its fields in order, their types, its body, its limits.

Law: *whatever a message can be is said here, once, and what a receiver would refuse is not sent either.*

A kind that is nothing but fields is one line of the table. A kind with a body has two functions beside it: one gives
the fields behind the message's own, and the body; the other builds the message from fields whose types and ranges were
checked. The digest of a snapshot is "" or 64 hexadecimal digits: whatever becomes of it, it is no path (fault F131).
"""

import re
from collections.abc import Callable, Sequence
from operator import attrgetter, itemgetter
from typing import Any, Final, NamedTuple
from zlib import crc32

import msgpack

from rafty_core.configuration import Configuration, check_node_id
from rafty_core.entries import LARGEST
from rafty_core.messages import (
    FORWARD_OUTCOMES,
    AppendEntries,
    AppendEntriesResponse,
    ForwardedProposal,
    ForwardedProposalResponse,
    Heartbeat,
    HeartbeatResponse,
    InstallSnapshot,
    InstallSnapshotResponse,
    PreVote,
    PreVoteResponse,
    ReadIndexRequest,
    ReadIndexResponse,
    RequestVote,
    RequestVoteResponse,
    TimeoutNow,
)
from rafty_transports.chunks import SnapshotChunk, SnapshotChunkRequest
from rafty_transports.interfaces import Travelling
from rafty_transports.packing import DecodeError, EncodeError, pack, pack_batch, unpack, unpack_batch

SMALL_FRAME: Final = 1024
"""Limit in bytes on frames of votes, heartbeats and acknowledgements, without the length itself."""

LARGE_FRAME: Final = 16 * 1024 * 1024 + 64 * 1024
"""Limit in bytes on frames of AppendEntries and forwarded proposals: 16 MiB of entries, and their encoding."""

RESULTS_FRAME: Final = 32 * 1024 * 1024
"""Limit in bytes on the answer to a forwarded proposal: results may be larger than commands."""

CONFIGURATION_FRAME: Final = 512 * 1024
"""Limit in bytes on InstallSnapshot: a thousand removed members with the longest names and addresses fit."""

CHUNK_FRAME: Final = 1024 * 1024
"""Limit in bytes on the frame of one piece of a snapshot."""

REASON_LIMIT: Final = 256
"""A reason that travels is cut to this many characters: it is words for people."""

Fields = Sequence[Any]


class Shape(NamedTuple):
    """How one class of message stands in a frame. `write` and `read` are None for a kind that is its fields alone."""

    kind: int
    message: type[Travelling]
    own: Callable[[Any], tuple[Any, ...]]
    types: tuple[type, ...]
    numbers: Callable[[Fields], tuple[int, ...]]
    limit: int
    write: Callable[[Any, tuple[Any, ...]], tuple[Fields, bytes]] | None
    read: Callable[[list[Any], bytes], Travelling] | None


def read_fields(data: bytes | memoryview, shape: Shape) -> list[Any]:
    """The fields of this shape from their bytes, each of its exact type and within range. Raises `DecodeError`."""
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


_known_ids: dict[str, str] = {}


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


# Entries


def _write_append(message: AppendEntries, own: tuple[Any, ...]) -> tuple[Fields, bytes]:
    batch = message.batch
    if batch is None:
        return (*own, 0, 0, 0), b""
    if not batch.entries or batch.first != message.prev_log_index + 1:
        raise EncodeError(f"an AppendEntries behind index {message.prev_log_index} cannot carry {batch!r}")
    body, crc = pack_batch(batch)
    return own + (batch.term, len(body), crc), body  # noqa: RUF005 - faster than unpacking, and every append pays


def _read_append(fields: list[Any], body: bytes) -> AppendEntries:
    sender, to, term, prev_log_index, prev_log_term, leader_commit, batch_term, length, crc = fields
    _check_length(body, length)
    batch = unpack_batch(prev_log_index + 1, batch_term, body, crc) if length else None
    if batch is None and (batch_term or crc):
        raise DecodeError("an AppendEntries without entries gives a term or a CRC for them")
    return AppendEntries(sender, to, term, prev_log_index, prev_log_term, leader_commit, batch)


def _check_length(body: bytes, length: int) -> None:
    if len(body) != length:
        raise DecodeError(f"the body has {len(body)} bytes, its length says {length}")


# Forwarded proposals


def _write_proposal(message: ForwardedProposal, own: tuple[Any, ...]) -> tuple[Fields, bytes]:
    body, crc = pack(message.commands)
    return (*own, len(body), crc), body


def _read_proposal(fields: list[Any], body: bytes) -> ForwardedProposal:
    sender, to, term, boot, sequence, length, crc = fields
    _check_length(body, length)
    return ForwardedProposal(sender, to, term, boot, sequence, tuple(unpack(body, crc)))


def _write_outcome(message: ForwardedProposalResponse, own: tuple[Any, ...]) -> tuple[Fields, bytes]:
    body, crc = pack(message.results)
    return (*own[:-1], message.reason[:REASON_LIMIT], len(body), crc), body


def _read_outcome(fields: list[Any], body: bytes) -> ForwardedProposalResponse:
    sender, to, term, boot, sequence, outcome, leader_hint, reason, length, crc = fields
    _check_length(body, length)
    items = tuple(unpack(body, crc))
    if outcome not in FORWARD_OUTCOMES or len(reason) > REASON_LIMIT:
        raise DecodeError(f"unknown outcome of a forwarded proposal, or too long a reason: {outcome!r:.60}")
    hint = _node_id(leader_hint) if leader_hint else ""
    return ForwardedProposalResponse(sender, to, term, boot, sequence, outcome, items, hint, reason)


# Snapshots


def _write_offer(message: InstallSnapshot, own: tuple[Any, ...]) -> tuple[Fields, bytes]:
    try:
        body = message.configuration.encode()
    except (AttributeError, TypeError, ValueError) as error:
        raise EncodeError(f"a configuration cannot be encoded: {error}") from error
    return (*own, len(body), crc32(body)), body


def _read_offer(fields: list[Any], body: bytes) -> InstallSnapshot:
    sender, to, term, last_included_index, last_included_term, length, crc = fields
    _check_body(body, length, crc)
    try:
        configuration = Configuration.decode(body)
    except ValueError as error:
        raise DecodeError(str(error)) from error
    if configuration.encode() != body:
        raise DecodeError("a configuration is not written as every node writes it")
    return InstallSnapshot(sender, to, term, last_included_index, last_included_term, configuration)


def _check_body(body: bytes, length: int, crc: int) -> None:
    _check_length(body, length)
    if crc32(body) != crc:
        raise DecodeError("the body does not match its CRC: it was damaged on its way")


_DIGEST = re.compile("[0-9a-f]{64}")


def _digest_trouble(digest: object) -> str:
    right = type(digest) is str and (digest == "" or _DIGEST.fullmatch(digest) is not None)
    return "" if right else f"a digest is 64 hexadecimal digits, not {digest!r:.80}"


def _write_request(message: SnapshotChunkRequest, own: tuple[Any, ...]) -> tuple[Fields, bytes]:
    if trouble := _digest_trouble(message.digest):
        raise EncodeError(trouble)
    return own, b""


def _read_request(fields: list[Any], body: bytes) -> SnapshotChunkRequest:
    if body:
        raise DecodeError(f"{len(body)} bytes follow the fields of a SnapshotChunkRequest")
    request = SnapshotChunkRequest(*fields)
    if trouble := _digest_trouble(request.digest):
        raise DecodeError(trouble)
    return request


def _chunk_trouble(chunk: SnapshotChunk) -> str:
    """What makes this no piece of a file (fault F84), or ""."""
    if chunk.size == 0:
        return "a snapshot that is not there has no bytes" if chunk.data else _digest_trouble(chunk.digest)
    if not chunk.digest:
        return "a piece of a snapshot does not say of which file it is"
    if not chunk.data or chunk.offset + len(chunk.data) > chunk.size:
        return f"{len(chunk.data)} bytes at {chunk.offset} are no piece of a snapshot of {chunk.size} bytes"
    return _digest_trouble(chunk.digest)


def _write_chunk(message: SnapshotChunk, own: tuple[Any, ...]) -> tuple[Fields, bytes]:
    try:
        trouble = "" if type(message.data) is bytes else "the data of a piece of a snapshot are bytes"
        trouble = trouble or _chunk_trouble(message)
    except TypeError as error:
        raise EncodeError(f"a field cannot be encoded: {error}") from error
    if trouble:
        raise EncodeError(trouble)
    return (*own, len(message.data), crc32(message.data)), message.data


def _read_chunk(fields: list[Any], body: bytes) -> SnapshotChunk:
    sender, to, index, term, digest, size, offset, length, crc = fields
    _check_body(body, length, crc)
    chunk = SnapshotChunk(sender, to, index, term, digest, size, offset, body)
    if trouble := _chunk_trouble(chunk):
        raise DecodeError(trouble)
    return chunk


_IN_THE_BODY = frozenset(("batch", "commands", "results", "configuration", "data"))


def _shape(
    kind: int,
    message: type[Travelling],
    *types: type,
    extra: int = 0,
    limit: int = SMALL_FRAME,
    write: Callable[[Any, tuple[Any, ...]], tuple[Fields, bytes]] | None = None,
    read: Callable[[list[Any], bytes], Travelling] | None = None,
) -> Shape:
    own = attrgetter(*(name for name in message.__slots__ if name not in _IN_THE_BODY))
    every = (str, str, *types, *(int,) * extra)
    places = [place for place, wanted in enumerate(every) if wanted is int]
    return Shape(kind, message, own, every, itemgetter(places[0], *places), limit, write, read)


_BODY = 2
"""Fields that a body adds: its length and its CRC."""

SHAPES: Final = (
    _shape(1, RequestVote, int, int, int, bool),
    _shape(2, RequestVoteResponse, int, bool),
    _shape(3, PreVote, int, int, int),
    _shape(4, PreVoteResponse, int, int, bool),
    _shape(
        *(5, AppendEntries, int, int, int, int),
        extra=1 + _BODY,  # the batch's term
        limit=LARGE_FRAME,
        write=_write_append,
        read=_read_append,
    ),
    _shape(6, AppendEntriesResponse, int, bool, int, int, int),
    _shape(7, Heartbeat, int, int, int),
    _shape(8, HeartbeatResponse, int, int),
    _shape(
        *(9, ForwardedProposal, int, int, int),
        extra=_BODY,
        limit=LARGE_FRAME,
        write=_write_proposal,
        read=_read_proposal,
    ),
    _shape(
        *(10, ForwardedProposalResponse, int, int, int, str, str, str),
        extra=_BODY,
        limit=RESULTS_FRAME,
        write=_write_outcome,
        read=_read_outcome,
    ),
    _shape(
        *(11, InstallSnapshot, int, int, int),
        extra=_BODY,
        limit=CONFIGURATION_FRAME,
        write=_write_offer,
        read=_read_offer,
    ),
    _shape(12, InstallSnapshotResponse, int, int),
    _shape(13, TimeoutNow, int),
    _shape(14, ReadIndexRequest, int, int, int, bool),
    _shape(15, ReadIndexResponse, int, int, int, int),
    _shape(16, SnapshotChunkRequest, int, int, str, int, write=_write_request, read=_read_request),
    _shape(
        *(17, SnapshotChunk, int, int, str, int, int),
        extra=_BODY,
        limit=CHUNK_FRAME,
        write=_write_chunk,
        read=_read_chunk,
    ),
)
