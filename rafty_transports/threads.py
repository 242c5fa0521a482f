"""Calls that may block, in threads that cannot keep the process.

Law: *a thread that waits for the disk is a daemon: a call that never returns ends with the process, not the process
with the call.*

The worker threads of anyio are waited for when an event loop of asyncio ends; one that hangs in the operating system
keeps the process for ever. Those here are left behind.
"""

import asyncio
import contextlib
import math
import threading
from collections.abc import Callable, Hashable
from functools import partial
from typing import Any, TypeVar

import anyio

T = TypeVar("T")


class NoThread(OSError):
    """The system starts no more threads now, and nothing was called."""


def loop_caller() -> Callable[[Callable[[], None]], None]:
    """A function that any thread may call to run something soon in the event loop of whoever called this."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:  # not asyncio, so trio, which then is installed
        import trio

        return trio.lowlevel.current_trio_token().run_sync_soon

    def call_in_loop(function: Callable[[], None]) -> None:
        loop.call_soon_threadsafe(function)

    return call_in_loop


def loop_clock() -> Callable[[], float]:
    """The clock of the event loop of whoever calls this, for functions that `loop_caller` has called: they are in no
    task, and `anyio.current_time` knows its event loop by the task alone."""
    try:
        return asyncio.get_running_loop().time
    except RuntimeError:
        import trio

        return trio.current_time


async def run_in_daemon(function: Callable[..., T], *arguments: Any, ended: Callable[[], None] | None = None) -> T:
    """Call this in a daemon thread of its own; return what it returns, raise what it raises, or `NoThread`.

    `ended` is called in the event loop when the thread is done, also if nobody waits for it any more. Not promised:
    that cancelling ends the call. The thread is left behind then, and what comes of it is dropped.
    """
    outcome: list[T] = []
    failure: list[BaseException] = []
    done = anyio.Event()
    call_in_loop = loop_caller()

    def finish() -> None:
        done.set()
        if ended is not None:
            ended()

    def run() -> None:
        try:
            outcome.append(function(*arguments))
        except BaseException as error:  # whatever it is, it belongs to the caller
            failure.append(error)
        with contextlib.suppress(RuntimeError):  # the event loop has ended; nobody is left to be told
            call_in_loop(finish)

    thread = threading.Thread(target=run, name=f"rafty {getattr(function, '__name__', 'call')}", daemon=True)
    try:
        thread.start()
    except RuntimeError as error:
        raise NoThread(f"no thread can be started now: {error}") from error
    await done.wait()
    if failure:
        raise failure[0]
    return outcome[0]


class OneEach:
    """Calls in daemon threads, at most one at a time for each key and `most` in all, those left behind included."""

    def __init__(self, most: float = math.inf) -> None:
        self._most = most
        self._busy: set[Hashable] = set()
        self._freed = anyio.Event()

    @property
    def busy(self) -> bool:
        """Whether a call has not ended."""
        return bool(self._busy)

    async def run(self, key: Hashable, function: Callable[..., T], *arguments: Any) -> T:
        """See `run_in_daemon`; waits first for an earlier call with this key, and for one of many to end."""
        while key in self._busy or len(self._busy) >= self._most:
            await self._freed.wait()
        self._busy.add(key)
        try:
            return await run_in_daemon(function, *arguments, ended=partial(self._free, key))
        except NoThread:
            self._free(key)
            raise

    def _free(self, key: Hashable) -> None:
        self._busy.remove(key)
        freed, self._freed = self._freed, anyio.Event()
        freed.set()
