"""R220: a peer says that it is reached at an IPv6 address with a zone of sixty-four letters.

Found by trying odd addresses: an address with a zone was taken for a number, which needs no looking up; but below, the
zone is looked up as a name, and one that is too long for a name raised, inside an exception group, what nobody expected
there. The transport ended, and its node: by one handshake of a guest, or, if such an address stood in the
configuration, on all nodes and after each restart.
"""

import anyio
import pytest

from rafty_core.configuration import Member
from rafty_transports.addresses import Address
from rafty_transports.links import Limits
from rafty_transports.wires import CannotReach, Wires
from tests.transports.connections import connect_as, heartbeat, identity, node, until

pytestmark = pytest.mark.anyio

ADDRESS = f"[::1%{'x' * 64}]:7001"


async def test_r220_the_peer_cannot_be_reached() -> None:
    async with node("n1", {}) as one:
        one.set_members([Member("n1"), Member("n2", ADDRESS)], [])
        async with await connect_as(one.address, identity("x1", address=ADDRESS), "n1"):
            await until(lambda: "x1" in one.peers())
            one.send(heartbeat("n1", "x1"))
            for peer in ("n2", "x1"):
                await until(lambda peer=peer: (one.peers()[peer].trouble or "").startswith("cannot connect to [::1%x"))  # type: ignore[misc]
        with anyio.move_on_after(0.1) as waited:
            while True:
                await anext(one)
        assert waited.cancelled_caught


async def test_r220_addresses_of_all_kinds_are_reached_or_not() -> None:
    wires = Wires(Limits(handshake=0.5, connect=0.2), None, ())
    for host in ("::1%0", "fe80::1%lo", "::%1", "1.2.3.4%5", "%", "[", "..", "a..b", "é" * 100, "a" * 300):
        with pytest.raises(CannotReach):
            async with wires.dialed(Address("tcp", host, 1), "x"):
                pass
