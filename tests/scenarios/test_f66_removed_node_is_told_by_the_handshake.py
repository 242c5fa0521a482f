"""Fault F66, on the wire: the leader stopped replicating before the removed node knew, and nobody tells it any more.

It would ask for votes for ever. Each node that knows of its removal says so when a connection is opened, whichever side
opens it; one that was connected is let go after a while, and then is told. To be of another cluster, or not to be known
yet, is no removal: such a node goes on.
"""

import threading

import anyio
import pytest

from rafty_core.configuration import Member
from rafty_transports.handshake import dial
from rafty_transports.interfaces import Identity, Refused, RemovedFromCluster
from rafty_transports.tcp import TcpTransport
from tests.transports.connections import (
    ANYWHERE,
    FORGETFUL,
    NOWHERE,
    QUICK,
    admission,
    admit_all,
    connect,
    connect_as,
    heartbeat,
    identity,
    node,
    reachable,
    until,
)

pytestmark = pytest.mark.anyio

LEFT = [Member("n1"), Member("n2", NOWHERE)]
REMOVED = [Member("n3", "", "old")]


async def told(transport: TcpTransport) -> str | None:
    """What the node is told of its removal."""
    with anyio.fail_after(5), pytest.raises(RemovedFromCluster, match="was removed from the cluster"):
        async for _ in transport:
            pass
    return transport.removed


async def test_a_removed_node_that_dials_is_told() -> None:
    async with node("n1", {}) as one, reachable("n3", {"n1": one.address}, incarnation="old") as zombie:
        one.set_members(LEFT, REMOVED)
        assert "n3 (incarnation old)" in (await told(zombie) or "")


async def test_a_removed_node_that_is_dialed_is_told() -> None:
    async with reachable("n3", incarnation="old") as zombie, node("n1", {"n3": zombie.address}) as one:
        one.set_members([Member("n1"), Member("n3")], REMOVED)
        assert "n3 (incarnation old)" in (await told(zombie) or "")
        assert one.removed is None


async def test_a_removed_node_that_is_connected_and_never_silent_is_told_in_the_end() -> None:
    async with node("n1", {}, FORGETFUL) as one, reachable("n3", {"n1": one.address}, incarnation="old") as zombie:
        await until(lambda: one.peers() and one.peers()["n3"].accepted)
        one.set_members(LEFT, REMOVED)

        async def campaign() -> None:
            while True:
                zombie.send(heartbeat("n3", "n1"))
                await anyio.sleep(0.02)

        async def listen() -> None:
            async for _ in one:
                pass

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(campaign)
            tasks.start_soon(listen)
            await told(zombie)
            tasks.cancel_scope.cancel()


async def test_other_refusals_are_no_removal() -> None:
    def admit(_: object) -> None:
        raise Refused("it must be admitted first")

    careful = TcpTransport(identity("n1"), {}, ANYWHERE, admit=admit, limits=QUICK)
    other = TcpTransport(identity("n2", cluster_id="bank.1"), {}, ANYWHERE, admit=admit_all, limits=QUICK)
    async with careful, other:
        careful.set_members(LEFT, [Member("n3", "", "older"), Member("n4", "", "old")])
        async with reachable("n3", {"n1": careful.address, "n2": other.address}, incarnation="old") as waiting:
            await until(lambda: all(status.refusal for status in waiting.peers().values()))
            assert waiting.removed is None
        with pytest.raises(Refused, match="it must be admitted first"):
            await connect_as(careful.address, identity("n3", incarnation="old"), "n1")


async def test_a_node_that_is_removed_while_it_is_met_is_refused_and_the_other_stays() -> None:
    entered, release = threading.Event(), threading.Event()

    def admit(_: Identity) -> None:
        entered.set()
        release.wait(10)

    async with TcpTransport(identity("n1"), {}, ANYWHERE, admit=admit, limits=QUICK) as one:
        async with await connect(one.address) as stream, anyio.create_task_group() as tasks:
            tasks.start_soon(dial, stream, identity("n3", incarnation="old"), "n1", admission())
            await until(entered.is_set)
            one.set_members([Member("n1")], [Member("n3", "", "old")])
            release.set()
            await until(lambda: one.refusals.total)
        assert one.refusals["removed"] == one.refusals.total == 1
        assert (one.removed, one.peers()) == (None, {})
