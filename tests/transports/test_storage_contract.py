"""What every store promises, checked on the one in memory and the one on disk."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rafty_core.configuration import Configuration, Member
from rafty_core.entries import LARGEST, Batch
from rafty_core.output import Write
from rafty_core.stable import Snapshot
from rafty_transports.interfaces import Identity, Refused
from rafty_transports.storage import MemoryStore, SqliteStore, StoreClosed, WriteRefused
from tests.transports.storage_kit import VOTERS, Stores, append, batch, expected_log, log_of, open_store

Store = MemoryStore | SqliteStore
Restart = Callable[[Store], Store]


@pytest.fixture(params=["memory", "sqlite"])
def stores(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stores]:
    """Stores of either kind."""
    stores = Stores(request.param, tmp_path)
    yield stores
    stores.close()


@pytest.fixture
def store_and_restart(stores: Stores) -> tuple[Store, Restart]:
    """A new store, and a way to get it as after the next start."""
    return stores.new(), stores.restart


@pytest.fixture
def store(store_and_restart: tuple[Store, Restart]) -> Store:
    """A new store."""
    return store_and_restart[0]


def peer_of(store: Store, **changes: Any) -> Identity:
    """Another node of the same cluster."""
    return replace(store.identity, **{"node_id": "n2", "incarnation": "cafe", "boot": 3, **changes})


def test_load_new_store(store: Store) -> None:
    stable = store.load()
    assert (stable.term, stable.vote, list(stable.batches)) == (0, None, [])
    assert stable.snapshot.configuration == VOTERS
    assert (stable.snapshot.index, stable.snapshot.term) == (0, 0)


def test_identity_new_store(store: Store) -> None:
    identity = store.identity
    assert identity.node_id == "n1"
    assert identity.boot == 1
    assert identity.bootstrap == "n1,n2,n3"
    assert identity.cluster_id.startswith("rafty.")
    assert len(identity.incarnation) == 16


def test_identity_same_bootstrap_on_other_node(store: Store) -> None:
    other = MemoryStore("n2", Configuration.of("n3", "n2", "n1")).identity
    assert other.cluster_id == store.identity.cluster_id
    assert other.incarnation != store.identity.incarnation
    assert MemoryStore("n2", Configuration.of("n1", "n2")).identity.cluster_id != other.cluster_id


def test_load_after_restart(store_and_restart: tuple[Store, Restart]) -> None:
    store, restart = store_and_restart
    store.write([Write(1, 3, "n2", [batch(1, 5, 2), batch(6, 2, 3)])])
    again = restart(store)
    stable = again.load()
    assert (stable.term, stable.vote) == (3, "n2")
    assert list(stable.batches) == [batch(1, 5, 2), batch(6, 2, 3)]
    assert again.identity == replace(store.identity, boot=2)
    append(again, 1, 8, term=4)
    assert len(log_of(restart(again).load())) == 8


def test_load_later_in_the_same_boot(store: Store) -> None:
    append(store, 1, 1, 3)
    assert log_of(store.load()) == expected_log(batch(1, 3))
    append(store, 2, 2, 1, term=2)
    assert log_of(store.load()) == expected_log(batch(1, 1), batch(2, 1, 2))
    assert log_of(store.load()) == expected_log(batch(1, 1), batch(2, 1, 2))


@pytest.mark.parametrize("cut_at", range(1, 11))
def test_write_replaces_from_every_index(store_and_restart: tuple[Store, Restart], cut_at: int) -> None:
    store, restart = store_and_restart
    append(store, 1, 1, 4)
    append(store, 2, 5, 3)
    append(store, 3, 8, 2)
    append(store, 4, cut_at, 2, term=2)
    kept = expected_log(batch(1, 4), batch(5, 3), batch(8, 2))[: cut_at - 1]
    assert log_of(restart(store).load()) == kept + expected_log(batch(cut_at, 2, 2))


def test_write_many_at_once(store_and_restart: tuple[Store, Restart]) -> None:
    store, restart = store_and_restart
    store.write([])
    store.write(
        [
            Write(1, 1, "n1", [batch(1, 5, 1)]),
            Write(2, 2, None, [batch(3, 2, 2)]),
            Write(3, 2, "n3"),
            Write(4, 4, "n2", [batch(4, 1, 3), batch(5, 1, 4)]),
        ]
    )
    stable = restart(store).load()
    assert log_of(stable) == expected_log(batch(1, 2, 1), batch(3, 1, 2), batch(4, 1, 3), batch(5, 1, 4))
    assert (stable.term, stable.vote) == (4, "n2")


def test_write_empties_the_log_and_fills_it_again(store_and_restart: tuple[Store, Restart]) -> None:
    store, restart = store_and_restart
    append(store, 1, 1, 5)
    append(store, 2, 1, 1, term=2)
    assert log_of(restart(store).load()) == expected_log(batch(1, 1, 2))


WRONG = {
    "a write left out": Write(3, 2, "n2"),
    "a write again": Write(1, 2, "n2"),
    "a gap in the log": Write(2, 2, "n2", [batch(5, 1, 2)]),
    "index 0": Write(2, 2, "n2", [batch(0, 1, 2)]),
    "a gap between batches": Write(2, 2, "n2", [batch(4, 1, 2), batch(6, 1, 2)]),
    "an empty batch": Write(2, 2, "n2", [Batch(4, 2, [])]),
    "a lower term": Write(2, 1, None),
    "a term beyond all": Write(2, LARGEST + 1, None),
    "entries beyond the term": Write(2, 2, "n2", [batch(4, 1, 3)]),
    "entries of falling terms": Write(2, 3, None, [batch(4, 1, 3), batch(5, 1, 2)]),
    "entries of a lower term than the last": Write(2, 3, None, [batch(4, 1, 1)]),
    "entries of a lower term than before the cut": Write(2, 3, None, [batch(3, 1, 1)]),
    "another vote in the term": Write(2, 2, "n3"),
    "the vote taken back": Write(2, 2, None),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG.keys())
def test_write_refused_for_a_mistake_of_the_caller(store_and_restart: tuple[Store, Restart], wrong: Write) -> None:
    store, restart = store_and_restart
    store.write([Write(1, 2, "n2", [batch(1, 1, 1), batch(2, 2, 2)])])
    with pytest.raises(WriteRefused) as first:
        store.write([wrong])
    for call in (store.load, lambda: store.write([Write(2, 2, "n2")]), lambda: store.meet(peer_of(store))):
        with pytest.raises(WriteRefused) as later:
            call()
        assert later.value is first.value
    stable = restart(store).load()
    assert (stable.term, stable.vote) == (2, "n2")
    assert log_of(stable) == expected_log(batch(1, 1, 1), batch(2, 2, 2))


def test_meet_known_peer(store_and_restart: tuple[Store, Restart]) -> None:
    store, restart = store_and_restart
    peer = peer_of(store)
    store.meet(peer)
    store.meet(peer)
    store.meet(replace(peer, boot=4))
    again = restart(store)
    again.meet(replace(peer, boot=4))
    with pytest.raises(Refused, match="is in boot 3, but was met in boot 4"):
        again.meet(peer)
    with pytest.raises(Refused, match="has incarnation beef, but was met as cafe"):
        again.meet(replace(peer, incarnation="beef", boot=9))
    append(again, 1, 1)


def test_meet_peer_that_was_admitted(store_and_restart: tuple[Store, Restart]) -> None:
    """Another incarnation is met once a configuration has it; whatever is told again after a start changes nothing."""
    store, restart = store_and_restart
    old, new = peer_of(store, incarnation="old", boot=9), peer_of(store, incarnation="new", boot=1)
    store.meet(old)
    store.admit([Member("n2", "somewhere", "old"), Member("n1", "", store.identity.incarnation), Member("n3")])
    with pytest.raises(Refused, match="has incarnation new, but was met as old"):
        store.meet(new)
    store.admit([Member("n2", "elsewhere", "new"), Member("n3")])
    assert store.met() == {"n2": "old"}
    again = restart(store)
    again.meet(replace(new, boot=2))
    for members in ([Member("n2", "", "old")], [Member("n2", "", "new")]):
        again.admit(members)
    assert again.met() == {"n2": "new"}
    with pytest.raises(Refused, match="is in boot 1, but was met in boot 2"):
        again.meet(new)
    with pytest.raises(Refused, match="is in boot 8, but was met in boot 9"):
        again.meet(replace(old, boot=8))
    with pytest.raises(Refused, match="has incarnation third, but was met as new"):
        restart(again).meet(peer_of(store, incarnation="third"))


def test_meet_peer_before_it_was_admitted(store: Store) -> None:
    """Who stands in a configuration that is older than the peer does not shut the peer out (fault F141)."""
    store.admit([Member("n2", "", "old")])
    assert store.met() == {}
    store.meet(peer_of(store, incarnation="new"))
    assert store.met() == {"n2": "new"}
    store.meet(peer_of(store, incarnation="old", boot=1))
    with pytest.raises(Refused, match="has incarnation third"):
        store.meet(peer_of(store, incarnation="third"))


def test_joined(stores: Stores) -> None:
    """A node that joins has the id of the cluster that it was told, and no members before it hears of them."""
    first = stores.new()
    assert not first.joined
    assert stores.restart(first).joined is False
    joined = stores.new("n4", initial=None, join=first.identity.cluster_id, address="host:4")
    for again in (False, True):
        store = stores.restart(joined) if again else joined
        assert store.joined
        assert store.load().snapshot == Snapshot(0, 0, Configuration())
        assert store.identity.cluster_id == first.identity.cluster_id
    assert (joined.identity.address, joined.identity.bootstrap) == ("host:4", "")
    store.meet(replace(first.identity, boot=3))
    with pytest.raises(Refused, match=r"n9 belongs to cluster rafty\.\w+ \(bootstrapped with n9\).*which it joined"):
        store.meet(MemoryStore("n9", Configuration.of("n9")).identity)


def test_names_of_clusters_that_are_none(stores: Stores) -> None:
    for wrong in ("rafty", ".abc", "rafty.", "rafty.a/b", "two words.abc", "rafty." + "a" * 65):
        with pytest.raises(ValueError, match="cluster"):
            stores.new("n4", initial=None, join=wrong)
    with pytest.raises(ValueError, match="not both"):
        stores.new("n1", join="rafty.abc")


def test_meet_peer_that_never_can_be(store: Store) -> None:
    with pytest.raises(Refused, match=r"bootstrapped with n1\).*bootstrapped with n1,n2,n3\)"):
        store.meet(MemoryStore("n1", Configuration.of("n1")).identity)
    with pytest.raises(Refused, match="which no node can be in"):
        store.meet(peer_of(store, boot=LARGEST + 1))
    with pytest.raises(Refused, match="n1 has incarnation cafe"):
        store.meet(peer_of(store, node_id="n1"))
    store.meet(store.identity)


def test_close_twice(store: Store) -> None:
    store.close()
    store.close()
    for call in (store.load, lambda: append(store, 1, 1), lambda: store.meet(peer_of(store))):
        with pytest.raises(StoreClosed):
            call()


def test_restarted_leaves_the_old_store_closed() -> None:
    old = MemoryStore("n1", VOTERS)
    append(old, 1, 1, 3)
    new = old.restarted()
    append(new, 1, 2, 1, term=2)
    assert log_of(new.load()) == expected_log(batch(1, 1), batch(2, 1, 2))
    with pytest.raises(StoreClosed):
        append(old, 2, 4)


@pytest.mark.parametrize("wrong", ["", "two words", "x" * 65])
def test_names_that_are_none(wrong: str, tmp_path: Path) -> None:
    for node_id, cluster in ((wrong, "rafty"), ("n1", wrong)):
        with pytest.raises(ValueError, match="node id"):
            MemoryStore(node_id, Configuration.of("n1"), cluster=cluster)
        with pytest.raises(ValueError, match="node id"):
            open_store(tmp_path / "new", node_id=node_id, cluster=cluster)
    assert not (tmp_path / "new").exists()


def test_initial_configuration_without_this_node(tmp_path: Path) -> None:
    for initial in (Configuration(), Configuration.of("n2")):
        with pytest.raises(ValueError, match="initial configuration"):
            open_store(tmp_path / "new", initial=initial)
    assert not (tmp_path / "new").exists()
