"""The log behind a snapshot: started anew, compacted, never with a gap; on the store in memory and the one on disk."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from rafty_core.configuration import Configuration, Lease, Member
from rafty_core.output import Write
from rafty_core.stable import Snapshot
from rafty_transports.storage import (
    MemoryStore,
    SqliteStore,
    WriteRefused,
    rows,
)
from tests.transports.storage_kit import (
    VOTERS,
    Stores,
    append,
    batch,
    expected_log,
    image_after_kill,
    keep_snapshot,
    log_of,
    open_store,
    snapshot_of,
)

LARGE = Configuration(
    voters=(Member("n1", "host:1", "cafe"), Member("n2")),
    learners=(Member("n4"),),
    removed=tuple(Member(f"gone{i}", "", f"{i:016x}") for i in range(1000)),
    lease=Lease(0.5, 0.01),
)


@pytest.fixture(params=["memory", "sqlite"])
def stores(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stores]:
    """Stores of either kind."""
    stores = Stores(request.param, tmp_path)
    yield stores
    stores.close()


def both(stores: Stores, store: MemoryStore | SqliteStore) -> Iterator[MemoryStore | SqliteStore]:
    """The store as it is, then as after the next start."""
    yield store
    yield stores.restart(store)


def test_write_with_a_snapshot_and_compaction(stores: Stores) -> None:
    """What lies wholly below the point goes; the row that straddles it stays whole, and what is behind the snapshot."""
    store, snapshot = stores.new(), snapshot_of(10, 2, LARGE)
    store.write([Write(1, 3, "n2", [batch(1, 4, 1), batch(5, 4, 2), batch(9, 4, 2), batch(13, 2, 3)])])
    keep_snapshot(store, snapshot)
    store.write([Write(2, 4, None, [batch(15, 1, 4)], snapshot=snapshot, compact_to=10)])
    for again in both(stores, store):
        stable = again.load()
        assert stable.snapshot == snapshot
        assert list(stable.batches) == [batch(9, 4, 2), batch(13, 2, 3), batch(15, 1, 4)]
        assert (stable.term, stable.vote) == (4, None)
    append(again, 1, 12, 1, term=5)
    assert log_of(stores.restart(again).load()) == expected_log(batch(9, 3, 2), batch(12, 1, 5))


def test_write_behind_a_log_that_was_compacted_wholly(stores: Stores) -> None:
    store = stores.new()
    append(store, 1, 1, 5, term=2)
    keep_snapshot(store, snapshot_of(5, 2))
    store.write([Write(2, 2, None, snapshot=snapshot_of(5, 2), compact_to=5)])
    again = stores.restart(store)
    assert again.load().batches == []
    append(again, 1, 6, 2, term=2)
    append(again, 2, 6, 1, term=3)
    third = stores.restart(again)
    assert log_of(third.load()) == expected_log(batch(6, 1, 3))
    with pytest.raises(WriteRefused, match="entries of term 1 at index 6 follow an entry of term 2"):
        third.write([Write(1, 3, None, [batch(6, 1, 1)])])


@pytest.mark.parametrize("index", [8, 10, 40])
def test_write_that_installs_a_snapshot(stores: Stores, index: int) -> None:
    """Figure 13, step 7: "Discard the entire log". The log goes on behind the snapshot, wherever it ended before."""
    store, snapshot = stores.new(), snapshot_of(index, 3)
    append(store, 1, 1, 4)
    append(store, 2, 5, 6)
    keep_snapshot(store, snapshot)
    store.write([Write(3, 4, "n3", [batch(index + 1, 2, 3)], snapshot=snapshot, installs=True)])
    for again in both(stores, store):
        stable = again.load()
        assert (stable.snapshot, stable.term, stable.vote) == (snapshot, 4, "n3")
        assert list(stable.batches) == [batch(index + 1, 2, 3)]
    append(again, 1, index + 3, 1, term=5)
    append(again, 2, index + 1, 1, term=5)
    assert log_of(stores.restart(again).load()) == expected_log(batch(index + 1, 1, 5))


def test_write_of_several_snapshots_at_once(stores: Stores) -> None:
    store = stores.new()
    append(store, 1, 1, 6)
    for snapshot in (snapshot_of(4), snapshot_of(20, 2), snapshot_of(22, 2)):
        keep_snapshot(store, snapshot)
    store.write(
        [
            Write(2, 1, None, snapshot=snapshot_of(4), compact_to=2),
            Write(3, 2, None, [batch(21, 3, 2)], snapshot=snapshot_of(20, 2), installs=True),
            Write(4, 2, "n2", snapshot=snapshot_of(22, 2), compact_to=22),
        ]
    )
    stable = stores.restart(store).load()
    assert (stable.snapshot, stable.vote) == (snapshot_of(22, 2), "n2")
    assert list(stable.batches) == [batch(21, 3, 2)]


REFUSED = {
    "not stored": (Write(2, 3, None, snapshot=snapshot_of(6, 2)), "is not stored; finish it first"),
    "of another configuration": (Write(2, 3, None, snapshot=snapshot_of(5, 2, LARGE)), "another configuration"),
    "of another term": (Write(2, 3, None, snapshot=snapshot_of(7, 3)), "of a log with term 2 there"),
    "older": (Write(2, 3, None, snapshot=snapshot_of(3)), "snapshots only go forward"),
    "of a lower term": (Write(2, 3, None, snapshot=snapshot_of(9, 1)), "snapshots only go forward"),
    "beyond the term": (Write(2, 3, None, snapshot=snapshot_of(9, 4), installs=True), "snapshots only go forward"),
    "beyond the log": (Write(2, 3, None, snapshot=snapshot_of(9, 3)), "but the log ends at 8"),
    "installed again": (Write(2, 3, None, snapshot=snapshot_of(4, 2), installs=True), "snapshots only go forward"),
    "installed without one": (Write(2, 3, None, installs=True), "without naming one"),
    "compacted too far": (Write(2, 3, None, compact_to=5), "compacts up to 5, but the snapshot ends at 4"),
    "entries below it": (Write(2, 3, None, [batch(4, 1, 3)]), "and its snapshot at 4"),
    "a gap behind it": (
        Write(2, 3, None, [batch(11, 1, 3)], snapshot=snapshot_of(9, 3), installs=True),
        "from index 11 on, but the log ends at 9",
    ),
}


@pytest.mark.parametrize(("wrong", "match"), REFUSED.values(), ids=REFUSED.keys())
def test_write_refused_for_its_snapshot(stores: Stores, wrong: Write, match: str) -> None:
    store = stores.new()
    for snapshot in (snapshot_of(3), snapshot_of(4, 2), snapshot_of(5, 2), snapshot_of(7, 3), snapshot_of(9, 3)):
        keep_snapshot(store, snapshot)
    append(store, 1, 1, 3)
    store.write([Write(2, 3, None, [batch(4, 5, 2)], snapshot=None)])
    store.write([Write(3, 3, None, snapshot=snapshot_of(4, 2), compact_to=3)])
    again = stores.restart(store)
    again.write([Write(1, 3, None)])
    with pytest.raises(WriteRefused, match=match):
        again.write([wrong])
    with pytest.raises(WriteRefused, match=match):
        again.load()
    stable = stores.restart(again).load()
    assert stable.snapshot == snapshot_of(4, 2)
    assert log_of(stable) == expected_log(batch(4, 5, 2))


def test_compaction_in_slices_that_a_crash_interrupts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each write removes a bounded number of rows; wherever the process is killed the log is whole."""
    monkeypatch.setattr(rows, "SLICE_ROWS", 4)
    monkeypatch.setattr(rows, "SLICE_BYTES", 700)

    def bases(store: SqliteStore) -> int:
        return store._state.base_index

    store = open_store(tmp_path / "n1")
    store.write([Write(1, 1, None, [batch(first, 1, size=300 if first < 10 else 10) for first in range(1, 31)])])
    keep_snapshot(store, snapshot_of(28))
    store.write([Write(2, 1, None, snapshot=snapshot_of(28), compact_to=25)])
    seen = [bases(store)]
    for seq in range(3, 13):
        image = image_after_kill(tmp_path / "n1", tmp_path / "image")
        with closing(open_store(image)) as found:
            assert found.load() == store.load()
            assert log_of(found.load()) == log_of(store.load())
            append(found, 1, 29, 1)
            assert bases(found) > seen[-1] or seen[-1] >= 25
        append(store, seq, 28 + seq)
        seen.append(bases(store))
    assert seen == [2, 4, 6, 8, 12, 16, 20, 24, 25, 25, 25]
    store.close()
    with closing(open_store(tmp_path / "n1")) as again:
        again.write([Write(1, 1, None)])
        assert bases(again) == 28


def test_snapshot_of_the_configuration_that_was_named(tmp_path: Path) -> None:
    """The configuration of a snapshot is as large as it is, and stands in no transaction that does not change it."""
    with closing(open_store(tmp_path / "n1")) as store:
        append(store, 1, 1, 3)
        keep_snapshot(store, Snapshot(2, 1, LARGE))
        store.write([Write(2, 1, None, snapshot=Snapshot(2, 1, LARGE))])
        before = (tmp_path / "n1" / "raft.db-wal").stat().st_size
        append(store, 3, 4)
        assert (tmp_path / "n1" / "raft.db-wal").stat().st_size - before < len(LARGE.encode())
    with closing(open_store(tmp_path / "n1")) as store:
        assert store.load().snapshot == Snapshot(2, 1, LARGE)
        assert VOTERS != LARGE
