"""Clients that propose everywhere, and check that what they are told is true.

Law: *applied means once, not applied means never, unknown means at most once* (invariant I18).

Each command is unique, by an envelope around it, so that its fate can be read off the committed log. A command's result
is what the state machine answers, or its ordinal among all committed commands. Operations of sessions have no envelope,
and may be repeated; `callers` looks after them.
"""

from collections.abc import Sequence

from rafty_core import NotApplied, OutcomeUnknown, ProposalAnswer
from rafty_core.entries import COMMAND
from rafty_core.invariants import InvariantViolation
from rafty_core.sessions import OPERATION
from rafty_core.simulation.application import MakeCommand, in_envelope
from rafty_core.simulation.machine import Replay
from rafty_core.simulation.world import World


class Clients:
    """All requests of a run and what became of them."""

    def __init__(self, world: World, replay: Replay, make: MakeCommand | None) -> None:
        self.world = world
        self._replay, self._make = replay, make
        self.open: dict[int, tuple[str, list[bytes]]] = {}
        self.fates: dict[int, str] = {}  # by token: "applied", "empty", or what the answer was
        self._next = 0
        self._ordinals: dict[bytes, int] = {}
        self._commands = 0  # that were committed
        self._never: dict[bytes, str] = {}
        self._seen = 0

    def request(self, node: str) -> tuple[int, list[bytes]]:
        """A new request at this node: its token and commands, once in a while too large or empty."""
        self._next += 1
        token, chance = self._next, self.world.random.random()
        count = 1 if chance < 0.7 else self.world.random.randint(2, 5)
        padding = b"." * (300 if chance > 0.99 else self.world.random.choice((0, 0, 20, 90)))
        commands = [] if chance > 0.995 else [in_envelope(token, i, self._content(padding)) for i in range(count)]
        self.open[token] = (node, commands)
        return token, commands

    def _content(self, padding: bytes) -> bytes:
        return padding if self._make is None else self._make(self.world.random)

    def together(self, node: str, count: int, padding: bytes = b"") -> tuple[int, list[bytes]]:
        """A new request of so many commands, small ones without padding: its token, and the commands."""
        self._next += 1
        self.open[self._next] = (node, [in_envelope(self._next, n, self._content(padding)) for n in range(count)])
        return self._next, self.open[self._next][1]

    def ask(self, node: str, content: bytes) -> tuple[int, bytes]:
        """A new request of a caller with one command: its token, and the command."""
        self._next += 1
        command = in_envelope(self._next, 0, content)
        self.open[self._next] = (node, [command])
        return self._next, command

    def crashed(self, node: str) -> None:
        """The node of some requests is gone; their outcome stays unknown."""
        gone = [token for token, (where, _) in self.open.items() if where == node]
        for token in gone:
            del self.open[token]
            self.fates[token] = "crashed"

    def see(self, committed: Sequence[bytes]) -> None:
        """Look at what was committed since the last call."""
        for entry in committed[self._seen :]:
            self._seen += 1
            if entry[:1] != COMMAND:
                continue
            command = entry[1:]
            self._commands += 1
            if command.startswith(OPERATION):
                continue
            if command in self._never:
                raise InvariantViolation("I18", f"{command!r} is committed, but was answered {self._never[command]}")
            if command in self._ordinals:
                raise InvariantViolation("I18", f"{command!r} is committed twice")
            self._ordinals[command] = self._commands

    def answered(self, node: str, answer: ProposalAnswer, with_results: bool) -> None:
        """Check an answer against the committed log, now and for all time to come."""
        if answer.token not in self.open:
            raise InvariantViolation("I18", f"{node} answers {answer.token} a second time, or in a later life")
        where, commands = self.open.pop(answer.token)
        if where != node:
            raise InvariantViolation("I18", f"{node} answers request {answer.token} of {where}")
        done, rest = commands[: answer.applied], commands[answer.applied :]
        ordinals = [self._ordinals.get(command, 0) for command in done]
        if 0 in ordinals or ordinals != sorted(ordinals):
            raise InvariantViolation("I18", f"request {answer.token} was not applied as answered: {ordinals}")
        if with_results and list(answer.results) != [self._replay.result(ordinal) for ordinal in ordinals]:
            raise InvariantViolation("I18", f"request {answer.token} has results {answer.results!r} for {ordinals}")
        if answer.error is None and rest:
            raise InvariantViolation("I18", f"request {answer.token} succeeds, but only {answer.applied} were applied")
        self.fates[answer.token] = type(answer.error).__name__ if answer.error else "applied" if done else "empty"
        if answer.error is not None:
            self._check_error(answer, rest)

    def _check_error(self, answer: ProposalAnswer, rest: Sequence[bytes]) -> None:
        if isinstance(answer.error, NotApplied):
            for command in rest:
                self._never[command] = type(answer.error).__name__
                if command in self._ordinals:
                    raise InvariantViolation("I18", f"{command!r} was committed, but answered {self._never[command]}")
        elif not isinstance(answer.error, OutcomeUnknown):
            raise InvariantViolation("I18", f"request {answer.token} is answered {answer.error!r}, which says nothing")
