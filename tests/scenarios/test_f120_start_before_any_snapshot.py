"""Fault F120: the log is not replayed, or not from its start, on a node that never took a snapshot.

Nothing was ever compacted: the snapshot is of index 0, and every entry from index 1 on is loaded, the first included.
"""

from contextlib import closing
from pathlib import Path

import pytest

from tests.transports.storage_kit import append, batch, expected_log, log_of, open_store


@pytest.mark.parametrize("count", [0, 1, 2, 500])
def test_f120_load_without_a_snapshot(tmp_path: Path, count: int) -> None:
    with closing(open_store(tmp_path / "n1")) as store:
        for index in range(1, count + 1):
            append(store, index, index) if count < 100 else None
        if count >= 100:
            append(store, 1, 1, count)
    for _ in range(2):
        with closing(open_store(tmp_path / "n1")) as store:
            stable = store.load()
            assert (stable.snapshot.index, stable.snapshot.term) == (0, 0)
            assert stable.snapshot.configuration.voter_ids == ("n1", "n2", "n3")
            assert log_of(stable) == expected_log(batch(1, count))
            assert [one.first for one in stable.batches][:1] == [1][:count]
