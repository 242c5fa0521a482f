"""A client's session on a node: calls that are retried until their outcome is known, and run once (thesis 6.3).

Law: *a call keeps its number through all its tries, and its number is passed only when nobody will ask for it again.*

    async with node.session() as session:
        await session.propose(b"...")

The state machine must be wrapped in `rafty_core.sessions.Sessions`. It answers a repeated call with the answer of the
first, so that an unknown outcome is simply tried again. What the client says with each call, "all up to this number are
acknowledged", covers the calls whose answers came and those that were given up. A given up call that is still on its
way is refused when it comes late: the machine never runs what is acknowledged.
"""

import logging
import math
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Protocol, Self

import anyio

from rafty_core import sessions
from rafty_core.outcomes import (
    NotApplied,
    OutcomeUnknown,
    Overloaded,
    ProposalError,
    SessionExpired,
    Stopped,
    TooLarge,
)
from rafty_transports.entered import EnteredOnce

logger = logging.getLogger("rafty")

CLOSE_GRACE = 1.0
"""Seconds for saying that the session is closed; a session that could not say it expires."""

FIRST_PAUSE, LONGEST_PAUSE = 0.02, 0.5
"""Seconds before the second try, and at most between two tries."""


class ProposeMany(Protocol):
    """How commands get into the log as they are, one outcome for each: as `Node.propose_operations` says it."""

    async def __call__(
        self, commands: Sequence[bytes], *, timeout: float | None = None
    ) -> Sequence[bytes | ProposalError]: ...


class _Tries:
    """The tries of one command: whether an earlier one may still take effect, and the pauses between them."""

    __slots__ = ("doubt", "error", "_pause")

    def __init__(self) -> None:
        self.doubt = False
        self.error: ProposalError | None = None
        self._pause = FIRST_PAUSE

    async def send(self, propose_many: ProposeMany, command: bytes) -> bytes | None:
        """One more try: the machine's answer, or None if this try has none. `error` says why, `doubt` what it may do.

        Raises `TooLarge` and `Stopped`, which another try would not change, or `OutcomeUnknown` if there is doubt.
        """
        before, self.doubt = self.doubt, True  # also if this is cancelled
        outcome = (await propose_many((command,)))[0]
        if isinstance(outcome, bytes):
            self.doubt = before
            return outcome
        self.error = outcome
        if isinstance(outcome, NotApplied):
            self.doubt = before
            if isinstance(outcome, TooLarge | Stopped):
                raise self.verdict(outcome)
        return None

    async def pause(self) -> None:
        """Wait before the next try, each time longer."""
        await anyio.sleep(self._pause)
        self._pause = min(2 * self._pause, LONGEST_PAUSE)

    def verdict(self, error: NotApplied) -> ProposalError:
        """What the caller is told if the last word is this error: it holds for all tries only if none is in doubt."""
        if self.doubt:
            return OutcomeUnknown(f"an earlier try may have been applied; the last one was not: {error}")
        return error


class Session(EnteredOnce):
    """Commands that are run exactly once, whatever becomes of leaders, connections and answers. Enter it once.

    propose_many  how commands get into the log unchanged, such as `Node.propose_operations`
    timeout       seconds for the opening, and for each call that does not say otherwise; None: as long as it takes

    Entering raises `Overloaded` if too many sessions are open, another `NotApplied` if there was no time left or the
    node is stopped, and `TypeError` if the state machine has no sessions. Leaving closes the session, in a second at
    most; if that fails, it expires. The body's own exception leaves as itself. While the session is unused it is kept
    alive; it may expire all the same if its node is cut off for long.
    """

    def __init__(self, propose_many: ProposeMany, *, timeout: float | None = None) -> None:
        self.timeout = timeout
        self.expired = False
        """Whether the session is known to be gone, or closed: no call can succeed any more."""
        self._propose_many = propose_many
        self._opened: sessions.Opened | None = None
        self._last_sequence = 0
        self._acknowledged = 0
        self._resolved: set[int] = set()  # above `_acknowledged`; asked for members only
        self._moved = anyio.Event()
        self._used = -math.inf

    @asynccontextmanager
    async def _run(self) -> AsyncIterator[Self]:
        body_error: BaseException | None = None
        opened = self._opened = await self._open()
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._keep_alive, opened)
                try:
                    yield self
                except anyio.get_cancelled_exc_class():
                    raise
                except BaseException as error:
                    body_error = error
                finally:
                    tasks.cancel_scope.cancel()
        finally:
            await self._close(opened)
        if body_error is not None:
            raise body_error

    # ---------------------------------------------------------------- calls

    @property
    def number(self) -> int:
        """The session's number: the log index at which it was opened. Raises `RuntimeError` before that."""
        return self._entered.session

    @property
    def _entered(self) -> sessions.Opened:
        if self._opened is None:
            raise RuntimeError("a Session takes calls inside `async with`")
        return self._opened

    async def propose(self, command: bytes, *, timeout: float | None = None) -> bytes:
        """Run one command exactly once; return its result. Tries again until the outcome is known.

        timeout  seconds until the call is given up; None takes the session's own

        Raises `OutcomeUnknown` if the call was given up, or the session or the node ended, while it may have been run;
        `SessionExpired`, `TooLarge`, `Stopped` or another `NotApplied` if it was not and never will be. If the call is
        cancelled, the outcome is unknown. Calls may be under way at the same time; no order between them is promised.
        """
        opened = self._entered
        if type(command) is not bytes:
            raise TypeError("commands are bytes")
        tries = _Tries()
        sequence = None
        timeout = self.timeout if timeout is None else timeout
        try:
            with anyio.move_on_after(timeout):
                await self._room(opened)
                sequence = self._last_sequence = self._last_sequence + 1
                return await self._call(opened.session, sequence, command, tries)
        finally:
            if sequence is not None:
                self._resolve(sequence)
        raise self._too_late(timeout, tries)

    async def _call(self, session: int, sequence: int, command: bytes, tries: _Tries) -> bytes:
        """Try this call until the outcome is known."""
        while not self.expired:
            began = anyio.current_time()
            operation = sessions.encode_call(session, sequence, self._acknowledged, command)
            answer = await tries.send(self._propose_many, operation)
            if answer is not None:
                status = answer[:1]
                if status == sessions.APPLIED:
                    self._used = max(self._used, began)
                    return answer[1:]
                if status == sessions.EXPIRED:
                    self.expired = True
                elif status == sessions.OVERLOADED:
                    tries.error = Overloaded("this session's answers that are not acknowledged yet take up all room")
                else:
                    raise OutcomeUnknown(f"the state machine gave the answer {answer!r:.50} to a call of a session")
            if not self.expired:
                await tries.pause()
        raise tries.verdict(SessionExpired("the session is not known any more; open another one"))

    async def _room(self, opened: sessions.Opened) -> None:
        """Wait until the answer of one more call can be kept."""
        while self._last_sequence - self._acknowledged >= opened.most_answers and not self.expired:
            await self._moved.wait()

    def _resolve(self, sequence: int) -> None:
        """Nobody will ask for this call again: its answer came, or it was given up (and must not run late)."""
        self._resolved.add(sequence)
        while self._acknowledged + 1 in self._resolved:
            self._acknowledged += 1
            self._resolved.remove(self._acknowledged)
        self._moved.set()
        self._moved = anyio.Event()

    def _too_late(self, timeout: float | None, tries: _Tries) -> ProposalError:
        what = f"the call was given up after {timeout} s"
        if tries.doubt:
            return OutcomeUnknown(f"{what}; {tries.error or 'no answer came'}")
        if tries.error is not None:
            return tries.error
        return Overloaded(f"{what}: as many calls of this session are under way as answers are kept")

    # ---------------------------------------------------------------- opening and closing

    async def _open(self) -> sessions.Opened:
        """Open a session. One that was opened without our knowing it is never used, and expires."""
        tries = _Tries()
        with anyio.move_on_after(self.timeout):
            while True:
                tries.doubt = False  # an unknown opening runs nothing of the caller's
                answer = await tries.send(self._propose_many, sessions.OPEN)
                if answer is not None:
                    self._used = anyio.current_time()
                    return self._understand(answer)
                await tries.pause()
        raise NotApplied(f"no session was opened within {self.timeout} s; {tries.error or 'no answer came'}")

    def _understand(self, answer: bytes) -> sessions.Opened:
        if answer == sessions.OVERLOADED:
            raise Overloaded("as many sessions are open as the state machine allows; close some, or wait")
        opened = sessions.decode_opened(answer)
        if opened is None:
            raise TypeError("this node's state machine has no sessions: wrap it in rafty_core.sessions.Sessions")
        return opened

    async def _keep_alive(self, opened: sessions.Opened) -> None:
        """Use the session when nobody else did for a third of its time."""
        idle = opened.expiry / 3_000_000
        tries = _Tries()
        while not self.expired:
            began = anyio.current_time()
            if began < self._used + idle:
                await anyio.sleep(self._used + idle - began)
                continue
            answer = await self._say(sessions.encode_touch(opened.session, self._acknowledged))
            if answer == sessions.EXPIRED:
                self.expired = True
            elif answer == sessions.APPLIED:
                self._used, tries = max(self._used, began), _Tries()
            else:
                await tries.pause()
        self._moved.set()

    async def _close(self, opened: sessions.Opened) -> None:
        """Say that the session is over, if that is possible at once. Nothing is lost if it is not."""
        expired, self.expired = self.expired, True
        self._moved.set()
        if not expired:
            with anyio.move_on_after(CLOSE_GRACE, shield=True):
                await self._say(sessions.encode_close(opened.session))

    async def _say(self, operation: bytes) -> bytes | ProposalError | None:
        """Propose an operation that nobody waits for. What goes wrong with it is no failure of the caller's."""
        try:
            return (await self._propose_many((operation,)))[0]
        except Exception as error:
            logger.warning("an operation of a session was not proposed: %r", error)
            return None
