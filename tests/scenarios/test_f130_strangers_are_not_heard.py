"""Fault F130: a message of another cluster, of another node's disk, or under another node's name is counted.

Two clusters share a network and one address is wrong; an old disk image starts beside its successor; a peer says that a
vote came from somebody else. None of it reaches the core.
"""

from pathlib import Path

import anyio
import pytest
from anyio.abc import SocketAttribute, SocketStream

from rafty_core.messages import RequestVoteResponse
from rafty_transports.certs import make
from rafty_transports.codec import encode
from rafty_transports.handshake import HandshakeFailed, RefusedPeer, answer, dial
from rafty_transports.interfaces import Identity, Refused
from rafty_transports.security import Credentials, secure_dialed
from rafty_transports.tcp import TcpTransport
from tests.transports.connections import (
    ANYWHERE,
    BOOTSTRAP,
    NOWHERE,
    QUICK,
    admission,
    admit_all,
    closed_by_peer,
    connect,
    connect_as,
    identity,
    node,
    until,
)

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("stranger", "reason"),
    [
        (identity("n1", cluster_id="bank.0123"), "n1 belongs to cluster bank.0123, n2 to cluster shop.0123"),
        (identity("n1", cluster_id="shop.4567", bootstrap="n1,n2"), f"one was bootstrapped with n1,n2, .* {BOOTSTRAP}"),
        (identity("n2"), "two nodes have one name"),
    ],
)
async def test_a_stranger_is_refused_with_the_reason(stranger: Identity, reason: str) -> None:
    async with node("n2", {"n1": NOWHERE}) as two:
        with pytest.raises(Refused, match=reason):
            await connect_as(two.address, stranger, "n2")


async def test_a_node_that_was_not_meant_refuses() -> None:
    async with node("n2", {"n1": NOWHERE}) as two:
        with pytest.raises(Refused, match=r"n1 dialed 'n3' and reached n2: an address is wrong"):
            await connect_as(two.address, identity("n1"), "n3")


async def test_another_incarnation_or_a_lower_boot_is_not_heard() -> None:
    met: dict[str, Identity] = {}

    def meet(peer: Identity) -> None:
        known = met.setdefault(peer.node_id, peer)
        if peer.incarnation != known.incarnation or peer.boot < known.boot:
            raise Refused(f"{peer.node_id} was met as incarnation {known.incarnation} in boot {known.boot}")
        met[peer.node_id] = peer

    async with TcpTransport(identity("n2"), {"n1": NOWHERE}, ANYWHERE, admit=meet, limits=QUICK) as two:
        async with await connect_as(two.address, identity("n1", boot=5), "n2"):
            assert met["n1"].boot == 5
        for stranger in (identity("n1", incarnation="a new disk", boot=6), identity("n1", boot=4)):
            with pytest.raises(Refused, match="n1 was met as incarnation"):
                await connect_as(two.address, stranger, "n2")
        assert "n1 was met as incarnation" in (two.peers()["n1"].refusal or "")


async def test_nothing_is_said_to_another_incarnation_than_the_one_that_was_met() -> None:
    def meet(peer: Identity) -> None:
        if peer.incarnation != "incarnation-n2":
            raise Refused(f"{peer.node_id} was met as incarnation-n2")

    other = TcpTransport(identity("n2", incarnation="a new disk"), {}, ANYWHERE, admit=admit_all, limits=QUICK)
    async with other, TcpTransport(identity("n1"), {"n2": other.address}, ANYWHERE, admit=meet, limits=QUICK) as one:
        await until(lambda: one.peers()["n2"].refusal)
        assert one.peers()["n2"].refusal == "n2 was met as incarnation-n2"
        assert other.peers() == {}


async def test_a_vote_in_the_name_of_another_closes_the_connection() -> None:
    for forged in (RequestVoteResponse("n3", "n2", 5, True), RequestVoteResponse("n1", "n3", 5, True)):
        async with node("n2", {"n1": NOWHERE, "n3": NOWHERE}) as two:
            async with await connect_as(two.address, identity("n1"), "n2") as stream:
                await stream.send(encode(forged)[0])
                await until(lambda two=two: two.refusals["frame"] == 1, 3.0)  # type: ignore[misc]
                await closed_by_peer(stream)
            assert [type(item).__name__ for item in two._inbox._items].count("RequestVoteResponse") == 0


async def test_a_certificate_proves_one_name_and_no_other(tmp_path: Path) -> None:
    make(tmp_path / "all", ["n1", "n2"], 1)
    one, two = (
        Credentials.from_files(
            *(tmp_path / "all" / name for name in (f"{node_id}.pem", f"{node_id}-key.pem", "ca.pem"))
        )
        for node_id in ("n1", "n2")
    )
    async with TcpTransport(identity("n1"), {}, ANYWHERE, admit=admit_all, credentials=one) as transport:
        for name in ("n3", "n2"):
            async with await connect(transport.address) as socket:
                stream = await secure_dialed(socket, two, "n1")
                if name == "n2":
                    await dial(stream, identity(name), "n1", admission())
                    await until(lambda: list(transport.peers()) == ["n2"])
                else:
                    with pytest.raises(Refused, match="has a certificate for n2, not for n3"):
                        await dial(stream, identity(name), "n1", admission())
                    await until(lambda: transport.refusals["certificate"] == 1)
                    assert transport.peers() == {}


async def test_the_dialing_node_does_not_talk_to_another_cluster() -> None:
    heard: list[str] = []

    async def careless(stream: SocketStream) -> None:
        async with stream:
            other = identity("n2", cluster_id="bank.0123")
            try:
                await answer(stream, other, admit_all, admission())
            except RefusedPeer as refusal:
                heard.append(str(refusal))
            except HandshakeFailed:
                pass  # a further attempt, which is cut off when the test is over

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, careless)
        address = f"127.0.0.1:{listener.extra(SocketAttribute.local_port)}"
        async with node("n1", {"n2": address}) as one:
            await until(lambda: heard and one.peers()["n2"].refusal)
            assert not one.peers()["n2"].connected
        tasks.cancel_scope.cancel()
    assert "bank.0123" in heard[0]
