"""The room that requests take: what all clients have together, and who is turned away when it is taken."""

import contextlib
import tracemalloc

import anyio
import pytest

from rafty_transports import kv
from rafty_transports.addresses import Origin
from rafty_transports.service_clients import CHUNK, REASONS, ClientLimits, Clients, TurnedAway
from tests.transports.service_kit import Client, OneReplica, connected, counted, encode, serving, until

pytestmark = pytest.mark.anyio

MIB = 1024 * 1024


def begun(size: int) -> bytes:
    """A request that lacks its last bytes: MSET of values of one mebibyte, as its length is announced and sent."""
    value = b"$%d\r\n%b\r\n" % (kv.VALUE_LIMIT, bytes(kv.VALUE_LIMIT))
    pairs = size // MIB
    return (b"*%d\r\n$4\r\nMSET\r\n" % (2 * pairs + 3)) + (b"$1\r\nk\r\n" + value) * pairs


async def test_unfinished_requests_of_all_clients_share_one_budget_and_small_ones_are_served() -> None:
    room = 4 * MIB
    async with contextlib.AsyncExitStack() as stack, serving(OneReplica(), limits=ClientLimits(room=room)) as server:
        clients = [await stack.enter_async_context(connected(server)) for _ in range(12)]
        request = begun(2 * MIB)

        async def send(client: Client) -> None:
            with contextlib.suppress(anyio.BrokenResourceError, anyio.EndOfStream):
                await client.stream.send(request)

        tracemalloc.start()
        try:
            async with anyio.create_task_group() as tasks:
                for client in clients:
                    tasks.start_soon(send, client)
            await until(lambda: server.connected == 2)  # as many as there is room for
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert counted(server) == {"memory": 10}
        assert peak < 3 * room + 12 * 4 * CHUNK  # without the budget these requests alone are 24 MiB
        async with connected(server) as other:
            await other.ask(encode(b"SET", b"a", bytes(CHUNK // 2)), b"+OK\r\n")
    assert server.connected == 0


async def test_one_chunk_of_each_client_is_free_and_what_is_beyond_is_taken_from_the_common_room() -> None:
    clients = Clients(ClientLimits(room=100), locked=False)
    first, second = (clients.enter(Origin("127.0.0.1", True)) for _ in range(2))
    clients.take_room(first, CHUNK + 60)
    clients.take_room(second, CHUNK + 40)
    clients.take_room(second, CHUNK + 10)
    clients.take_room(first, CHUNK + 90)
    with pytest.raises(TurnedAway, match=REASONS["memory"]):
        clients.take_room(second, CHUNK + 11)
    clients.take_room(first, CHUNK + 100)  # the room of whoever was turned away is free at once
    clients.give_room_back(first, CHUNK + 200)
    assert clients.room_taken == 100
    clients.leave(first)
    assert clients.room_taken == 0


async def test_room_is_given_back_when_the_request_is_answered_and_when_the_client_leaves() -> None:
    node = OneReplica()
    async with serving(node, limits=ClientLimits(room=2 * MIB)) as server:
        large = encode(b"SET", b"a", bytes(MIB))
        for _ in range(5):
            async with connected(server) as client:
                await client.ask(large, b"+OK\r\n")
                await client.ask(large, b"+OK\r\n")
                await client.stream.send(large[:-1])
                await until(lambda: server.room_taken > MIB // 2)
            await until(lambda: server.connected == 0)
            assert server.room_taken == 0


@pytest.mark.parametrize("end", ["room", "protocol"])
async def test_who_is_hung_up_on_gives_its_room_back_before_it_has_left(end: str) -> None:
    limits = ClientLimits(room=MIB)
    async with serving(OneReplica(), limits=limits) as server, connected(server) as client, connected(server) as other:
        if end == "room":
            with contextlib.suppress(anyio.BrokenResourceError):
                await client.stream.send(begun(2 * MIB))
        else:
            await client.stream.send(b"*2\r\n$3\r\nGET\r\n$500000\r\n" + bytes(500_000))
            await until(lambda: server.room_taken > 400_000)
            await client.stream.send(b"no line end")
        await client.expect(f"-{REASONS['memory']}".encode() if end == "room" else b"-ERR Protocol error")
        await other.ask(encode(b"SET", b"a", bytes(MIB - CHUNK)), b"+OK\r\n")


async def test_room_is_kept_while_the_node_carries_out_what_was_asked() -> None:
    node = OneReplica()
    async with serving(node, limits=ClientLimits(room=MIB)) as server, connected(server) as one:
        node.gate = anyio.Event()
        await one.stream.send(encode(b"SET", b"a", bytes(MIB - CHUNK)))
        await until(lambda: node.batches == [1])
        async with connected(server) as other:
            with contextlib.suppress(anyio.BrokenResourceError):
                await other.stream.send(encode(b"SET", b"b", bytes(MIB - CHUNK)))
            await other.expect(f"-{REASONS['memory']}\r\n".encode())
            await other.expect_end()
        node.gate.set()
        await one.expect(b"+OK\r\n")
        async with connected(server) as other:
            await other.ask(encode(b"SET", b"b", bytes(MIB - CHUNK)), b"+OK\r\n")
        assert counted(server) == {"memory": 1}


async def test_arguments_are_counted_as_what_they_take_and_not_as_what_was_sent(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Two bytes on the wire are an object of fifty: so one chunk of one client may be more than its own room."""
    request = b"*60001\r\n$3\r\nDEL\r\n" + b"$2\r\nab\r\n" * 7_000
    async with contextlib.AsyncExitStack() as stack, serving(OneReplica(), limits=ClientLimits(room=MIB)) as server:
        for _ in range(2):
            client = await stack.enter_async_context(connected(server))
            await client.stream.send(request)
        await until(lambda: server.room_taken > 600_000)
        client = await stack.enter_async_context(connected(server))
        await client.stream.send(request)
        await client.expect(f"-{REASONS['memory']}\r\n".encode())
        await client.expect_end()
        assert 600_000 < server.room_taken <= MIB
        assert counted(server) == {"memory": 1}
    assert caplog.records == []
