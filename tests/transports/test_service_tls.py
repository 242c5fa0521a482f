"""TLS on the port for clients: who is served, who is told what is wrong, and that nobody holds up the others."""

import contextlib
import ssl
import time
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest
from anyio.streams.tls import TLSStream

from rafty_transports import client as rafty_client
from rafty_transports import kv
from rafty_transports.access import Access
from rafty_transports.client import ReplyError, Unreachable
from rafty_transports.service import RespServer
from rafty_transports.service_clients import ClientLimits
from tests.transports.service_kit import OneReplica, connected, counted, encode, serving, until
from tests.transports.test_service_clients import MIB, own_address

pytest.importorskip("cryptography", reason="certificates for the tests are made with cryptography")

from tests.transports.client_certificates import Authority

pytestmark = pytest.mark.anyio

LOCAL = "127.0.0.1"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@contextlib.asynccontextmanager
async def connected_by_tls(server: RespServer, context: ssl.SSLContext, host: str = LOCAL) -> AsyncIterator[TLSStream]:
    stream = await anyio.connect_tcp(
        host, server.port, ssl_context=context, tls_hostname=host, tls_standard_compatible=True
    )
    try:
        yield stream
    finally:
        await anyio.aclose_forcefully(stream)


async def ask(stream: TLSStream, request: bytes, reply: bytes) -> None:
    await stream.send(request)
    await expect(stream, reply)


async def expect(stream: TLSStream, reply: bytes) -> None:
    received = b""
    with anyio.fail_after(5):
        while len(received) < len(reply):
            received += await stream.receive()
    assert received == reply


async def test_clients_are_served_over_tls(authority: Authority) -> None:
    async with serving(OneReplica(), tls=authority.server_context(LOCAL)) as server:
        async with connected_by_tls(server, authority.client_context()) as stream:
            value = bytes(range(256)) * 4096
            await ask(stream, encode(b"SET", b"a", value) + encode(b"GET", b"a"), b"+OK\r\n" + kv.bulk(value))
            await ask(stream, b"QUIT\r\n", b"+OK\r\n")
            with anyio.fail_after(2), pytest.raises(anyio.EndOfStream):  # the end is said as TLS says it
                await stream.receive()
        await until(lambda: server.connected == 0)
        assert counted(server) == {}


async def test_last_words_arrive_over_tls_also_at_a_client_that_goes_on_talking(authority: Authority) -> None:
    async with serving(
        OneReplica(), tls=authority.server_context(LOCAL), limits=ClientLimits(request_timeout=0.2)
    ) as server:
        async with connected_by_tls(server, authority.client_context()) as stream:
            await ask(stream, b"*1\r\n$900\r\n", b"-ERR the request was not complete in time\r\n")
        async with connected_by_tls(server, authority.client_context()) as stream:
            await stream.send(b"*x\r\n" + bytes(MIB // 2))
            await expect(stream, b"-ERR Protocol error: invalid multibulk length\r\n")
        assert counted(server) == {"slow": 1, "protocol": 1}


async def test_client_that_stalls_in_the_handshake_holds_up_nobody_and_is_hung_up_on(authority: Authority) -> None:
    limits = ClientLimits(authentication=0.2, unauthenticated=3)
    async with serving(OneReplica(), tls=authority.server_context(LOCAL), limits=limits) as server:
        async with contextlib.AsyncExitStack() as stack:
            silent = await stack.enter_async_context(connected(server))
            halfway = await stack.enter_async_context(connected(server))
            await halfway.stream.send(b"\x16\x03\x01\x02\x00\x01\x00")
            began = time.monotonic()
            async with connected_by_tls(server, authority.client_context()) as stream:
                await ask(stream, b"PING\r\n", b"+PONG\r\n")
                for one in (silent, halfway):
                    await one.expect_end()
                assert time.monotonic() - began < 2
                await ask(stream, b"PING\r\n", b"+PONG\r\n")
        assert counted(server) == {"late": 2}


async def test_plain_text_is_told_that_this_port_speaks_tls(authority: Authority) -> None:
    async with serving(OneReplica(), tls=authority.server_context(LOCAL)) as server:
        for says in (encode(b"PING"), b"PING\r\nPING\r\n", b"GET / HTTP/1.1\r\n\r\n"):
            async with connected(server) as client:
                await client.ask(says, b"-ERR this port speaks TLS, and nothing else\r\n")
                await client.expect_end()
        assert counted(server) == {"tls": 3}


async def test_command_line_is_told_of_the_wrong_side_of_tls(authority: Authority) -> None:
    tls = Access(tls=authority.client_context())
    async with serving(OneReplica()) as plain, serving(OneReplica(), tls=authority.server_context(LOCAL)) as secured:
        with pytest.raises(Unreachable, match="does not speak TLS"):
            await rafty_client.Client.connect(plain.address, access=tls)
        async with await rafty_client.Client.connect(secured.address) as client:
            (reply,) = await client.ask([b"SET", b"a", b"1"])
            assert isinstance(reply, ReplyError)
            assert "speaks TLS" in str(reply)
        assert counted(plain) == {"protocol": 1}


@pytest.mark.parametrize(
    ("hosts", "days", "own", "text"),
    [
        ((LOCAL,), 1, False, "is not trusted: unable to get local issuer certificate"),
        ((LOCAL,), -1, True, "is not trusted: certificate has expired"),
        (("n1",), 1, True, "is not trusted: IP address mismatch"),
    ],
)
async def test_command_line_sends_nothing_to_a_node_that_does_not_prove_who_it_is(
    tmp_path: Path, authority: Authority, hosts: tuple[str, ...], days: int, own: bool, text: str
) -> None:
    signing = authority if own else Authority(tmp_path, "other")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*signing.sign("server", *hosts, days=days))
    async with serving(OneReplica(), tls=context, password="secret") as server:
        with pytest.raises(Unreachable, match=text):
            await rafty_client.Client.connect(server.address, access=Access("secret", tls=authority.client_context()))
        await until(lambda: counted(server) == {"tls": 1})


async def test_certificate_of_a_client_is_asked_for_and_looked_at(authority: Authority, tmp_path: Path) -> None:
    async with serving(OneReplica(), tls=authority.server_context(LOCAL, clients=True)) as server:
        shown = Access(tls=authority.client_context(shows=authority.sign("client")))
        async with await rafty_client.Client.connect(server.address, access=shown) as client:
            assert await client.ask([b"SET", b"a", b"1"]) == [b"OK"]
        others = Authority(tmp_path, "others").sign("stranger")
        for context in (authority.client_context(), authority.client_context(shows=others)):
            with pytest.raises(Unreachable, match=r"may want a certificate of its authority|ended the handshake"):
                await rafty_client.Client.connect(server.address, access=Access(tls=context))
        await until(lambda: counted(server) == {"tls": 2})


@pytest.mark.parametrize("clients", [False, True])
async def test_certificate_of_a_client_is_as_good_as_a_password_and_encryption_alone_is_not(
    authority: Authority, clients: bool
) -> None:
    host = own_address()
    tls = authority.server_context(host, clients=clients)
    context = authority.client_context(shows=authority.sign("client"))
    async with serving(OneReplica(), "0.0.0.0:0", tls=tls) as server:
        async with connected_by_tls(server, context, host) as stream:
            await stream.send(b"PING\r\n")
            with anyio.fail_after(5):
                received = await stream.receive()
            assert received.startswith(b"+PONG" if clients else b"-DENIED")
