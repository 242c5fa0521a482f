"""Callers that wait for the outcome of their proposals, and how many of them share one event of the core.

Law: *whatever gathers while the node is busy becomes one proposal; every call gets its own answer.*

Callers of one group also share one event: all of them are answered at the same moment, and an event of its own for each
would cost more than everything else that the node does for a small command.
"""

import heapq
from collections.abc import Sequence
from itertools import count

import anyio

from rafty_core.config import COMMAND_OVERHEAD, Config
from rafty_core.events import Propose
from rafty_core.outcomes import OutcomeUnknown, Overloaded, ProposalError, Stopped, TooLarge
from rafty_core.output import ProposalAnswer

Outcome = bytes | ProposalError

GROUP_BYTES = 1024 * 1024
"""Proposals that gather are put together up to this size."""


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
        error = answer.error
        if len(answer.results) < answer.applied:  # a leader that is no `Node` may send none
            error = OutcomeUnknown("applied, but the leader gave no results")
        self._finish(answer.results, error)

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


class Calls:
    """All groups of one node: those that wait to be proposed, and those whose outcome is open.

    timeout       seconds after which a group's callers wait no longer
    most_waiting  bytes of commands that may wait to be proposed
    """

    def __init__(self, config: Config, timeout: float, most_waiting: int) -> None:
        self.timeout = timeout
        self.waiting: list[Group] = []
        self._waiting_bytes = 0
        self._open: dict[int, Group] = {}  # by identity
        self._expiries: list[tuple[float, int, Group]] = []  # a heap; groups that were answered leave it late
        self._numbers = count()
        self._most_waiting = most_waiting
        self._most_alone = min(config.max_command_bytes, config.max_proposal_bytes - COMMAND_OVERHEAD)
        self._most_together = min(GROUP_BYTES, config.max_proposal_bytes)
        self._config = config

    def weigh(self, commands: Sequence[bytes]) -> int | TooLarge:
        """What these commands weigh, or why they cannot be proposed. Raises `TypeError` for what is not bytes."""
        if len(commands) == 1 and type(commands[0]) is bytes and len(commands[0]) <= self._most_alone:
            return len(commands[0]) + COMMAND_OVERHEAD
        if not set(map(type, commands)) <= {bytes}:
            raise TypeError("commands are bytes")
        sizes = list(map(len, commands))
        most, most_together = self._config.max_command_bytes, self._config.max_proposal_bytes
        if max(sizes, default=0) > most:
            return TooLarge(f"a command has {max(sizes)} bytes, and the limit is {most}")
        weight = sum(sizes) + COMMAND_OVERHEAD * len(sizes)
        if weight > most_together:
            return TooLarge(f"commands that weigh {weight} bytes were proposed together; the limit is {most_together}")
        return weight

    def join(self, commands: Sequence[bytes], weight: int, deadline: float | None) -> tuple[Group, int] | Overloaded:
        """Let these commands wait to be proposed: their group and their position in it, or why there is no room.

        `deadline` is the caller's own; None: the group's, which is `timeout` from its beginning.
        """
        if self.waiting and self._waiting_bytes + weight > self._most_waiting:
            return Overloaded(f"{self._waiting_bytes} bytes of commands wait here; the bound is {self._most_waiting}")
        self._waiting_bytes += weight
        if not self.waiting or self.waiting[-1].weight + weight > self._most_together:
            self.waiting.append(Group(anyio.current_time() + self.timeout))
        group = self.waiting[-1]
        if deadline is not None:
            group.expires = max(group.expires, deadline)
        return group, group.add(commands, weight)

    def take(self) -> list[Propose]:
        """All that waits, as proposals; their outcome is open from now on."""
        groups, self.waiting, self._waiting_bytes = self.waiting, [], 0
        for group in groups:
            self._open[id(group)] = group
            heapq.heappush(self._expiries, (group.expires, next(self._numbers), group))
        return [Propose(group, group.commands) for group in groups]

    def answer(self, answer: ProposalAnswer) -> None:
        """The core's word on a group; nobody listens if its time was over."""
        group: Group = answer.token
        if self._open.pop(id(group), None) is not None:
            group.answer(answer)

    @property
    def first_expiry(self) -> float:
        """When `expired` must be asked next."""
        while self._expiries and self._expiries[0][2].done.is_set():
            heapq.heappop(self._expiries)
        return self._expiries[0][0] if self._expiries else float("inf")

    def expired(self, now: float) -> list[Group]:
        """The groups whose time is over, for the caller to fail; their outcome is unknown."""
        groups = []
        while self.first_expiry <= now:
            group = heapq.heappop(self._expiries)[2]
            del self._open[id(group)]
            groups.append(group)
        return groups

    def stop(self, why: str) -> None:
        """Tell every waiting caller the truth: never accepted, or unknown."""
        waiting, self.waiting, self._waiting_bytes = self.waiting, [], 0
        for group in waiting:
            group.fail(Stopped(f"{why} before it accepted the command"))
        groups, self._open, self._expiries = self._open, {}, []
        for group in groups.values():
            group.fail(OutcomeUnknown(f"{why} while the outcome was open"))
