"""Fault F114: a write is reported done while the disk does not have it yet.

The power fails after each of a few writes; only what was synced is left. Each write that was reported is there,
with its term and its vote.
"""

from contextlib import closing
from pathlib import Path

import pytest

from tests.transports.storage_kit import batch, images_after_power_failure, open_store, run_until_power_failure

WRITE = """
from rafty_core.output import Write
store = open_store(sys.argv[1])
for seq in range(1, LAST + 1):
    store.write([Write(seq, seq, "n3", [batch(seq, 1, seq)])])
    print(seq)
os._exit(0)
"""


@pytest.mark.parametrize("last", [1, 2, 3])
def test_f114_power_failure_after_writes(tmp_path: Path, last: int) -> None:
    path, synced = tmp_path / "n1", tmp_path / "synced"
    lines = run_until_power_failure(WRITE.replace("LAST", str(last)), path, synced)
    assert lines[-1] == str(last)
    for image in images_after_power_failure(path, synced, tmp_path / "image"):
        with closing(open_store(image)) as store:
            stable = store.load()
            assert (stable.term, stable.vote) == (last, "n3")
            assert list(stable.batches) == [batch(seq, 1, seq) for seq in range(1, last + 1)]
