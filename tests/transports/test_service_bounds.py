"""The key-value service: what it refuses, whom it hangs up on, and how it ends."""

import contextlib
import logging
import os
import resource
import socket
import time
from collections.abc import Iterator

import anyio
import pytest

from rafty_transports import kv, resp
from rafty_transports.service import ServiceError
from rafty_transports.service_clients import ClientLimits
from tests.transports.service_kit import OneReplica, connected, encode, serving, until

pytestmark = pytest.mark.anyio


async def test_key_and_value_too_large_are_refused_and_nothing_is_proposed() -> None:
    node = OneReplica()
    async with serving(node) as server, connected(server) as client:
        key, value = bytes(kv.KEY_LIMIT + 1), bytes(kv.VALUE_LIMIT + 1)
        key_refused = b"-ERR key of 65537 bytes is larger than the limit of 65536 bytes\r\n"
        value_refused = b"-ERR value of 1048577 bytes is larger than the limit of 1048576 bytes\r\n"
        for request in (encode(b"GET", key), encode(b"SET", key, b""), encode(b"MGET", b"a", key)):
            await client.ask(request, key_refused)
        for request in (encode(b"SET", b"a", value), encode(b"MSET", b"a", b"", b"b", value)):
            await client.ask(request, value_refused)
        await client.ask(encode(b"MSET", b"a", value[1:], b"b", value[1:]), b"-ERR command of 2097171 bytes is larger")
        assert node.batches == []
        await client.received.receive_until(b"\r\n", 1000)
        await client.ask(encode(b"SET", key[1:], value[1:]), b"+OK\r\n")
        await client.ask(encode(b"GET", key[1:]), resp.bulk(value[1:]))


async def test_one_client_too_many_is_refused_and_a_place_that_is_left_is_given_again() -> None:
    async with serving(OneReplica(), limits=ClientLimits(connections=2)) as server:
        async with connected(server) as first, connected(server) as second:
            await first.ask(b"PING\r\n", b"+PONG\r\n")
            await second.ask(b"PING\r\n", b"+PONG\r\n")
            async with connected(server) as third:
                await third.expect(b"-ERR max number of clients reached\r\n")
                await third.expect_end()
        await until(lambda: server.connected == 0)
        async with connected(server) as fourth:
            await fourth.ask(b"PING\r\n", b"+PONG\r\n")


@contextlib.contextmanager
def no_more_files() -> Iterator[None]:
    """This process can open nothing while inside."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest_free = os.dup(0)
    os.close(lowest_free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_flood_that_takes_the_last_file_descriptor_ends_nobody(caplog: pytest.LogCaptureFixture) -> None:
    async with serving(OneReplica()) as server:
        with socket.socket() as early, no_more_files():
            early.connect(("127.0.0.1", server.port))
            await until(lambda: "no client can be accepted now: too many open files" in caplog.text)
        async with connected(server) as late:
            await late.ask(b"PING\r\n", b"+PONG\r\n")


async def test_client_that_does_not_read_is_hung_up_on() -> None:
    async with serving(OneReplica(), limits=ClientLimits(send_timeout=0.2)) as server, connected(server) as client:
        await client.ask(encode(b"SET", b"a", bytes(kv.VALUE_LIMIT)), b"+OK\r\n")
        await client.stream.send(encode(b"GET", b"a") * 100)
        await until(lambda: server.connected == 0)


async def test_client_that_leaves_in_mid_command_leaves_nothing_behind() -> None:
    node = OneReplica()
    async with serving(node) as server:
        node.gate = anyio.Event()
        async with connected(server) as client:
            await client.stream.send(encode(b"SET", b"a", b"1"))
            await until(lambda: node.batches == [1])
        node.gate.set()
        await until(lambda: server.connected == 0)


async def test_leaving_ends_at_once_with_clients_idle_mid_command_and_not_reading(
    caplog: pytest.LogCaptureFixture,
) -> None:
    node = OneReplica()
    async with contextlib.AsyncExitStack() as clients:
        async with serving(node) as server:
            idle, waiting, deaf = [await clients.enter_async_context(connected(server)) for _ in range(3)]
            await idle.ask(b"PING\r\n*3\r\n$3\r\nSET", b"+PONG\r\n")
            await deaf.ask(encode(b"SET", b"a", bytes(kv.VALUE_LIMIT)), b"+OK\r\n")
            await deaf.stream.send(encode(b"GET", b"a") * 100)
            await until(lambda: len(node.reads) > 0)
            node.gate = anyio.Event()
            await waiting.stream.send(encode(b"SET", b"a", b"1"))
            await until(lambda: sum(node.batches) == 2)
            began = time.monotonic()
        assert time.monotonic() - began < 0.5
        await idle.expect_end()
        await waiting.expect_end()
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_body_s_own_exception_leaves_the_block_as_itself() -> None:
    with pytest.raises(KeyError, match="mine"):
        async with serving(OneReplica()) as server, connected(server) as client:
            await client.ask(b"PING\r\n", b"+PONG\r\n")
            raise KeyError("mine")


async def test_cancellation_from_outside_leaves_the_block() -> None:
    with anyio.move_on_after(0.05) as scope:
        async with serving(OneReplica()):
            await anyio.sleep_forever()
    assert scope.cancelled_caught


async def test_address_in_use_is_one_clear_sentence() -> None:
    async with serving(OneReplica()) as server:
        with pytest.raises(ServiceError) as caught:
            async with serving(OneReplica(), server.address):
                pytest.fail("two servers on one address")
        assert str(caught.value) == f"cannot listen for clients on {server.address}: the address is in use"
    with pytest.raises(ServiceError, match=r"^cannot listen for clients on no\.such\.host\.invalid:1: "):
        async with serving(OneReplica(), "no.such.host.invalid:1"):
            pytest.fail("no such host")
    with pytest.raises(ValueError, match="an address is host:port"):
        serving(OneReplica(), "nonsense")


async def test_address_names_the_port_that_was_taken() -> None:
    async with serving(OneReplica()) as server:
        assert server.address == f"127.0.0.1:{server.port}"
        assert server.port > 0


async def test_fault_of_the_program_costs_one_connection_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    node = OneReplica()
    async with serving(node) as server, connected(server) as other, connected(server) as client:
        await other.ask(b"PING\r\n", b"+PONG\r\n")
        node.answer = RuntimeError("a fault")
        await client.stream.send(encode(b"GET", b"a"))
        await client.expect_end()
        node.answer = None
        await other.ask(encode(b"GET", b"a"), b"$-1\r\n")
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert "met a fault of this program" in caplog.text
