"""Fault F83, in the store: a part of a snapshot is taken for the whole, or the good one goes before the new is sure.

A process that is killed at any point of writing a snapshot leaves none under its final name, or the whole. A file that
was cut anywhere, or has one bit changed, is never handed out. And the snapshot that the log starts behind stays until a
write names a newer one, however many newer ones lie beside it.
"""

from contextlib import closing
from pathlib import Path

import pytest

from rafty_core.output import Write
from rafty_transports.storage import DamagedSnapshot
from tests.transports.storage_kit import (
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


def test_f83_killed_while_a_snapshot_is_written(tmp_path: Path) -> None:
    with closing(open_store(tmp_path / "n1")) as store:
        append(store, 1, 1, 9)
        keep_snapshot(store, snapshot_of(4))
        store.write([Write(2, 1, None, snapshot=snapshot_of(4), compact_to=4)])
        writer = store.snapshots.create(snapshot_of(8))
        for _ in range(4):
            writer.write(image_of(8, 1 << 20))
            with closing(open_store(image_after_kill(tmp_path / "n1", tmp_path / "image"))) as again:
                assert [info.snapshot.index for info in again.snapshots.infos()] == [4]
                assert image_in(again, snapshot_of(4)) == image_of(4)
        writer.finish()
        with closing(open_store(image_after_kill(tmp_path / "n1", tmp_path / "image"))) as again:
            assert image_in(again, snapshot_of(8)) == 4 * image_of(8, 1 << 20)


def test_f83_killed_while_a_snapshot_is_received(tmp_path: Path) -> None:
    with (
        closing(open_store(tmp_path / "n1")) as store,
        closing(open_store(tmp_path / "n2", node_id="n2")) as sender,
    ):
        info = keep_snapshot(sender, snapshot_of(8), image_of(8, 50_000))
        whole = file_in(sender, info.snapshot)
        receiver = store.snapshots.receive(info.snapshot, info.size, info.digest)
        for start in range(0, len(whole), 10_000):
            receiver.write(start, whole[start : start + 10_000])
            with closing(open_store(image_after_kill(tmp_path / "n1", tmp_path / "image"))) as again:
                assert again.snapshots.infos() == []
        receiver.finish()
        assert image_in(store, info.snapshot) == image_of(8, 50_000)


def test_f83_snapshot_that_was_cut_or_changed(tmp_path: Path) -> None:
    with closing(open_store(tmp_path / "n1")) as store:
        keep_snapshot(store, snapshot_of(8), image_of(8, 20_000))
        (file,) = (tmp_path / "n1" / "snapshots").iterdir()
        whole = file.read_bytes()
        for size in range(0, len(whole), 977):
            file.write_bytes(whole[:size])
            with pytest.raises(DamagedSnapshot, match="cut short"):
                store.snapshots.open(8, 1)
        file.write_bytes(whole)
        for bit in range(5, 8 * len(whole), 8 * 311):
            flip_bit(file, bit)
            with pytest.raises(DamagedSnapshot, match="damaged"):
                store.snapshots.open(8, 1)
            flip_bit(file, bit)
        assert image_in(store, snapshot_of(8)) == image_of(8, 20_000)


def test_f83_good_snapshot_stays_until_a_newer_one_is_named(tmp_path: Path) -> None:
    with closing(open_store(tmp_path / "n1")) as store:
        append(store, 1, 1, 9)
        for index in (4, 6, 8):
            keep_snapshot(store, snapshot_of(index))
        store.write([Write(2, 1, None, snapshot=snapshot_of(4), compact_to=4)])
        store.snapshots.retain(1)
    with closing(open_store(tmp_path / "n1")) as store:
        assert image_in(store, snapshot_of(4)) == image_of(4)
        store.write([Write(1, 1, None, snapshot=snapshot_of(6), compact_to=6)])
        store.snapshots.retain(1)
        assert [info.snapshot.index for info in store.snapshots.infos()] == [8, 6]
