"""A port that withstands anyone: each test does one hostile thing to the leader of a cluster that is written to.

`besieged` fails unless the same leader leads in the same term afterwards, and no write has failed.
"""

import struct
from contextlib import AsyncExitStack
from dataclasses import replace
from zlib import crc32

import anyio
import msgpack
import pytest

from rafty_core import Change, Member
from rafty_core.messages import AppendEntries, Heartbeat, RequestVote
from rafty_transports.codec import KEEP_ALIVE, VERSION, encode
from rafty_transports.handshake import HandshakeFailed
from rafty_transports.interfaces import RemovedFromCluster
from tests.transports.besieged import LIMITS, Besieged, besieged
from tests.transports.connections import closed_by_peer, connect, until

pytestmark = pytest.mark.anyio

HEARTBEAT, APPEND, INSTALL = 7, 5, 11


def frame(kind: int, fields: object, body: bytes = b"") -> bytes:
    """A frame whose lengths and CRC are right, whatever stands in it."""
    packed: bytes = msgpack.packb(fields)
    head = struct.pack(">BBIH", VERSION, kind, 0, len(packed)) + packed
    rest = struct.pack(">I", crc32(head)) + head + body
    return struct.pack(">I", len(rest)) + rest


async def say(cluster: Besieged, *said: bytes) -> None:
    """Say each of these on a connection of its own, as a stranger whose handshake is right; each is hung up on."""
    before = cluster.gate.refusals["frame"]
    for data in said:
        async with await cluster.connect(cluster.stranger) as stream:
            await stream.send(data)
            await closed_by_peer(stream)
    await cluster.refused("frame", before + len(said))


async def test_who_never_says_hello_is_hung_up_on() -> None:
    async with besieged() as cluster, await connect(cluster.gate.address) as mute:
        await closed_by_peer(mute, 3.0)
        await cluster.refused("silent")


async def test_who_says_hello_a_byte_at_a_time_is_hung_up_on() -> None:
    async with besieged() as cluster, await connect(cluster.gate.address) as slow:
        with anyio.fail_after(5):
            try:
                for byte in b"rfty\x0f" + bytes(200):
                    await slow.send(bytes([byte]))
                    await anyio.sleep(0.01)
            except anyio.BrokenResourceError:
                pass
        await cluster.refused("silent")


async def test_what_is_no_hello_is_refused() -> None:
    async with besieged() as cluster:
        for count, junk in enumerate(
            (b"GET / HTTP/1.1\r\n\r\n", bytes(64), b"rfty" + b"\xff" * 64, b"*1\r\n$4\r\nPING\r\n"), 1
        ):
            async with await connect(cluster.gate.address) as stream:
                await stream.send(junk)
                await closed_by_peer(stream, 3.0)
            await cluster.refused("protocol", count)


async def test_no_message_counts_before_the_handshake() -> None:
    async with besieged() as cluster, await connect(cluster.gate.address) as stream:
        leader = cluster.leader.identity.node_id
        await stream.send(b"".join(encode(Heartbeat(cluster.member.node_id, leader, 1000, 0, 1))))
        await closed_by_peer(stream, 3.0)
        await cluster.refused("protocol")


async def test_an_absurd_term_is_not_believed_though_the_handshake_is_right() -> None:
    async with besieged() as cluster, await cluster.connect(cluster.stranger) as stream:
        leader = cluster.leader.identity.node_id
        await stream.send(b"".join(encode(RequestVote("x1", leader, 2**62, 2**62, 2**62))))
        await stream.send(b"".join(encode(Heartbeat("x1", leader, 2**40, 0, 1))))
        await until(lambda: cluster.leader.status().violations >= 2)


async def test_a_stranger_that_asks_for_votes_disturbs_nobody() -> None:
    async with besieged() as cluster, await cluster.connect(cluster.stranger) as stream:
        leader = cluster.leader.identity.node_id
        for term in range(cluster.term + 1, cluster.term + 50):
            await stream.send(b"".join(encode(RequestVote("x1", leader, term, 2**40, 2**30))))
        await cluster.stands()


async def test_lengths_are_compared_with_the_limit_of_their_kind_before_anything_is_kept() -> None:
    async with besieged() as cluster:
        await say(
            cluster,
            struct.pack(">IIBB", 2**32 - 1, 0, VERSION, APPEND),
            struct.pack(">IIBB", 2000, 0, VERSION, HEARTBEAT),
            struct.pack(">IIBB", 1024 * 1024, 0, VERSION, INSTALL),
            struct.pack(">IIBB", 100, 0, VERSION, 200),
        )


async def test_nesting_maps_and_extensions_are_no_fields() -> None:
    deep: object = 1
    for _ in range(200):
        deep = [deep]
    async with besieged() as cluster:
        leader = cluster.leader.identity.node_id
        await say(
            cluster,
            frame(HEARTBEAT, ["x1", leader, deep, 0, 1]),
            frame(HEARTBEAT, {"sender": "x1"}),
            frame(HEARTBEAT, ["x1", leader, {}, 0, 1]),
            frame(HEARTBEAT, ["x1", leader, msgpack.ExtType(5, b"x"), 0, 1]),
            frame(HEARTBEAT, ["x1", leader, msgpack.Timestamp(1), 0, 1]),
        )


async def test_numbers_of_other_types_and_ranges_are_no_fields() -> None:
    async with besieged() as cluster:
        leader = cluster.leader.identity.node_id
        await say(
            cluster,
            *[
                frame(HEARTBEAT, ["x1", leader, odd, 0, 1])
                for odd in (True, 1.0, -1, 2**63, 2**64 - 1, "1", None, b"1")
            ],
        )


async def test_a_frame_that_is_not_finished_in_time_ends_the_connection() -> None:
    async with besieged() as cluster, await cluster.connect(cluster.stranger) as stream:
        await stream.send(struct.pack(">IIBB", 1000, 0, VERSION, HEARTBEAT))
        with anyio.fail_after(5):
            try:
                while True:
                    await stream.send(b"\x00")
                    await anyio.sleep(0.02)
            except anyio.BrokenResourceError:
                pass
        await cluster.refused("slow_frame")


async def test_large_frames_of_guests_share_one_memory() -> None:
    async with besieged() as cluster, AsyncExitStack() as stack:
        streams = []
        for number in range(3):
            guest = replace(cluster.stranger, node_id=f"x{number}", incarnation=f"incarnation-x{number}")
            stream = await stack.enter_async_context(await cluster.connect(guest))
            await stream.send(struct.pack(">IIBB", 8 * 1024 * 1024, 0, VERSION, APPEND) + b"begin")
            streams.append(stream)
        await cluster.refused("frame")


async def test_who_speaks_for_another_is_hung_up_on() -> None:
    async with besieged() as cluster:
        leader = cluster.leader.identity.node_id
        await say(
            cluster,
            b"".join(encode(Heartbeat(cluster.member.node_id, leader, cluster.term, 0, 1))),
            b"".join(encode(Heartbeat("x1", "n9", cluster.term, 0, 1))),
        )


async def test_another_cluster_another_life_and_an_earlier_boot_are_refused() -> None:
    async with besieged() as cluster:
        member = cluster.member
        for identity, reason in (
            (replace(member, cluster_id="other.0123"), "cluster"),
            (replace(member, incarnation="another"), "incarnation"),
            (replace(member, boot=0), "incarnation"),
            (replace(member, node_id=cluster.leader.identity.node_id), "name"),
        ):
            before = cluster.gate.refusals[reason]
            with pytest.raises(Exception, match=r"\w"):
                await cluster.connect(identity)
            await cluster.refused(reason, before + 1)


async def test_a_removed_node_is_refused_with_the_reason() -> None:
    async with besieged(absent="n4") as cluster:
        await cluster.leader.change_membership([Change("remove", Member("n4"))])
        with pytest.raises(RemovedFromCluster, match="was removed from the cluster"):
            await cluster.connect(replace(cluster.stranger, node_id="n4"))
        await cluster.refused("removed")


async def test_more_strangers_than_the_limit_are_refused() -> None:
    async with besieged() as cluster, AsyncExitStack() as stack:
        for number in range(LIMITS.guests):
            guest = replace(cluster.stranger, node_id=f"x{number}", incarnation=f"incarnation-x{number}")
            await stack.enter_async_context(await cluster.connect(guest))
        with pytest.raises(Exception, match="no member"):
            await cluster.connect(replace(cluster.stranger, node_id="x9", incarnation="incarnation-x9"))
        await cluster.refused("guests")


async def test_one_peer_has_few_connections() -> None:
    async with besieged() as cluster, AsyncExitStack() as stack:
        for _ in range(12):
            stream = await stack.enter_async_context(await cluster.connect(cluster.stranger))
            await stream.send(KEEP_ALIVE)
        assert cluster.gate.connections <= 2 + LIMITS.connections_per_peer


async def test_a_crowd_that_says_nothing_keeps_nobody_out() -> None:
    limits = replace(LIMITS, handshake=60.0)
    async with besieged(limits) as cluster, AsyncExitStack() as stack:
        for _ in range(limits.connections_per_address + 10):
            await stack.enter_async_context(await connect(cluster.gate.address))
        await cluster.refused("half_open", 10)
        await until(lambda: cluster.gate.half_open == limits.handshakes)
        async with await cluster.connect(cluster.stranger):  # of the same address, and let in
            await until(lambda: cluster.gate.half_open < limits.handshakes)


async def test_one_address_has_few_connections_that_agreed() -> None:
    limits = replace(LIMITS, guests=30, connections_per_address=12)
    async with besieged(limits) as cluster, AsyncExitStack() as stack:
        with pytest.raises(HandshakeFailed):
            for number in range(12):
                guest = replace(cluster.stranger, node_id=f"x{number}", incarnation=f"incarnation-x{number}")
                await stack.enter_async_context(await cluster.connect(guest))
        await cluster.refused("address")
        host, _, port = cluster.gate.address.rpartition(":")
        other = await anyio.connect_tcp(host, int(port), local_host="127.0.0.2")
        async with other:  # of another address, and let in
            await other.send(b"GET / HTTP/1.1")
            assert b"does not speak the protocol" in await closed_by_peer(other, 3.0)


async def test_frames_of_an_old_connection_that_are_replayed_change_nothing() -> None:
    recorded = bytearray()
    async with besieged() as cluster:
        leader = cluster.leader.identity.node_id
        entries = AppendEntries("x1", leader, cluster.term, 5, cluster.term, 0)
        recorded += b"".join(encode(Heartbeat("x1", leader, 1, 0, 1))) + b"".join(encode(entries))
        for _ in range(3):
            async with await cluster.connect(cluster.stranger) as stream:
                await stream.send(bytes(recorded) * 100)
                await cluster.stands()


@pytest.mark.parametrize("digest", ["../../../etc/passwd", "/etc/passwd", "a" * 63 + "/"])
async def test_no_name_from_the_wire_becomes_a_path(digest: str) -> None:
    async with besieged() as cluster:
        leader = cluster.leader.identity.node_id
        await say(cluster, frame(INSTALL, ["x1", leader, 5, 1, 1, 100, digest, 0, 0, 0]))
