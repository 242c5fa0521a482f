"""Fault F129: twenty bytes from anybody announce gigabytes, and a node that believes them is out of memory.

It can be the length of a frame, or the header of a list inside it, nested a thousand times so that each level reserves.
"""

import struct
import tracemalloc
from collections.abc import Callable
from zlib import crc32

import pytest

from rafty_transports.codec import VERSION, DecodeError, FrameSplitter, decode
from rafty_transports.packing import unpack


@pytest.mark.parametrize("kind", [0, 1, 5, 7, 10, 11, 12, 15, 16, 17, 200])
@pytest.mark.parametrize("length", [2**32 - 1, 2**26])
def test_a_frame_that_announces_too_much_is_refused_at_its_prefix(kind: int, length: int) -> None:
    prefix = struct.pack(">IIBB", length, 0, VERSION, kind)
    with pytest.raises(DecodeError):
        FrameSplitter().feed(prefix)
    splitter = FrameSplitter()
    with pytest.raises(DecodeError):
        for byte in prefix:
            splitter.feed(bytes([byte]))


def test_a_vote_may_not_be_as_large_as_an_append() -> None:
    assert FrameSplitter().feed(struct.pack(">IIBB", 2000, 0, VERSION, 5)) == []
    with pytest.raises(DecodeError):
        FrameSplitter().feed(struct.pack(">IIBB", 2000, 0, VERSION, 1))


def test_a_piece_of_a_snapshot_may_not_be_as_large_as_a_batch() -> None:
    for kind, most in ((11, 512 * 1024), (17, 1024 * 1024)):
        assert FrameSplitter().feed(struct.pack(">IIBB", most, 0, VERSION, kind)) == []
        with pytest.raises(DecodeError):
            FrameSplitter().feed(struct.pack(">IIBB", most + 1, 0, VERSION, kind))


@pytest.mark.parametrize(
    "body",
    [
        b"\xdd\x7f\xff\xff\xff" + b"\xc4\x01x" * 100,
        b"\xdd\x00\x10\x00\x00" * 1000 + bytes(3_000_000),
        b"\xdc\xff\xff" * 70_000,
        b"\x91" + b"\xdc\xff\xff" * 1000 + bytes(70_000),
        b"\x91\xc6\xff\xff\xff\xffx",
    ],
    ids=["claim", "nested", "short-nested", "nested-in-one", "item"],
)
def test_lists_that_announce_too_much_reserve_nothing(body: bytes) -> None:
    assert peak_of(lambda: unpack(body, crc32(body))) < 20_000_000


def test_lists_among_the_fields_reserve_nothing() -> None:
    fields = b"\xdc\x07\xf0" * 680
    head = struct.pack(">BBIH", VERSION, 5, 0, len(fields)) + fields
    frame = struct.pack(">I", crc32(head)) + head
    assert peak_of(lambda: decode(frame)) < 1_000_000


def peak_of(refused: Callable[[], object]) -> int:
    """How many bytes it took at most to refuse this."""
    tracemalloc.start()
    try:
        with pytest.raises(DecodeError):
            refused()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
