"""R188: two restores into one directory at once; each says that it is done, and the second has removed the first's.

Found by reading. It had looked whether a store is there before it had the lock, and not again: what the first made, and
what a node had promised with it by then, was gone.
"""

import io
from pathlib import Path

import pytest

from rafty_core.configuration import Configuration
from rafty_core.stable import Snapshot
from rafty_transports.interfaces import Identity
from rafty_transports.storage import StoreError, rebirth
from rafty_transports.storage.datadir import DataDirectory


def restore(path: Path) -> Identity:
    snapshot = Snapshot(5, 1, Configuration.of("n1"))
    return rebirth.create_from_snapshot(
        path, node_id="n1", cluster="rafty", snapshot=snapshot, image=io.BytesIO(b"image")
    )


def test_r188_what_is_made_meanwhile_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, lock, made = tmp_path / "n1", DataDirectory.lock, list[Identity]()

    def after_another(self: DataDirectory) -> None:
        monkeypatch.undo()
        made.append(restore(path))
        lock(self)

    monkeypatch.setattr(DataDirectory, "lock", after_another)
    with pytest.raises(StoreError, match="holds a store already"):
        restore(path)
    assert [rebirth.inspect(path).identity] == made
