"""R189: two recoveries in place at once; the second recovers what the first has made, and leaves that in the way.

Found by reading, and by the simulation once it had two processes. The second had looked for the directory that is kept
before it had the lock, and not again. It was told a sentence about the disk; and what it left under the name with
".recovered" would have come back as the newest if the first one's directory was lost.
"""

from pathlib import Path

import pytest

from rafty_transports.storage import DataDirectoryUnusable
from rafty_transports.storage.datadir import RECOVERED, DataDirectory
from rafty_transports.storage.rebirth import inspect, recover
from tests.transports.storage_kit import append, open_store


def test_r189_second_recovery_sees_what_the_first_has_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "n1"
    store = open_store(path)
    append(store, 1, 1, 5)
    store.close()
    lock = DataDirectory.lock

    def after_another(self: DataDirectory) -> None:
        monkeypatch.setattr(DataDirectory, "lock", lock)
        recover(path)
        lock(self)

    monkeypatch.setattr(DataDirectory, "lock", after_another)
    with pytest.raises(DataDirectoryUnusable, match="is there from an earlier recovery"):
        recover(path)
    assert not path.with_name(path.name + RECOVERED).exists()
    assert inspect(path).last_index == 5
