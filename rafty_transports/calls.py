"""Callers that wait for the outcome of their proposals, and how many of them share one event of the core.

Law: *whatever gathers while the node is busy becomes one proposal; every call gets its own answer.*

Callers of one group also share one event: all of them are answered at the same moment, and an event of its own for each
would cost more than everything else that the node does for a small command.
"""

from collections.abc import Sequence

import anyio

from rafty_core.outcomes import OutcomeUnknown, ProposalError
from rafty_core.output import ProposalAnswer

Outcome = bytes | ProposalError


class Group:
    """Commands that are proposed together; the token of their `Propose`. `expires` is when none waits any more."""

    __slots__ = ("commands", "weight", "expires", "done", "_results", "_error")

    def __init__(self, expires: float) -> None:
        self.commands: list[bytes] = []
        self.weight = 0
        self.expires = expires
        self.done = anyio.Event()
        self._results: Sequence[bytes] = ()
        self._error: ProposalError | None = None

    def add(self, commands: Sequence[bytes], weight: int) -> int:
        """One more call; returns the position of its first command, by which it asks for its outcomes."""
        position = len(self.commands)
        self.commands += commands
        self.weight += weight
        return position

    def answer(self, answer: ProposalAnswer) -> None:
        """The outcome is known, and every caller wakes; the first one told counts."""
        if len(answer.results) < answer.applied:
            raise RuntimeError(f"{answer.applied} commands were applied, but the state machine gave no results")
        self._finish(answer.results, answer.error)

    def fail(self, error: ProposalError) -> None:
        """None of the commands has a result, all for the same reason."""
        self._finish((), error)

    def _finish(self, results: Sequence[bytes], error: ProposalError | None) -> None:
        if not self.done.is_set():
            self._results, self._error = results, error
            self.done.set()

    def outcomes(self, position: int, count: int) -> list[Outcome]:
        """What became of the `count` commands from this position on: results, and an error for each without one."""
        outcomes: list[Outcome] = list(self._results[position : position + count])
        if len(outcomes) < count:
            error = self._error or OutcomeUnknown("no outcome was told")
            outcomes += [error] * (count - len(outcomes))
        return outcomes
