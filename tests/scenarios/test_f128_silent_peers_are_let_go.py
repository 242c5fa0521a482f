"""Fault F128, on the wire: two nodes that have nothing to say to each other keep each other's connections for ever.

Each would dial the other since the other dialed it. A guest is dialed only when there is something to be sent, and is
forgotten when it says nothing; and a keep-alive, which says nothing, is not answered by another.
"""

import anyio
import pytest
from anyio.abc import SocketAttribute, SocketStream

from rafty_transports.codec import KEEP_ALIVE, encode
from rafty_transports.links import Limits
from tests.transports.connections import (
    FORGETFUL,
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


async def test_guests_of_each_other_fall_silent() -> None:
    async with reachable("n1", limits=FORGETFUL) as one, reachable("n2", limits=FORGETFUL) as two:
        one._roster.meet(two.identity)
        for sender, receiver, name in ((one, two, "n2"), (two, one, "n1")):
            sender.send(heartbeat(sender.identity.node_id, name, 1))
            assert rounds(await messages_of(receiver, 1)) == [1]
        assert one.peers()["n2"].guest
        assert two.peers()["n1"].guest
        await until(lambda: not one.peers() and not two.peers() and not one.connections and not two.connections, 4.0)
        await anyio.sleep(0.3)
        assert one.peers() == two.peers() == {}


async def test_a_guest_is_dialed_only_when_there_is_something_to_be_sent() -> None:
    dialed: list[bytes] = []

    async def note(stream: SocketStream) -> None:
        async with stream:
            dialed.append(await stream.receive())

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, note)
        guest = identity("n9", address=f"127.0.0.1:{listener.extra(SocketAttribute.local_port)}")
        async with node("n2", {}) as two, await connect_as(two.address, guest, "n2") as stream:
            await until(lambda: "n9" in two.peers())
            await stream.send(encode(heartbeat("n9", "n2"))[0])
            assert rounds(await messages_of(two, 1)) == [1]
            await anyio.sleep(0.3)
            assert dialed == []
            two.send(heartbeat("n2", "n9"))
            await until(lambda: dialed)
        tasks.cancel_scope.cancel()


async def test_keep_alives_are_not_answered() -> None:
    slow = Limits(keep_alive=0.3)
    async with node("n2", {}, slow) as two, await connect_as(two.address, identity("n9"), "n2") as stream:
        heard = b""
        with anyio.move_on_after(1.0):
            await stream.send(KEEP_ALIVE * 1000)
            while True:
                heard += await stream.receive()
        assert len(heard) <= 4 * len(KEEP_ALIVE)
        await stream.aclose()
        with pytest.raises(anyio.ClosedResourceError):
            await closed_by_peer(stream)
