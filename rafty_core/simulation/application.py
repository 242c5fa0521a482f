"""A state machine of an application on one simulated node, and whether it is the same on all of them.

Law: *equal commands lead to equal results and equal states, on every node and in every life* (invariants I5 and I19).

A machine that looks at a clock, at chance, at the order of a set or at its own memory breaks this law sooner or later
(fault F102). Results are compared for every command. States are compared, by their images, wherever an index is a
multiple of `COMPARED_EVERY`, for every node stops there; and at the end of a run.
"""

import random
from collections.abc import Callable, Sequence
from io import BytesIO
from typing import Any

from rafty_core.entries import COMMAND
from rafty_core.history import InvariantViolation
from rafty_core.sessions import OPERATION, StateMachine

COMPARED_EVERY = 8
"""States are compared behind each entry whose index is a multiple of this."""

MakeMachine = Callable[[], StateMachine]
MakeCommand = Callable[[random.Random], bytes]
CheckMachine = Callable[[Any], None]


def in_envelope(token: int, number: int, command: bytes) -> bytes:
    """This command, made different from all others, so that its fate can be read off the log."""
    return b"%d/%d:%s" % (token, number, command)


def content_of(command: bytes) -> bytes:
    """What the application gets of this command in the log: it knows of no envelopes."""
    return command if command.startswith(OPERATION) else command[command.index(b":") + 1 :]


class Application:
    """The machine of one node. `check`, if there is one, is called with the machine whenever it has changed."""

    def __init__(self, make: MakeMachine, check: CheckMachine | None = None) -> None:
        self.machine: Any = make()
        self._make, self._check = make, check

    @property
    def can_snapshot(self) -> bool:
        """Whether its state can be written down and taken over."""
        return hasattr(self.machine, "snapshot") and hasattr(self.machine, "restore")

    def renew(self) -> None:
        """Begin with a machine that has applied nothing."""
        self.machine = self._make()

    def image(self) -> bytes:
        """Its whole state, written down."""
        target = BytesIO()
        self.machine.snapshot()(target)
        return target.getvalue()

    def restore(self, index: int, image: bytes) -> None:
        """Take over the state of an image."""
        if index == 0:
            self.renew()
        else:
            self.machine.restore(index, BytesIO(image))
        self._look()

    def apply(self, first: int, entries: Sequence[bytes]) -> list[bytes]:
        """Carry out the commands among these entries, in runs without a gap; returns a result for each."""
        results: list[bytes] = []
        run: list[bytes] = []
        for index, entry in enumerate([*entries, b"\0"], first):
            if entry[:1] == COMMAND:
                run.append(content_of(entry[1:]))
            elif run:
                results += self._apply(index - len(run), run)
                run = []
        self._look()
        return results

    def _apply(self, first: int, commands: list[bytes]) -> Sequence[bytes]:
        results: Sequence[bytes] = self.machine.apply(first, commands)
        if len(results) != len(commands) or any(type(result) is not bytes for result in results):
            raise InvariantViolation("I5", f"the state machine answers {commands!r:.200} with {results!r:.200}")
        return results

    def _look(self) -> None:
        if self._check is not None:
            self._check(self.machine)


class Reference:
    """The application as it should be: one more machine, that applies each committed entry once and alone."""

    def __init__(self, make: MakeMachine) -> None:
        self._application = Application(make)
        self._results: dict[int, tuple[bytes, bytes]] = {}  # by index: the command and its result
        self._images: dict[int, tuple[str, bytes]] = {}
        self.ordered: list[bytes] = []
        """The results of all commands, in their order."""

    @property
    def machine(self) -> Any:
        """The machine, as it is behind the newest committed entry."""
        return self._application.machine

    def see(self, index: int, entry: bytes) -> None:
        """The next entry is committed."""
        for result in self._application.apply(index, [entry]):
            self._results[index] = (entry[1:], result)
            self.ordered.append(result)
        if self._application.can_snapshot and index % COMPARED_EVERY == 0:
            self._images[index] = ("a machine that applied each entry alone", self._application.image())

    def check_results(self, node: str, first: int, entries: Sequence[bytes], results: Sequence[bytes]) -> None:
        """The results on this node are what they should be."""
        indexes = [index for index, entry in enumerate(entries, first) if entry[:1] == COMMAND]
        for index, result in zip(indexes, results, strict=True):
            command, expected = self._results[index]
            if result != expected:
                text = f"{node} answers {command!r:.100} at index {index} with {result!r:.100}"
                raise InvariantViolation("I5", f"the state machine is not deterministic: {text}, not {expected!r:.100}")

    def check_state(self, node: str, index: int, application: Application) -> None:
        """The state on this node is that of every other one that was at this index."""
        if index == 0 or not application.can_snapshot or index % COMPARED_EVERY:
            return
        image = application.image()
        other, known = self._images.setdefault(index, (node, image))
        if image != known:
            start = next((i for i, pair in enumerate(zip(image, known, strict=False)) if pair[0] != pair[1]), 0)
            start = max(0, min(start, len(image), len(known)) - 20)
            here, there = image[start : start + 60], known[start : start + 60]
            text = f"at index {index}, {node} has ...{here!r}, but {other} has ...{there!r}"
            raise InvariantViolation("I19", f"the state machine is not deterministic: {text}")
