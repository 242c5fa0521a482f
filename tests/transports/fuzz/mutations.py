"""Inputs that were real traffic before something was done to them.

Law: *the CRC is mended in most cases*, for what it catches is known.
"""

import random
from functools import cache
from typing import Any, NamedTuple
from zlib import crc32

import msgpack

from rafty_transports.shapes import SHAPES
from tests.transports.fuzz.frames import damaged, frame, mend
from tests.transports.fuzz.picture import Picture
from tests.transports.fuzz.traffic import recording

BODIES = frozenset(shape.kind for shape in SHAPES if shape.read is not None and shape.kind != 16)
"""Kinds whose last two fields are the length and the CRC of a body; 16 has a check of its own, and no body."""


class Real(NamedTuple):
    """A frame that was sent, in parts."""

    whole: bytes
    kind: int
    fields: list[Any]
    body: bytes


@cache
def real() -> tuple[list[Real], dict[int, list[Real]], list[bytes]]:
    """Everything that was recorded: in parts, by kind, and as it was."""
    reals, by_kind = [], dict[int, list[Real]]()
    frames = recording().frames
    for whole in frames:
        end = 16 + int.from_bytes(whole[14:16], "big")
        one = Real(whole, whole[9], msgpack.unpackb(whole[16:end]), whole[end:])
        reals.append(one)
        by_kind.setdefault(one.kind, []).append(one)
    return reals, by_kind, frames


def packed(kind: int, fields: list[Any], body: bytes, *, honest: bool = True) -> bytes:
    """A frame of these parts; `honest`: the length and the CRC of the body are set right."""
    if honest and kind in BODIES and len(fields) > 2:
        fields = [*fields[:-2], len(body), crc32(body)]
    return frame(kind, msgpack.packb(fields), body)


def mutated(chance: random.Random, picture: Picture) -> bytes:
    """One input of source 2."""
    reals, by_kind, frames = real()
    kinds = by_kind[chance.choice(tuple(by_kind))] if chance.random() < 0.7 else reals
    one = chance.choice(kinds)
    way = chance.randrange(10)
    if way == 0:
        return one.whole
    if way <= 2:
        data = damaged(chance, one.whole, frames)
        return mend(data) if chance.random() < 0.8 else data
    if way <= 4:
        body = damaged(chance, one.body, frames) if one.body else chance.randbytes(chance.randrange(1, 20))
        return packed(one.kind, one.fields, body, honest=chance.random() < 0.9)
    if way == 5:
        return _several(chance, one.whole, frames)
    return packed(one.kind, _exchanged(chance, one, by_kind, reals, picture), one.body, honest=chance.random() < 0.9)


def _exchanged(
    chance: random.Random, one: Real, by_kind: dict[int, list[Real]], reals: list[Real], picture: Picture
) -> list[Any]:
    """The fields with some from another frame, two in each other's place, or a number that is about right now."""
    fields = list(one.fields)
    if chance.random() < 0.6:
        fields[2] = picture.of_term(chance)
    for _ in range(chance.choice((1, 1, 2))):
        at = chance.randrange(len(fields))
        way = chance.randrange(6)
        if way == 0:
            other = chance.choice(by_kind[one.kind]).fields
            fields[at] = other[at]
        elif way == 1:
            fields[at] = chance.choice(chance.choice(reals).fields)
        elif way == 2:
            to = chance.randrange(len(fields))
            fields[at], fields[to] = fields[to], fields[at]
        elif way == 3:
            fields.insert(at, fields[at]) if chance.random() < 0.5 else fields.pop()
            break
        elif type(fields[at]) is int:
            fields[at] = picture.number(chance) if way == 4 else max(0, fields[at] + chance.choice((-1, 1)))
    return fields


def _several(chance: random.Random, whole: bytes, frames: list[bytes]) -> bytes:
    """More than one frame: another one behind, the same again, one that is cut."""
    way = chance.randrange(4)
    if way == 0:
        return whole + chance.choice(frames)
    if way == 1:
        return whole * chance.randrange(2, 5)
    if way == 2:
        return whole + chance.choice(frames)[: chance.randrange(1, 20)]
    return whole + damaged(chance, chance.choice(frames), frames)
