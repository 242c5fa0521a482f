"""Inputs that are made of bytes: noise, and noise in frames whose length, kind and CRC are right.

Law: *what a check would catch at once is let past it, most of the time*, so that what stands behind is reached.
"""

import random
import struct
from collections.abc import Sequence
from zlib import crc32

import msgpack

from rafty_transports.codec import VERSION
from rafty_transports.shapes import SHAPES

KINDS = tuple(shape.kind for shape in SHAPES)

_HEAD = struct.Struct(">IIBBIH")

_LEADS = bytes.fromhex(
    "90 91 95 9f dc dd 80 81 de df a0 a2 bf d9 da db c4 c5 c6 c0 c1 c2 c3 ca cb cc cd ce cf d0 d3 d4 d8 c7 c9 00 7f ff"
)
"""First bytes of what msgpack knows, and of what it does not."""


def frame(kind: int, fields: bytes, body: bytes = b"", *, version: int = VERSION, group: int = 0) -> bytes:
    """A frame with its length, all of whose header is right for these bytes of fields, whatever they are."""
    length = min(len(fields), 0xFFFF)
    head = struct.pack(">BBIH", version, kind, group, length) + fields
    return struct.pack(">II", 4 + len(head) + len(body), crc32(head)) + head + body


def mend(data: bytes) -> bytes:
    """These bytes with the length of the frame and the CRC of its header set right, if they are long enough."""
    if len(data) < _HEAD.size:
        return data
    end = min(_HEAD.size + int.from_bytes(data[14:16], "big"), len(data))
    return struct.pack(">II", len(data) - 4, crc32(data[8:end])) + data[8:]


def noise(chance: random.Random) -> bytes:
    """One input of source 1."""
    way = chance.randrange(9)
    data = chance.randbytes(int(chance.random() ** 3 * 200))
    if way == 0:
        return data
    if way == 1:
        return struct.pack(">I", len(data)) + data
    if way == 2:
        return mend(struct.pack(">IIBB", 0, 0, VERSION, chance.choice(KINDS)) + data)
    fields = data if way == 3 else msgpack_noise(chance)
    if way == 4:
        return _wrong_somewhere(chance, fields)
    if way == 5:
        return _of_right_types(chance)
    body = b"" if chance.random() < 0.6 else chance.randbytes(chance.randrange(1, 60))
    return frame(chance.choice(KINDS), fields, body)


def msgpack_noise(chance: random.Random) -> bytes:
    """Something that begins as msgpack does, and goes on so for a while."""
    pieces = []
    for _ in range(chance.randrange(1, 12)):
        pieces.append(bytes((chance.choice(_LEADS),)))
        if chance.random() < 0.5:
            pieces.append(chance.randbytes(chance.randrange(1, 10)))
    if chance.random() < 0.5:
        pieces.insert(0, bytes((0x90 + chance.randrange(16),)))
    return b"".join(pieces) * (1 if chance.random() < 0.98 else 150)


def _of_right_types(chance: random.Random) -> bytes:
    """A frame whose fields are of the types that they must have, and mean nothing."""
    shape = chance.choice(SHAPES)
    fields: list[object] = [f"n{chance.randrange(10)}", f"n{chance.randrange(10)}"]
    for kind in shape.types[2:]:
        if kind is int:
            fields.append(chance.getrandbits(chance.choice((1, 3, 6, 16, 33, 63, 64))))
        else:
            fields.append(chance.random() < 0.5 if kind is bool else chance.choice(("", "some", "f" * 64)))
    return frame(shape.kind, msgpack.packb(fields), chance.randbytes(chance.choice((0, 0, 5))))


def _wrong_somewhere(chance: random.Random, fields: bytes) -> bytes:
    """A frame with one number of the header drawn."""
    version = chance.choice((0, 1, 1, 2, 255))
    kind = chance.choice((0, 18, 255, *KINDS))
    data = bytearray(frame(kind, fields, version=version, group=chance.choice((0, 0, 1, 2**32 - 1))))
    if chance.random() < 0.5:
        data[:4] = struct.pack(">I", chance.choice((0, 1, 11, 12, 1024, 1025, 2**24, 2**25, 2**31, 2**32 - 1)))
    return bytes(data)


def damaged(chance: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """These bytes with a few flipped, cut, repeated, or taken from one of the others."""
    out = bytearray(data)
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        size = len(out)
        at = chance.randrange(size + 1)
        way = chance.randrange(6)
        if way == 0 and at < size:
            out[at] ^= 1 << chance.randrange(8)
        elif way == 1 and at < size:
            out[at] = chance.choice(_LEADS)
        elif way == 2:
            del out[at : at + chance.randrange(1, 9)]
        elif way == 3:
            out[at:at] = out[at : at + chance.randrange(1, 9)]
        elif way == 4:
            other = chance.choice(others)
            begin = chance.randrange(len(other) + 1)
            out[at : at + chance.randrange(9)] = other[begin : begin + chance.randrange(1, 40)]
        elif at < size:
            out[at:] = b""
    return bytes(out)
