"""R125: `rafty recover` finishes what an earlier one left undone.

Found by trying: the process ended after it had put the old data directory aside and before the new one was in its
place. The library finishes that at the next attempt; but the command looked at the data directory first, found none,
and refused.
"""

from pathlib import Path

import pytest

from rafty_core import Configuration
from rafty_transports import offline
from rafty_transports.storage import SqliteStore
from rafty_transports.storage.rebirth import inspect


def test_r125_the_command_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "n1"
    SqliteStore.open(data, node_id="n1", initial=Configuration.of("n1", "n2", "n3")).close()
    rename = Path.rename

    def crash(self: Path, target: Path) -> Path:
        if self.name == "n1.recovered":
            raise SystemExit
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", crash)
    with pytest.raises(SystemExit):
        offline.recover(str(data), True)
    monkeypatch.undo()
    assert not data.exists()
    capsys.readouterr()
    offline.recover(str(data), False)
    assert "given up for lost: n2, n3" in capsys.readouterr().out
    assert not data.exists()
    offline.recover(str(data), True)
    assert "is node n1 of the new cluster" in capsys.readouterr().out
    assert inspect(data).configuration.voter_ids == ("n1",)
    assert {path.name for path in tmp_path.iterdir()} == {"n1", "n1.before-recovery"}
