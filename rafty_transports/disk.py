"""The thread that waits for the disk, so that nobody else has to.

Law: *one thread writes, in order; while one sync is under way everything else gathers for the next.*

That is group commit without timers: each turn of the thread takes all writes there are and makes them durable with one
sync. The thread is a daemon: a disk call that never returns cannot keep the process from ending.
"""

import contextlib
import threading
import time
from collections.abc import Callable

from rafty_core.output import Write
from rafty_transports.interfaces import LogStore
from rafty_transports.threads import loop_caller


class Disk:
    """Writes to a `LogStore` in a thread of its own.

    store      where to write
    on_change  called in the event loop when `persisted` or `failure` changed

    Construct it in the event loop that `on_change` is to be called in.
    """

    def __init__(self, store: LogStore, on_change: Callable[[], None]) -> None:
        self.persisted = 0  # number of the newest write that is durable
        self.failure: BaseException | None = None  # what the store raised; nothing is written after it
        self._store = store
        self._on_change = on_change
        self._call_in_loop = loop_caller()
        self._writes: list[Write] = []
        self._closing = False
        self._busy_since: float | None = None
        self._changed = threading.Condition()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rafty disk", daemon=True)
        self._thread.start()

    def write(self, write: Write) -> None:
        """Make this durable soon, after all that was asked for before. Never waits.

        What gathers here is bounded by the core: by the windows of followers and the uncommitted log of a leader.
        """
        with self._changed:
            self._writes.append(write)
            self._changed.notify()

    def close(self) -> None:
        """Finish what was asked for, close the store, and end the thread; do not wait for that."""
        with self._changed:
            self._closing = True
            self._changed.notify()

    @property
    def ended(self) -> bool:
        """Whether the store is closed and the thread is done, but for its last instructions, which are waited for."""
        if self._ended.is_set():
            self._thread.join(timeout=0.1)
        return self._ended.is_set()

    def describe(self) -> str:
        """What the thread is doing, for a person who waits for it."""
        since = self._busy_since
        if since is None:
            return "the store is being closed"
        return f"a write to the store has not returned for {time.monotonic() - since:.1f} s"

    def _run(self) -> None:
        try:
            while self._turn():
                pass
            self._store.close()
        except BaseException as error:  # whatever it is, the node must know: a disk that fails is fatal
            self.failure = self.failure or error
        finally:
            self._ended.set()
            self._tell()

    def _turn(self) -> bool:
        """Wait for writes and make them durable. False when there is nothing left to do."""
        with self._changed:
            while not self._writes and not self._closing:
                self._changed.wait()
            writes, self._writes = self._writes, []
        if not writes:
            return False
        self._busy_since = time.monotonic()
        try:
            self._store.write(writes)
        except BaseException as error:
            self.failure = error
            self._store.close()
            raise
        self._busy_since = None
        self.persisted = writes[-1].seq
        self._tell()
        return True

    def _tell(self) -> None:
        with contextlib.suppress(RuntimeError):  # the event loop has ended; nobody is left to be told
            self._call_in_loop(self._on_change)
