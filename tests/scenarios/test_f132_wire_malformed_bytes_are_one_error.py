"""Fault F132, on the wire: bytes that nobody thought of raise what nobody catches, and the node is gone.

Whatever the bytes are, decoding raises `DecodeError` or gives a message; and it costs no other connection than its own.
"""

import contextlib
import random
import struct
from zlib import crc32

import pytest

from rafty_core.messages import RequestVote
from rafty_transports.codec import VERSION, DecodeError, decode, encode
from tests.transports.connections import (
    NOWHERE,
    closed_by_peer,
    connect_as,
    heartbeat,
    identity,
    messages_of,
    rounds,
    two_nodes,
    until,
)


def forge(kind: int, fields: bytes) -> bytes:
    head = struct.pack(">BBIH", VERSION, kind, 0, len(fields)) + fields
    return struct.pack(">I", crc32(head)) + head


@pytest.mark.parametrize(
    "fields",
    [
        b"",
        b"\xc1",
        b"\x95",
        b"\xa5ab",
        b"\xa2\xff\xfe",
        b"\x81\xc0",
        b"\x91" * 1500,
        b"\xc7\x00\xff",
        b"\xdd\xff\xff\xff\xff",
    ],
)
def test_fields_that_are_none_are_a_decode_error(fields: bytes) -> None:
    with pytest.raises(DecodeError):
        decode(forge(1, fields))


def test_random_fields_are_a_decode_error_or_a_message() -> None:
    good = encode(RequestVote("n1", "n2", 300, 70_000, 2))[0][16:]
    for seed in range(4000):
        chance = random.Random(seed)
        fields = bytearray(good)
        for _ in range(chance.randrange(1, 5)):
            fields[chance.randrange(len(fields))] = chance.randrange(256)
        with contextlib.suppress(DecodeError):
            decode(forge(chance.randrange(12), bytes(fields)))


@pytest.mark.anyio
async def test_a_malformed_frame_costs_its_connection_alone() -> None:
    async with two_nodes() as (one, two):
        two.set_peer("n3", NOWHERE)
        frame = forge(1, b"\x91" * 900)
        async with await connect_as(two.address, identity("n3"), "n2") as stream:
            await stream.send(struct.pack(">I", len(frame)) + frame)
            await closed_by_peer(stream)
        await until(lambda: two.refusals["frame"] == 1)
        one.send(heartbeat("n1", "n2", 5))
        assert rounds(await messages_of(two, 1)) == [5]
