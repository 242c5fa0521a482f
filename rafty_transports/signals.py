"""A process that is told to end ends: soon, cleanly if it can, and by the signal that told it.

Law: *from the signal on the process has two seconds, whatever its event loop, its disk or its peers are doing.*

A shell, a supervisor and a test all read from the way a process ended what ended it; so after its shutdown the process
sends itself the signal again, with nothing to catch it. Until the work begins the signals keep their default action,
which ends a process that has done nothing yet. From then on they are blocked in all threads, and a thread of its own
waits for them: it needs no turn of the event loop, runs while the main thread is stuck in the operating system, and
gives up on a shutdown that takes too long. Dying by a signal waits for no thread, so none that hangs in a disk call or
in the resolution of a name can keep the process.
"""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

from rafty_transports.printing import would_block

if TYPE_CHECKING:
    import anyio

GRACE = 1.7
"""Seconds from the signal to the end, at most."""


def end_at_once() -> None:
    """Let SIGINT and SIGTERM end this process without a word, even where the parent had them ignored or blocked.

    For programs, and for moments, with nothing to close. Main thread only.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _endings())


def _endings() -> list[signal.Signals]:
    """The signals that ask a process to end. SIGHUP is none under `nohup`."""
    endings = [signal.SIGINT, signal.SIGTERM]
    return endings if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else [*endings, signal.SIGHUP]


class Ending:
    """Waits for the first signal that asks this process to end; the ones after it change nothing.

    Make one in the main thread, after `end_at_once` and before other threads are started. `what` names the process in
    the sentence that is said when its shutdown takes more than `grace` seconds.
    """

    def __init__(self, what: str, *, grace: float = GRACE) -> None:
        self.signal: int | None = None
        self._what = what
        self._grace = grace
        self._on_signal: Callable[[], None] | None = None
        self._lock = threading.Lock()
        self._endings = _endings()
        signal.pthread_sigmask(signal.SIG_BLOCK, self._endings)
        threading.Thread(target=self._wait, name="rafty signals", daemon=True).start()

    def call(self, on_signal: Callable[[], None]) -> None:
        """Have this called, in a thread, when the signal comes; at once if it came already."""
        with self._lock:
            self._on_signal = on_signal
            came = self.signal is not None
        if came:
            on_signal()

    def _wait(self) -> None:
        signum = int(signal.sigwait(self._endings))
        with self._lock:
            self.signal = signum
            on_signal = self._on_signal
        if on_signal is not None:
            with contextlib.suppress(RuntimeError):  # the event loop has ended already
                on_signal()
        threading.Event().wait(self._grace)
        text = f"rafty: {self._what} did not end within {self._grace:g} s and is left as it is\n"
        with contextlib.suppress(OSError):
            if not would_block(2):  # a standard error that nobody reads must not keep the process
                os.write(2, text.encode())
        die_by(signum)

    def finish(self) -> None:
        """Die by the signal that came, if one came. Else return: from then on signals end the process at once."""
        if self.signal is None:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, self._endings)
            return
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        die_by(self.signal)


def die_by(signum: int) -> NoReturn:
    """End this process by this signal, whose action must be the default one. Does not return, and flushes nothing."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signum])
    os.kill(os.getpid(), signum)
    os._exit(128 + signum)  # the first process of a container survives its own signals


class Gently:
    """What a signal cancels first, so that what is around it can end in its order: a leader hands over, for instance.

    `main` opens `scope` around its innermost work. What has not ended `seconds` later is cancelled as a whole.
    """

    def __init__(self, seconds: float = 0.7) -> None:
        self.seconds = seconds
        self.scope: anyio.CancelScope | None = None


def run_until_signal(
    main: Callable[[], Awaitable[int]], *, what: str, backend: str = "asyncio", gently: Gently | None = None
) -> int:
    """Run `main` in an event loop and return what it returns; a signal cancels it, and the process then dies by it.

    `backend` is asyncio, trio or uvloop. What `main` raises leaves as it is, unless a signal came.
    """
    import anyio

    from rafty_transports.threads import loop_caller, loop_clock

    ending = Ending(what)

    def end(scope: anyio.CancelScope, clock: Callable[[], float]) -> None:
        if gently is None or gently.scope is None:
            scope.cancel()
        else:
            gently.scope.cancel()
            scope.deadline = clock() + gently.seconds

    async def until_signal() -> int:
        with anyio.CancelScope() as scope:
            ending.call(partial(loop_caller(), partial(end, scope, loop_clock())))
            return await main()
        return 1  # not seen: a signal came

    options: dict[str, Any] = {"use_uvloop": True} if backend == "uvloop" else {}
    try:
        return anyio.run(until_signal, backend="trio" if backend == "trio" else "asyncio", backend_options=options)
    finally:
        ending.finish()
