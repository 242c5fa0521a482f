"""Fault F136: `True` is an int to Python and 1.0 equals 1, so a careless check lets both in as a term or an index.

A term of 1.0 would be written to disk as a float and compared as one for ever; -1 would be the last entry of a list.
"""

import struct
from zlib import crc32

import msgpack
import pytest

from rafty_core.messages import RequestVoteResponse
from rafty_transports.codec import DecodeError, decode
from rafty_transports.packing import pack, unpack_batch


def forge(kind: int, fields: list[object]) -> bytes:
    packed: bytes = msgpack.packb(fields)
    head = struct.pack(">BBIH", 1, kind, 0, len(packed)) + packed
    return struct.pack(">I", crc32(head)) + head


@pytest.mark.parametrize("wrong", [True, False, 1.0, 0.0, -1, -(2**63), None, "1", 2**63])
def test_only_a_natural_number_is_a_term_or_an_index(wrong: object) -> None:
    for place in (2, 3, 4):
        fields: list[object] = ["n1", "n2", 1, 1, 1]
        fields[place] = wrong
        with pytest.raises(DecodeError):
            decode(forge(1, fields))
    body, crc = pack([b"\x01"])
    with pytest.raises(DecodeError):
        unpack_batch(wrong, 1, body, crc)  # type: ignore[arg-type]
    with pytest.raises(DecodeError):
        unpack_batch(1, wrong, body, crc)  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", [0, 1, 1.0, None, "yes"])
def test_only_a_boolean_is_a_granted_vote(wrong: object) -> None:
    assert decode(forge(2, ["n1", "n2", 1, True])) == RequestVoteResponse("n1", "n2", 1, True)
    with pytest.raises(DecodeError):
        decode(forge(2, ["n1", "n2", 1, wrong]))
