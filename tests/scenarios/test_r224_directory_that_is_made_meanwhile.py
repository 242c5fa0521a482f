"""R224: of two who make one data directory at once, the second one is told to see to its disk.

Found by a reader: the directory came to be there between the look and the making.
"""

from pathlib import Path
from typing import Any

import pytest

from rafty_transports.storage import DataDirectoryInUse
from tests.transports.storage_kit import open_store


def test_r224_directory_that_another_one_makes_is_no_fault_of_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, mkdir, stores = tmp_path / "n1", Path.mkdir, []

    def after_another(self: Path, *args: Any, **options: Any) -> None:
        monkeypatch.undo()
        stores.append(open_store(data))
        mkdir(self, *args, **options)

    monkeypatch.setattr(Path, "mkdir", after_another)
    with pytest.raises(DataDirectoryInUse, match="is in use by process"):
        open_store(data)
    stores[0].close()
