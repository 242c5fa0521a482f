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
from rafty_transports.interfaces import LogStore, SnapshotInfo
from rafty_transports.storage import (
    DamagedSnapshot,
    MemoryStore,
    SqliteStore,
    StoreClosed,
    UnknownFormat,
)
from rafty_transports.storage.snapshot_format import PREFIX
from tests.transports.storage_kit import (
    Stores,
    append,
    file_in,
    flip_bit,
    image_after_kill,
    image_in,
    image_of,
    keep_snapshot,
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


# ---------------------------------------------------------------- on disk alone


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
