"""The side that accepts: what each connection holds is given back, each refusal is counted, and none stops the node."""

import logging
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager, suppress

import anyio
import anyio.lowlevel
import pytest
from anyio.abc import SocketStream

from rafty_transports.accepting import REASONS
from rafty_transports.codec import VERSION, encode
from rafty_transports.interfaces import Identity, Refused
from rafty_transports.links import Limits
from rafty_transports.network import NetworkTransport
from rafty_transports.peers import AcceptedConnection
from rafty_transports.tcp import TcpTransport, TransportError
from tests.transports.connections import (
    ANYWHERE,
    NOWHERE,
    QUICK,
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
