"""After a partition peers find each other again within a few election timeouts, and idle connections cost little."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import anyio
import pytest
from anyio.abc import SocketAttribute, SocketStream

from rafty_core import Config
from rafty_transports.codec import KEEP_ALIVE
from rafty_transports.handshake import answer
from rafty_transports.links import Limits
from rafty_transports.reaching import reach
from rafty_transports.threads import OneEach
from tests.transports.connections import NOWHERE, admission, connect_as, identity, node, until

pytestmark = pytest.mark.anyio

SHIPPED = Limits()
IDLE = Limits(keep_alive=0.05)


@contextmanager
def no_answer() -> Iterator[int]:
    """A port whose packets are lost: whoever connects waits."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        yield full.getsockname()[1]
        for filler in fillers:
            filler.close()


async def test_times_as_shipped_heal_within_ten_election_timeouts() -> None:
    enough = 10 * Config(id="n1").election_timeout
    assert SHIPPED.idle + SHIPPED.keep_alive < enough  # a dead connection is let go
    assert SHIPPED.connect + SHIPPED.backoff_last < enough / 2  # a peer that is back is reached
    assert SHIPPED.keep_alive * 3 <= SHIPPED.idle  # a peer that lives is not taken for a dead one


async def test_an_attempt_to_connect_is_given_up_soon_though_a_handshake_may_take_longer() -> None:
    with no_answer() as port:
        async with node("n1", {"n2": f"127.0.0.1:{port}"}, Limits(connect=0.2)) as one:
            await until(lambda: one.peers()["n2"].trouble, 2.0)
            assert one.peers()["n2"].trouble == f"cannot connect to 127.0.0.1:{port}: no answer"


async def test_the_next_address_of_a_name_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    async with node("n1", {}) as one:
        port = int(one.address.rpartition(":")[2])

        def two_addresses(host: str, port: object, **_: object) -> list[tuple[object, ...]]:
            return [(0, 0, 0, "", (address, port)) for address in ("127.0.0.2", "127.0.0.1")]

        monkeypatch.setattr(socket, "getaddrinfo", two_addresses)
        async with await reach("two.example", port, OneEach(), resolving=1.0, connecting=1.0) as stream:
            assert stream.extra(SocketAttribute.remote_address)[0] == "127.0.0.1"


async def test_an_idle_connection_carries_one_small_frame_each_way_for_each_keep_alive_time() -> None:
    got: dict[str, int] = {"dialing": 0, "accepting": 0}

    async def count(stream: SocketStream, side: str) -> None:
        with anyio.move_on_after(10 * IDLE.keep_alive):
            while True:
                got[side] += len(await stream.receive())

    async def accept(stream: SocketStream) -> None:
        async with stream:
            await answer(stream, identity("n2"), lambda _: None, admission())
            await count(stream, "dialing")
            tasks.cancel_scope.cancel()

    async with node("n3", {"n1": NOWHERE}, IDLE) as three:
        async with await connect_as(three.address, identity("n1"), "n3") as stream:
            await count(stream, "accepting")
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, accept)
        async with node("n1", {"n2": f"127.0.0.1:{listener.extra(SocketAttribute.local_port)}"}, IDLE):
            await anyio.sleep_forever()
    for size in got.values():
        assert 3 * len(KEEP_ALIVE) <= size <= 11 * len(KEEP_ALIVE)
        assert size % len(KEEP_ALIVE) == 0
    assert len(KEEP_ALIVE) <= 20
