"""R195: a node is started on what an earlier recovery has built, just before the next recovery removes that.

Found by reading. It looked whether a node had used the directory, let go of its lock, and removed it: what a node had
promised in between was gone.
"""

from contextlib import closing
from pathlib import Path

import pytest

from rafty_core import Configuration
from rafty_core.output import Write
from rafty_transports.storage import DataDirectoryInUse, SqliteStore
from rafty_transports.storage.datadir import DataDirectory
from rafty_transports.storage.rebirth import RECOVERED, inspect, recover
from tests.transports.storage_kit import append, open_store


def test_r195_what_a_node_begins_to_use_is_not_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, release, refused = tmp_path / "n1", DataDirectory.release, list[DataDirectoryInUse]()
    built = path.with_name(path.name + RECOVERED)
    store = open_store(path)
    append(store, 1, 1, 5)
    store.close()
    recover(path, into=built)

    def and_start_a_node(self: DataDirectory) -> None:
        release(self)
        if self.path == built and built.exists():
            monkeypatch.undo()
            with closing(SqliteStore.open(built, node_id="n1")) as node:
                node.write([Write(1, 7, "n1")])

    def unlink(self: Path, missing_ok: bool = False) -> None:
        if self == built / "raft.db":
            with pytest.raises(DataDirectoryInUse) as caught:
                SqliteStore.open(built, node_id="n1", initial=Configuration.of("n1"))
            refused.append(caught.value)
        plain(self, missing_ok)

    plain = Path.unlink
    monkeypatch.setattr(DataDirectory, "release", and_start_a_node)
    monkeypatch.setattr(Path, "unlink", unlink)
    recover(path)
    assert len(refused) == 1
    assert inspect(path).term == 1
