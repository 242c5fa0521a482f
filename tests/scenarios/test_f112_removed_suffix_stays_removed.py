"""Fault F112: a removed suffix of the log comes back at the next start.

Entries 1 to 9 were written in term 1; a new leader replaced everything from index 4 on by one entry of term 2. The
power fails right after. The next start finds four entries, whatever else is still on the disk.
"""

from contextlib import closing
from pathlib import Path

from tests.transports.storage_kit import (
    batch,
    expected_log,
    images_after_power_failure,
    log_of,
    open_store,
    run_until_power_failure,
)

REPLACE = """
store = open_store(sys.argv[1])
for seq in range(1, 4):
    append(store, seq, 3 * seq - 2, 3)
append(store, 4, 4, 1, term=2)
print("replaced")
os._exit(0)
"""


def test_f112_power_failure_after_a_suffix_was_replaced(tmp_path: Path) -> None:
    path, synced = tmp_path / "n1", tmp_path / "synced"
    assert run_until_power_failure(REPLACE, path, synced) == ["replaced"]
    for image in images_after_power_failure(path, synced, tmp_path / "image"):
        with closing(open_store(image)) as store:
            assert log_of(store.load()) == expected_log(batch(1, 3), batch(4, 1, 2))
