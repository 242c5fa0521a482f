"""A state machine of an application on one simulated node, and whether it is the same on all of them.

Law: *equal commands lead to equal results and equal states, on every node and in every life* (invariants I5 and I19).

A machine that looks at a clock, at chance, at the order of a set or at its own memory breaks this law sooner or later
(fault F102). Results are compared for every command. States are compared, by their images, wherever an index is a
multiple of `COMPARED_EVERY`, for every node stops there; and at the end of a run. What a machine takes over from a
snapshot it must write down again as it was.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from typing import Any

from rafty_core.entries import COMMAND
from rafty_core.history import InvariantViolation
from rafty_core.sessions import OPERATION, StateMachine

COMPARED_EVERY = 8
"""States are compared behind each entry whose index is a multiple of this."""

EXPLAINED = "The reference is one more machine, which applies each command alone, from the first on"

MakeMachine = Callable[[], StateMachine]
MakeCommand = Callable[[random.Random], bytes]
CheckMachine = Callable[[Any], object]


def in_envelope(token: int, number: int, command: bytes) -> bytes:
    """This command, made different from all others, so that its fate can be read off the log."""
    return b"%d/%d:%s" % (token, number, command)


def _difference(here: bytes, there: bytes) -> tuple[str, str]:
    """What two states, or results, look like around the first byte in which they differ."""
    start = next((at for at, pair in enumerate(zip(here, there, strict=False)) if pair[0] != pair[1]), None)
    start = max(0, (min(len(here), len(there)) if start is None else start) - 20)
    before = "..." if start else ""
    return f"{before}{here[start : start + 60]!r}", f"{before}{there[start : start + 60]!r}"


def content_of(command: bytes) -> bytes:
    """What the application gets of this command in the log: it knows of no envelopes."""
    return command if command.startswith(OPERATION) else command[command.index(b":") + 1 :]


class Application:
    """The machine of one node, `where`.

    `check`, if there is one, is called with the machine whenever that has changed; it may raise, or return False.
    Raises `TypeError` for a machine that can write its state down and not take it over, or the other way round.
    """

    def __init__(self, make: MakeMachine, check: CheckMachine | None = None, where: str = "a machine") -> None:
        self.machine: Any = make()
        self.where = where
        self.origin = "began with nothing"
        """What its state rests on, in words."""
        self._make, self._check = make, check
        self._newest: list[bytes] = []  # commands that were applied since it was looked at
        if hasattr(self.machine, "snapshot") != hasattr(self.machine, "restore"):
            raise TypeError(f"{type(self.machine).__name__} must have both snapshot and restore, or neither")

    @property
    def can_snapshot(self) -> bool:
        """Whether its state can be written down and taken over."""
        return hasattr(self.machine, "snapshot") and hasattr(self.machine, "restore")

    def image(self) -> bytes:
        """Its whole state, written down."""
        target = BytesIO()
        with self._telling("snapshot() was called"):
            self.machine.snapshot()(target)
        return target.getvalue()

    def snapshot(self) -> Callable[[], bytes]:
        """What writes its state down later, as a driver does, while the machine goes on: it is still that of now."""
        now = self.image()
        with self._telling("snapshot() was called"):
            write = self.machine.snapshot()

        def write_later() -> bytes:
            target = BytesIO()
            with self._telling("what snapshot() returned was called later"):
                write(target)
            if target.getvalue() != now:
                had, has = _difference(now, target.getvalue())
                text = f"it would have written {had}, and writes {has} after other commands; it must share nothing"
                raise InvariantViolation(
                    "I19", f"what snapshot() returned on {self.where} writes another state: {text}"
                )
            return now

        return write_later

    def restore(self, index: int, image: bytes) -> None:
        """Take over the state of an image; index 0 is that of a machine that has applied nothing."""
        if index == 0:
            self.machine, self.origin = self._make(), "began with nothing"
        else:
            self.origin = f"took over the snapshot at index {index}"
            with self._telling(f"restore({index}, ...) was called"):
                self.machine.restore(index, BytesIO(image))
            again = self.image()
            if again != image:
                had, has = _difference(image, again)
                text = f"{self.where} {self.origin}, which has {had}, but its own snapshot there has {has}"
                raise InvariantViolation("I19", f"the state machine's restore loses or changes something: {text}")
        self._newest = []
        self._look(index)

    def apply(self, first: int, entries: Sequence[bytes]) -> list[bytes]:
        """Carry out the commands among these entries, in runs without a gap; returns a result for each."""
        results: list[bytes] = []
        run: list[bytes] = []
        self._newest = []
        for index, entry in enumerate([*entries, b"\0"], first):
            if entry[:1] == COMMAND:
                run.append(content_of(entry[1:]))
            elif run:
                results += self._apply(index - len(run), run)
                run = []
        self._look(first + len(entries) - 1)
        return results

    def _apply(self, first: int, commands: list[bytes]) -> Sequence[bytes]:
        self._newest += commands
        with self._telling(f"apply({first}, {commands!r:.200}) was called"):
            results: Sequence[bytes] = self.machine.apply(first, list(commands))
        right = isinstance(results, list | tuple) and all(type(result) is bytes for result in results)
        if not right or len(results) != len(commands):
            text = f"apply({first}, {commands!r:.200}) on {self.where} returned {results!r:.200}"
            raise InvariantViolation("I5", f"the state machine must return one result (bytes) for each command: {text}")
        return results

    def _look(self, index: int) -> None:
        if self._check is not None:
            with self._telling(f"check(machine) was called at index {index}"):
                held = self._check(self.machine)
            if held in (False,):  # numpy's, too
                behind = f", behind {self._newest!r:.300}" if self._newest else ""
                state = f"; its state is {self.image()!r:.200}" if self.can_snapshot else ""
                raise InvariantViolation(
                    "check", f"check(machine) is {held!r} on {self.where} at index {index}{behind}{state}"
                )

    @contextmanager
    def _telling(self, call: str) -> Iterator[None]:
        """What the machine raises says where that was."""
        try:
            yield
        except Exception as error:
            error.add_note(f"{call} on {self.where}, which {self.origin}")
            raise


class Reference:
    """The application as it should be: one more machine, that applies each committed entry once and alone."""

    def __init__(self, make: MakeMachine) -> None:
        self._application = Application(make, where="the reference")
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
            self._results[index] = (content_of(entry[1:]), result)
            self.ordered.append(result)
        if self._application.can_snapshot and index % COMPARED_EVERY == 0:
            self._images[index] = (self._application.where, self._application.image())

    def check_results(
        self, application: Application, first: int, entries: Sequence[bytes], results: Sequence[bytes]
    ) -> None:
        """The results on this node are what they should be."""
        indexes = [index for index, entry in enumerate(entries, first) if entry[:1] == COMMAND]
        for index, result in zip(indexes, results, strict=True):
            command, expected = self._results[index]
            if result != expected:
                here, there = application.where, self._application.where
                ours, theirs = _difference(result, expected)
                text = f"at index {index} {here} answers {command!r:.100} with {ours}, but {there} answers {theirs} "
                more = f"({here} {application.origin}; commands at once: {len(indexes)}. {EXPLAINED})"
                raise InvariantViolation("I5", f"the state machine is not deterministic: {text}{more}")

    def check_end(self, index: int, applications: Sequence[Application | None]) -> None:
        """At the end of a run, whatever its index is: these states are the reference's."""
        for application in (self._application, *applications):
            if application is not None and application.can_snapshot:
                self._compare(index, application)

    def check_state(self, index: int, application: Application) -> None:
        """The state on this node is that of every other one that was at this index."""
        if index > 0 and index % COMPARED_EVERY == 0 and application.can_snapshot:
            self._compare(index, application)

    def _compare(self, index: int, application: Application) -> None:
        image = application.image()
        other, known = self._images.setdefault(index, (application.where, image))
        if image != known:
            here, there = _difference(image, known)
            text = f"at index {index} {application.where} has {here}, but {other} has {there}"
            start = (index - 1) // COMPARED_EVERY * COMPARED_EVERY + 1
            commands = [self._results[at][0] for at in range(start, index + 1) if at in self._results]
            text += f" behind {commands!r:.500}"
            more = f"({application.where} {application.origin}. {EXPLAINED})"
            raise InvariantViolation("I19", f"the state machine is not deterministic: {text} {more}")
