"""Damage is refused or harmless: never does a store open with another state than the one it promised."""

import random
import shutil
from contextlib import closing
from pathlib import Path

import pytest

from rafty_core.output import Write
from rafty_core.stable import Stable
from rafty_transports.interfaces import Identity
from rafty_transports.storage import CorruptStore, DamagedSnapshot, LostWrites, StoreError
from rafty_transports.storage.datadir import DataDirectory
from rafty_transports.storage.examine import examine
from rafty_transports.storage.identity import Wanted
from tests.transports.storage_kit import (
    VOTERS,
    append,
    batch,
    flip_bit,
    image_after_kill,
    image_in,
    image_of,
    keep_snapshot,
    open_store,
    snapshot_of,
)

PEER = Identity("", "n2", "cafe", 7)


def everything(path: Path) -> tuple[Stable, Identity]:
    """Open the store, check that it still knows its peer, and give what it holds."""
    with closing(open_store(path)) as store:
        assert store._peers == {("n2", "cafe"): 7}
        return store.load(), store.identity


@pytest.fixture(params=["after a kill", "after a clean end"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A data directory with a log of many rows, a cut, a vote, a peer, and a snapshot up to which it was compacted."""
    with closing(open_store(tmp_path / "n0")) as store:
        for i in range(20):
            append(store, 1 + i, 1 + 4 * i, 4, size=200)
        store.meet(Identity(store.identity.cluster_id, PEER.node_id, PEER.incarnation, PEER.boot))
        keep_snapshot(store, snapshot_of(18))
        store.write([Write(21, 2, None, [batch(70, 2, 2)], snapshot=snapshot_of(18), compact_to=14)])
        store.write([Write(22, 3, "n2", [batch(72, 1, 3, 3000)])])
        if request.param == "after a kill":
            return image_after_kill(tmp_path / "n0", tmp_path / "n1")
    return image_after_kill(tmp_path / "n0", tmp_path / "n1")


@pytest.mark.parametrize("share", [4, pytest.param(1, marks=pytest.mark.slow)], ids=["a-quarter", "all"])
def test_flip_of_any_bit(path: Path, tmp_path: Path, share: int) -> None:
    """One bit anywhere in the database, its write-ahead log or the mark (a sample, dense in what matters)."""
    good, identity = everything(image_after_kill(path, tmp_path / "good"))
    chance = random.Random(7)
    harmless: list[tuple[str, int]] = []
    refusals = 0
    image = image_after_kill(path, tmp_path / "image")
    for name in ("raft.db", "raft.db-wal", "mark"):
        if not (path / name).exists():
            continue
        size = 8 * (path / name).stat().st_size
        for bit in sorted({*range(0, 8 * 128, 5 * share), *(chance.randrange(size) for _ in range(300 // share))}):
            flip_bit(image / name, bit)
            try:
                found = examine(DataDirectory(image), Wanted("n1", initial=VOTERS))
            except StoreError:
                refusals += 1
            else:
                state = found.state
                assert (state.term, state.vote, found.batches) == (good.term, good.vote, good.batches)
                assert (found.snapshot, state.base_index) == (good.snapshot, 12)
                assert (found.peers, state.boot) == ({("n2", "cafe"): 7}, identity.boot - 1), f"bit {bit} of {name}"
                harmless.append((name, bit))
            flip_bit(image / name, bit)
    assert refusals > 100 // share
    assert len(harmless) > 100 // share
    for name, bit in chance.sample(harmless, 12):
        image_after_kill(path, image)
        flip_bit(image / name, bit)
        assert everything(image) == (good, identity), f"bit {bit} of {name}"


def test_flip_of_any_bit_of_the_snapshot(path: Path, tmp_path: Path) -> None:
    """The store is not opened, or the snapshot is not; nobody ever reads another image than the one that was kept."""
    (name,) = (file.name for file in (path / "snapshots").iterdir())
    image = image_after_kill(path, tmp_path / "image")
    size = 8 * (image / "snapshots" / name).stat().st_size
    refusals = 0
    for bit in (*range(0, 8 * 128, 37), *range(8 * 128, size, 251)):
        flip_bit(image / "snapshots" / name, bit)
        try:
            examine(DataDirectory(image), Wanted("n1", initial=VOTERS))
        except StoreError:
            refusals += 1
        else:
            with pytest.raises(DamagedSnapshot, match="is damaged"), closing(open_store(image)) as store:
                image_in(store, snapshot_of(18))
        flip_bit(image / "snapshots" / name, bit)
    assert 20 < refusals < size // 251
    with closing(open_store(image)) as store:
        assert image_in(store, snapshot_of(18)) == image_of(18)


@pytest.mark.parametrize("kept", [0, 10, 100, 300, -1])
def test_snapshot_that_the_log_starts_behind_gone_or_cut(path: Path, kept: int) -> None:
    (file,) = (path / "snapshots").iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole[:kept])
    with pytest.raises(CorruptStore, match="cut short"):
        open_store(path)
    file.unlink()
    with pytest.raises(LostWrites, match="is gone, and the log starts behind that snapshot; do not delete"):
        open_store(path)
    file.write_bytes(whole)
    everything(path)


def test_cut_of_the_write_ahead_log(tmp_path: Path) -> None:
    """Cut below the mark it is refused; what lies beyond the mark was never promised and may go."""
    marks, states = [], []
    with closing(open_store(tmp_path / "n1")) as store:
        for seq in range(1, 9):
            append(store, seq, seq, 1, term=seq)
            marks.append((tmp_path / "n1" / "mark").read_bytes())
            states.append((store.load(), (tmp_path / "n1" / "raft.db-wal").stat().st_size))
        image_after_kill(tmp_path / "n1", tmp_path / "whole")
    whole = (tmp_path / "whole" / "raft.db-wal").read_bytes()
    for promised in (3, 8):
        for size in range(0, len(whole) + 1, 1373):
            image = image_after_kill(tmp_path / "whole", tmp_path / "image")
            (image / "mark").write_bytes(marks[promised - 1])
            (image / "raft.db-wal").write_bytes(whole[:size])
            survived = sum(size >= end for _, end in states)
            if survived < promised:
                with pytest.raises(LostWrites, match="was durable"):
                    open_store(image)
            else:
                with closing(open_store(image)) as store:
                    assert store.load() == states[survived - 1][0]


def test_load_is_the_same_after_every_further_start(path: Path) -> None:
    first, _ = everything(path)
    for _ in range(3):
        assert everything(path)[0] == first


def test_older_file_under_a_newer_mark(path: Path, tmp_path: Path) -> None:
    """The database of a backup does not go unnoticed beside the mark of today."""
    old = image_after_kill(path, tmp_path / "old")
    with closing(open_store(path)) as store:
        append(store, 1, 73, 1, term=4)
    for name in ("raft.db", "raft.db-wal"):
        if (old / name).exists():
            shutil.copy(old / name, path / name)
    with pytest.raises(LostWrites, match="was durable"):
        open_store(path)
