"""Fault F84, on the wire: a piece of a snapshot is put where it does not belong, or into the file of another snapshot.

Each piece says of which file it is, by index, term, size and digest, and where in it; one that would reach behind the
end, that names no file, or whose bytes were damaged, is no message at all. (Which pieces a node takes is another test.)
"""

import struct
from zlib import crc32

import msgpack
import pytest

from rafty_core.entries import LARGEST
from rafty_transports.chunks import SnapshotChunk, SnapshotChunkRequest
from rafty_transports.codec import VERSION, DecodeError, EncodeError, decode, encode

DIGEST = "0f" * 32


def piece(*fields: object, data: bytes, crc: int | None = None) -> bytes:
    """The frame of a piece with these fields, whose CRCs are right unless another one is given."""
    packed: bytes = msgpack.packb(["n1", "n2", *fields, len(data), crc32(data) if crc is None else crc])
    head = struct.pack(">BBIH", VERSION, 17, 0, len(packed)) + packed
    return struct.pack(">I", crc32(head)) + head + data


def test_a_whole_piece_is_a_message() -> None:
    assert decode(piece(9, 3, DIGEST, 100, 97, data=b"end")) == SnapshotChunk("n1", "n2", 9, 3, DIGEST, 100, 97, b"end")
    assert decode(piece(9, 3, "", 0, 97, data=b"")) == SnapshotChunk("n1", "n2", 9, 3, "", 0, 97, b"")


@pytest.mark.parametrize(
    ("fields", "data"),
    [
        ((9, 3, DIGEST, 100, 98), b"end"),
        ((9, 3, DIGEST, 100, 100), b"end"),
        ((9, 3, DIGEST, 100, LARGEST), b"end"),
        ((9, 3, DIGEST, 100, 50), b""),
        ((9, 3, "", 100, 50), b"end"),
        ((9, 3, "", 0, 0), b"end"),
        ((9, 3, DIGEST, -1, 0), b""),
        ((9, 3, DIGEST, 100.0, 0), b"end"),
        ((9, 3, DIGEST, 100, True), b"end"),
        ((9, None, DIGEST, 100, 0), b"end"),
    ],
)
def test_a_piece_that_belongs_nowhere_is_no_message(fields: tuple[object, ...], data: bytes) -> None:
    with pytest.raises(DecodeError):
        decode(piece(*fields, data=data))


def test_damaged_bytes_are_no_piece() -> None:
    with pytest.raises(DecodeError, match="CRC"):
        decode(piece(9, 3, DIGEST, 100, 0, data=b"end", crc=crc32(b"and")))
    whole = piece(9, 3, DIGEST, 100, 0, data=b"some bytes")
    for place in range(len(whole)):
        with pytest.raises(DecodeError):
            decode(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])


def test_what_would_be_refused_is_not_sent() -> None:
    for digest, size, offset, data in ((DIGEST, 2, 0, b"end"), ("", 3, 0, b"end"), (DIGEST, 0, 0, b"end")):
        with pytest.raises(EncodeError):
            encode(SnapshotChunk("n1", "n2", 9, 3, digest, size, offset, data))
    with pytest.raises(EncodeError):
        encode(SnapshotChunkRequest("n1", "n2", 9, 3, "no digest", 0))
