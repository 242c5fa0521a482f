"""Inputs that know the protocol: each kind, with each field drawn from values that mean something.

Law: *every field is wrong in its turn, while all others are right.*
"""

import random
from collections.abc import Callable, Mapping
from typing import Any

import msgpack

from rafty_core.configuration import Configuration, Lease, Member
from rafty_core.entries import COMMAND, CONFIGURATION, NO_OP
from rafty_core.messages import FORWARD_OUTCOMES
from rafty_transports.shapes import SHAPES, Shape
from tests.transports.fuzz.frames import damaged, msgpack_noise
from tests.transports.fuzz.mutations import packed, real
from tests.transports.fuzz.picture import Picture
from tests.transports.fuzz.traffic import NAMES

WILD: tuple[Any, ...] = (
    *(-1, -(2**31), -(2**63), 2**63, 2**64 - 1, True, False, 1.0, float("nan"), float("inf"), None, "", "x" * 300),
    *(
        "n1\n",
        "ä",
        "\x00",
        "../n1",
        "n" * 64,
        "n" * 65,
        b"",
        b"n1",
        b"\xff" * 40,
        [],
        [[]],
        [1, [2, [3]]],
        {},
        {"a": 1},
    ),
    *({1: [2]}, msgpack.ExtType(5, b"ext"), msgpack.Timestamp(5, 7), [None] * 40, "1", "n1"),
)
"""Values that are no field of anything, or nearly none."""

_DIGESTS = ("", *["0123456789abcdef" * 4] * 4, "A" * 64, "f" * 63, "f" * 64 + "\n", "f" * 65, "../../etc/passwd")


def made(chance: random.Random, picture: Picture) -> bytes:
    """One input of source 3."""
    shape = chance.choice(SHAPES)
    names = [name for name in shape.message.__slots__ if name not in _BODY_SLOTS]
    fields = [_value(chance, picture, name) for name in names]
    body = b""
    if shape.read is not None:
        fields, body = _with_body(chance, picture, shape, fields)
    draw = chance.random()
    if draw < 0.1:
        fields[chance.randrange(len(fields))] = chance.choice(WILD)
    elif draw < 0.12:
        fields = fields[:-1] if chance.random() < 0.5 else [*fields, chance.choice(WILD)]
    return packed(shape.kind, fields, body, honest=chance.random() < 0.97)


_BODY_SLOTS = frozenset(("batch", "commands", "results", "configuration", "data"))


def _value(chance: random.Random, picture: Picture, name: str) -> Any:
    if name == "sender":
        if chance.random() < 0.05:
            return f"x{chance.randrange(1000)}"
        return chance.choice(NAMES) if picture.leader is None or chance.random() < 0.6 else picture.leader
    if name == "to":
        return picture.node_id if chance.random() < 0.95 else chance.choice(NAMES)
    draw = _DRAWN.get(name)
    if draw is not None:
        return draw(chance)
    if name.endswith("term"):
        return picture.of_term(chance)
    return picture.number(chance)


_DRAWN: Mapping[str, Callable[[random.Random], Any]] = {
    "transfer": lambda chance: chance.random() < 0.5,
    "vote_granted": lambda chance: chance.random() < 0.7,
    "success": lambda chance: chance.random() < 0.6,
    "lease": lambda chance: chance.random() < 0.5,
    "boot": lambda chance: chance.choice((0, 1, 1, 1, 2, 2**63 - 1)),
    "sequence": lambda chance: chance.choice((*range(12), *[chance.randrange(2**20)] * 12, 2**63 - 1)),
    "outcome": lambda chance: chance.choice((*FORWARD_OUTCOMES, "", "lost")),
    "leader_hint": lambda chance: chance.choice(("", "", *NAMES, "n 1")),
    "reason": lambda chance: chance.choice(("", "so it is", "\ud7ff\n", "r" * 256, "r" * 257)),
    "digest": lambda chance: chance.choice(_DIGESTS),
}


def _with_body(chance: random.Random, picture: Picture, shape: Shape, fields: list[Any]) -> tuple[list[Any], bytes]:
    """The fields behind the message's own, and a body, that is what it should be more often than not."""
    name = shape.message.__name__
    if name == "SnapshotChunkRequest":
        return fields, b"" if chance.random() < 0.9 else b"more"
    wrong = chance.random() < 0.15
    if name == "AppendEntries":
        if chance.random() < 0.35:
            return [*fields, 0, 0, 0], b""
        body = _spoiled(chance) if wrong else msgpack.packb(_entries(chance))
        return [*fields, picture.of_term(chance), 0, 0], body
    if name == "InstallSnapshot":
        body = configuration(chance).encode()
        return [*fields, 0, 0], damaged(chance, body, real()[2]) if wrong else body
    if name == "SnapshotChunk":
        return [*fields, 0, 0], chance.randbytes(chance.choice((0, 1, 100)))
    items = [chance.randbytes(chance.choice((0, 1, 8))) for _ in range(chance.choice((0, 1, 1, 2, 70)))]
    return [*fields, 0, 0], _spoiled(chance) if wrong else msgpack.packb(items)


def _spoiled(chance: random.Random) -> bytes:
    """A body that is no list of bytes, or nearly one; some announce more than there is."""
    way = chance.randrange(4)
    if way == 0:
        return msgpack_noise(chance)
    if way == 1:
        return chance.choice((b"\xdd\xff\xff\xff\xff", b"\xdc\x04\x01" + b"\xc0" * 1025, b"\x91\xc6\xff\xff\xff\xff"))
    if way == 2:
        return bytes(msgpack.packb([chance.choice(WILD) for _ in range(chance.randrange(4))]))
    return damaged(chance, msgpack.packb(_entries(chance)), real()[2])


def _entries(chance: random.Random) -> list[bytes]:
    count = chance.choice((1, 1, 1, 2, 3, 8, 40))
    return [_entry(chance) for _ in range(count)] if count < 8 else [COMMAND + b"many"] * count


def _entry(chance: random.Random) -> bytes:
    draw = chance.random()
    if draw < 0.55:
        return COMMAND + chance.randbytes(chance.randrange(6))
    if draw < 0.7:
        return NO_OP
    if draw < 0.93:
        data = configuration(chance).encode()
        return CONFIGURATION + (data if chance.random() < 0.8 else damaged(chance, data, real()[2]))
    return chance.choice((b"", b"\x03", b"\xff" * 9, CONFIGURATION, NO_OP + b"more", CONFIGURATION + b"{}"))


def configuration(chance: random.Random) -> Configuration:
    """A configuration that somebody could have: of the known names, at rest, joint, or with a goal."""
    if chance.random() < 0.4:
        return Configuration.of(*NAMES[: chance.choice((1, 2, 3, 4))])
    goal = Configuration(voters=_members(chance, 1), learners=_members(chance)) if chance.random() < 0.3 else None
    lease = Lease(chance.choice((0.001, 0.4, 3600)), chance.choice((0.0, 0.5))) if chance.random() < 0.3 else None
    return Configuration(
        voters=_members(chance, chance.choice((0, 1, 1, 1))),
        outgoing=_members(chance) if chance.random() < 0.3 else (),
        learners=_members(chance) if chance.random() < 0.4 else (),
        learners_next=_members(chance) if chance.random() < 0.1 else (),
        goal=goal,
        newcomers=tuple(chance.sample(NAMES, 1)) if chance.random() < 0.2 else (),
        removed=_members(chance) if chance.random() < 0.2 else (),
        lease=lease,
        index=chance.choice((0, 0, 1, 5, 30, 2**63 - 1)),
    )


def _members(chance: random.Random, least: int = 0) -> tuple[Member, ...]:
    names = chance.sample(NAMES, chance.randrange(least, 5))
    return tuple(Member(name, "", chance.choice(("", "", "born", "again"))) for name in names)
