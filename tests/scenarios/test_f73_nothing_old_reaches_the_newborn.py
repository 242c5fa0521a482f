"""Fault F73, on the wire: a node is removed, its disk is wiped, and it is added again under the same name.

What was on its way to its earlier life would be taken for an answer in this one: a vote, say, in a term of which the
newborn knows nothing. And the earlier life, if a copy of its disk still runs, would speak in the name of the new one.
"""

import anyio
import pytest

from rafty_core.configuration import Member
from rafty_core.messages import RequestVoteResponse
from rafty_transports.interfaces import RemovedFromCluster
from rafty_transports.links import Limits
from tests.transports.connections import (
    NOWHERE,
    closed_by_peer,
    connect_as,
    heartbeat,
    identity,
    messages_of,
    node,
    reachable,
    rounds,
    until,
)

pytestmark = pytest.mark.anyio

PATIENT = Limits(keep_alive=0.05, backoff_first=30.0, backoff_last=30.0)
REMOVED = [Member("n3", "", "old")]


async def test_what_waited_for_the_earlier_life_is_dropped() -> None:
    async with node("n1", {}, PATIENT) as one:
        async with reachable("n3", {"n1": one.address}, incarnation="old") as old:
            address = old.address
            one.set_members([Member("n1"), Member("n3", address, "old")], [])
            await until(lambda: one.peers()["n3"].connected and one.peers()["n3"].accepted)
        await until(lambda: not one.peers()["n3"].connected)
        one.send(RequestVoteResponse("n1", "n3", 5, True))  # it waits for the connection
        dropped = one.peers()["n3"].dropped
        one.set_members([Member("n1")], REMOVED)
        async with reachable("n3", {"n1": one.address}, incarnation="new") as newborn:
            one.set_members([Member("n1"), Member("n3", newborn.address, "new")], REMOVED)
            await anyio.wait_all_tasks_blocked()  # a connection to the address that it said itself ends with this
            await until(lambda: one.peers()["n3"].connected)
            one.send(heartbeat("n1", "n3", 1))
            assert rounds(await messages_of(newborn, 1)) == [1]
            assert one.peers()["n3"].dropped == dropped + 1


async def test_an_earlier_life_of_unknown_incarnation_is_told_from_its_successor() -> None:
    """Nobody had noted the incarnation when it was removed; but that of the member is known."""
    async with node("n1", {}) as one:
        one.set_members([Member("n1"), Member("n3", NOWHERE, "new")], [Member("n3")])
        with pytest.raises(RemovedFromCluster, match=r"n3 \(incarnation old\) was removed"):
            await connect_as(one.address, identity("n3", incarnation="old"), "n1")
        async with await connect_as(one.address, identity("n3", incarnation="new"), "n1"):
            await until(lambda: one.peers()["n3"].accepted)


async def test_the_earlier_life_is_not_heard_any_more_once_its_successor_is_a_member() -> None:
    async with node("n1", {}) as one, reachable("n3", incarnation="new") as newborn:
        one.set_members([Member("n1"), Member("n3", "", "old")], [])
        async with await connect_as(one.address, identity("n3", incarnation="old"), "n1") as old:
            await until(lambda: one.peers()["n3"].accepted)
            one.set_members([Member("n1"), Member("n3", NOWHERE, "new")], REMOVED)
            await closed_by_peer(old, 2.0)
            one.set_members([Member("n1"), Member("n3", newborn.address, "new")], REMOVED)
        with pytest.raises(RemovedFromCluster, match=r"n3 \(incarnation old\) was removed"):
            await connect_as(one.address, identity("n3", incarnation="old"), "n1")
        newborn.set_members([Member("n3"), Member("n1", one.address)], REMOVED)
        await until(lambda: newborn.peers()["n1"].connected and one.peers()["n3"].connected)
        assert newborn.removed is None
