"""What every store promises of snapshots, checked on the one in memory and the one on disk."""

import shutil
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from rafty_core.configuration import Configuration, Lease, Member
from rafty_core.entries import LARGEST
from rafty_core.output import Write
from rafty_core.stable import Snapshot
from rafty_transports.interfaces import LogStore, SnapshotInfo
from rafty_transports.storage import (
    DamagedSnapshot,
    MemoryStore,
    SqliteStore,
    StoreClosed,
    UnknownFormat,
    WriteRefused,
    rows,
)
from rafty_transports.storage.snapshot_format import PREFIX
from tests.transports.storage_kit import (
    VOTERS,
    Stores,
    append,
    batch,
    expected_log,
    file_in,
    flip_bit,
    image_after_kill,
    image_in,
    image_of,
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


def indexes(store: LogStore) -> list[int]:
    return [info.snapshot.index for info in store.snapshots.infos()]


def both(stores: Stores, store: MemoryStore | SqliteStore) -> Iterator[MemoryStore | SqliteStore]:
    """The store as it is, then as after the next start."""
    yield store
    yield stores.restart(store)


# ---------------------------------------------------------------- taking and reading


@pytest.mark.parametrize("size", [0, 1, 5000, 3 << 20])
def test_snapshot_that_was_taken(stores: Stores, size: int) -> None:
    store, snapshot, image = stores.new(), snapshot_of(7, 3, LARGE), image_of(7, size)
    assert store.snapshots.infos() == []
    writer = store.snapshots.create(snapshot)
    for start in range(0, len(image), 70_000):
        assert writer.write(image[start : start + 70_000]) == len(image[start : start + 70_000])
    assert store.snapshots.infos() == []
    info = writer.finish()
    assert store.snapshots.infos() == [info]
    assert image_in(store, snapshot) == image
    assert (info.snapshot, len(file_in(store, snapshot))) == (snapshot, info.size)
    with store.snapshots.open(7, 3) as file:
        assert [file.read(3), file.read(100_000), file.read(), file.read()] == [
            image[:3],
            image[3:100_003],
            image[100_003:],
            b"",
        ]


def test_snapshots_after_a_restart(stores: Stores) -> None:
    store = stores.new()
    infos = [keep_snapshot(store, snapshot_of(index)) for index in (9, 5, 12)]
    again = stores.restart(store)
    assert again.snapshots.infos() == sorted(infos, key=lambda info: -info.snapshot.index)
    assert image_in(again, snapshot_of(5)) == image_of(5)


def test_snapshot_that_is_not_there(stores: Stores) -> None:
    store = stores.new()
    keep_snapshot(store, snapshot_of(5, 2))
    for index, term in ((5, 1), (4, 2), (0, 0), (-1, 2), (LARGEST + 1, 2)):
        with pytest.raises(LookupError, match="there is no snapshot"):
            store.snapshots.open(index, term)
        with pytest.raises(LookupError, match="there is no snapshot"):
            store.snapshots.read(index, term, 0, 10)
    assert store.snapshots.read(5, 2, 1 << 40, 10) == b""


def test_snapshot_that_was_given_up(stores: Stores) -> None:
    store = stores.new()
    writer = store.snapshots.create(snapshot_of(5))
    writer.write(b"half")
    writer.abort()
    writer.abort()
    for call in (lambda: writer.write(b"more"), writer.finish):
        with pytest.raises(ValueError, match="given up"):
            call()
    assert store.snapshots.infos() == []
    writer = store.snapshots.create(snapshot_of(5))
    info = writer.finish()
    writer.abort()
    assert store.snapshots.infos() == [info]
    if isinstance(store, SqliteStore):
        assert len(list(store.snapshots.path.iterdir())) == 1


def test_snapshots_taken_at_once_beside_writes(stores: Stores) -> None:
    store = stores.new()
    errors: list[BaseException] = []

    def take(index: int) -> None:
        try:
            keep_snapshot(store, snapshot_of(index), image_of(index, 400_000))
            assert image_in(store, snapshot_of(index)) == image_of(index, 400_000)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=take, args=(index,)) for index in range(1, 7)]
    for thread in threads:
        thread.start()
    for seq in range(1, 20):
        append(store, seq, seq)
    for thread in threads:
        thread.join()
    assert errors == []
    assert indexes(store) == [6, 5, 4, 3, 2, 1]


def test_snapshots_retained(stores: Stores) -> None:
    """The newest, those that are asked for, the one that the log starts behind; newer ones that may be named yet."""
    store = stores.new()
    append(store, 1, 1, 20)
    for index in range(1, 9):
        keep_snapshot(store, snapshot_of(index))
    store.snapshots.retain(1)
    assert indexes(store) == [8, 7, 6, 5, 4, 3, 2, 1]
    store.write([Write(2, 1, None, snapshot=snapshot_of(6))])
    store.snapshots.retain(4, needed=(2,))
    assert indexes(store) == [8, 7, 6, 5, 2]
    store.snapshots.retain(1)
    assert indexes(store) == [8, 7, 6]
    again = stores.restart(store)
    assert indexes(again) == [8, 7, 6]
    assert image_in(again, snapshot_of(6)) == image_of(6)


# ---------------------------------------------------------------- receiving


@pytest.fixture
def sender(stores: Stores) -> LogStore:
    """Another node of the cluster, with two snapshots."""
    store = stores.new("n2")
    for index in (7, 9):
        keep_snapshot(store, snapshot_of(index, 2), image_of(index, 50_000))
    return store


def announced(sender: LogStore, index: int) -> SnapshotInfo:
    return next(info for info in sender.snapshots.infos() if info.snapshot.index == index)


def test_snapshot_received_in_pieces(stores: Stores, sender: LogStore) -> None:
    store, info = stores.new(), announced(sender, 9)
    receiver = store.snapshots.receive(info.snapshot, info.size, info.digest)
    while piece := sender.snapshots.read(9, 2, receiver.offset, 9000):
        receiver.write(receiver.offset, piece)
    assert store.snapshots.infos() == []
    assert receiver.finish() == info
    receiver.abort()
    for again in both(stores, store):
        assert again.snapshots.infos() == [info]
    assert image_in(again, info.snapshot) == image_of(9, 50_000)
    assert file_in(again, info.snapshot) == file_in(sender, info.snapshot)


def test_snapshot_received_goes_on_where_it_was(stores: Stores, sender: LogStore) -> None:
    store, info = stores.new(), announced(sender, 9)
    whole = file_in(sender, info.snapshot)
    store.snapshots.receive(info.snapshot, info.size, info.digest).write(0, whole[:20_000])
    first = store.snapshots.receive(info.snapshot, info.size, info.digest)
    assert first.offset == 20_000
    for offset, data in ((0, b"again"), (20_001, b"gap"), (20_000, whole)):
        with pytest.raises(ValueError, match="do not follow"):
            first.write(offset, data)
    first.write(20_000, whole[20_000:30_000])
    if stores.kind == "sqlite":
        store = stores.restart(store)
    second = store.snapshots.receive(info.snapshot, info.size, info.digest)
    assert second.offset == 30_000
    with pytest.raises(ValueError, match="another one was begun"):
        first.write(30_000, whole[30_000:])
    first.abort()
    second.write(30_000, whole[30_000:])
    assert second.finish() == info


def test_snapshot_received_in_place_of_another_one(stores: Stores, sender: LogStore) -> None:
    """Pieces of two snapshots are never put together, of the same index neither (fault F84)."""
    store, info, other = stores.new(), announced(sender, 9), announced(sender, 7)
    store.snapshots.receive(other.snapshot, other.size, other.digest).write(0, b"abc")
    assert store.snapshots.receive(info.snapshot, info.size, info.digest).offset == 0
    store.snapshots.receive(info.snapshot, info.size, info.digest).write(0, b"abc")
    assert store.snapshots.receive(info.snapshot, info.size, "00" * 32).offset == 0
    assert store.snapshots.receive(info.snapshot, info.size, info.digest).offset == 0
    assert store.snapshots.infos() == []


def of_another_cluster(stores: Stores, info: SnapshotInfo) -> tuple[bytes, SnapshotInfo]:
    other = stores.new("n7", initial=Configuration.of("n7"))
    found = keep_snapshot(other, info.snapshot)
    return file_in(other, info.snapshot), found


WRONG: dict[str, tuple[Callable[[bytes, SnapshotInfo], tuple[bytes, SnapshotInfo]], str]] = {
    "a flipped bit": (lambda data, info: (data[:600] + bytes([data[600] ^ 4]) + data[601:], info), "its digest"),
    "cut short": (lambda data, info: (data[:-1], info), "cut short"),
    "nothing": (lambda data, info: (b"", info), "0 bytes only"),
    "no snapshot": (lambda data, info: (bytes(len(data)), info), "is no snapshot of rafty"),
    "another index": (
        lambda data, info: (data, SnapshotInfo(snapshot_of(8, 2), info.size, info.digest)),
        "another one",
    ),
    "another term": (lambda data, info: (data, SnapshotInfo(snapshot_of(9, 3), info.size, info.digest)), "another one"),
    "another configuration": (
        lambda data, info: (data, SnapshotInfo(snapshot_of(9, 2, LARGE), info.size, info.digest)),
        "another one",
    ),
    "another digest": (lambda data, info: (data, SnapshotInfo(info.snapshot, info.size, "00" * 32)), "another one"),
    "a larger size": (
        lambda data, info: (data, SnapshotInfo(info.snapshot, info.size + 1, info.digest)),
        "another one",
    ),
}


@pytest.mark.parametrize(("change", "match"), WRONG.values(), ids=WRONG.keys())
def test_snapshot_received_that_is_not_what_was_announced(
    stores: Stores,
    sender: LogStore,
    change: Callable[[bytes, SnapshotInfo], tuple[bytes, SnapshotInfo]],
    match: str,
) -> None:
    store, info = stores.new(), announced(sender, 9)
    before = keep_snapshot(store, snapshot_of(3))
    data, told = change(file_in(sender, info.snapshot), info)
    receiver = store.snapshots.receive(told.snapshot, told.size, told.digest)
    receiver.write(0, data)
    with pytest.raises(DamagedSnapshot, match=match) as caught:
        receiver.finish()
    assert "\n" not in str(caught.value)
    assert store.snapshots.infos() == [before]
    assert store.snapshots.receive(told.snapshot, told.size, told.digest).offset == 0
    append(store, 1, 1)


def test_snapshot_received_of_another_cluster_or_a_newer_format(stores: Stores, sender: LogStore) -> None:
    store = stores.new()
    data, info = of_another_cluster(stores, announced(sender, 9))
    receiver = store.snapshots.receive(info.snapshot, info.size, info.digest)
    receiver.write(0, data)
    with pytest.raises(DamagedSnapshot, match=r"is of cluster rafty\.\w+, not of rafty\.\w+; to begin a new cluster"):
        receiver.finish()
    data = of_format(2, file_in(sender, snapshot_of(9, 2)))
    receiver = store.snapshots.receive(snapshot_of(9, 2), len(data), info.digest)
    receiver.write(0, data)
    with pytest.raises(UnknownFormat, match="is a snapshot of format 2, this version of rafty knows format 1"):
        receiver.finish()
    assert store.snapshots.infos() == []


def of_format(version: int, data: bytes) -> bytes:
    """The file as a later version of rafty may write it: of its prefix everything is right."""
    magic, _, length, _ = PREFIX.unpack(data[: PREFIX.size])
    start = PREFIX.pack(magic, version, length, 0)[:-4]
    header = data[PREFIX.size : PREFIX.size + length]
    return start + zlib.crc32(header, zlib.crc32(start)).to_bytes(4, "big") + data[PREFIX.size :]


# ---------------------------------------------------------------- the log behind a snapshot


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


# ---------------------------------------------------------------- on disk alone


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


def test_store_that_is_closed_gives_nothing_a_name(tmp_path: Path) -> None:
    store = open_store(tmp_path / "n1")
    writer = store.snapshots.create(snapshot_of(5))
    info = keep_snapshot(store, snapshot_of(4))
    receiver = store.snapshots.receive(snapshot_of(6), info.size, info.digest)
    store.close()
    with pytest.raises(StoreClosed):
        writer.finish()
    with pytest.raises(ValueError, match="given up"):
        receiver.write(0, b"abc")
    for call in (
        lambda: store.snapshots.create(snapshot_of(7)),
        lambda: store.snapshots.open(4, 1),
        lambda: store.snapshots.retain(1),
    ):
        with pytest.raises(StoreClosed):
            call()
    assert sorted(path.name for path in store.snapshots.path.iterdir()) == [
        "00000000000000000004-00000000000000000001.snap",
        "announced",
        "incoming",
    ]


def test_leftovers_are_removed_at_opening(tmp_path: Path) -> None:
    with closing(open_store(tmp_path / "n1")) as store:
        keep_snapshot(store, snapshot_of(4))
        writer = store.snapshots.create(snapshot_of(5))
        writer.write(b"half")
        image = image_after_kill(tmp_path / "n1", tmp_path / "image")
        writer.abort()
    directory = image / "snapshots"
    (directory / "new-announced").write_bytes(b"{")
    (directory / "incoming").write_bytes(b"half")
    (name,) = (path.name for path in directory.iterdir() if path.suffix == ".snap")
    shutil.copy(directory / name, directory / name.replace("4-", "8-"))
    flip_bit(directory / name.replace("4-", "8-"), 8)
    shutil.copy(directory / name, directory / name.replace("4-", "9-"))
    with closing(open_store(image)) as store:
        assert [info.snapshot.index for info in store.snapshots.infos()] == [4]
    assert not [path.name for path in directory.iterdir() if path.suffix != ".snap"]


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
