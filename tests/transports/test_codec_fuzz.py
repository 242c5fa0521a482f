"""Frames that were damaged, forged or made up: whatever the bytes are, a message or one `DecodeError` comes of them.

These look at one thing each; whole campaigns, which also tell a core what was decoded, are in `tests/transports/fuzz`.
"""

import random
import tracemalloc
from zlib import crc32

import pytest

from rafty_core.messages import InstallSnapshot
from rafty_transports.chunks import SnapshotChunk
from rafty_transports.codec import DecodeError, decode
from rafty_transports.packing import pack, unpack
from tests.transports.test_codec import DIGEST, MEMBERS, MESSAGES, forge, frame_of


def test_fuzz_damaged_frames_are_refused() -> None:
    frames = [frame_of(message) for message in MESSAGES if len(frame_of(message)) < 2000]
    for seed in range(3000):
        chance = random.Random(seed)
        frame = bytearray(chance.choice(frames))
        if chance.random() < 0.5:
            frame[chance.randrange(len(frame))] ^= 1 << chance.randrange(8)
        else:
            del frame[chance.randrange(len(frame)) :]
        with pytest.raises(DecodeError):
            decode(bytes(frame))


def test_fuzz_forged_bodies_are_a_list_or_a_decode_error() -> None:
    for seed in range(3000):
        chance = random.Random(seed)
        body = bytearray(pack([chance.randbytes(chance.randrange(5)) for _ in range(chance.randrange(12))]).body)
        for _ in range(chance.randrange(1, 4)):
            body[chance.randrange(len(body))] = chance.choice((0xC0, 0xC4, 0xC6, 0xDC, 0xDD, 0xDF, 0x91, 0x81, 0xD4, 1))
        try:
            items = unpack(bytes(body), crc32(body))
        except DecodeError:
            continue
        assert all(type(item) is bytes for item in items)


def test_hostile_bodies_reserve_no_memory() -> None:
    nested = [bytes([0x91]) * 1000, b"\xdc\x03\xff" * 3000, b"\xdd\x00\x10\x00\x00" * 1000 + bytes(3_000_000)]
    claims = [b"\xdd\xff\xff\xff\xff", b"\xdd\x7f\xff\xff\xff" + bytes(1000), b"\x91\xc6\xff\xff\xff\xff"]
    tracemalloc.start()
    try:
        for body in nested + claims:
            with pytest.raises(DecodeError):
                unpack(body, crc32(body))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 20_000_000


def test_fuzz_forged_configurations_are_one_that_is_written_the_same_or_a_decode_error() -> None:
    good = MEMBERS.encode()
    pieces = [b'"', b"[", b"]", b"{", b"}", b",", b"null", b"1e9", b"-1", b"true", b'"n1"', b"\\ud800", b"\xff", b"0"]
    accepted = 0
    for seed in range(6000):
        chance = random.Random(seed)
        body = bytearray(good)
        for _ in range(chance.randrange(1, 4)):
            at = chance.randrange(len(body))
            body[at : at + chance.randrange(4)] = chance.choice(pieces)
        data = bytes(body)
        try:
            message = decode(forge(11, ["n1", "n2", 7, 12, 6, len(data), crc32(data)], data))
        except DecodeError:
            continue
        assert isinstance(message, InstallSnapshot)
        assert message.configuration.encode() == data
        accepted += 1
    assert accepted < 3000


def test_fuzz_forged_pieces_lie_within_their_file_or_are_a_decode_error() -> None:
    numbers = (0, 1, 5, 99, 100, 101, 2**63 - 1, 2**63, -1)
    for seed in range(3000):
        chance = random.Random(seed)
        data = chance.randbytes(chance.randrange(4))
        digest = chance.choice(("", DIGEST, DIGEST[1:], "x" * 64))
        fields = [
            chance.choice(numbers),
            chance.choice(numbers),
            digest,
            chance.choice(numbers),
            chance.choice(numbers),
        ]
        try:
            message = decode(forge(17, ["n1", "n2", *fields, len(data), crc32(data)], data))
        except DecodeError:
            continue
        assert isinstance(message, SnapshotChunk)
        assert message.digest in ("", DIGEST)
        if message.size:
            assert message.data
            assert message.digest
            assert message.offset + len(message.data) <= message.size
        else:
            assert not message.data
