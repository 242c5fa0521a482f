"""Fault F28, on the wire: one frame with term 2**63 or above would lift every node to a term that has no successor.

The codec refuses such a number in any field of any message, and in what a batch says of itself.
"""

import struct
from zlib import crc32

import msgpack
import pytest

from rafty_core.entries import LARGEST
from rafty_core.messages import AppendEntries, Heartbeat
from rafty_transports.codec import DecodeError, decode
from rafty_transports.packing import pack


def forge(kind: int, fields: list[object], body: bytes = b"") -> bytes:
    packed: bytes = msgpack.packb(fields)
    head = struct.pack(">BBIH", 1, kind, 0, len(packed)) + packed
    return struct.pack(">I", crc32(head)) + head + body


@pytest.mark.parametrize("absurd", [LARGEST + 1, 2**64 - 1])
def test_a_number_beyond_the_largest_is_no_message(absurd: int) -> None:
    for place in (2, 3, 4):
        fields: list[object] = ["n1", "n2", 1, 1, 1]
        fields[place] = absurd
        with pytest.raises(DecodeError, match="out of range"):
            decode(forge(7, fields))


def test_the_largest_number_itself_passes() -> None:
    message = decode(forge(7, ["n1", "n2", LARGEST, LARGEST, LARGEST]))
    assert message == Heartbeat("n1", "n2", LARGEST, LARGEST, LARGEST)


def test_a_batch_does_not_reach_beyond_the_largest_index() -> None:
    body, crc = pack([b"\x01", b"\x01"])
    good: list[object] = ["n1", "n2", 7, LARGEST - 2, 1, 1, 7, len(body), crc]
    assert isinstance(decode(forge(5, good, body)), AppendEntries)
    with pytest.raises(DecodeError, match="largest index"):
        decode(forge(5, ["n1", "n2", 7, LARGEST - 1, 1, 1, 7, len(body), crc], body))
    with pytest.raises(DecodeError, match="out of range"):
        decode(forge(5, ["n1", "n2", 7, 1, 1, 1, LARGEST + 1, len(body), crc], body))
