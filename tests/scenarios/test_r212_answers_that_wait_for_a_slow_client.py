"""R212: clients ask for much with few bytes, again and again, and do not read what they are answered.

Found by reading, and measured: the answer of MGET is a copy, and sixteen of four mebibytes were made at once for one
chunk of requests, and kept as long as the client took to read them; a client may take hours. Where a write was in the
chunk too, they were made on every node.
"""

import tracemalloc

import anyio
import pytest

from rafty_transports import kv
from tests.transports.service_kit import Client, OneReplica, connected, encode, serving, until

pytestmark = pytest.mark.anyio

MIB = 1024 * 1024
LARGEST = encode(b"MGET", b"v", b"v", b"v")


async def filled(node: OneReplica) -> None:
    """It has a value of the largest size."""
    await node.propose_many([kv.encode_set(b"v", bytes(kv.VALUE_LIMIT))])
    node.batches.clear()


@pytest.mark.parametrize("writes", [b"", encode(b"SET", b"a", b"1")], ids=["reads", "writes, too"])
async def test_r212_no_more_is_made_than_is_sent(writes: bytes) -> None:
    node = OneReplica()
    await filled(node)
    async with serving(node) as server, connected(server) as client:
        tracemalloc.start()
        try:
            await client.stream.send((writes + LARGEST) * 16)
            await until(lambda: bool(node.reads) or bool(node.batches))
            await anyio.sleep(0.2)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 4 * 3 * MIB  # one answer, what is joined to be sent, and what waits in the socket


async def test_r212_answers_are_those_of_the_moment_and_no_log_has_them() -> None:
    node = OneReplica()
    async with serving(node) as server, connected(server) as client:
        mget = encode(b"MGET", b"a")
        one, two = encode(b"SET", b"a", b"1"), encode(b"SET", b"a", b"2")
        await _ask(client, one + mget + mget + two + encode(b"GET", b"a") + mget, [b"1", b"1", b"2"])
        assert node.batches == [1, 2]


async def _ask(client: Client, requests: bytes, values: list[bytes]) -> None:
    first, second, third = (b"*1\r\n$1\r\n%b\r\n" % value for value in values)
    await client.ask(requests, b"+OK\r\n" + first + second + b"+OK\r\n$1\r\n2\r\n" + third)
