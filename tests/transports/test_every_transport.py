"""The conformance kit over every transport of ours, on every event loop; and nodes that differ in both."""

import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

import rafty_transports
from rafty_transports.addresses import parse_address
from rafty_transports.certs import make
from rafty_transports.interfaces import Identity, Transport
from rafty_transports.links import Limits
from rafty_transports.memory import MemoryNetwork
from rafty_transports.network import NetworkTransport, TransportError
from rafty_transports.security import Credentials
from rafty_transports.tcp import TcpTransport
from rafty_transports.testing import check_transport
from rafty_transports.testing.transport import OF_MEMBERS, RULES
from rafty_transports.websocket import dial_websocket
from rafty_transports.websocket_transport import WebSocketTransport
from tests.transports.connections import (
    admit_all,
    closed_by_peer,
    connect,
    free_address,
    heartbeat,
    identity,
    messages_of,
    rounds,
    until,
)

MiB = 1024 * 1024
LIMITS = Limits(
    outbox_bytes=8 * MiB,
    inbox_bytes=8 * MiB,
    keep_alive=0.05,
    idle=2.0,
    backoff_first=0.01,
    backoff_last=0.05,
    farewell=0.3,
)
LOOPS: dict[str, tuple[str, dict[str, Any]]] = {
    "asyncio": ("asyncio", {}),
    "uvloop": ("asyncio", {"use_uvloop": True}),
    "trio": ("trio", {}),
}
KINDS = ("tcp", "tls", "ws", "wss")
IDS = ("n1", "n2", "n3")


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificates for three nodes, of one authority."""
    directory = tmp_path_factory.mktemp("certificates") / "all"
    make(directory, IDS, 1)
    return directory


def transport(kind: str, mine: Identity, peers: dict[str, str], listen: str, certificates: Path) -> NetworkTransport:
    """A transport of this kind that admits everybody."""
    credentials = None
    if kind in ("tls", "wss"):
        files = (f"{mine.node_id}.pem", f"{mine.node_id}-key.pem", "ca.pem")
        credentials = Credentials.from_files(*(certificates / name for name in files))
    made = WebSocketTransport if kind in ("ws", "wss") else TcpTransport
    return made(mine, peers, listen, admit=admit_all, limits=LIMITS, credentials=credentials)


def network(kind: str, certificates: Path) -> Callable[[str], Transport]:
    """A fresh network of such transports."""
    addresses = {node_id: free_address() for node_id in IDS}

    def make_one(node_id: str) -> Transport:
        peers = {other: address for other, address in addresses.items() if other != node_id}
        mine = identity(node_id, address=addresses[node_id])
        return transport(kind, mine, peers, addresses[node_id], certificates)

    return make_one


EACH_ONCE = {("memory", "trio"), ("tcp", "asyncio"), ("tls", "uvloop"), ("ws", "trio"), ("wss", "asyncio")}
"""What is tried by default: each transport, and each event loop; all pairs in the long version."""


@pytest.mark.parametrize(
    ("kind", "loop"),
    [
        pytest.param(kind, loop, marks=() if (kind, loop) in EACH_ONCE else pytest.mark.slow, id=f"{kind}-{loop}")
        for kind in ("memory", *KINDS)
        for loop in LOOPS
    ],
)
def test_conformance(kind: str, loop: str, certificates: Path) -> None:
    backend, options = LOOPS[loop]

    async def check() -> tuple[str, ...]:
        if kind == "memory":
            return await check_transport(lambda: MemoryNetwork().transport, ordered=True)
        return await check_transport(
            lambda: network(kind, certificates),
            ordered=True,
            address=lambda transport: transport.address,  # type: ignore[attr-defined]
        )

    tried = anyio.run(check, backend=backend, backend_options=options)
    assert {*tried} == {rule.name for rule in RULES} - (OF_MEMBERS if kind == "memory" else frozenset())


@pytest.mark.parametrize(
    ("kinds", "loops"),
    [
        (("ws", "ws"), ("trio", "asyncio")),
        (("wss", "wss"), ("trio", "uvloop")),
        (("tls", "wss"), ("asyncio", "trio")),
        (("tcp", "ws"), ("uvloop", "trio")),
        (("ws", "tcp"), ("asyncio", "uvloop")),
    ],
    ids=lambda names: "-".join(names),
)
def test_nodes_on_different_event_loops_and_transports_understand_each_other(
    kinds: tuple[str, str], loops: tuple[str, str], certificates: Path
) -> None:
    addresses = {node_id: f"{kind}://{free_address()}" for node_id, kind in zip(("n1", "n2"), kinds, strict=True)}
    got: dict[str, list[int]] = {}

    def live(node_id: str, other: str, kind: str, loop: str) -> None:
        async def main() -> None:
            peers = {other: addresses[other]}
            mine = identity(node_id, address=addresses[node_id])
            async with transport(kind, mine, peers, addresses[node_id], certificates) as end:
                await until(lambda: end.peers()[other].connected and end.peers()[other].accepted)
                for number in range(1, 201):
                    end.send(heartbeat(node_id, other, number))
                got[node_id] = rounds(await messages_of(end, 200))
                await until(lambda: len(got) == 2)

        backend, options = LOOPS[loop]
        anyio.run(main, backend=backend, backend_options=options)

    pairs = (("n1", "n2", kinds[0], loops[0]), ("n2", "n1", kinds[1], loops[1]))
    threads = [threading.Thread(target=live, args=arguments, daemon=True) for arguments in pairs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert got == {"n1": [*range(1, 201)], "n2": [*range(1, 201)]}


@pytest.mark.anyio
async def test_one_node_listens_on_tcp_and_websocket_side_by_side() -> None:
    anywhere = ("127.0.0.1:0", "ws://127.0.0.1:0/a/path")
    one = TcpTransport(identity("n1"), {}, anywhere, admit=admit_all, limits=LIMITS)
    async with one:
        tcp, web = one.addresses
        assert web.startswith("ws://127.0.0.1:")
        assert web.endswith("/a/path")
        two = TcpTransport(identity("n2"), {"n1": tcp}, "127.0.0.1:0", admit=admit_all, limits=LIMITS)
        three = WebSocketTransport(identity("n3"), {"n1": web}, "127.0.0.1:0", admit=admit_all, limits=LIMITS)
        async with two, three:
            two.send(heartbeat("n2", "n1", 2))
            three.send(heartbeat("n3", "n1", 3))
            assert {*rounds(await messages_of(one, 2))} == {2, 3}


@pytest.mark.anyio
async def test_websocket_client_that_is_no_node_is_told_why_it_is_refused() -> None:
    async with WebSocketTransport(identity("n1"), {}, "127.0.0.1:0", admit=admit_all, limits=LIMITS) as one:
        assert one.address.startswith("ws://")
        where = parse_address(one.address)
        async with dial_websocket(await connect(where.socket), where.socket) as browser:
            await browser.send(b"hello, anybody there?")
            assert b"does not speak the protocol of rafty" in await browser.receive()
            with anyio.fail_after(5), pytest.raises(anyio.EndOfStream):
                while True:
                    await browser.receive()
            assert browser.close_code == 1008
            assert "does not speak the protocol of rafty" in (browser.close_reason or "")
        async with await connect(where.socket) as stranger:
            await stranger.send(b"GET /elsewhere HTTP/1.1\r\nHost: x\r\n\r\n")
            assert b" 404 " in await closed_by_peer(stranger)
        await until(lambda: one.refusals["protocol"] == 1 and one.refusals["websocket"] == 1)


@pytest.mark.anyio
async def test_what_is_not_installed_is_said_by_who_listens_and_by_who_dials(monkeypatch: pytest.MonkeyPatch) -> None:
    async with WebSocketTransport(identity("n1"), {}, "127.0.0.1:0", admit=admit_all, limits=LIMITS) as one:
        for library, module in (("websockets", "websocket_asyncio"), ("trio_websocket", "websocket_trio")):
            for name in [library, *(name for name in sys.modules if name.startswith(f"{library}."))]:
                monkeypatch.setitem(sys.modules, name, None)
            monkeypatch.delitem(sys.modules, f"rafty_transports.{module}", raising=False)
            monkeypatch.delattr(rafty_transports, module, raising=False)
        with pytest.raises(TransportError, match=r"pip install 'rafty\[websocket\]'"):
            async with WebSocketTransport(identity("n2"), {}, "127.0.0.1:0", admit=admit_all, limits=LIMITS):
                pass
        async with TcpTransport(identity("n2"), {"n1": one.address}, "127.0.0.1:0", admit=admit_all) as two:
            await until(lambda: "pip install" in (two.peers()["n1"].trouble or ""))
