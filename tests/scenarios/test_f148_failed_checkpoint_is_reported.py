"""Fault F148: an fsync that fails inside a checkpoint is not reported, and the next one "succeeds".

The database's fsync fails once while writes go on. One of the next writes must raise, and every call after it: the
store is done for until the next start, which has everything that was reported.
"""

from contextlib import closing
from pathlib import Path

from tests.transports.storage_kit import batch, expected_log, log_of, open_store, run_with_failing_sync

WRITE_UNTIL_AN_ERROR = """
import time
from rafty_transports.storage import sqlite
sqlite.CHECKPOINT_BYTES = 1 << 16
store = open_store(sys.argv[1])
done = 0
try:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        append(store, done + 1, done + 1)
        done += 1
except Exception as error:
    print(type(error).__name__, "checkpoint" in str(error))
try:
    store.load()
except Exception as error:
    print(type(error).__name__, "checkpoint" in str(error))
print(done)
os._exit(0)
"""


def test_f148_sync_that_fails_in_a_checkpoint(tmp_path: Path) -> None:
    open_store(tmp_path / "n1").close()
    *errors, done = run_with_failing_sync(WRITE_UNTIL_AN_ERROR, tmp_path / "n1", "/raft.db:1")
    assert errors == ["WriteFailed True"] * 2
    with closing(open_store(tmp_path / "n1")) as store:
        assert log_of(store.load())[: int(done)] == expected_log(batch(1, int(done)))
