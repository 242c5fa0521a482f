"""R193: room at the door of a node is counted wrongly: it is never given back, or given away twice.

A crowd that comes and goes would, in the end, keep everybody out, or let in more than there may be. Who has agreed has
its place for good, and whatever a connection held is free once it is over.
"""

import struct
from contextlib import AsyncExitStack

import pytest

from rafty_transports.codec import VERSION, encode
from rafty_transports.links import Limits
from tests.transports.connections import (
    NOWHERE,
    closed_by_peer,
    connect,
    connect_as,
    heartbeat,
    identity,
    messages_of,
    node,
    rounds,
    until,
)

pytestmark = pytest.mark.anyio

APPEND = 5


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
            assert one.refusals[reason] == one.refusals.total == 1
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


async def test_a_crowd_that_comes_again_and_again_is_counted_right() -> None:
    async with node("n1", {}, Limits(handshakes=2, connections_per_address=3)) as one:
        for turn in range(1, 5):
            async with AsyncExitStack() as stack:
                for _ in range(5):
                    await stack.enter_async_context(await connect(one.address))
                await until(lambda turn=turn: one.refusals["half_open"] == 3 * turn)  # type: ignore[misc]
                assert one.connections == one.half_open == 2
            await until(lambda: one.connections == 0)
            assert one.half_open == 0
