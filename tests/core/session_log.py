"""A log applied by a machine with sessions, for the tests of its table."""

import io
from collections.abc import Callable, Sequence
from typing import Any, BinaryIO

from rafty_core.sessions import OPEN, Sessions, decode_opened

SECOND = 1_000_000


class Journal:
    """A state machine that keeps every command with its index, and every call of `apply`."""

    def __init__(self) -> None:
        self.applied: list[tuple[int, bytes]] = []
        self.calls: list[tuple[int, int]] = []

    def apply(self, first_index: int, commands: Sequence[bytes]) -> list[bytes]:
        self.calls.append((first_index, len(commands)))
        results = []
        for index, command in enumerate(commands, first_index):
            self.applied.append((index, command))
            results.append(b"%d:%b" % (len(self.applied), command))
        return results

    def snapshot(self) -> Callable[[BinaryIO], None]:
        lines = b"".join(b"%d %b\n" % (index, command.hex().encode()) for index, command in self.applied)

        def write(target: BinaryIO) -> None:
            target.write(lines)

        return write

    def restore(self, index: int, source: BinaryIO) -> None:
        self.applied = []
        for line in source.read().splitlines():
            at, _, command = line.partition(b" ")
            self.applied.append((int(at), bytes.fromhex(command.decode())))


class Log:
    """A log that a machine applies, an entry at a time."""

    def __init__(self, **limits: Any) -> None:
        self.journal = Journal()
        self.machine = Sessions(self.journal, **limits)
        self.last = 0

    def apply(self, *commands: bytes) -> list[bytes]:
        first = self.last + 1
        self.last += len(commands)
        return list(self.machine.apply(first, commands))

    def one(self, command: bytes) -> bytes:
        return self.apply(command)[0]

    def open(self) -> int:
        opened = decode_opened(self.one(OPEN))
        assert opened is not None
        return opened.session

    @property
    def ran(self) -> list[bytes]:
        return [command for _, command in self.journal.applied]


def image(machine: Sessions) -> bytes:
    """What a snapshot of this machine writes."""
    target = io.BytesIO()
    machine.snapshot()(target)
    return target.getvalue()
