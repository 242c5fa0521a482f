"""What a transport leaves behind in its process: tasks, threads, sockets, memory; and a call that never returns.

Law: *what was there before is compared with what is there after; nothing is guessed.*
"""

import gc
import os
import signal
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import anyio

from rafty_transports.testing.conformance import Fault

IDLE_THREADS = ("AnyIO worker thread", "Trio thread", "asyncio_", "ThreadPoolExecutor")
"""How the threads are named that event loops keep for later work: no transport is asked to end those."""

SETTLING = 1.0
"""Seconds in which what was closed must be gone."""

DESCRIPTORS = Path("/proc/self/fd")


@dataclass(frozen=True)
class Traces:
    """Tasks and threads by id, and the sockets of this process; no sockets where the system does not tell."""

    tasks: dict[int, str]
    threads: dict[int, str]
    sockets: dict[str, str]

    @classmethod
    def now(cls) -> "Traces":
        """What there is now; called in a task."""
        tasks = {task.id: task.name or "without a name" for task in anyio.get_running_tasks()}
        alive = {thread.ident or 0: thread.name for thread in threading.enumerate()}
        threads = {ident: name for ident, name in alive.items() if not name.startswith(IDLE_THREADS)}
        return cls(tasks, threads, _sockets())

    def since(self, before: "Traces") -> str:
        """What is new, in words; "" if nothing is."""
        found = []
        for word, new, old in (
            ("task", self.tasks, before.tasks),
            ("thread", self.threads, before.threads),
            ("socket", self.sockets, before.sockets),
        ):
            found += [f"{word} {name}" for key, name in new.items() if key not in old]
        return ", ".join(found[:5])


def _sockets() -> dict[str, str]:
    found: dict[str, str] = {}
    if DESCRIPTORS.exists():
        for name in os.listdir(DESCRIPTORS):
            try:
                target = os.readlink(DESCRIPTORS / name)
            except OSError:
                continue
            if target.startswith("socket:"):
                found[target] = target
    return found


async def nothing_left(before: Traces, what: str) -> None:
    """Raise `Fault` unless all that came since `before` is gone, soon."""
    deadline = time.monotonic() + SETTLING
    while (left := Traces.now().since(before)) and time.monotonic() < deadline:
        await anyio.sleep(0.01)
    if left:
        raise Fault(f"{what} left behind: {left}")


@contextmanager
def measured() -> Iterator[Callable[[], int]]:
    """Inside, the function that is given tells how many bytes of Python's memory are held more than at the start."""
    ours = not tracemalloc.is_tracing()
    if ours:
        tracemalloc.start()
    gc.collect()
    start = tracemalloc.get_traced_memory()[0]
    try:
        yield lambda: tracemalloc.get_traced_memory()[0] - start
    finally:
        if ours:
            tracemalloc.stop()


class _NeverReturned(BaseException):
    """Raised by the alarm in the middle of a call that blocks."""


@contextmanager
def returning(seconds: float, what: str) -> Iterator[None]:
    """What is inside, a plain call, returns within `seconds`; one that blocks for ever is torn out and is a fault.

    Where that cannot be done (no main thread, no alarm, an alarm of somebody else) only the time is looked at.
    """
    fault = f"{what} held up the event loop for more than {seconds:g} s"
    if not _alarm_is_free():
        start = time.monotonic()
        yield
        if time.monotonic() - start > seconds:
            raise Fault(fault)
        return

    def ring(_: int, __: FrameType | None) -> None:
        raise _NeverReturned

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    except _NeverReturned:
        raise Fault(fault) from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _alarm_is_free() -> bool:
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "SIGALRM"):
        return False
    return signal.getsignal(signal.SIGALRM) == signal.SIG_DFL and signal.getitimer(signal.ITIMER_REAL)[0] == 0
