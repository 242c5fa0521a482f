"""R217: n3 is removed and added again with an empty disk, while a handshake with its earlier life is under way.

Found by reading: who a peer is was compared with the members before the disk was asked, and once more when it had been
accepted; not after a node that dialed had waited for its disk, and not after a connection had waited for the one whose
place it takes. So the earlier life was connected under the name of its successor (fault F73).
"""

import threading
from collections.abc import Callable

import anyio
import pytest

from rafty_core.configuration import Member
from rafty_transports.interfaces import Identity, RemovedFromCluster
from rafty_transports.tcp import TcpTransport
from tests.transports.connections import (
    ANYWHERE,
    NOWHERE,
    QUICK,
    closed_by_peer,
    connect_as,
    identity,
    node,
    reachable,
    until,
)

pytestmark = pytest.mark.anyio

OLD = [Member("n3", "", "old")]
NEW = [Member("n1"), Member("n3", NOWHERE, "new")]


async def test_r217_who_was_dialed_is_looked_at_again_behind_the_disk() -> None:
    asked, works = threading.Event(), threading.Event()

    def admit(_: Identity) -> None:
        asked.set()
        works.wait(20.0)

    async with reachable("n3", incarnation="old") as old:
        one = TcpTransport(identity("n1"), {"n3": old.address}, ANYWHERE, admit=admit, limits=QUICK)
        async with one:
            try:
                one.set_members([Member("n1"), Member("n3", old.address, "old")], [])
                await until(asked.is_set)
                one.set_members([Member("n1"), Member("n3", old.address, "new")], OLD)
            finally:
                works.set()
            with pytest.raises(RemovedFromCluster, match=r"n3 \(incarnation old\) was removed"), anyio.fail_after(5):
                async for _ in old:
                    pass
            assert not one.peers()["n3"].connected


class Late:
    """An event behind which something else happens, before anybody who waits for it goes on."""

    def __init__(self, event: anyio.Event, then: Callable[[], None]) -> None:
        self.set = event.set
        self._event, self._then = event, then

    async def wait(self) -> None:
        await self._event.wait()
        self._then()


async def test_r217_who_takes_the_place_of_another_connection_is_looked_at_again() -> None:
    async with node("n1", {}) as one:
        one.set_members([Member("n1"), *OLD], [])
        async with await connect_as(one.address, identity("n3", incarnation="old"), "n1"):
            await until(lambda: one.peers()["n3"].accepted)
            first = one._peers["n3"].accepted
            assert first is not None
            first.ended = Late(first.ended, lambda: one.set_members(NEW, OLD))  # type: ignore[assignment]
            async with await connect_as(one.address, identity("n3", incarnation="old"), "n1") as second:
                await closed_by_peer(second, 2.0)
        assert not one.peers()["n3"].accepted
        assert one.removed is None
        assert one.refusals["removed"] == 1
