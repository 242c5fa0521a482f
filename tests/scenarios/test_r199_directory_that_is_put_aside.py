"""R199: `rafty serve --restored` puts the data directory aside that another process has just begun to use.

Found by a reader. It looked, let go of the lock, and renamed: two nodes of one name ran, each with a store of its own.
"""

from contextlib import closing
from pathlib import Path

import pytest

from rafty_transports import offline
from rafty_transports.exits import WrongInput
from rafty_transports.storage import DataDirectoryInUse
from rafty_transports.storage.datadir import KEPT, RECOVERED
from tests.transports.storage_kit import open_store


def test_r199_nobody_uses_what_is_put_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, refused = tmp_path / "n1", []
    open_store(data).close()
    put_aside = offline._put_aside

    def while_another_is_started(path: Path, kept: Path) -> None:
        with pytest.raises(DataDirectoryInUse) as caught:
            open_store(data)
        refused.append(caught.value)
        put_aside(path, kept)

    monkeypatch.setattr(offline, "_put_aside", while_another_is_started)
    with closing(open_store(data)), pytest.raises(WrongInput, match="is in use by process"):
        offline.begin_anew(str(data), "n1", None)
    _, kept = offline.begin_anew(str(data), "n1", None)
    assert len(refused) == 1
    assert kept.exists()
    assert not data.exists()


def test_r199_nothing_is_put_aside_where_what_is_made_next_would_be_refused(tmp_path: Path) -> None:
    """What a recovery kept and built lies beside it: an empty place would be taken for its own."""
    data = tmp_path / "n1"
    open_store(data).close()
    for end in (KEPT, RECOVERED):
        (tmp_path / f"n1{end}").mkdir()
    with pytest.raises(WrongInput, match=f"{data}{RECOVERED} is there from a recovery; move it elsewhere first"):
        offline.begin_anew(str(data), "n1", None)
    assert data.exists()
