"""Fault F131, on the wire: the name of a snapshot that another node sends climbs out of the directory.

Nothing but numbers names a snapshot; and the one text beside them, the digest, is 64 hexadecimal digits or empty.
"""

import struct
from zlib import crc32

import msgpack
import pytest

from rafty_transports.codec import VERSION, DecodeError, decode

PATHS = [
    "../../../../etc/passwd",
    "/etc/passwd".rjust(64, "/"),
    "..".ljust(64, "/"),
    "a" * 63,
    "a" * 65,
    "A" * 64,
    "a" * 64 + "\n",
    "a" * 63 + "\x00",
    "a" * 63 + "\u0660",
    "C:" + "a" * 62,
]


def frame(kind: int, fields: list[object], data: bytes = b"") -> bytes:
    packed: bytes = msgpack.packb(fields)
    head = struct.pack(">BBIH", VERSION, kind, 0, len(packed)) + packed
    return struct.pack(">I", crc32(head)) + head + data


@pytest.mark.parametrize("digest", PATHS)
def test_a_path_is_no_digest(digest: str) -> None:
    for good in ("a" * 64, digest):
        data = b"piece"
        request = frame(16, ["n1", "n2", 9, 3, good, 0])
        chunk = frame(17, ["n1", "n2", 9, 3, good, 100, 0, len(data), crc32(data)], data)
        absent = frame(17, ["n1", "n2", 9, 3, good, 0, 0, 0, 0])
        for whole in (request, chunk, absent):
            if good == digest:
                with pytest.raises(DecodeError):
                    decode(whole)
            else:
                decode(whole)


@pytest.mark.parametrize("number", ["../9", "9", b"9", -9, 2**63, None, True, 9.0])
def test_index_and_term_are_numbers(number: object) -> None:
    for fields in (["n1", "n2", number, 3, "", 0], ["n1", "n2", 9, number, "", 0], ["n1", "n2", 9, 3, "", number]):
        with pytest.raises(DecodeError):
            decode(frame(16, fields))
