"""Fault F108: an fsync fails, is tried again, and "succeeds".

The operating system has marked the pages clean that it could not write, so the second fsync has nothing to do and the
data are gone. The store gives up at the first error; and after a restart it writes anew what it merely could read.
"""

import sqlite3
from contextlib import closing
from pathlib import Path

from tests.transports.storage_kit import (
    append,
    image_after_kill,
    open_store,
    output_of,
    run_child,
    run_with_failing_sync,
)

TRY_AGAIN = """
store = open_store(sys.argv[1])
append(store, 1, 1)
first = None
for call in (lambda: append(store, 2, 2), lambda: append(store, 2, 2), lambda: append(store, 3, 2), store.load):
    try:
        call()
        print("succeeded")
    except Exception as error:
        first = first or error
        print(type(error).__name__, error is first)
os._exit(0)
"""


def test_f108_write_again_after_a_failed_sync(tmp_path: Path) -> None:
    open_store(tmp_path / "n1").close()
    assert run_with_failing_sync(TRY_AGAIN, tmp_path / "n1", "-wal:4") == ["WriteFailed True"] * 4


def test_f108_start_after_a_failed_sync(tmp_path: Path) -> None:
    path = tmp_path / "n1"
    with closing(open_store(path)) as store:
        append(store, 1, 1)
        image = image_after_kill(path, tmp_path / "killed")
    code = "store = open_store(sys.argv[1]); os._exit(0)"
    assert output_of(run_child(code, image)) == []
    # The write-ahead log could be read, yet may never have reached the disk: the database must hold it all by itself.
    with closing(sqlite3.connect(f"{(image / 'raft.db').as_uri()}?immutable=1", uri=True)) as connection:
        assert connection.execute("SELECT first, count FROM log").fetchall() == [(1, 1)]
