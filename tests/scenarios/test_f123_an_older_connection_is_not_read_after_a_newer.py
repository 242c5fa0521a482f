"""Fault F123: what was buffered for an old connection arrives after what came on the new one.

Raft stands it, at the price of refusals; the transport does not make it worse: nothing is read from a connection once
the same peer has a newer one, and what waited in the sender when a connection was lost is dropped with it.
"""

import anyio
import pytest

from rafty_core.entries import Batch
from rafty_core.messages import AppendEntries, Heartbeat
from rafty_transports.codec import encode
from rafty_transports.links import Limits
from rafty_transports.peers import AcceptedConnection
from tests.transports.connections import (
    NOWHERE,
    closed_by_peer,
    connect_as,
    heartbeat,
    identity,
    messages_of,
    node,
    rounds,
    until,
)

pytestmark = pytest.mark.anyio


async def test_nothing_is_read_from_the_older_connection() -> None:
    async with node("n2", {"n1": NOWHERE}) as two:
        older = await connect_as(two.address, identity("n1"), "n2")
        await older.send(encode(heartbeat("n1", "n2", 1))[0])
        assert rounds(await messages_of(two, 1)) == [1]
        first = two._peers["n1"].accepted
        newer = await connect_as(two.address, identity("n1"), "n2")
        await until(lambda: two._peers["n1"].accepted not in (None, first))
        try:
            await older.send(encode(heartbeat("n1", "n2", 2))[0])
            await closed_by_peer(older, 2.0)
        except anyio.BrokenResourceError:
            pass
        await newer.send(encode(heartbeat("n1", "n2", 3))[0])
        assert rounds(await messages_of(two, 1)) == [3]
        await older.aclose()
        await newer.aclose()


async def test_nothing_is_read_from_the_newer_connection_before_the_older_has_ended() -> None:
    async with node("n2", {"n1": NOWHERE}) as two:
        peer = two._peers["n1"]
        older = peer.accepted = AcceptedConnection(identity("n1"))
        async with await connect_as(two.address, identity("n1"), "n2") as newer:
            await newer.send(encode(heartbeat("n1", "n2", 5))[0])
            await until(lambda: peer.incoming == 1 and older.scope.cancel_called)
            await anyio.wait_all_tasks_blocked()
            assert peer.accepted is older
            assert rounds(two._inbox._items) == []
            peer.accepted = None
            older.ended.set()
            assert rounds(await messages_of(two, 1)) == [5]


async def test_what_waited_for_a_lost_connection_is_not_sent_on_the_next() -> None:
    limits = Limits(keep_alive=0.05, backoff_first=0.01, backoff_last=0.05)
    async with node("n1", {"n2": NOWHERE}, limits) as one:
        async with node("n2", {"n1": NOWHERE}, Limits(inbox_bytes=1)) as deaf:
            one.set_peer("n2", deaf.address)
            await until(lambda: one.peers()["n2"].connected)
            for at in range(30):
                one.send(AppendEntries("n1", "n2", 1, at, 1, 0, Batch(at + 1, 1, [b"\x01" * 500_000])))
            await until(lambda: deaf._inbox.full)
        async with node("n2", {"n1": NOWHERE}) as two:
            one.set_peer("n2", two.address)
            await until(lambda: two.peers()["n1"].accepted and one.peers()["n2"].connected)
            one.send(heartbeat("n1", "n2", 7))
            (first,) = await messages_of(two, 1)
            assert isinstance(first, Heartbeat)
            one.send(AppendEntries("n1", "n2", 1, 99, 1, 0, Batch(100, 1, [b"\x01"])))
            (second,) = await messages_of(two, 1)
            assert isinstance(second, AppendEntries)
            assert second.prev_log_index == 99
