"""A batch of entries is packed once, and the same bytes stand in every frame and in every log record.

Law: *a packed body is proven by its CRC and read strictly before anything is built from it.*

The body is one msgpack array of `bin`: making it costs one call into C however many entries there are, and reading it
gives a list of `bytes` without an object of ours per entry. The CRC beside it is made when the body is made and
travels with it, so that nobody downstream hashes the body again in order to send or to store it.
"""

import struct
from collections.abc import Sequence
from typing import NamedTuple
from zlib import crc32

import msgpack

from rafty_core.entries import LARGEST, Batch

SMALL_ARRAY = 1024
"""Up to this many items a body is read in one call. It bounds what nested array headers can reserve (fault F129)."""


class DecodeError(ValueError):
    """Bytes that are not what they should be; the text is one sentence that says what is wrong."""


class EncodeError(ValueError):
    """A message that this node must not send: a field is no legal value, or the whole is too large."""


class Packed(NamedTuple):
    """The encoded form of a sequence of byte strings: a msgpack array of `bin`, and the crc32 of those bytes."""

    body: bytes
    crc: int


def pack(items: Sequence[bytes]) -> Packed:
    """Pack these byte strings (a list or a tuple of `bytes`). Raises `EncodeError` for anything else."""
    try:
        body: bytes = msgpack.packb(items)
    except (TypeError, ValueError, OverflowError) as error:
        raise EncodeError(f"these items cannot be packed: {error}") from error
    return Packed(body, crc32(body))


def pack_batch(batch: Batch) -> Packed:
    """The packed form of this batch's entries: made at the first call, kept in `batch.packed`, the same ever after.

    May be called from any thread; two at once make equal bytes.
    """
    packed = batch.packed
    if packed is None:
        packed = batch.packed = pack(batch.entries)
    return packed  # type: ignore[no-any-return]


def unpack_batch(first: int, term: int, body: bytes, crc: int) -> Batch:
    """The batch of `term` at log index `first` whose packed form is `body`; its `packed` is filled.

    Raises `DecodeError` if the CRC does not prove the body, if the body is anything but a non-empty list of non-empty
    byte strings, or if an index or the term is out of range. Does not promise that the kinds of entries are known.
    """
    items = unpack(body, crc)
    if not items:
        raise DecodeError("a batch without entries")
    if not all(items):
        raise DecodeError("an entry without a kind: it is empty")
    if type(first) is not int or type(term) is not int or not 1 <= first <= LARGEST or not 0 <= term <= LARGEST:
        raise DecodeError(f"a batch cannot stand at index {first!r} in term {term!r}")
    if first + len(items) - 1 > LARGEST:
        raise DecodeError(f"a batch of {len(items)} entries at index {first} ends beyond the largest index")
    return Batch(first, term, items, Packed(body, crc))


def unpack(body: bytes, crc: int) -> list[bytes]:
    """The byte strings that `pack` put into `body`. Raises `DecodeError` if the CRC or the content is wrong."""
    if crc32(body) != crc:
        raise DecodeError("the body does not match its CRC: it was damaged on its way or on the disk")
    count, start = _array_header(body)
    try:
        items: list[bytes] = _read_small(body, count) if count <= SMALL_ARRAY else _read_large(body, start)
        b"".join(items)  # refuses everything that is not bytes, at the speed of a copy
    except Exception as error:  # whatever the library raises, the answer is the same (fault F132)
        raise DecodeError(f"the body is not a list of byte strings: {error}") from error
    if len(items) != count:
        raise DecodeError(f"the body announces {count} items and holds {len(items)}")
    return items


def _array_header(body: bytes) -> tuple[int, int]:
    """How many items the array at the start of `body` announces, and where the first begins."""
    try:
        lead = body[0]
        if 0x90 <= lead <= 0x9F:
            return lead & 0x0F, 1
        if lead == 0xDC:
            return int.from_bytes(struct.unpack_from("2s", body, 1)[0], "big"), 3
        if lead == 0xDD:
            return int.from_bytes(struct.unpack_from("4s", body, 1)[0], "big"), 5
    except (IndexError, struct.error) as error:
        raise DecodeError("the body ends before its first item") from error
    raise DecodeError("the body is not a list")


def _read_small(body: bytes, count: int) -> list[bytes]:
    return msgpack.unpackb(  # type: ignore[no-any-return]
        body, max_array_len=count, max_bin_len=len(body), max_str_len=0, max_map_len=0, max_ext_len=0
    )


def _read_large(body: bytes, start: int) -> list[bytes]:
    # No array at all inside: a header nested a thousand times would reserve a thousand times its count (fault F129).
    size = len(body)
    unpacker = msgpack.Unpacker(
        max_buffer_size=size + 1, max_array_len=0, max_bin_len=size, max_str_len=0, max_map_len=0, max_ext_len=0
    )
    unpacker.feed(memoryview(body)[start:])
    unpacker.feed(b"\xc0")  # a nil behind the end: an unfinished item would swallow it, for the position tells nothing
    items = list(unpacker)
    if items.pop() is not None:
        raise ValueError("it ends in the middle of an item")
    return items
