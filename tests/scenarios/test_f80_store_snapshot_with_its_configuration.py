"""Fault F80, in the store: a snapshot without its configuration, or with that of another moment.

The configuration stands in the snapshot's own file, and in the row that names it. A write that names a snapshot with
another configuration than its file has is refused; after a restart the store knows that of the snapshot, not the one
that the cluster was bootstrapped with; and whoever receives the file checks that it holds the one that was announced.
"""

from contextlib import closing
from pathlib import Path

import pytest

from rafty_core.configuration import Configuration
from rafty_core.output import Write
from rafty_transports.storage import DamagedSnapshot, WriteRefused
from tests.transports.storage_kit import append, file_in, keep_snapshot, open_store, snapshot_of

AT_FOUR = Configuration.of("n1", "n2", "n4")
NOW = Configuration.of("n1", "n4", "n5")


def test_f80_configuration_of_the_snapshot_after_a_restart(tmp_path: Path) -> None:
    with closing(open_store(tmp_path / "n1")) as store:
        append(store, 1, 1, 6)
        keep_snapshot(store, snapshot_of(4, 1, AT_FOUR))
        store.write([Write(2, 1, None, snapshot=snapshot_of(4, 1, AT_FOUR), compact_to=4)])
    with closing(open_store(tmp_path / "n1")) as store:
        assert store.load().snapshot == snapshot_of(4, 1, AT_FOUR)
        assert [info.snapshot for info in store.snapshots.infos()] == [snapshot_of(4, 1, AT_FOUR)]


def test_f80_snapshot_named_with_the_configuration_of_another_moment(tmp_path: Path) -> None:
    with closing(open_store(tmp_path / "n1")) as store:
        append(store, 1, 1, 6)
        keep_snapshot(store, snapshot_of(4, 1, AT_FOUR))
        with pytest.raises(WriteRefused, match="with another configuration than the log has at that index"):
            store.write([Write(2, 1, None, snapshot=snapshot_of(4, 1, NOW), compact_to=4)])


def test_f80_snapshot_received_with_another_configuration_than_was_announced(tmp_path: Path) -> None:
    with (
        closing(open_store(tmp_path / "n1")) as store,
        closing(open_store(tmp_path / "n2", node_id="n2")) as sender,
    ):
        info = keep_snapshot(sender, snapshot_of(4, 1, AT_FOUR))
        receiver = store.snapshots.receive(snapshot_of(4, 1, NOW), info.size, info.digest)
        receiver.write(0, file_in(sender, info.snapshot))
        with pytest.raises(DamagedSnapshot, match="is another one than was announced"):
            receiver.finish()
        assert store.snapshots.infos() == []
