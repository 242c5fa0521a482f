"""The side that accepts: what each connection holds is given back, each refusal is counted, and none stops the node."""

import logging
import os
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest
from anyio.abc import SocketStream

from rafty_core.configuration import Member
from rafty_transports.accepting import REASONS
from rafty_transports.addresses import parse_address
from rafty_transports.certs import make
from rafty_transports.codec import VERSION, encode
from rafty_transports.handshake import dial
from rafty_transports.interfaces import Identity, Refused
from rafty_transports.links import Limits
from rafty_transports.network import NetworkTransport
from rafty_transports.peers import AcceptedConnection
from rafty_transports.security import Credentials
from rafty_transports.tcp import TcpTransport, TransportError
from rafty_transports.websocket_transport import WebSocketTransport
from tests.transports.connections import (
    ANYWHERE,
    NOWHERE,
    QUICK,
    admission,
    admit_all,
    closed_by_peer,
    connect,
    connect_as,
    free_address,
    heartbeat,
    identity,
    messages_of,
    node,
    rounds,
    until,
)

pytestmark = pytest.mark.anyio

APPEND = 5


def counted(transport: NetworkTransport) -> dict[str, int]:
    """The refusals that there were, by reason."""
    return {reason: count for reason, count in transport.refusals.items() if count}


def accepts(transport: NetworkTransport, name: str) -> bool:
    """Whether messages can come from this peer."""
    return name in transport.peers() and transport.peers()[name].accepted


def begun(size: int) -> bytes:
    """The beginning of a frame of this size."""
    return struct.pack(">IIBB", size, 0, VERSION, APPEND)


async def test_who_is_refused_at_the_door_is_hung_up_on_and_room_that_is_left_is_given_away() -> None:
    for limits, reason in (
        (Limits(connections=2, backoff_first=0.01), "connections"),
        (Limits(connections_per_address=2, backoff_first=0.01), "address"),
    ):
        async with node("n1", {}, limits) as one, AsyncExitStack() as stack:
            first = await stack.enter_async_context(await connect_as(one.address, identity("n2"), "n1"))
            await stack.enter_async_context(await connect_as(one.address, identity("n3"), "n1"))
            await until(lambda one=one: one.half_open == 0)  # type: ignore[misc]
            async with await connect(one.address) as third:
                await closed_by_peer(third, 3.0)
            assert counted(one) == {reason: 1}
            await first.aclose()
            await until(lambda one=one: one.connections == 1)  # type: ignore[misc]
            await stack.enter_async_context(await connect_as(one.address, identity("n4"), "n1"))


async def test_who_has_agreed_stays_whatever_crowd_comes() -> None:
    async with node("n1", {"n2": NOWHERE}, Limits(handshakes=1)) as one, AsyncExitStack() as stack:
        stream = await stack.enter_async_context(await connect_as(one.address, identity("n2"), "n1"))
        await until(lambda: one.peers()["n2"].accepted)
        assert (one.connections, one.half_open) == (1, 0)
        for _ in range(4):
            await stack.enter_async_context(await connect(one.address))
        await until(lambda: one.refusals["half_open"] == 3)
        await stream.send(encode(heartbeat("n2", "n1", 7))[0])
        assert rounds(await messages_of(one, 1)) == [7]
        assert one.connections == 2


@pytest.mark.parametrize(
    ("kind", "said"), [("tls", b""), ("tls", b"\x16\x03\x01\x02\x00"), ("ws", b""), ("ws", b"GET /raf")]
)
async def test_who_does_not_finish_what_is_below_the_handshake_is_hung_up_on(
    kind: str, said: bytes, tmp_path: Path
) -> None:
    quick = Limits(handshake=0.3)
    credentials = certificate(tmp_path, "n1") if kind == "tls" else None
    made = TcpTransport if kind == "tls" else WebSocketTransport
    async with made(identity("n1"), {}, ANYWHERE, admit=admit_all, limits=quick, credentials=credentials) as one:
        async with await connect(parse_address(one.address).socket) as mute:
            if said:
                await mute.send(said)
            await closed_by_peer(mute, 3.0)
        await until(lambda: one.connections == 0)
        assert counted(one) == {"silent": 1}


def certificate(directory: Path, node_id: str) -> Credentials:
    """Credentials of this node."""
    if not (directory / "certificates").exists():
        make(directory / "certificates", ["n1", "n2"], 1)
    files = (f"{node_id}.pem", f"{node_id}-key.pem", "ca.pem")
    return Credentials.from_files(*(directory / "certificates" / name for name in files))


async def test_a_peer_may_come_again_as_often_as_it_likes() -> None:
    limits = Limits(connections_per_peer=2)
    async with node("n1", {"n2": NOWHERE}, limits) as one:
        for number in range(5):
            async with await connect_as(one.address, identity("n2"), "n1") as stream:
                await stream.send(encode(heartbeat("n2", "n1", number))[0])
                assert rounds(await messages_of(one, 1)) == [number]
            await until(lambda: one.connections == 0)
        assert one.refusals.total == 0
        assert not one.peers()["n2"].accepted


async def test_connections_of_a_peer_whose_older_one_does_not_end_are_few() -> None:
    limits = Limits(connections_per_peer=2)
    async with node("n1", {"n2": NOWHERE}, limits) as one, AsyncExitStack() as stack:
        older = one._peers["n2"].accepted = AcceptedConnection(identity("n2"))
        for count in (1, 2):
            await stack.enter_async_context(await connect_as(one.address, identity("n2"), "n1"))
            await until(lambda count=count: one._peers["n2"].incoming == count)  # type: ignore[misc]
        async with await connect_as(one.address, identity("n2"), "n1") as third:
            await closed_by_peer(third, 3.0)
        await until(lambda: one.connections == 2)
        assert counted(one) == {"peer": 1}
        one._peers["n2"].accepted = None
        older.ended.set()
        await until(lambda: one.peers()["n2"].accepted and one.connections == 1)


async def test_a_peer_that_is_forgotten_while_it_waits_is_hung_up_on() -> None:
    async with node("n1", {}) as one, await connect_as(one.address, identity("n2"), "n1") as first:
        await until(lambda: accepts(one, "n2"))
        peer = one._peers["n2"]
        older = peer.accepted = AcceptedConnection(identity("n2"))
        async with await connect_as(one.address, identity("n2"), "n1") as second:
            await until(lambda: peer.incoming == 2)
            one._roster.forget(peer)
            peer.accepted = None
            older.ended.set()
            await closed_by_peer(second, 3.0)
        assert peer.accepted is None
        assert one.peers() == {}
        await first.aclose()


async def test_a_guest_that_comes_again_has_said_something() -> None:
    async with node("n1", {}) as one:
        async with await connect_as(one.address, identity("n9"), "n1"):
            await until(lambda: accepts(one, "n9"))
        await until(lambda: one.connections == 0)
        now = anyio.current_time()
        one._peers["n9"].noticed = now - 30
        async with await connect_as(one.address, identity("n9"), "n1"):
            await until(lambda: accepts(one, "n9"))
            assert (one._peers["n9"].noticed or 0.0) >= now


async def test_memory_of_a_guest_that_hangs_up_in_the_middle_of_a_frame_is_free_again() -> None:
    size = 1_000_000
    async with node("n1", {}, Limits(guest_bytes=size + 100)) as one:
        for _ in range(3):
            async with await connect_as(one.address, identity("n9"), "n1") as stream:
                await stream.send(begun(size))
                await until(lambda: one._acceptor._shared._held)
            await until(lambda: one.connections == 0)
            assert not one._acceptor._shared._held
        assert one.refusals.total == 0


async def test_large_frames_of_members_need_no_permission() -> None:
    async with node("n1", {"n2": NOWHERE, "n3": NOWHERE}, Limits(guest_bytes=1000)) as one, AsyncExitStack() as stack:
        streams = []
        for name in ("n2", "n3"):
            streams.append(await stack.enter_async_context(await connect_as(one.address, identity(name), "n1")))
            await streams[-1].send(encode(heartbeat(name, "n1"))[0] + begun(1_000_000) + b"begin")
        assert len(await messages_of(one, 2)) == 2
        async with await connect_as(one.address, identity("n9"), "n1") as guest:
            await guest.send(begun(1_000_000))
            await closed_by_peer(guest, 3.0)
        await until(lambda: one.connections == 2)
        assert counted(one) == {"frame": 1}


async def test_reasons_of_admit_are_counted_as_other() -> None:
    def admit(peer: Identity) -> None:
        raise Refused("not today", "a reason of its own" if peer.node_id == "n2" else "other")

    async with TcpTransport(identity("n1"), {"n2": NOWHERE}, ANYWHERE, admit=admit, limits=QUICK) as one:
        for name in ("n2", "n3"):
            with pytest.raises(Refused, match="not today"):
                await connect_as(one.address, identity(name), "n1")
        await until(lambda: one.refusals.total == 2)
        assert counted(one) == {"other": 2}
        assert [reason for reason, _ in one.refusals.items()] == list(REASONS)


async def test_the_same_complaint_about_strangers_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    async with node("n1", {}) as one:
        for said in (b"*1\r\n$4\r\nPING\r\n",) * 3 + (b"GET / HTTP/1.1\r\n\r\n",):
            async with await connect(one.address) as stream:
                await stream.send(said)
                await stream.receive()
        await until(lambda: one.refusals["protocol"] == 4)
    assert sum("incoming connection refused" in record.getMessage() for record in caplog.records) == 2


async def test_a_node_that_is_removed_while_it_is_met_is_refused_and_the_other_stays() -> None:
    entered, release = threading.Event(), threading.Event()

    def admit(_: Identity) -> None:
        entered.set()
        release.wait(10)

    async with TcpTransport(identity("n1"), {}, ANYWHERE, admit=admit, limits=QUICK) as one:
        async with await connect(one.address) as stream, anyio.create_task_group() as tasks:
            tasks.start_soon(dial, stream, identity("n3", incarnation="old"), "n1", admission())
            await until(entered.is_set)
            one.set_members([Member("n1")], [Member("n3", "", "old")])
            release.set()
            await until(lambda: one.refusals.total)
        assert counted(one) == {"removed": 1}
        assert (one.removed, one.peers()) == (None, {})


async def test_nothing_is_listened_on_if_one_address_cannot_be_had() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        first, second = free_address(), f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(TransportError, match=f"cannot listen on {second}"):
            async with TcpTransport(identity("n1"), {}, [first, second], admit=admit_all):
                pass
        with pytest.raises(OSError, match=r"."):
            await connect(first)


async def test_who_hung_up_before_it_was_accepted_harms_nobody() -> None:
    async with node("n1", {"n2": NOWHERE}) as one:
        host, _, port = one.address.rpartition(":")
        for _ in range(5):
            hasty = socket.create_connection((host, int(port)))  # blocking: nothing is accepted before it is reset
            hasty.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            hasty.close()
        async with await connect_as(one.address, identity("n2"), "n1") as stream:
            await stream.send(encode(heartbeat("n2", "n1", 3))[0])
            assert rounds(await messages_of(one, 1)) == [3]
            await until(lambda: one.connections == 1)


@contextmanager
def no_more_files() -> Iterator[None]:
    """Inside, this process can open nothing."""
    resource = pytest.importorskip("resource")
    lowest = os.dup(0)
    os.close(lowest)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_a_node_without_file_descriptors_waits_for_some(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    async with node("n1", {}) as one:
        host, _, port = one.address.rpartition(":")
        with socket.socket() as waiting:
            waiting.setblocking(False)
            with no_more_files():
                with suppress(BlockingIOError):
                    waiting.connect((host, int(port)))
                await until(lambda: "cannot accept a connection" in caplog.text)
                for _ in range(200):
                    await anyio.lowlevel.checkpoint()
                assert caplog.text.count("cannot accept a connection") < 20
            await until(lambda: one.connections == 1)


async def test_a_stream_is_closed_whatever_ends_its_connection() -> None:
    async with node("n1", {}) as one:
        streams: list[SocketStream] = [await connect(one.address) for _ in range(3)]
        await until(lambda: one.connections == 3)
    for stream in streams:
        await closed_by_peer(stream, 3.0)
        await stream.aclose()
