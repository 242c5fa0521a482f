"""The write-ahead log is carried over into the database off the write path, and an error of that is never lost.

Law: *a checkpoint does not hold up a write, and one that fails ends the store.*

sqlite would checkpoint by itself inside some unlucky commit, and would not report an fsync that failed there; the
next one "succeeds", because the operating system has dropped the pages (fault F148). So that is switched off. A thread
with a connection of its own copies the bulk while writes go on, and takes the writer's lock only for what was written
meanwhile, so that the write-ahead log starts over and stays bounded.
"""

import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

SMALL_REST = 1 << 20
"""Bytes of write-ahead log that may be left for the part that holds up writes."""

ROUNDS = 3
"""Passes beside running writes before the rest is done however large it is."""

Result = tuple[int, int, int]
"""What sqlite answers to a checkpoint: whether it was held up, frames in the log, frames carried over."""


class Checkpointer:
    """Checkpoints whenever `limit` bytes were written since the last, in a thread that ends with `stop`.

    `connection` is used by that thread alone. `writer` is the lock that a writer holds during a transaction. `settled`
    is called after each checkpoint, `failed` once, with the error that ended the thread.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        path: Path,
        limit: int,
        writer: threading.Lock,
        settled: Callable[[], None],
        failed: Callable[[Exception], None],
    ) -> None:
        self._connection = connection
        self._log = path.with_name(path.name + "-wal")
        self._limit = limit
        self._writer = writer
        self._settled = settled
        self._failed = failed
        self._written = 0
        self._due = limit
        self._wake = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._work, name="rafty-checkpoint", daemon=True)
        self._thread.start()

    def wrote(self, count: int) -> None:
        """Count bytes of a committed transaction. Called with the writer's lock held."""
        self._written += count
        if self._written >= self._due:
            self._wake.set()

    def stop(self) -> None:
        """End the thread and release its connection; waits for a checkpoint that is under way."""
        self._stopping = True
        self._wake.set()
        self._thread.join()
        self._connection.close()

    def _work(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            if self._stopping:
                return
            try:
                self._checkpoint()
            except Exception as error:
                self._failed(error)
                return

    def _checkpoint(self) -> None:
        for _ in range(ROUNDS):
            seen = self._written
            self._run("PASSIVE")
            if self._written - seen <= SMALL_REST:
                break
        with self._writer:
            oversized = self._log.stat().st_size > 2 * self._limit
            held_up, _, _ = self._run("TRUNCATE" if oversized else "RESTART")
            if held_up:
                self._due = self._written + self._limit
            else:
                self._written, self._due = 0, self._limit
        self._settled()

    def _run(self, mode: str) -> Result:
        result: Result = self._connection.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()
        return result
