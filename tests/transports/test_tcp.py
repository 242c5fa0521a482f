"""The TCP transport: messages arrive, connections come back, and leaving is always quick."""

import logging
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from zlib import crc32

import anyio
import msgpack
import pytest

from rafty_core.entries import Batch
from rafty_core.events import PeerUnreachable
from rafty_core.messages import AppendEntries, Heartbeat
from rafty_transports.chunks import SnapshotChunk
from rafty_transports.codec import VERSION, encode
from rafty_transports.handshake import dial
from rafty_transports.interfaces import Identity, Refused, Travelling
from rafty_transports.links import Limits
from rafty_transports.queues import HELD_MESSAGES, Outbox
from rafty_transports.tcp import TcpTransport, TransportError, split_address
from tests.transports.connections import (
    ANYWHERE,
    NOWHERE,
    QUICK,
    admission,
    admit_all,
    closed_by_peer,
    connect,
    connect_as,
    heartbeat,
    identity,
    messages_of,
    node,
    rounds,
    two_nodes,
    unreachable_of,
    until,
)
from tests.transports.test_codec import MESSAGES

pytestmark = pytest.mark.anyio


@contextmanager
def quickly(seconds: float = 2.0) -> Iterator[None]:
    """What is inside takes less than this."""
    start = time.monotonic()
    yield
    assert time.monotonic() - start < seconds


async def test_every_message_arrives() -> None:
    messages = [message for message in MESSAGES if message.to == "n2"]
    async with two_nodes() as (one, two):
        for message in messages:
            one.send(message)
        got = await messages_of(two, len(messages))
        key = lambda message: (type(message).__name__, repr(message)[:200])  # noqa: E731
        assert sorted(got, key=key) == sorted(messages, key=key)


async def test_three_nodes_answer_each_other() -> None:
    async with node("n1", {}) as one, node("n2", {}) as two, node("n3", {}) as three:
        nodes = {"n1": one, "n2": two, "n3": three}
        for name, transport in nodes.items():
            for other, peer in nodes.items():
                if other != name:
                    transport.set_peer(other, peer.address)
        await until(lambda: all(status.connected for each in nodes.values() for status in each.peers().values()))
        for name, transport in nodes.items():
            for other in nodes:
                if other != name:
                    transport.send(heartbeat(name, other))
        for name, transport in nodes.items():
            got = await messages_of(transport, 2)
            assert sorted(message.sender for message in got) == sorted(set(nodes) - {name})


async def test_messages_of_one_lane_keep_their_order() -> None:
    async with two_nodes() as (one, two):
        sent = [AppendEntries("n1", "n2", 1, at, 1, 0, Batch(at + 1, 1, [b"\x01" * 5000])) for at in range(300)]
        for message in sent:
            one.send(message)
        assert await messages_of(two, 300) == sent


async def test_a_heartbeat_overtakes_appends() -> None:
    outbox = Outbox(100, 10_000_000)
    outbox.connected = True
    outbox.put(AppendEntries("n1", "n2", 1, 0, 0, 0, Batch(1, 1, [b"\x01" * 100])))
    outbox.put(heartbeat("n1", "n2"))
    pieces = await outbox.take(1_000_000)
    assert pieces[0] == encode(heartbeat("n1", "n2"))[0]
    assert outbox.empty


async def test_everything_overtakes_the_pieces_of_a_snapshot() -> None:
    outbox = Outbox(100, 10_000_000)
    outbox.connected = True
    pieces = [SnapshotChunk("n1", "n2", 9, 1, "a" * 64, 1_000_000, at, b"x" * 1000) for at in range(3)]
    append = AppendEntries("n1", "n2", 1, 0, 0, 0, Batch(1, 1, [b"\x01" * 5000]))
    for piece in pieces:
        outbox.put(piece)
    outbox.put(append)
    outbox.put(heartbeat("n1", "n2"))

    def joined(*messages: Travelling) -> list[bytes]:
        return [part for message in messages for part in encode(message)]

    assert await outbox.take(10_000) == joined(heartbeat("n1", "n2"), append, pieces[0])
    for _ in range(2):
        outbox.put(append)
    assert await outbox.take(10_000) == joined(append, append)  # they leave no room
    assert await outbox.take(10_000) == joined(pieces[1])
    outbox.put(heartbeat("n1", "n2"))
    assert await outbox.take(10_000) == joined(heartbeat("n1", "n2"), pieces[2])
    assert outbox.empty


async def test_a_restarted_peer_is_connected_again() -> None:
    async with node("n1", {}) as one:
        async with node("n2", {"n1": one.address}) as two:
            address = two.address
            one.set_peer("n2", address)
            await until(lambda: one.peers()["n2"].connected)
            one.send(heartbeat("n1", "n2", 1))
            assert rounds(await messages_of(two, 1)) == [1]
        assert await unreachable_of(one) == "n2"
        await until(lambda: not one.peers()["n2"].connected)
        async with node("n2", {"n1": one.address}, listen=address) as again:
            await until(lambda: one.peers()["n2"].connected)
            one.send(heartbeat("n1", "n2", 2))
            assert rounds(await messages_of(again, 1)) == [2]


async def test_a_peer_that_comes_back_is_dialed_at_once() -> None:
    patient = Limits(backoff_first=30.0, backoff_last=30.0)
    async with node("n2", {"n1": NOWHERE}) as placeholder:
        address = placeholder.address
    async with node("n1", {"n2": address}, patient) as one:
        await until(lambda: one.peers()["n2"].trouble)
        async with node("n2", {"n1": one.address}, listen=address):
            await until(lambda: one.peers()["n2"].connected)


async def test_a_peer_that_moved_is_found_at_its_new_address() -> None:
    async with two_nodes() as (one, two), node("n2", {"n1": one.address}) as moved:
        one.set_peer("n2", moved.address)
        await until(lambda: one.peers()["n2"].connected and moved.peers()["n1"].accepted)
        one.send(heartbeat("n1", "n2", 5))
        assert rounds(await messages_of(moved, 1)) == [5]
        await until(lambda: not two.peers()["n1"].accepted)


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (identity("n2", cluster_id="bank.0123"), ["cluster shop.0123", "cluster bank.0123"]),
        (identity("n2", cluster_id="shop.9999", bootstrap="n1,n2,n4"), ["only one has n3", "only the other has n4"]),
        (identity("n3"), ["n1 dialed n2 and reached n3"]),
    ],
)
async def test_a_mismatch_names_its_reason_on_both_sides(other: Identity, words: list[str]) -> None:
    theirs = TcpTransport(other, {"n1": NOWHERE}, ANYWHERE, admit=admit_all, limits=QUICK)
    async with theirs, node("n1", {"n2": theirs.address}) as mine:
        await until(lambda: mine.peers()["n2"].refusal and theirs.peers()["n1"].refusal)
        for reason in (mine.peers()["n2"].refusal, theirs.peers()["n1"].refusal):
            for word in words:
                assert word in (reason or "").replace("'", "")
        assert not mine.peers()["n2"].connected


async def test_a_refusal_of_the_dialing_node_is_known_on_both_sides() -> None:
    def admit(peer: Identity) -> None:
        raise Refused(f"{peer.node_id} was met with another incarnation")

    async with node("n2", {"n1": NOWHERE}) as theirs:
        peers = {"n2": theirs.address}
        async with TcpTransport(identity("n1"), peers, ANYWHERE, admit=admit, limits=QUICK) as mine:
            await until(lambda: mine.peers()["n2"].refusal and theirs.peers()["n1"].refusal)
            assert mine.peers()["n2"].refusal == theirs.peers()["n1"].refusal == "n2 was met with another incarnation"
            assert mine.peers()["n2"].trouble == mine.peers()["n2"].refusal


async def test_a_namesake_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    async with node("n2", {"n1": NOWHERE}) as theirs:
        stream = await connect(theirs.address)
        with pytest.raises(Refused, match="two nodes have one name"):
            await dial(stream, identity("n2"), "n2", admission())
        await stream.aclose()
        await until(lambda: theirs.refusals.total == 1)
    assert any("two nodes have one name" in record.getMessage() for record in caplog.records)


async def test_a_reason_is_logged_once_however_often_it_is_met(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    attempts: list[str] = []

    def admit(peer: Identity) -> None:
        attempts.append(peer.node_id)
        raise Refused("not today")

    theirs = TcpTransport(identity("n2"), {"n1": NOWHERE}, ANYWHERE, admit=admit, limits=QUICK)
    async with theirs, node("n1", {"n2": theirs.address}) as mine:
        await until(lambda: len(attempts) >= 4)
        await until(lambda: mine.peers()["n2"].refusal)
    said = [record.getMessage() for record in caplog.records if "not today" in record.getMessage()]
    assert sorted(said) == ["connection with n1 refused: not today", "connection with n2 refused: not today"]


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", b"does not speak the protocol"),
        (b"rfty\xff\xff\x00\x00\x00\x00", b"is the limit"),
        (b"rfty\x00\x01\x00\x00\x00\x00\x90", b"a CRC is wrong"),
    ],
)
async def test_what_is_no_handshake_is_refused_with_a_reason(said: bytes, words: bytes) -> None:
    async with node("n1", {}) as one:
        async with await connect(one.address) as stream:
            await stream.send(said)
            assert words in await closed_by_peer(stream)
        await until(lambda: one.refusals.total == 1)


@pytest.mark.parametrize(
    ("lowest", "highest", "behind", "answered"),
    [
        (VERSION + 1, VERSION + 3, [""], b"no common protocol version"),
        (0, 9, ["host:7", "a field of a later version"], b"incarnation-n1"),
        (1, 1, ["where it is, as this version does not know it"], b"incarnation-n1"),
        (1, 1, [], b"incarnation-n1"),
        (1, 1, [7], b"that is no text"),
        (1, 1, ["x" * 1001], b"that is no text"),
    ],
)
async def test_a_hello_of_another_version_is_understood_or_refused(
    lowest: int, highest: int, behind: list[object], answered: bytes
) -> None:
    mine = identity("n2")
    names = [mine.cluster_id, mine.node_id, mine.incarnation, mine.boot, mine.bootstrap]
    body = msgpack.packb([1, lowest, highest, 0, *names, "n1", *behind])
    async with node("n1", {"n2": NOWHERE}) as one, await connect(one.address) as stream:
        await stream.send(struct.pack(">4sHI", b"rfty", len(body), crc32(body)) + body)
        assert answered in await stream.receive()


async def test_a_wrong_frame_closes_its_connection_alone() -> None:
    async with two_nodes() as (one, two):
        two.set_peer("n3", NOWHERE)
        async with await connect_as(two.address, identity("n3"), "n2") as stream:
            await stream.send(encode(heartbeat("n3", "n2", 9))[0] + b"\x00\x00\x00\x20" + bytes(32))
            await closed_by_peer(stream)
        await until(lambda: two.refusals["frame"] == 1)
        one.send(heartbeat("n1", "n2", 2))
        assert sorted(rounds(await messages_of(two, 2))) == [2, 9]


async def test_an_announced_length_of_4_gib_closes_the_connection() -> None:
    async with node("n2", {"n1": NOWHERE}) as two, await connect_as(two.address, identity("n1"), "n2") as stream:
        await stream.send(struct.pack(">IIBB", 2**32 - 1, 0, VERSION, 5))
        await closed_by_peer(stream)
        await until(lambda: two.refusals["frame"] == 1)


async def test_a_connection_beyond_the_limit_closes_the_oldest_that_has_not_agreed() -> None:
    limits = Limits(handshake=5.0, handshakes=3)
    async with node("n1", {}, limits) as one:
        streams = [await connect(one.address) for _ in range(4)]
        await closed_by_peer(streams[0], 3.0)
        await until(lambda: one.refusals["half_open"] == one.refusals.total == 1)
        assert one.half_open == 3
        for stream in streams:
            await stream.aclose()


async def test_a_full_inbox_makes_readers_wait_and_loses_nothing() -> None:
    limits = Limits(inbox_bytes=50_000, keep_alive=0.05, backoff_first=0.01)
    sent = [AppendEntries("n1", "n2", 1, at, 1, 0, Batch(at + 1, 1, [b"\x01" * 10_000])) for at in range(400)]
    async with two_nodes(limits) as (one, two):
        for message in sent:
            one.send(message)
        await until(lambda: two._inbox.full)
        await anyio.wait_all_tasks_blocked()
        assert two._inbox._bytes < 1_000_000
        assert await messages_of(two, 400) == sent


async def test_a_full_outbox_is_reported_once_until_it_drains() -> None:
    limits = Limits(outbox_messages=10, keep_alive=0.05, backoff_first=0.01)
    async with two_nodes(limits) as (one, two):
        one._inbox._items.clear()  # what was said before both were connected
        await until(lambda: not one._peers["n2"].reported)
        for turn in (1, 2):
            for number in range(50):
                one.send(heartbeat("n1", "n2", number))
            assert one._inbox._items == [PeerUnreachable("n2")]
            assert await unreachable_of(one) == "n2"
            assert rounds(await messages_of(two, 10)) == list(range(10))
            assert one.peers()["n2"].dropped == 40 * turn
            await until(lambda: not one._peers["n2"].reported)


async def test_messages_to_a_peer_that_is_away_do_not_pile_up() -> None:
    async with node("n1", {"n2": NOWHERE}) as one:
        assert await unreachable_of(one) == "n2"
        for number in range(1000):
            one.send(heartbeat("n1", "n2", number))
            one.send(AppendEntries("n1", "n2", 1, 0, 0, 0, Batch(1, 1, [b"\x01"])))
        assert one.peers()["n2"].dropped >= 2000 - HELD_MESSAGES
        assert "cannot connect" in (one.peers()["n2"].trouble or "")


async def test_a_message_to_an_unknown_node_is_counted_and_reported() -> None:
    async with node("n1", {}) as one:
        one.send(heartbeat("n1", "n9"))
        one.send(heartbeat("n1", "n9"))
        assert await unreachable_of(one) == "n9"
        assert one.unaddressed == 2


async def test_a_message_that_cannot_be_encoded_is_dropped() -> None:
    async with two_nodes() as (one, two):
        one.send(Heartbeat("n1", "n2", 2**64, 0, 0))
        one.send(AppendEntries("n1", "n2", 1, 0, 0, 0, Batch(1, 1, [object()])))  # type: ignore[list-item]
        one.send(AppendEntries("n1", "n2", 1, 5, 0, 0, Batch(1, 1, [b"\x01"])))
        one.send(heartbeat("n1", "n2", 4))
        assert rounds(await messages_of(two, 1)) == [4]
        assert one.peers()["n2"].dropped == 3


async def test_the_iteration_ends_when_the_transport_closes() -> None:
    async def take(transport: TcpTransport) -> None:
        async for _ in transport:
            pass
        ended.append(True)

    ended: list[bool] = []
    async with anyio.create_task_group() as tasks, node("n1", {}) as one:
        tasks.start_soon(take, one)
        await anyio.wait_all_tasks_blocked()
    assert ended == [True]


async def test_a_failing_store_ends_the_iteration_with_its_error() -> None:
    def admit(_: Identity) -> None:
        raise OSError("the disk is gone")

    async with node("n2", {"n1": NOWHERE}) as two:
        peers = {"n2": two.address}
        async with TcpTransport(identity("n1"), peers, ANYWHERE, admit=admit, limits=QUICK) as one:
            with pytest.raises(TransportError, match="the disk is gone") as caught:
                await unreachable_of(one)
            assert isinstance(caught.value.__cause__, OSError)


async def test_an_address_in_use_is_named() -> None:
    async with node("n1", {}) as one:
        with pytest.raises(TransportError, match=rf"cannot listen on {one.address}: address already in use"):
            async with node("n2", {}, listen=one.address):
                pass
    with pytest.raises(TransportError, match=r"cannot listen on no-such-host\.invalid:1"):
        async with node("n2", {}, listen="no-such-host.invalid:1"):
            pass


async def test_the_port_is_free_at_once_and_a_transport_is_opened_once() -> None:
    async with node("n2", {"n1": NOWHERE}) as two:
        async with node("n1", {"n2": two.address}) as one:
            address = one.address
            two.set_peer("n1", address)
            await until(lambda: one.peers()["n2"].accepted and one.peers()["n2"].connected)
        async with node("n1", {"n2": two.address}, listen=address) as again:
            assert again.address == address
        with pytest.raises(RuntimeError, match="once"):
            await one.__aenter__()
        with pytest.raises(RuntimeError, match="open"):
            _ = one.address


async def test_the_error_of_the_body_leaves_as_itself() -> None:
    with pytest.raises(KeyError, match="mine"):
        async with node("n1", {"n2": NOWHERE}):
            raise KeyError("mine")
    with anyio.move_on_after(0.05) as scope:
        async with node("n1", {"n2": NOWHERE}):
            await anyio.sleep(10)
    assert scope.cancelled_caught


async def test_leaving_is_quick_while_connecting() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        try:
            one = node("n1", {"n2": f"127.0.0.1:{full.getsockname()[1]}"}, Limits())
            await one.__aenter__()
            await anyio.sleep(0.05)
            with quickly():
                await one.__aexit__(None, None, None)
        finally:
            for filler in fillers:
                filler.close()


async def test_leaving_is_quick_in_the_middle_of_handshakes() -> None:
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as silent:
        port = silent.listeners[0].extra(anyio.abc.SocketAttribute.local_port)
        one = node("n1", {"n2": f"127.0.0.1:{port}"}, Limits())
        await one.__aenter__()
        async with await connect(one.address) as mute, await connect(one.address) as stutter:
            await stutter.send(b"rft")
            await until(lambda: one.half_open == 2)
            with quickly():
                await one.__aexit__(None, None, None)
            await closed_by_peer(mute)


async def test_leaving_is_quick_while_a_peer_does_not_read() -> None:
    async with node("n2", {"n1": NOWHERE}, Limits(inbox_bytes=1)) as two:
        one = node("n1", {"n2": two.address}, Limits())
        await one.__aenter__()
        await until(lambda: one.peers()["n2"].connected)
        for at in range(15):
            one.send(AppendEntries("n1", "n2", 1, at, 1, 0, Batch(at + 1, 1, [b"\x01" * 1_000_000])))
        await until(lambda: two._inbox.full)
        with quickly():
            await one.__aexit__(None, None, None)


async def test_leaving_is_quick_while_the_store_hangs() -> None:
    release = threading.Event()

    def admit(_: Identity) -> None:
        entered.append(True)
        release.wait(10)

    entered: list[bool] = []
    async with node("n2", {"n1": NOWHERE}) as two:
        one = TcpTransport(identity("n1"), {"n2": two.address}, ANYWHERE, admit=admit, limits=Limits())
        await one.__aenter__()
        await until(lambda: entered)
        with quickly():
            await one.__aexit__(None, None, None)
        release.set()


@pytest.mark.parametrize("address", ["", "host", "host:", "host:x", "host:-1", "host:65536", "host:1²"])
async def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="an address is host:port"):
        node("n1", {"n2": address})
    assert split_address("[::1]:80") == ("::1", 80)
    with pytest.raises(ValueError, match="no peer of itself"):
        node("n1", {"n1": NOWHERE})
