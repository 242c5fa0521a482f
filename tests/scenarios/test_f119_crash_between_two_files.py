"""Fault F119: a crash between the updates of two files leaves a mixture.

There are two such places: a transaction is durable while the mark beside it still names the one before; and a data
directory has its mark while its database is not in place yet. The node comes up from both.
"""

from contextlib import closing
from pathlib import Path

import pytest

from tests.transports.storage_kit import append, batch, contents, expected_log, image_after_kill, log_of, open_store


@pytest.mark.parametrize("behind", [1, 2, 3])
def test_f119_crash_between_a_transaction_and_its_mark(tmp_path: Path, behind: int) -> None:
    marks = []
    with closing(open_store(tmp_path / "n1")) as store:
        for seq in range(1, 5):
            append(store, seq, seq)
            marks.append((tmp_path / "n1" / "mark").read_bytes())
        image = image_after_kill(tmp_path / "n1", tmp_path / "image")
    (image / "mark").write_bytes(marks[-1 - behind])
    for _ in range(2):
        with closing(open_store(image)) as store:
            assert log_of(store.load()) == expected_log(batch(1, 4))


def test_f119_crash_between_the_mark_and_the_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "n1"
    rename = Path.rename

    def crash(self: Path, target: Path) -> Path:
        if self.name == "new-raft.db":
            raise SystemExit
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", crash)
    for _ in range(2):
        with pytest.raises(SystemExit):
            open_store(path)
    monkeypatch.undo()
    assert "mark" in contents(path)
    with closing(open_store(path)) as store:
        assert store.identity.boot == 1
        append(store, 1, 1)
