"""R207: strangers connect under thousands of names, each of them with a right handshake.

Found by attacking a store: whom a node has met it remembers for ever, and writes whole each time it meets another one.
Two thousand names wrote two gigabytes, each took longer than the one before, and proposals waited for them.
"""

from pathlib import Path

import pytest

from rafty_core.configuration import Configuration, Member
from rafty_transports.interfaces import Identity, Refused
from rafty_transports.storage import SqliteStore
from rafty_transports.storage.peers import MOST_MET
from tests.transports.connections import connect_as, identity, node, until

pytestmark = pytest.mark.anyio

MEMBERS = Configuration(voters=(Member("n1", "a:1"), Member("n2", "b:1"), Member("n3", "c:1")))


def test_the_newest_are_remembered_and_those_who_may_come(tmp_path: Path) -> None:
    store = SqliteStore.open(tmp_path / "n1", node_id="n1", cluster="shop", initial=MEMBERS)

    def called(name: str, boot: int = 5) -> Identity:
        return Identity(store.identity.cluster_id, name, f"incarnation of {name}", boot, "", "")

    store.admit([Member("n4", "d:1", "another")])
    for number in range(MOST_MET + 50):
        store.meet(called(f"x{number}"))
    assert sorted(store.met()) == sorted(f"x{number}" for number in range(50, MOST_MET + 50))
    with pytest.raises(Refused, match="older copy"):
        store.meet(called(f"x{MOST_MET}", 4))
    store.close()
    store = SqliteStore.open(tmp_path / "n1", node_id="n1", cluster="shop", initial=MEMBERS)
    assert len(store.met()) == MOST_MET
    store.meet(called("n4"))  # its life before, which comes late
    store.meet(Identity(store.identity.cluster_id, "n4", "another", 1, "", ""))
    store.close()


async def test_nobody_has_an_incarnation_as_long_as_a_book() -> None:
    async with node("n1", {}) as one:
        with pytest.raises(Refused, match="x1 gives an incarnation of more than 64 characters"):
            await connect_as(one.address, identity("x1", incarnation="i" * 65), "n1")
        await until(lambda: one.refusals["protocol"] == 1)
