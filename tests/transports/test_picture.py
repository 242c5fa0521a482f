"""What a node shows of its connections: each peer as it is, and refusals by reason, also those that never were."""

import pytest

from rafty_transports.accepting import REASONS
from rafty_transports.picture import network_of
from tests.transports.connections import NOWHERE, closed_by_peer, connect, connect_as, heartbeat, identity, node, until

pytestmark = pytest.mark.anyio


async def test_peers_and_refusals_are_shown() -> None:
    async with node("n1", {"n3": NOWHERE}) as one, node("n2", {"n1": one.address}) as two:
        one.set_peer("n2", two.address)
        async with await connect_as(one.address, identity("n9"), "n1"), await connect(one.address) as stranger:
            await until(lambda: "n9" in one.peers() and one.peers()["n9"].accepted)
            await until(lambda: one.peers()["n2"].connected and one.peers()["n2"].accepted)
            await stranger.send(b"GET / HTTP/1.1\r\n\r\n")
            await closed_by_peer(stranger)
            await until(lambda: one.refusals.total)
            one.send(heartbeat("n1", "n7"))
            dropped = {name: peer.dropped for name, peer in one.peers().items()}
            pairs = network_of(one)
    counts = {f"refused.nodes.{reason}": "1" if reason == "protocol" else "0" for reason in REASONS}
    assert pairs == [
        ("network.n2", f"connected=yes,accepted=yes,guest=no,dropped={dropped['n2']}"),
        ("network.n3", f"connected=no,accepted=no,guest=no,dropped={dropped['n3']}"),
        ("network.n9", f"connected=no,accepted=yes,guest=yes,dropped={dropped['n9']}"),
        ("unaddressed", "1"),
        *counts.items(),
    ]
