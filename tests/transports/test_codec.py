"""Frames: every message survives the way, and nothing that is not a whole and right frame is one."""

import random
import struct
from typing import Any
from zlib import crc32

import msgpack
import pytest

from rafty_core.configuration import Configuration, Lease, Member
from rafty_core.entries import LARGEST, Batch
from rafty_core.messages import (
    FORWARD_OUTCOMES,
    MESSAGE_TYPES,
    AppendEntries,
    AppendEntriesResponse,
    ForwardedProposal,
    ForwardedProposalResponse,
    Heartbeat,
    HeartbeatResponse,
    InstallSnapshot,
    InstallSnapshotResponse,
    PreVote,
    PreVoteResponse,
    ReadIndexRequest,
    ReadIndexResponse,
    RequestVote,
    RequestVoteResponse,
    TimeoutNow,
)
from rafty_transports import codec
from rafty_transports.chunks import CHUNK_BYTES, SnapshotChunk, SnapshotChunkRequest
from rafty_transports.codec import (
    KEEP_ALIVE,
    VERSION,
    DecodeError,
    EncodeError,
    FrameSplitter,
    decode,
    encode,
    is_keep_alive,
    pack_batch,
    unpack_batch,
    weight,
)
from rafty_transports.interfaces import Travelling
from rafty_transports.packing import SMALL_ARRAY, pack, unpack
from rafty_transports.shapes import CHUNK_FRAME, CONFIGURATION_FRAME, SHAPES

ENTRIES = [b"\x00", b"\x01", b"\x01first", b"\x01" + bytes(range(256)), b"\x01" * 70_000]

DIGEST = "0123456789abcdef" * 4

MEMBERS = Configuration(
    voters=(Member("n1", "[::1]:7001", "a1"), Member("n2", "host:7002", "a2")),
    outgoing=(Member("n1"), Member("n3")),
    learners=(Member("n4"),),
    learners_next=(Member("n3"),),
    goal=Configuration.of("n1", "n2", "n4"),
    newcomers=("n4",),
    removed=(Member("n9", "", "dead"),),
    lease=Lease(0.25, 0.01),
)

MESSAGES: list[Travelling] = [
    RequestVote("n1", "n2", 7, 12, 6),
    RequestVote("n1", "n2", LARGEST, LARGEST, LARGEST),
    RequestVote("n1", "n2", 7, 12, 6, True),
    RequestVoteResponse("n1", "n2", 7, True),
    RequestVoteResponse("n1", "n2", 7, False),
    PreVote("n1", "n2", 7, 0, 0),
    PreVoteResponse("n1", "n2", 7, 8, True),
    AppendEntries("n1", "n2", 7, 12, 6, 11),
    AppendEntries("n1", "n2", 7, 12, 6, 11, Batch(13, 7, ENTRIES)),
    AppendEntries("n1", "n2", 7, 0, 0, 0, Batch(1, 5, (b"\x00",))),
    AppendEntries("n1", "n2", 7, 0, 0, 0, Batch(1, 5, [b"\x01%d" % number for number in range(SMALL_ARRAY + 1)])),
    AppendEntries("n1", "n2", 7, 0, 0, 0, Batch(1, 5, [b"\x01"] * 70_000)),
    AppendEntriesResponse("n1", "n2", 7, True, 13),
    AppendEntriesResponse("n1", "n2", 7, False, 13, 4, 2),
    Heartbeat("n1", "n2", 7, 12, 1),
    HeartbeatResponse("n1", "n2", 7, 1),
    ForwardedProposal("n1", "n2", 7, 3, 99, (b"", b"one", b"two")),
    ForwardedProposal("n1", "n2", 7, 3, 99, ()),
    *[ForwardedProposalResponse("n1", "n2", 7, 3, 99, outcome) for outcome in FORWARD_OUTCOMES],
    ForwardedProposalResponse("n1", "n2", 7, 3, 99, "superseded", (b"", b"result"), "n3", "so it is: ä"),
    InstallSnapshot("n1", "n2", 7, 12, 6, Configuration.of("n1", "n2")),
    InstallSnapshot("n1", "n2", 7, 12, 6, MEMBERS),
    InstallSnapshot("n1", "n2", 7, 0, 0, Configuration()),
    InstallSnapshotResponse("n1", "n2", 7, 12),
    TimeoutNow("n1", "n2", 7),
    ReadIndexRequest("n1", "n2", 7, 3, 99, True),
    ReadIndexResponse("n1", "n2", 7, 3, 99, 12),
    SnapshotChunkRequest("n1", "n2", 12, 6, "", 0),
    SnapshotChunkRequest("n1", "n2", 12, 6, DIGEST, 5 * CHUNK_BYTES),
    SnapshotChunk("n1", "n2", 12, 6, DIGEST, 1000, 988, b"twelve bytes"),
    SnapshotChunk("n1", "n2", 12, 6, DIGEST, LARGEST, 0, bytes(CHUNK_BYTES)),
    SnapshotChunk("n1", "n2", 12, 6, "", 0, 77, b""),
    Heartbeat("!" * 64, "~" * 64, 0, 0, 0),
]


def frame_of(message: Travelling) -> bytes:
    """The frame of this message, without its length."""
    return b"".join(encode(message))[4:]


def forge(kind: int, fields: Any, body: bytes = b"", version: int = VERSION, group: int = 0) -> bytes:
    """A frame, without its length, whose CRC is right whatever is in it."""
    packed = fields if isinstance(fields, bytes) else msgpack.packb(fields)
    head = struct.pack(">BBIH", version, kind, group, len(packed)) + packed
    return struct.pack(">I", crc32(head)) + head + body


def kind_of(message: Travelling) -> int:
    """The number of this message's kind in a frame."""
    return encode(message)[0][9]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_round_trip_any_message(message: Travelling) -> None:
    frame = frame_of(message)
    copy = decode(frame)
    assert copy == message
    assert copy is not message
    assert frame_of(copy) == frame
    assert decode(memoryview(b"..." + frame)[3:]) == message


def test_round_trip_covers_every_class() -> None:
    every = {*MESSAGE_TYPES, SnapshotChunk, SnapshotChunkRequest}
    assert {type(message) for message in MESSAGES} == {shape.message for shape in SHAPES} == every
    assert len({shape.kind for shape in SHAPES}) == len(SHAPES)


def test_weight_is_about_the_size_of_the_frame() -> None:
    for message in MESSAGES:
        assert abs(weight(message) - len(frame_of(message))) < 200


def test_encode_shares_the_packed_body() -> None:
    batch = Batch(13, 7, ENTRIES)
    first = encode(AppendEntries("n1", "n2", 7, 12, 6, 11, batch))
    second = encode(AppendEntries("n1", "n3", 7, 12, 6, 11, batch))
    assert first[1] is second[1] is pack_batch(batch).body is batch.packed.body


def test_decode_keeps_the_received_body_for_the_store() -> None:
    message = decode(frame_of(AppendEntries("n1", "n2", 7, 12, 6, 11, Batch(13, 7, ENTRIES))))
    assert isinstance(message, AppendEntries)
    assert message.batch is not None
    assert message.batch.packed == pack(ENTRIES)
    assert pack_batch(message.batch) is message.batch.packed


def test_unpack_batch_gives_back_what_was_packed() -> None:
    body, crc = pack_batch(Batch(5, 2, ENTRIES))
    batch = unpack_batch(5, 2, body, crc)
    assert batch == Batch(5, 2, ENTRIES)
    assert batch.packed == (body, crc)


@pytest.mark.parametrize(
    "items",
    [[], [b""], [b"\x01", b""], ["text"], [""], [1], [None], [True], [[b"\x01"]], [[]], [{}], [b"\x01", 2.0], {}, 7],
)
def test_unpack_batch_refuses_other_content(items: Any) -> None:
    body = msgpack.packb(items)
    with pytest.raises(DecodeError):
        unpack_batch(1, 1, body, crc32(body))
    if isinstance(items, list):
        many = msgpack.packb([b"\x01"] * SMALL_ARRAY + (items or [b""]))
        with pytest.raises(DecodeError):
            unpack_batch(1, 1, many, crc32(many))


@pytest.mark.parametrize("first", [0, -1, LARGEST, True, 1.0])
def test_unpack_batch_refuses_an_index_out_of_range(first: Any) -> None:
    body, crc = pack([b"\x01", b"\x01"])
    with pytest.raises(DecodeError):
        unpack_batch(first, 1, body, crc)


def test_unpack_refuses_a_wrong_crc_and_trailing_bytes() -> None:
    for items in ([b"\x01"], [b"\x01"] * (SMALL_ARRAY + 1)):
        body, crc = pack(items)
        with pytest.raises(DecodeError, match="CRC"):
            unpack(body, crc ^ 1)
        for wrong in (body + b"\x00", body + b"\xc4\x01\x01", body[:-1], body + b"\xc4\x05"):
            with pytest.raises(DecodeError):
                unpack(wrong, crc32(wrong))


def test_decode_refuses_unknown_versions_kinds_and_groups() -> None:
    fields = ["n1", "n2", 1, 2, 3]
    assert decode(forge(7, fields)) == Heartbeat("n1", "n2", 1, 2, 3)
    for frame in (forge(7, fields, version=0), forge(7, fields, version=2), forge(7, fields, group=1)):
        with pytest.raises(DecodeError):
            decode(frame)
    for kind in (0, 18, 255):
        with pytest.raises(DecodeError):
            decode(forge(kind, fields))


@pytest.mark.parametrize("name", ["", "with space", "ä", "x" * 65, "\x00", "line\n", 7, b"n1", None])
def test_decode_refuses_an_illegal_node_id(name: Any) -> None:
    for fields in ([name, "n2", 1, 2, 3], ["n1", name, 1, 2, 3]):
        with pytest.raises(DecodeError):
            decode(forge(7, fields))


@pytest.mark.parametrize(
    "fields",
    [
        [],
        ["n1", "n2", 1, 2],
        ["n1", "n2", 1, 2, 3, 4],
        ["n1", "n2", [1], 2, 3],
        ["n1", "n2", {1: 2}, 2, 3],
        {"sender": "n1"},
        b"",
        b"\x95",
        b"\xdd\xff\xff\xff\xff",
        b"\x91" * 1000,
        msgpack.packb(["n1", "n2", 1, 2, 3]) + b"\x00",
        ["n1", "n2", 1, 2, msgpack.ExtType(5, b"x")],
        ["n1", "n2", 1, 2, msgpack.Timestamp(5)],
        7,
    ],
)
def test_decode_refuses_fields_of_another_shape(fields: Any) -> None:
    with pytest.raises(DecodeError):
        decode(forge(7, fields))


def test_decode_refuses_a_body_where_there_is_none() -> None:
    with pytest.raises(DecodeError, match="follow"):
        decode(forge(7, ["n1", "n2", 1, 2, 3], b"x"))


def test_decode_refuses_a_body_of_another_length_or_a_forged_term() -> None:
    body, crc = pack([b"\x01"])
    good = ["n1", "n2", 7, 12, 6, 11, 7, len(body), crc]
    assert isinstance(decode(forge(5, good, body)), AppendEntries)
    for fields, tail in (
        (good, body + b"\x00"),
        (good, body[:-1]),
        (good, b""),
        ([*good[:7], 0, 0], b""),
        ([*good[:6], 0, 0, 5], b""),
        (["n1", "n2", 7, LARGEST, 6, 11, 7, len(body), crc], body),
    ):
        with pytest.raises(DecodeError):
            decode(forge(5, fields, tail))


def test_decode_refuses_an_unknown_outcome_hint_or_long_reason() -> None:
    body, crc = pack([])
    for outcome, hint, reason in (("won", "", ""), ("applied", "no id", ""), ("applied", "", "x" * 257)):
        with pytest.raises(DecodeError):
            decode(forge(10, ["n1", "n2", 7, 3, 9, outcome, hint, reason, len(body), crc], body))


def test_decode_refuses_a_configuration_that_no_node_wrote() -> None:
    good = Configuration.of("n1", "n2").encode()
    fields: list[Any] = ["n1", "n2", 7, 12, 6]
    assert isinstance(decode(forge(11, [*fields, len(good), crc32(good)], good)), InstallSnapshot)
    wrong = [b"", b"{", b"[]", b"null", b"[" * 5000, good + b" ", good[:-1], good.decode().encode("utf-16")]
    wrong += [b'{"voters":["abc"]}', b'{"voters":[["n1","",7]]}', b'{"voters":[["n 1","",""]]}', b'{"lease":[1e9,0]}']
    wrong += [b'{"voters":[["n1","",""],["n1","",""]]}', b'{"unknown":1}', b'{"voters":[],"voters":[]}', b"9" * 9999]
    for body in wrong:
        with pytest.raises(DecodeError):
            decode(forge(11, [*fields, len(body), crc32(body)], body))
    for length, crc, body in ((len(good), crc32(good) ^ 1, good), (len(good) + 1, crc32(good), good), (0, 0, b"")):
        with pytest.raises(DecodeError):
            decode(forge(11, [*fields, length, crc], body))


def test_decode_refuses_a_piece_that_is_of_no_file() -> None:
    def piece(digest: str, size: int, offset: int, data: bytes) -> bytes:
        return forge(17, ["n1", "n2", 12, 6, digest, size, offset, len(data), crc32(data)], data)

    assert isinstance(decode(piece(DIGEST, 10, 8, b"ab")), SnapshotChunk)
    for digest in ("", DIGEST[1:], DIGEST.upper(), DIGEST + "\n", "../" + DIGEST[3:], "é" * 64):
        with pytest.raises(DecodeError):
            decode(piece(digest, 10, 8, b"ab"))
        if digest:
            with pytest.raises(DecodeError):
                decode(forge(16, ["n1", "n2", 12, 6, digest, 0]))
    for size, offset, data in ((10, 9, b"ab"), (10, 10, b""), (0, 0, b"ab"), (LARGEST, LARGEST, b"a"), (-1, 0, b"")):
        with pytest.raises(DecodeError):
            decode(piece(DIGEST, size, offset, data))
    with pytest.raises(DecodeError):
        decode(forge(17, ["n1", "n2", 12, 6, DIGEST, 10, 8, 2, crc32(b"ab")], b"ac"))
    with pytest.raises(DecodeError):
        decode(forge(16, ["n1", "n2", 12, 6, "", 0], b"more"))


def test_encode_cuts_a_reason_that_is_too_long() -> None:
    copy = decode(frame_of(ForwardedProposalResponse("n1", "n2", 7, 3, 9, "overloaded", (), "", "ä" * 1000)))
    assert isinstance(copy, ForwardedProposalResponse)
    assert copy.reason == "ä" * codec.REASON_LIMIT


def test_a_thousand_removed_members_fit_into_an_offer_of_a_snapshot() -> None:
    gone = [Member(f"{number:064}", "a" * 253 + ":65535", "f" * 32) for number in range(1000)]
    message = InstallSnapshot("n1", "n2", 7, 1, 1, Configuration(voters=(Member("n1"),), removed=tuple(gone)))
    assert decode(frame_of(message)) == message


def test_encode_refuses_what_no_receiver_would_take() -> None:
    wrong: list[Any] = [
        Heartbeat("n1", "n2", 2**64, 1, 1),
        Heartbeat("n" * 2000, "n2", 1, 1, 1),
        Heartbeat("\ud800", "n2", 1, 1, 1),
        Heartbeat("n1", "n2", object(), 1, 1),  # type: ignore[arg-type]
        AppendEntries("n1", "n2", 7, 12, 6, 11, Batch(13, 7, [])),
        AppendEntries("n1", "n2", 7, 12, 6, 11, Batch(14, 7, [b"\x01"])),
        AppendEntries("n1", "n2", 7, 12, 6, 11, Batch(13, 7, [b"\x01" * codec.LARGE_FRAME])),
        ForwardedProposal("n1", "n2", 7, 1, 1, [object()]),  # type: ignore[list-item]
        InstallSnapshot("n1", "n2", 7, 1, 1, object()),  # type: ignore[arg-type]
        InstallSnapshot("n1", "n2", 7, 1, 1, Configuration((Member("n1", "x" * CONFIGURATION_FRAME),))),
        SnapshotChunkRequest("n1", "n2", 7, 1, "../secret", 0),
        SnapshotChunk("n1", "n2", 7, 1, DIGEST, 4, 3, b"ab"),
        SnapshotChunk("n1", "n2", 7, 1, DIGEST, 4, object(), b"ab"),  # type: ignore[arg-type]
        SnapshotChunk("n1", "n2", 7, 1, DIGEST, 4, 0, "ab"),  # type: ignore[arg-type]
        SnapshotChunk("n1", "n2", 7, 1, DIGEST, CHUNK_FRAME, 0, bytes(CHUNK_FRAME)),
    ]
    for message in wrong:
        with pytest.raises(EncodeError):
            encode(message)


def test_keep_alive_is_no_message() -> None:
    assert is_keep_alive(KEEP_ALIVE[4:])
    assert not is_keep_alive(frame_of(Heartbeat("n1", "n2", 1, 1, 1)))
    with pytest.raises(DecodeError):
        decode(KEEP_ALIVE[4:])


def test_splitter_cuts_frames_whatever_the_chunks_are() -> None:
    stream = b"".join(b"".join(encode(message)) for message in MESSAGES)
    for seed in range(5):
        chance = random.Random(seed)
        splitter, start, got = FrameSplitter(), 0, []
        while start < len(stream):
            size = chance.choice((1, 2, 5, 13, 100, 5000, 200_000))
            got += [decode(frame) for frame in splitter.feed(stream[start : start + size])]
            start += size
        assert got == MESSAGES


def test_splitter_takes_a_large_frame_in_small_chunks_quickly() -> None:
    message = AppendEntries("n1", "n2", 7, 0, 0, 0, Batch(1, 7, [b"\x01" * 1024] * 4096))
    stream = b"".join(encode(message))
    splitter, got = FrameSplitter(), []
    for start in range(0, len(stream), 500):
        got += [decode(frame) for frame in splitter.feed(stream[start : start + 500])]
    assert got == [message]


def test_splitter_refuses_a_length_above_the_limit_of_the_kind() -> None:
    for kind, length in (
        *((7, 1025), (7, 11), (5, codec.LARGE_FRAME + 1), (99, 100), (10, 2**32 - 1), (7, 0)),
        *((11, CONFIGURATION_FRAME + 1), (16, 1025), (17, CHUNK_FRAME + 1)),
    ):
        with pytest.raises(DecodeError):
            FrameSplitter().feed(struct.pack(">IIBB", length, 0, VERSION, kind))
