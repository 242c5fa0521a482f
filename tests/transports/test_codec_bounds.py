"""What a frame may be besides right: no longer than its kind, whole, written in one way, and cheap to refuse."""

import struct
from typing import Any
from zlib import crc32

import msgpack
import pytest

from rafty_core.messages import ForwardedProposalResponse, Heartbeat
from rafty_transports import shapes
from rafty_transports.codec import FIELDS_LIMIT, KEEP_ALIVE, VERSION, FrameSplitter, decode, encode, is_keep_alive
from rafty_transports.packing import SMALL_ARRAY, DecodeError, EncodeError, pack, unpack
from rafty_transports.shapes import CHUNK_FRAME, CONFIGURATION_FRAME

HEARTBEAT = b"".join(encode(Heartbeat("n1", "n2", 1, 2, 3)))


def forge(kind: int, fields: bytes, body: bytes = b"", announced: int | None = None) -> bytes:
    """A frame without its length whose CRC is right, and which announces so many bytes of fields."""
    length = len(fields) if announced is None else announced
    head = struct.pack(">BBIH", VERSION, kind, 0, length) + fields
    return struct.pack(">I", crc32(head + body if length > len(fields) else head)) + head + body


def test_fields_beyond_their_limit_are_not_looked_at() -> None:
    fields = msgpack.packb(["n1", "n2", 1, 2, 3, "x" * FIELDS_LIMIT])
    with pytest.raises(DecodeError, match=f"cannot have {len(fields)} bytes of fields"):
        decode(forge(5, fields))
    with pytest.raises(EncodeError, match="above the limit"):
        encode(ForwardedProposalResponse("n1", "n2", 7, 3, 9, "applied", (), "x" * FIELDS_LIMIT, ""))


def test_a_frame_has_all_the_fields_that_it_announces() -> None:
    fields = msgpack.packb(["n1", "n2", 1, 2, 3])
    assert decode(forge(7, fields)) == Heartbeat("n1", "n2", 1, 2, 3)
    with pytest.raises(DecodeError, match="cannot have 100 bytes of fields"):
        decode(forge(7, fields, announced=100))


def test_a_frame_that_no_splitter_has_seen_is_no_longer_than_its_kind_either() -> None:
    def piece(size: int) -> bytes:
        data = bytes(size)
        return forge(17, msgpack.packb(["n1", "n2", 9, 3, "a" * 64, size, 0, size, crc32(data)]), data)

    most = CHUNK_FRAME - len(piece(CHUNK_FRAME)) + CHUNK_FRAME
    decode(piece(most))
    with pytest.raises(DecodeError, match="above its limit"):
        decode(piece(most + 1))


def test_a_list_that_goes_on_behind_its_end_is_none() -> None:
    for count in (1, SMALL_ARRAY, SMALL_ARRAY + 1):
        body, _ = pack([b"\x01"] * count)
        for behind in (b"\xc0", b"\xc4\x01\x01\xc4\x05x", b"\xc4\x01\x01\xc4", b"\xc4\x01\x01\xc0"):
            wrong = body + behind
            with pytest.raises(DecodeError):
                unpack(wrong, crc32(wrong))


def test_a_keep_alive_is_written_in_one_way() -> None:
    frame = KEEP_ALIVE[4:]
    assert is_keep_alive(memoryview(frame))
    for place in range(len(frame)):
        other = bytearray(frame)
        other[place] ^= 1
        assert not is_keep_alive(bytes(other))


@pytest.mark.parametrize(("kind", "size"), [(7, 1000), (11, CONFIGURATION_FRAME), (17, CHUNK_FRAME)])
def test_what_a_frame_will_cost_is_known_from_its_beginning(kind: int, size: int) -> None:
    splitter = FrameSplitter()
    prefix = struct.pack(">IIBB", size, 0, VERSION, kind)
    assert splitter.feed(b"") == []
    assert (splitter.unfinished, splitter.completed) == (0, 0)
    splitter.feed(prefix[:9])
    assert 0 < splitter.unfinished <= len(prefix)  # the kind is not known yet
    splitter.feed(prefix[9:])
    assert splitter.unfinished == 4 + size
    splitter.feed(bytes(size - 7))
    assert splitter.unfinished == 4 + size
    assert len(splitter.feed(b"\x00")) == 1
    assert (splitter.unfinished, splitter.completed) == (0, 1)


def test_frames_are_counted_however_they_come() -> None:
    splitter = FrameSplitter()
    splitter.feed(HEARTBEAT * 3 + HEARTBEAT[:5])
    assert (splitter.completed, splitter.unfinished > 0) == (3, True)
    splitter.feed(HEARTBEAT[5:] + HEARTBEAT + HEARTBEAT[:15])
    assert (splitter.completed, splitter.unfinished) == (5, len(HEARTBEAT))


def test_names_that_nobody_has_are_not_remembered_for_ever() -> None:
    for number in range(10_000):
        decode(forge(7, msgpack.packb([f"stranger-{number}", "n2", 1, 2, 3])))
    assert len(shapes._known_ids) <= 4096


@pytest.mark.parametrize("field", [msgpack.Timestamp(5), msgpack.ExtType(5, b"x"), {"a": 1}, [1], b"1"])
def test_a_field_is_a_text_a_number_or_a_boolean(field: Any) -> None:
    for place in range(5):
        fields: list[Any] = ["n1", "n2", 1, 2, 3]
        fields[place] = field
        with pytest.raises(DecodeError):
            decode(forge(7, msgpack.packb(fields)))
