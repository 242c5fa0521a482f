"""Fault F109: a disk error is logged and the node goes on as if the write were durable.

Whichever sync of a write fails, `write` raises; no write that was not synced is ever reported done.
"""

from pathlib import Path

import pytest

from tests.transports.storage_kit import open_store, run_with_failing_sync

ONE_WRITE_AFTER_ANOTHER = """
try:
    store = open_store(sys.argv[1])
    print("open")
    for seq in range(1, 4):
        append(store, seq, seq)
        print(seq)
except Exception as error:
    print(type(error).__name__)
os._exit(0)
"""


@pytest.mark.parametrize(
    ("failing", "lines"),
    [(1, ["WriteFailed"]), (2, ["WriteFailed"]), (3, ["open", "WriteFailed"]), (4, ["open", "1", "WriteFailed"])],
)
def test_f109_write_whose_sync_fails(tmp_path: Path, failing: int, lines: list[str]) -> None:
    open_store(tmp_path / "n1").close()
    assert run_with_failing_sync(ONE_WRITE_AFTER_ANOTHER, tmp_path / "n1", f"-wal:{failing}") == lines
