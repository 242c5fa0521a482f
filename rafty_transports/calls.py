"""Callers that wait for the outcome of their proposals, and how many of them share one event of the core.

Law: *whatever gathers while the node is busy becomes one proposal; every call gets its own answer.*
"""

from collections.abc import Sequence

import anyio

from rafty_core.events import Propose
from rafty_core.outcomes import ProposalError
from rafty_core.output import ProposalAnswer

Outcome = bytes | ProposalError


class Call:
    """One waiting caller: its commands, and what became of each of them once `done` is set."""

    __slots__ = ("commands", "weight", "outcomes", "done")

    def __init__(self, commands: Sequence[bytes], weight: int) -> None:
        self.commands = commands
        self.weight = weight
        self.outcomes: list[Outcome] | None = None
        self.done = anyio.Event()

    def finish(self, outcomes: list[Outcome]) -> None:
        """The outcome is known; the first one told counts."""
        if self.outcomes is None:
            self.outcomes = outcomes
            self.done.set()

    def fail(self, error: ProposalError) -> None:
        """None of the commands has a result, all for the same reason."""
        if self.outcomes is None:
            self.finish([error] * len(self.commands))


class Group:
    """Calls that were proposed together; the token of their `Propose`."""

    __slots__ = ("calls", "expires")

    def __init__(self, calls: list[Call], expires: float) -> None:
        self.calls = calls
        self.expires = expires

    def answer(self, answer: ProposalAnswer) -> None:
        """Tell each call its part of the answer."""
        results, error = answer.results, answer.error
        if len(results) < answer.applied:
            raise RuntimeError(f"{answer.applied} commands were applied, but the state machine gave no results")
        start = 0
        for call in self.calls:
            end = start + len(call.commands)
            outcomes: list[Outcome] = list(results[start:end])
            if len(outcomes) < len(call.commands) and error is not None:
                outcomes.extend([error] * (len(call.commands) - len(outcomes)))
            call.finish(outcomes)
            start = end

    def fail(self, error: ProposalError) -> None:
        """Tell every call the same."""
        for call in self.calls:
            call.fail(error)


def grouped(calls: list[Call], most_bytes: int, expires: float) -> list[Propose]:
    """These calls as proposals of at most `most_bytes` each (or of one call), in order."""
    proposals: list[Propose] = []
    start = weight = 0
    for position, call in enumerate(calls):
        if position > start and weight + call.weight > most_bytes:
            proposals.append(_proposal(calls[start:position], expires))
            start, weight = position, 0
        weight += call.weight
    if start < len(calls):
        proposals.append(_proposal(calls[start:], expires))
    return proposals


def _proposal(calls: list[Call], expires: float) -> Propose:
    commands = [command for call in calls for command in call.commands]
    return Propose(Group(calls, expires), commands)
