"""TLS as a byte stream: everything arrives, in both directions at once, and the end is an end."""

import hashlib
import random
import ssl
from pathlib import Path

import anyio
import pytest
from anyio.abc import ByteStream
from anyio.lowlevel import checkpoint

from rafty_transports.credentials import Credentials
from rafty_transports.tls_stream import TlsStream
from tests.transports.connections import until
from tests.transports.tls_kit import Authority, connection, secured, together

pytestmark = pytest.mark.anyio

MEBIBYTE = 1024 * 1024
ENDLESS = 64 * MEBIBYTE
"""More than all buffers on the way take, so that a send of it waits for somebody who reads."""


@pytest.fixture(scope="module")
def credentials(tmp_path_factory: pytest.TempPathFactory) -> Credentials:
    """Credentials of n1, who talks to itself."""
    return Authority(tmp_path_factory.mktemp("tls")).issue("n1", "n1").credentials()


async def test_much_both_ways_at_once(credentials: Credentials) -> None:
    """Sends and receives of every size, from four tasks."""

    async def send(stream: ByteStream, content: bytes, sizes: random.Random) -> None:
        position = 0
        while position < len(content):
            size = sizes.choice((1, 100, 16384, 16385, 300_000, MEBIBYTE))
            await stream.send(content[position : position + size])
            position += size

    async def receive(stream: ByteStream, total: int, sizes: random.Random) -> str:
        digest, got = hashlib.sha256(), 0
        while got < total:
            limit = sizes.choice((1, 1000, 16384, 65536, 256 * 1024))
            data = await stream.receive(limit)
            assert 0 < len(data) <= limit
            digest.update(data)
            got += len(data)
        return digest.hexdigest()

    dice = random.Random(7)
    up, down = dice.randbytes(8 * MEBIBYTE), dice.randbytes(8 * MEBIBYTE)
    async with secured(credentials, credentials, "n1") as (one, other):
        _, _, got_down, got_up = await together(
            send(one, up, random.Random(1)),
            send(other, down, random.Random(2)),
            receive(one, len(down), random.Random(3)),
            receive(other, len(up), random.Random(4)),
            seconds=60,
        )
    assert (got_up, got_down) == (hashlib.sha256(up).hexdigest(), hashlib.sha256(down).hexdigest())


async def test_receive_takes_many_records_at_once(credentials: Credentials) -> None:
    async with secured(credentials, credentials, "n1") as (one, other):
        await one.send(bytes(100_000))
        largest = 0
        got = 0
        while got < 100_000:
            data = await other.receive(256 * 1024)
            got += len(data)
            largest = max(largest, len(data))
    assert largest > 16384


async def test_receive_that_is_cancelled_loses_nothing(credentials: Credentials) -> None:
    async with secured(credentials, credentials, "n1") as (one, other):
        with anyio.move_on_after(0.05) as scope:
            await other.receive()
        assert scope.cancelled_caught
        await one.send(b"abc")
        assert await other.receive(1) == b"a"
        with anyio.CancelScope() as scope:
            scope.cancel()
            await other.receive(1)
        assert await other.receive(1) == b"b"
        assert await other.receive() == b"c"


async def test_send_that_is_cancelled_ends_all_sending(credentials: Credentials) -> None:
    """A record was lost, and no other side could read those behind it."""
    async with secured(credentials, credentials, "n1") as (one, other):
        with anyio.move_on_after(0.1) as scope:
            await one.send(bytes(ENDLESS))
        assert scope.cancelled_caught
        with pytest.raises(anyio.BrokenResourceError):
            await one.send(b"more")
        await other.send(b"the other direction is whole")
        assert await one.receive() == b"the other direction is whole"


async def test_sends_of_two_tasks(credentials: Credentials) -> None:
    """One waits for the other; nothing is mixed."""
    async with secured(credentials, credentials, "n1") as (one, other):
        async with anyio.create_task_group() as tasks:
            for letter in (b"a", b"b"):
                tasks.start_soon(one.send, letter * MEBIBYTE)
            received = b""
            with anyio.fail_after(10):
                while len(received) < 2 * MEBIBYTE:
                    received += await other.receive(MEBIBYTE)
    assert received in (b"a" * MEBIBYTE + b"b" * MEBIBYTE, b"b" * MEBIBYTE + b"a" * MEBIBYTE)


async def test_closing_takes_half_a_second_though_nobody_reads(credentials: Credentials) -> None:
    async with secured(credentials, credentials, "n1") as (one, _):
        async with anyio.create_task_group() as tasks:
            sent, ended = [0], anyio.Event()

            async def send() -> None:
                with pytest.raises((anyio.BrokenResourceError, anyio.ClosedResourceError)):
                    while True:
                        await one.send(bytes(100_000))
                        sent.append(sent[-1] + 1)
                ended.set()

            tasks.start_soon(send)
            await until(lambda: sent[-1] > 1)
            while sent[-1] != sent[0]:  # until nothing more is taken
                sent[:] = sent[-1:]
                await anyio.sleep(0.2)
            start = anyio.current_time()
            with anyio.fail_after(3):
                await one.aclose()
                await ended.wait()
            assert anyio.current_time() - start >= 0.45


async def test_closing_says_so_in_tls(credentials: Credentials) -> None:
    """So that those who must can tell an end from a cut."""
    async with secured(credentials, credentials, "n1") as (one, other):
        assert isinstance(other, TlsStream)
        await one.aclose()
        record = await other.below.receive()
        assert (record[:5], len(record)) == (
            b"\x17\x03\x03\x00\x13",
            24,
        )  # two bytes of alert, one of type, a tag of 16


async def test_end_of_the_other_direction_is_waited_for(credentials: Credentials) -> None:
    """`send_eof` is seen as the end; what the other side still says is dropped, until it ends too."""
    async with secured(credentials, credentials, "n1") as (one, other):
        await other.send(b"on its way")
        await one.send(b"the last")
        await one.send_eof()
        assert await other.receive() == b"the last"
        with pytest.raises(anyio.EndOfStream):
            await other.receive()
        await other.send(b"too late")
        await other.aclose()
        with anyio.fail_after(5), pytest.raises(anyio.EndOfStream):
            await one.receive()
        with pytest.raises(anyio.BrokenResourceError):
            await one.send(b"more")


async def test_stream_that_is_cut(credentials: Credentials) -> None:
    async with secured(credentials, credentials, "n1") as (one, other):
        assert isinstance(one, TlsStream)
        await one.send(b"whole")
        await one.below.aclose()
        assert await other.receive() == b"whole"
        with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
            await other.receive()


async def test_record_that_is_forged(credentials: Credentials) -> None:
    """What came before it is handed out; the other side is told by an alert."""
    async with secured(credentials, credentials, "n1") as (one, other):
        assert isinstance(one, TlsStream)
        await one.send(b"whole")
        await one.below.send(b"\x17\x03\x03\x00\x20" + bytes(32))
        assert await other.receive() == b"whole"
        for _ in range(2):
            with pytest.raises(anyio.BrokenResourceError) as broken:
                await other.receive()
            assert isinstance(broken.value.__cause__, ssl.SSLError)
        with pytest.raises(anyio.BrokenResourceError) as told:
            await one.receive()
        assert "BAD_RECORD_MAC" in str(told.value.__cause__)


async def test_handshake_that_fails_is_told(tmp_path: Path) -> None:
    """The alert goes out before the error leaves, though nobody closes the stream."""
    one = Authority(tmp_path, "one").issue("n1", "n1").context(ssl.PROTOCOL_TLS_SERVER)
    (tmp_path / "two").mkdir()
    two = Authority(tmp_path / "two", "two").issue("n1", "n1").context(ssl.PROTOCOL_TLS_CLIENT)
    async with connection() as (near, far):

        async def failing(end: TlsStream) -> str:
            with pytest.raises(ssl.SSLError) as raised:
                await end.handshake()
            return str(raised.value.reason)

        reasons = await together(
            failing(TlsStream(near, two, server_side=False)), failing(TlsStream(far, one, server_side=True))
        )
    assert reasons == ["CERTIFICATE_VERIFY_FAILED", "TLSV1_ALERT_UNKNOWN_CA"]


async def test_receive_of_nothing(credentials: Credentials) -> None:
    async with secured(credentials, credentials, "n1") as (one, other):
        with pytest.raises(ValueError, match="at least 1"):
            await one.receive(0)
        await one.send(b"")
        await one.send(b"x")
        assert await other.receive() == b"x"


async def test_sending_yields_to_others(credentials: Credentials) -> None:
    """Neither sends nor receives that need not wait keep others waiting."""
    async with secured(credentials, credentials, "n1") as (one, other):
        turns = [0]

        async def count() -> None:
            while True:
                turns[0] += 1
                await checkpoint()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(count)
            await until(lambda: turns[0])
            await one.send(bytes(1000))
            before = turns[0]
            for _ in range(100):
                await other.receive(10)
            assert turns[0] >= before + 90
            tasks.cancel_scope.cancel()
