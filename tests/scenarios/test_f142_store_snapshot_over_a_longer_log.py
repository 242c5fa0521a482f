"""Fault F142: a snapshot is installed over a longer log of another history, and the end of that log stays.

The log has entries 1 to 10, all of term 1. A snapshot of index 8 and term 3 arrives: entries 9 and 10 are of a history
that lost, and are gone from the disk with all others, before and after a power failure.
"""

from contextlib import closing
from pathlib import Path

import pytest

from rafty_core.output import Write
from rafty_transports.storage import MemoryStore
from tests.transports.storage_kit import (
    VOTERS,
    append,
    batch,
    expected_log,
    images_after_power_failure,
    keep_snapshot,
    log_of,
    open_store,
    run_until_power_failure,
    snapshot_of,
)

INSTALL = """
store = open_store(sys.argv[1])
append(store, 1, 1, 8)
append(store, 2, 9, 2)
keep_snapshot(store, snapshot_of(8, 3))
more = [batch(9, 1, 3)] if sys.argv[-1].endswith("more") else []
store.write([Write(3, 3, None, more, snapshot=snapshot_of(8, 3), installs=True)])
print("installed")
os._exit(0)
"""


@pytest.mark.parametrize("name", ["alone", "more"])
def test_f142_snapshot_over_a_longer_log(tmp_path: Path, name: str) -> None:
    path, synced = tmp_path / name, tmp_path / "synced"
    assert run_until_power_failure(INSTALL, path, synced) == ["installed"]
    kept = [file.read_bytes() for file in (path / "snapshots").iterdir()]
    expected = expected_log(batch(9, 1, 3)) if name == "more" else []
    for image in images_after_power_failure(path, synced, tmp_path / "image"):
        for file, content in zip((path / "snapshots").iterdir(), kept, strict=True):
            (image / "snapshots").mkdir(exist_ok=True)
            (image / "snapshots" / file.name).write_bytes(content)
        with closing(open_store(image)) as store:
            stable = store.load()
            assert stable.snapshot == snapshot_of(8, 3)
            assert log_of(stable) == expected
            append(store, 1, 9 + len(expected), 1, term=4)
        with closing(open_store(image)) as store:
            assert log_of(store.load()) == expected + expected_log(batch(9 + len(expected), 1, 4))


def test_f142_snapshot_over_a_longer_log_in_memory() -> None:
    store = MemoryStore("n1", VOTERS)
    append(store, 1, 1, 8)
    append(store, 2, 9, 2)
    keep_snapshot(store, snapshot_of(8, 3))
    store.write([Write(3, 3, None, snapshot=snapshot_of(8, 3), installs=True)])
    assert store.restarted().load().batches == []
