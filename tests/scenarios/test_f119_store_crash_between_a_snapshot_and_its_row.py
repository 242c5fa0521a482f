"""Fault F119, of snapshots: a crash between the snapshot's file and the row that lets the log start behind it.

The file is there, the row still names the snapshot before, or none. Whether the snapshot was taken here or came from a
leader, and wherever the process is killed between, the store comes up with the old state, whole; and the same snapshot
can be kept and named once more.
"""

from contextlib import closing
from pathlib import Path

import pytest

from rafty_core.output import Write
from tests.transports.storage_kit import (
    append,
    batch,
    expected_log,
    file_in,
    image_after_kill,
    image_in,
    image_of,
    keep_snapshot,
    log_of,
    open_store,
    snapshot_of,
)


@pytest.mark.parametrize("installs", [False, True], ids=["taken", "received"])
def test_f119_crash_between_a_snapshot_and_its_row(tmp_path: Path, installs: bool) -> None:
    snapshot = snapshot_of(8)
    with closing(open_store(tmp_path / "n1")) as store, closing(open_store(tmp_path / "n2", node_id="n2")) as sender:
        append(store, 1, 1, 9)
        keep_snapshot(store, snapshot_of(4))
        store.write([Write(2, 1, None, snapshot=snapshot_of(4), compact_to=4)])
        if installs:
            info = keep_snapshot(sender, snapshot)
            receiver = store.snapshots.receive(snapshot, info.size, info.digest)
            receiver.write(0, file_in(sender, snapshot))
            receiver.finish()
        else:
            keep_snapshot(store, snapshot)
        image = image_after_kill(tmp_path / "n1", tmp_path / "image")
    for _ in range(2):
        with closing(open_store(image)) as store:
            assert store.load().snapshot == snapshot_of(4)
            assert log_of(store.load()) == expected_log(batch(1, 9))
            assert image_in(store, snapshot_of(4)) == image_of(4)
    with closing(open_store(image)) as store:
        store.snapshots.retain(1)
        keep_snapshot(store, snapshot)
        store.write([Write(1, 1, None, snapshot=snapshot, installs=installs)])
    with closing(open_store(image)) as store:
        assert store.load().snapshot == snapshot
        assert log_of(store.load()) == ([] if installs else expected_log(batch(1, 9)))


def test_f119_crash_between_the_content_and_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is anything left of a file that was written but not renamed."""
    rename = Path.rename

    def crash(self: Path, target: Path) -> Path:
        if target.suffix == ".snap":
            image_after_kill(tmp_path / "n1", tmp_path / "image")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", crash)
    with closing(open_store(tmp_path / "n1")) as store:
        keep_snapshot(store, snapshot_of(4))
    monkeypatch.undo()
    with closing(open_store(tmp_path / "image")) as store:
        assert store.snapshots.infos() == []
        assert list((tmp_path / "image" / "snapshots").iterdir()) == []
