"""Fault F122: a peer is unplugged or paused, no packet says so, and its half-open connection is held for ever.

Whoever hears nothing closes: the accepting node in the handshake and after it, the dialing node too, which otherwise
would go on sending into nothing. A peer that comes again replaces what is left of its older connection.
"""

from pathlib import Path

import anyio
import pytest
from anyio.abc import SocketAttribute, SocketStream

from rafty_transports.addresses import parse_address
from rafty_transports.certs import make
from rafty_transports.handshake import answer
from rafty_transports.links import Limits
from rafty_transports.security import Credentials
from rafty_transports.tcp import TcpTransport
from rafty_transports.websocket_transport import WebSocketTransport
from tests.transports.connections import (
    ANYWHERE,
    NOWHERE,
    admission,
    admit_all,
    closed_by_peer,
    connect,
    connect_as,
    heartbeat,
    identity,
    messages_of,
    node,
    rounds,
    two_nodes,
    until,
)

pytestmark = pytest.mark.anyio

IMPATIENT = Limits(handshake=0.5, keep_alive=0.05, idle=0.5, backoff_first=0.01, backoff_last=0.02)
SOON = 3.0
"""Seconds after which an impatient node must have closed what is silent, however busy the machine."""

PATIENT = Limits(handshake=5.0, keep_alive=0.05, idle=30.0, backoff_first=0.01, backoff_last=0.02)


async def test_a_connection_that_never_says_hello_is_closed() -> None:
    async with node("n1", {}, IMPATIENT) as one, await connect(one.address) as mute:
        await closed_by_peer(mute, SOON)
        await until(lambda: one.connections == 0, SOON)


def certificate(directory: Path, node_id: str) -> Credentials:
    """Credentials of this node."""
    if not (directory / "certificates").exists():
        make(directory / "certificates", ["n1", "n2"], 1)
    files = (f"{node_id}.pem", f"{node_id}-key.pem", "ca.pem")
    return Credentials.from_files(*(directory / "certificates" / name for name in files))


@pytest.mark.parametrize(
    ("kind", "said"), [("tls", b""), ("tls", b"\x16\x03\x01\x02\x00"), ("ws", b""), ("ws", b"GET /raf")]
)
async def test_who_does_not_finish_tls_or_websocket_is_hung_up_on(kind: str, said: bytes, tmp_path: Path) -> None:
    quick = Limits(handshake=0.3)
    credentials = certificate(tmp_path, "n1") if kind == "tls" else None
    made = TcpTransport if kind == "tls" else WebSocketTransport
    async with made(identity("n1"), {}, ANYWHERE, admit=admit_all, limits=quick, credentials=credentials) as one:
        async with await connect(parse_address(one.address).socket) as mute:
            if said:
                await mute.send(said)
            await closed_by_peer(mute, 3.0)
        await until(lambda: one.connections == 0)
        assert one.refusals["silent"] == one.refusals.total == 1


async def test_an_accepted_connection_that_falls_silent_is_closed() -> None:
    async with node("n2", {"n1": NOWHERE}, IMPATIENT) as two:
        async with await connect_as(two.address, identity("n1"), "n2") as silent:
            await until(lambda: two.peers()["n1"].accepted, SOON)
            await closed_by_peer(silent, SOON)
            await until(lambda: not two.peers()["n1"].accepted, SOON)


async def test_a_dialed_connection_that_falls_silent_is_closed_and_opened_again() -> None:
    openings: list[SocketStream] = []

    async def say_nothing_more(stream: SocketStream) -> None:
        async with stream:
            await answer(stream, identity("n2"), admit_all, admission())
            openings.append(stream)
            await closed_by_peer(stream, SOON)

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, say_nothing_more)
        address = f"127.0.0.1:{listener.extra(SocketAttribute.local_port)}"
        async with node("n1", {"n2": address}, IMPATIENT):
            await until(lambda: len(openings) >= 2, SOON)
        tasks.cancel_scope.cancel()


async def test_a_quiet_connection_between_living_nodes_stays() -> None:
    async with two_nodes(IMPATIENT) as (one, two):
        before = two._peers["n1"].accepted
        await anyio.sleep(1.0)
        assert two._peers["n1"].accepted is before
        one.send(heartbeat("n1", "n2", 3))
        assert rounds(await messages_of(two, 1)) == [3]


async def test_a_peer_that_comes_again_replaces_its_older_connection() -> None:
    async with node("n2", {"n1": NOWHERE}, PATIENT) as two:
        older = await connect_as(two.address, identity("n1", boot=1), "n2")
        newer = await connect_as(two.address, identity("n1", boot=2), "n2")
        await closed_by_peer(older, SOON)
        await until(lambda: two.connections == 1, SOON)
        await older.aclose()
        await newer.aclose()
