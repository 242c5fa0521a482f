"""R127: a recovery removes what an earlier one built only if no node has used it.

Found by trying: a recovery ended between its two renames, and a person started the node where the new data directory
lay. When the old one was put back and recovered once more, the first one was deleted, even under a running node.
"""

from contextlib import closing
from pathlib import Path

import pytest

from rafty_core import Configuration
from rafty_transports.storage import DataDirectoryInUse, DataDirectoryUnusable, SqliteStore
from rafty_transports.storage.rebirth import recover
from tests.transports.storage_kit import contents


def test_r127_what_a_node_used_is_not_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, built = tmp_path / "n1", tmp_path / "n1.recovered"
    SqliteStore.open(data, node_id="n1", initial=Configuration.of("n1", "n2", "n3")).close()
    rename = Path.rename

    def crash(self: Path, target: Path) -> Path:
        if self in (data, built):
            raise SystemExit
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", crash)
    for _ in range(2):  # nobody used it, and so it is made again
        with pytest.raises(SystemExit):
            recover(data)
    monkeypatch.undo()
    with closing(SqliteStore.open(built, node_id="n1")), pytest.raises(DataDirectoryInUse):
        recover(data)
    before = contents(built)
    with pytest.raises(DataDirectoryUnusable, match="is in the way, and was used or is damaged"):
        recover(data)
    assert contents(built) == before
    built.rename(tmp_path / "elsewhere")
    assert recover(data).node_id == "n1"
