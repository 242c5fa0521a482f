"""R209: strangers connect under ever new names, while the disk takes its time; and the system starts no more threads.

Found by reading, and by an attack in miniature: each name was stored in a thread of its own, and whoever was sent away
at the door left its thread behind, three hundred of them with eight connections. With a disk that hangs, nothing
bounded them. The first thread that could not be started then ended the transport, and its node; a peer or a name for
which that happened once would have been waited for ever after.
"""

import threading
import time
from contextlib import suppress

import anyio
import pytest

from rafty_core import Member
from rafty_transports import reaching
from rafty_transports.addresses import Address
from rafty_transports.handshake import STORED_AT_ONCE, HandshakeFailed
from rafty_transports.interfaces import Identity, Refused
from rafty_transports.links import Limits
from rafty_transports.tcp import TcpTransport
from rafty_transports.wires import MOST_NAMES, CannotReach, Wires
from tests.transports.connections import ANYWHERE, QUICK, connect_as, heartbeat, identity, node, until

pytestmark = pytest.mark.anyio

DOOR = Limits(connections_per_address=8)


@pytest.fixture
def exhausted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """While this list is empty the system starts no threads of rafty; those that it did not start are noted in it."""
    refused: list[str] = []
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name.startswith("rafty") and not refused:
            refused.append(thread.name)
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    return refused


async def test_r209_strangers_share_a_few_threads() -> None:
    asked: list[str] = []

    def admit(peer: Identity) -> None:
        asked.append(peer.node_id)
        time.sleep(0.5)

    async def try_as(name: str) -> None:
        with suppress(Refused, HandshakeFailed, OSError):
            async with await connect_as(one.address, identity(name), "n1"):
                pass

    async with TcpTransport(identity("n1"), {}, ANYWHERE, admit=admit, limits=DOOR) as one:
        async with anyio.create_task_group() as tasks:
            for number in range(5 * STORED_AT_ONCE):
                tasks.start_soon(try_as, f"x{number}")
                await anyio.sleep(0.001)
            await until(lambda: one.refusals["half_open"] > 4 * STORED_AT_ONCE)
            assert len(asked) <= 2 * STORED_AT_ONCE
            assert sum(thread.name == "rafty admit" for thread in threading.enumerate()) <= STORED_AT_ONCE
            tasks.cancel_scope.cancel()
        async with await connect_as(one.address, identity("x1"), "n1"):  # as soon as there is room
            await until(lambda: "x1" in one.peers() and one.peers()["x1"].accepted)


async def test_r209_peer_that_could_not_be_stored_is_asked_again(exhausted: list[str]) -> None:
    async with node("n1", {}) as one:
        with pytest.raises(Refused, match="x1 is not met now: no thread can be started now"):
            async with await connect_as(one.address, identity("x1"), "n1"):
                pass
        assert exhausted == ["rafty admit_all"]
        async with await connect_as(one.address, identity("x1"), "n1"):
            await until(lambda: "x1" in one.peers() and one.peers()["x1"].accepted)


async def test_r209_name_that_could_not_be_looked_for_is_looked_for_again(exhausted: list[str]) -> None:
    async with node("n2", {}, QUICK) as two:
        _, _, port = two.address.rpartition(":")
        async with node("n1", {"n2": f"localhost:{port}"}) as one:
            await until(lambda: one.peers()["n2"].connected)
        assert exhausted == ["rafty _addresses_of"]


def hang(monkeypatch: pytest.MonkeyPatch, ended: threading.Event, suffix: str) -> list[str]:
    """Names that end so are looked for until it ended; what was looked for."""
    asked, look = list[str](), reaching._addresses_of

    def ask(name: str) -> list[str]:
        asked.append(name)
        if name.endswith(suffix):
            ended.wait(20.0)
            return []
        return look(name)

    monkeypatch.setattr(reaching, "_addresses_of", ask)
    return asked


async def test_r209_names_that_nobody_knows_share_some_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = threading.Event()
    asked = hang(monkeypatch, ended, ".example")

    async def reach(name: str) -> None:
        with pytest.raises(CannotReach):
            async with wires.dialed(Address("tcp", name, 1), "x", guest=True):
                pass

    wires = Wires(Limits(handshake=0.2), None, ())
    try:
        async with anyio.create_task_group() as tasks:
            for number in range(MOST_NAMES + 20):
                tasks.start_soon(reach, f"x{number}.example")
        assert len(asked) == MOST_NAMES
    finally:
        ended.set()


async def test_r209_names_of_guests_hold_no_member_up(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = threading.Event()
    asked = hang(monkeypatch, ended, ".example")
    monkeypatch.setattr("rafty_transports.wires.MOST_NAMES", 1)
    try:
        async with node("n2", {}, QUICK) as two, node("n1", {}, QUICK) as one:
            one.set_members([Member("n1", one.address)], ())
            async with await connect_as(one.address, identity("x1", address="x1.example:1"), "n1"):
                await until(lambda: "x1" in one.peers())
                one.send(heartbeat("n1", "x1"))
                await until(lambda: "x1.example" in asked)
                port = two.address.rpartition(":")[2]
                one.set_members([Member("n1", one.address), Member("n2", f"localhost:{port}")], ())
                await until(lambda: one.peers()["n2"].connected)
    finally:
        ended.set()
