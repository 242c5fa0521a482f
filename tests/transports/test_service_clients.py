"""Who is served and for how long: places, time and room, and what is told and counted when there is none."""

import contextlib
import socket
import struct
import time
import tracemalloc
from collections.abc import AsyncIterator

import anyio
import pytest

from rafty_transports import kv
from rafty_transports.addresses import Origin
from rafty_transports.service import RespServer
from rafty_transports.service_clients import REASONS, ClientLimits, Clients, TurnedAway
from tests.transports.service_kit import Client, OneReplica, connected, counted, encode, serving, until

pytestmark = pytest.mark.anyio

SLOW = b"-ERR the request was not complete in time\r\n"
MIB = 1024 * 1024


def own_address(family: socket.AddressFamily = socket.AF_INET) -> str:
    """An address of this machine that is not loopback, or the test is skipped. Nothing is sent to find it."""
    nowhere = "192.0.2.1" if family == socket.AF_INET else "2001:db8::1"
    with socket.socket(family, socket.SOCK_DGRAM) as probe, contextlib.suppress(OSError):
        probe.connect((nowhere, 9))
        host = str(probe.getsockname()[0])
        probe.close()
        with socket.socket(family, socket.SOCK_STREAM) as listener, contextlib.suppress(OSError):
            listener.bind((host, 0))
            return host
    return pytest.skip("this machine has no address beyond loopback")


@contextlib.asynccontextmanager
async def connected_from_outside(server: RespServer, host: str) -> AsyncIterator[Client]:
    async with await anyio.connect_tcp(host, server.port) as stream:
        yield Client(stream)


# ------------------------------------------------------------------ protected mode


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6], ids=["IPv4", "IPv6"])
async def test_without_a_password_only_clients_on_loopback_are_served(family: socket.AddressFamily) -> None:
    host = own_address(family)
    everywhere = "0.0.0.0:0" if family == socket.AF_INET else "[::]:0"
    node = OneReplica()
    async with serving(node, everywhere) as server:
        async with connected_from_outside(server, host) as stranger:
            await stranger.stream.send(encode(b"SET", b"a", b"1"))
            told = (await stranger.received.receive_until(b"\r\n", 2000)).decode()
            assert told.startswith("-DENIED this node has no password")
            for way_out in ("RAFTY_PASSWORD", "--password-file", "--protected-mode no", "127.0.0.1"):
                assert way_out in told
            await stranger.expect_end()
        loopback = "127.0.0.1" if family == socket.AF_INET else "::1"
        async with connected_from_outside(server, loopback) as client:
            await client.ask(b"PING\r\n", b"+PONG\r\n")
        assert node.batches == []
        assert counted(server) == {"denied": 1}


@pytest.mark.parametrize(
    "options", [{"password": "secret"}, {"protected_mode": False}, {"password": "secret", "admin_password": "master"}]
)
async def test_with_a_password_or_on_demand_everybody_is_served(options: dict[str, object]) -> None:
    host = own_address()
    async with serving(OneReplica(), "0.0.0.0:0", **options) as server:
        async with connected_from_outside(server, host) as client:
            if "password" in options:
                await client.ask(b"AUTH secret\r\n", b"+OK\r\n")
            await client.ask(b"PING\r\n", b"+PONG\r\n")


async def test_password_of_administration_alone_does_not_open_the_data_to_others() -> None:
    host = own_address()
    async with serving(OneReplica(), "0.0.0.0:0", admin_password="master") as server:
        async with connected_from_outside(server, host) as client:
            await client.expect(b"-DENIED ")


# ------------------------------------------------------------------ time


@pytest.mark.parametrize(
    ("begun", "then"),
    [
        (b"*3", b"0"),
        (b"*3\r\n", b"$"),
        (b"*3\r\n$3\r\nSET\r\n", b"$"),
        (b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$900\r\n", b"x"),
        (b"SET", b" "),
        (b"PING\r\nSET", b"x"),
    ],
)
async def test_request_that_is_not_ended_in_time_ends_the_connection_and_idle_ones_stay(
    begun: bytes, then: bytes
) -> None:
    async with serving(OneReplica(), limits=ClientLimits(request_timeout=0.2)) as server:
        async with connected(server) as idle, connected(server) as client:
            await idle.ask(b"PING\r\n\r\n  ", b"+PONG\r\n")
            began = time.monotonic()
            await client.stream.send(begun)
            with contextlib.suppress(OSError, anyio.BrokenResourceError):
                while time.monotonic() < began + 3 and server.connected > 1:  # a byte now and then: never silent
                    await anyio.sleep(0.02)
                    await client.stream.send(then)
            assert 0.2 <= time.monotonic() - began < 2
            await client.expect((b"+PONG\r\n" if begun.startswith(b"PING") else b"") + SLOW)
            await client.expect_end()
            await idle.ask(b"PING\r\n", b"+PONG\r\n")
        assert counted(server) == {"slow": 1}


async def test_each_request_of_a_pipeline_that_is_cut_anywhere_has_its_own_time() -> None:
    request = encode(b"PING")
    async with serving(OneReplica(), limits=ClientLimits(request_timeout=0.3)) as server:
        async with connected(server) as client:
            await client.stream.send(request[:5])
            for _ in range(6):  # there is always one that has begun
                await anyio.sleep(0.1)
                await client.ask(request[5:] + request[:5], b"+PONG\r\n")
            assert counted(server) == {}


async def test_time_in_which_the_node_lets_the_client_wait_is_not_the_clients() -> None:
    node = OneReplica()
    async with serving(node, limits=ClientLimits(request_timeout=0.2)) as server, connected(server) as client:
        node.gate = anyio.Event()
        request = encode(b"SET", b"a", b"1")
        await client.stream.send(request[:9])
        await until(lambda: server.connected == 1)
        await anyio.sleep(0.05)
        await client.stream.send(request[9:] + b"*1\r\n$4\r\n")
        await until(lambda: node.batches == [1])
        await anyio.sleep(0.4)
        node.gate.set()
        await client.expect(b"+OK\r\n")
        await client.ask(b"PING\r\n", b"+PONG\r\n")
        assert counted(server) == {}


async def test_idle_client_is_hung_up_on_only_where_a_limit_is_set() -> None:
    async with serving(OneReplica()) as patient, serving(OneReplica(), limits=ClientLimits(idle_timeout=0.2)) as server:
        async with connected(patient) as stays, connected(server) as goes, connected(server) as busy:
            await goes.ask(b"PING\r\n", b"+PONG\r\n")
            began = time.monotonic()
            while server.connected == 2:
                await busy.ask(b"PING\r\n", b"+PONG\r\n")
                await anyio.sleep(0.01)
                assert time.monotonic() < began + 3
            assert time.monotonic() - began >= 0.15
            await goes.expect_end()
            await stays.ask(b"PING\r\n", b"+PONG\r\n")
        assert counted(server) == {"idle": 1}


@pytest.mark.parametrize("says", [b"", b"PING\r\n", b"AUTH wrong\r\n", b"*2\r\n$4\r\n"])
async def test_who_does_not_authenticate_in_time_is_hung_up_on(says: bytes) -> None:
    limits = ClientLimits(authentication=0.2, request_timeout=5)
    async with serving(OneReplica(), password="secret", limits=limits) as server:
        async with connected(server) as friend, connected(server) as stranger:
            await friend.ask(b"AUTH secret\r\n", b"+OK\r\n")
            await stranger.stream.send(says)
            if says.endswith(b"PING\r\n"):
                await stranger.expect(b"-NOAUTH Authentication required.\r\n")
            elif says.startswith(b"AUTH"):
                await stranger.expect(b"-WRONGPASS invalid username-password pair or user is disabled.\r\n")
            await stranger.expect(b"-ERR not authenticated in time\r\n")
            await stranger.expect_end()
            await anyio.sleep(0.1)
            await friend.ask(b"PING\r\n", b"+PONG\r\n")
        assert counted(server)["late"] == 1


# ------------------------------------------------------------------ places


async def test_one_address_gets_so_many_places_and_loopback_all() -> None:
    host = own_address()
    limits = ClientLimits(connections=5, per_address=2)
    async with (
        contextlib.AsyncExitStack() as clients,
        serving(OneReplica(), "0.0.0.0:0", protected_mode=False, limits=limits) as server,
    ):
        for _ in range(2):
            client = await clients.enter_async_context(connected_from_outside(server, host))
            await client.ask(b"PING\r\n", b"+PONG\r\n")
        async with connected_from_outside(server, host) as third:
            await third.expect(b"-ERR max number of clients from this address reached\r\n")
            await third.expect_end()
        for _ in range(3):
            local = await clients.enter_async_context(connected(server))
            await local.ask(b"PING\r\n", b"+PONG\r\n")
        async with connected(server) as sixth:
            await sixth.expect(b"-ERR max number of clients reached\r\n")
        assert counted(server) == {"max_per_address": 1, "max_clients": 1}


@pytest.mark.parametrize(
    ("host", "group", "loopback"),
    [
        ("127.0.0.1", "127.0.0.1", True),
        ("127.9.9.9", "127.9.9.9", True),
        ("::1", "::1", True),
        ("::ffff:127.0.0.1", "127.0.0.1", True),
        ("::ffff:192.0.2.7", "192.0.2.7", False),
        ("192.0.2.7", "192.0.2.7", False),
        ("2001:db8:0:1:2:3:4:5", "2001:db8:0:1::/64", False),
        ("2001:db8:0:1::9", "2001:db8:0:1::/64", False),
        ("fe80::1%eth0", "fe80::/64", False),
    ],
)
async def test_what_counts_as_one_address(host: str, group: str, loopback: bool) -> None:
    assert Origin.of(host) == Origin(group, loopback)


async def test_places_are_given_back_and_a_place_that_is_not_there_is_not_taken() -> None:
    clients = Clients(ClientLimits(connections=3, per_address=1), locked=False)
    one, other = Origin("192.0.2.7", False), Origin("192.0.2.8", False)
    for _ in range(3):
        first = clients.enter(one)
        with pytest.raises(TurnedAway, match=REASONS["max_per_address"]):
            clients.enter(one)
        second = clients.enter(other)
        assert len(clients) == 2
        clients.leave(first)
        clients.leave(second)
    assert len(clients) == 0


async def test_strangers_keep_nobody_out() -> None:
    """Idle connections without a password, more than there is place for: who names it is served all the same."""
    limits = ClientLimits(connections=10, unauthenticated=4)
    async with contextlib.AsyncExitStack() as stack, serving(OneReplica(), password="secret", limits=limits) as server:
        friend = await stack.enter_async_context(connected(server))
        await friend.ask(b"AUTH secret\r\n", b"+OK\r\n")
        strangers = [await stack.enter_async_context(connected(server)) for _ in range(12)]
        await until(lambda: server.accepted == 13)
        late = await stack.enter_async_context(connected(server))
        await late.ask(b"AUTH secret\r\nPING\r\n", b"+OK\r\n+PONG\r\n")
        await strangers[0].expect(f"-{REASONS['max_unauthenticated']}\r\n".encode())
        await strangers[0].expect_end()
        await friend.ask(b"PING\r\n", b"+PONG\r\n")
        await until(lambda: server.connected <= 2 + 4)
        assert counted(server) == {"max_unauthenticated": 9}


async def test_clients_that_leave_at_once_cost_no_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    async with serving(OneReplica()) as server:
        for _ in range(30):
            with socket.create_connection(("127.0.0.1", server.port)) as rude:
                rude.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        async with connected(server) as client:
            await client.ask(b"PING\r\n", b"+PONG\r\n")
        await until(lambda: server.connected == 0)
    assert caplog.records == []


# ------------------------------------------------------------------ what is counted


async def test_every_refusal_is_counted_and_shown() -> None:
    async with serving(OneReplica(), password="secret", limits=ClientLimits(send_timeout=0.2)) as server:
        for says in (b"PING\r\n", b"HELLO 3\r\n", b"AUTH wrong\r\n", b"*x\r\n", b"POST / HTTP/1.1\r\n"):
            async with connected(server) as client:
                await client.stream.send(says + b"QUIT\r\n")
                with anyio.fail_after(5), contextlib.suppress(anyio.EndOfStream, anyio.BrokenResourceError):
                    while True:
                        await client.received.receive()
        expected = {"no_password": 2, "wrong_password": 1, "protocol": 1, "http": 1}
        assert counted(server) == expected
        async with connected(server) as client:
            await client.ask(b"AUTH secret\r\n", b"+OK\r\n")
            for request in (b"INFO\r\n", b"RAFTY STATUS\r\n"):
                lines = (await client.bulk(request)).split("\r\n")
                shown = [line for line in lines if line.startswith("refused.clients.")]
                assert shown == [f"refused.clients.{reason}:{expected.get(reason, 0)}" for reason in REASONS]


async def test_client_that_does_not_read_is_counted() -> None:
    async with serving(OneReplica(), limits=ClientLimits(send_timeout=0.2)) as server, connected(server) as client:
        await client.ask(encode(b"SET", b"a", bytes(kv.VALUE_LIMIT)), b"+OK\r\n")
        tracemalloc.start()
        try:
            await client.stream.send(encode(b"GET", b"a") * 100)
            await until(lambda: server.connected == 0)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 4 * MIB  # of a hundred replies of a mebibyte
        assert counted(server) == {"deaf": 1}
