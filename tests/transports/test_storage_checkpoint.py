"""The write-ahead log stays bounded, and checkpoints beside running writes lose nothing."""

import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from rafty_transports.interfaces import Identity
from rafty_transports.storage import sqlite
from rafty_transports.storage.connection import connect
from tests.transports.storage_kit import append, batch, expected_log, image_after_kill, log_of, open_store

LIMIT = 1 << 18


@pytest.fixture(autouse=True)
def small_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Checkpoints are due after a quarter of a MiB."""
    monkeypatch.setattr(sqlite, "CHECKPOINT_BYTES", LIMIT)


def test_write_ahead_log_stays_bounded(tmp_path: Path) -> None:
    largest = 0
    with closing(open_store(tmp_path / "n1")) as store:
        deadline = time.monotonic() + 20
        for seq in range(1, 201):
            append(store, seq, seq * 10 - 9, 10, size=2000)
            largest = max(largest, (tmp_path / "n1" / "raft.db-wal").stat().st_size)
            while store._checkpointer._written > 4 * LIMIT and time.monotonic() < deadline:
                time.sleep(0.001)
        assert largest < 8 * LIMIT
        with store._lock:  # files are copied one after the other: none may be cut short in between, as at no kill
            image = image_after_kill(tmp_path / "n1", tmp_path / "image")
        assert log_of(store.load()) == expected_log(batch(1, 2000, size=2000))
    assert not (tmp_path / "n1" / "raft.db-wal").exists()
    with closing(open_store(image)) as store:
        assert len(log_of(store.load())) == 2000


def test_write_ahead_log_grows_while_another_program_reads_and_shrinks_after(tmp_path: Path) -> None:
    wal = tmp_path / "n1" / "raft.db-wal"
    with closing(open_store(tmp_path / "n1")) as store:
        append(store, 1, 1)
        reader = connect(tmp_path / "n1" / "raft.db", 0.0)
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM state").fetchall()
        for seq in range(2, 60):
            append(store, seq, seq, size=50_000)
        assert wal.stat().st_size > 8 * LIMIT
        reader.close()
        deadline = time.monotonic() + 20
        seq = 59
        while wal.stat().st_size > 4 * LIMIT and time.monotonic() < deadline:
            seq += 1
            append(store, seq, seq, size=50_000)
        assert wal.stat().st_size <= 4 * LIMIT


def test_meet_beside_writes_from_changing_threads(tmp_path: Path) -> None:
    errors: list[BaseException] = []
    with closing(open_store(tmp_path / "n1")) as store:
        own = store.identity

        def meet() -> None:
            try:
                for boot in range(1, 40):
                    store.meet(Identity(own.cluster_id, "n2", "cafe", boot))
            except BaseException as error:
                errors.append(error)

        meeting = threading.Thread(target=meet)
        meeting.start()
        for seq in range(1, 40):
            writing = threading.Thread(target=append, args=(store, seq, seq))
            writing.start()
            writing.join()
        meeting.join()
        assert errors == []
    with closing(open_store(tmp_path / "n1")) as store:
        assert len(log_of(store.load())) == 39
        assert store._peers == {("n2", "cafe"): 39}
