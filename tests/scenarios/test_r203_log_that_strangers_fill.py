"""R203: strangers connect again and again, and each time something else is wrong with them.

Found by attacking a port: a sentence was only left out if it was that of the last stranger, so a stranger who varied a
byte wrote a line for each connection, three hundred in half a second. One who called itself like a member, with a
cluster of many names, did the same, and with line ends in these names it wrote whatever lines it liked.
"""

import logging

import anyio
import pytest

from rafty_transports.complaints import BURST
from rafty_transports.interfaces import Identity, Refused
from rafty_transports.tcp import TcpTransport
from tests.transports.connections import ANYWHERE, NOWHERE, closed_by_peer, connect, connect_as, identity, node, until

pytestmark = pytest.mark.anyio

MANY = 3 * BURST


def member_of(cluster_id: str) -> Identity:
    """Somebody who calls itself n2."""
    return identity("n2", cluster_id=cluster_id)


async def test_strangers_who_are_never_the_same_write_few_lines(caplog: pytest.LogCaptureFixture) -> None:
    async with node("n1", {"n2": NOWHERE}) as one:
        began = anyio.current_time()
        for number in range(MANY):
            async with await connect(one.address) as stranger:
                await stranger.send(b"%08d" % number)
                await stranger.receive()
            with pytest.raises(Refused):
                await connect_as(one.address, member_of(f"shop.{number}"), "n1")
            async with await connect_as(one.address, identity("x1"), "n1") as guest:
                await guest.send(bytes(3) + b"\xff" + b"%08d" % number)
                await closed_by_peer(guest)
        await until(lambda: one.refusals.total >= 3 * MANY)
        lines = [record for record in caplog.records if record.levelno >= logging.WARNING]
        assert 3 < len(lines) <= BURST + 2 * (anyio.current_time() - began + 1)
        assert one.refusals["protocol"] == one.refusals["cluster"] == one.refusals["frame"] == MANY


async def test_nothing_that_is_said_in_a_handshake_ends_a_line(caplog: pytest.LogCaptureFixture) -> None:
    async with node("n1", {"n2": NOWHERE}) as one:
        for stranger in (
            member_of("shop.1\nn3 leads"),
            identity("n2", incarnation="\x1b[2J"),
            identity("n2", bootstrap="n1\r"),
            identity("n2", address="a\u2028b:1"),
        ):
            with pytest.raises(Refused, match="n2 gives a cluster id, an incarnation, an address"):
                await connect_as(one.address, stranger, "n1")
    assert all(record.getMessage().isprintable() for record in caplog.records)


async def test_no_reason_of_a_refusal_ends_a_line() -> None:
    def refuse(_: Identity) -> None:
        raise Refused("no\nn3 leads")

    async with TcpTransport(identity("n1"), {}, ANYWHERE, admit=refuse) as one, node("n2", {"n1": one.address}) as two:
        await until(lambda: two.peers()["n1"].refusal)
        assert two.peers()["n1"].refusal == "no?n3 leads"
