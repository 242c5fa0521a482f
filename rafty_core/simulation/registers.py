"""A small key-value machine that simulated clusters run, and its model for the check of histories.

Law: *a register's value follows from the commands on it alone, and every result says what the value is, or was.*

Commands are words with one space between them; the first two are what is to be done and the key:

    get KEY                  the value; what was never set is empty
    set KEY VALUE            the value that was there before
    cas KEY BEFORE VALUE     sets it if it is BEFORE; the value that was there before
    append KEY VALUE         the value afterwards

All else changes nothing, and is answered with nothing.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, BinaryIO

from rafty_core.sessions import Sessions
from rafty_core.simulation.application import MakeMachine
from rafty_core.simulation.options import Options

LISTS = ("l1", "l2")
"""Keys that callers only append to."""

VALUES = ("v1", "v2")
"""Keys that callers set, and compare and set."""

_ARGUMENTS = {b"get": 0, b"set": 1, b"cas": 2, b"append": 1}


def carry_out(value: bytes, command: bytes) -> tuple[bytes, bytes]:
    """The value of its key after this command, and the command's result."""
    kind, _, *arguments = command.split(b" ")
    if kind == b"set":
        return arguments[0], value
    if kind == b"cas":
        return arguments[1] if value == arguments[0] else value, value
    if kind == b"append":
        return value + arguments[0], value + arguments[0]
    return value, value


class RegisterModel:
    """One register, as the check of histories wants it: requests are commands."""

    initial = b""

    def apply(self, state: bytes, request: bytes, /) -> tuple[bytes, bytes]:
        """The value after this command, and its result."""
        return carry_out(state, request)


class Registers:
    """All registers of one node."""

    def __init__(self) -> None:
        self.values: dict[bytes, bytes] = {}

    def value(self, key: str) -> bytes:
        """The value of this key now."""
        return self.values.get(key.encode(), b"")

    def apply(self, first_index: int, commands: Sequence[bytes], /) -> list[bytes]:
        """Carry out these commands."""
        return [self._apply(command) for command in commands]

    def _apply(self, command: bytes) -> bytes:
        words = command.split(b" ")
        if len(words) < 2 or _ARGUMENTS.get(words[0]) != len(words) - 2:
            return b""
        value, result = carry_out(self.values.get(words[1], b""), command)
        if value:
            self.values[words[1]] = value
        return result

    def snapshot(self) -> Callable[[BinaryIO], None]:
        """Hold on to all values; return what writes them down."""
        image = b"\n".join(b" ".join(pair) for pair in sorted(self.values.items()))

        def write(target: BinaryIO) -> None:
            target.write(image)

        return write

    def restore(self, index: int, source: BinaryIO) -> None:
        """Take over all values."""
        pairs = (line.partition(b" ") for line in source.read().split(b"\n") if line)
        self.values = {key: value for key, _, value in pairs}


def machine_of(options: Options) -> MakeMachine | None:
    """What makes the machines of a run with these options, if nobody gives one of his own."""
    if options.application == "none":
        return None
    return Registers if not options.has_sessions else partial(_in_sessions, options)


def registers_of(machine: Any) -> Registers:
    """The registers of such a machine."""
    found = machine.machine if isinstance(machine, Sessions) else machine
    assert isinstance(found, Registers)
    return found


def _in_sessions(options: Options) -> Sessions:
    return Sessions(
        Registers(),
        expiry_seconds=options.session_expiry,
        max_sessions=options.max_sessions,
        max_kept_answers=options.max_kept_answers,
    )
