"""The state machine as the node drives it: entries, restoring, images.

Law: *the state machine is at one index at a time, and the node knows at which.*

What a machine raises stops the node, and the text names the index and the command: nothing is skipped, and a restart
meets the same command again.
"""

from collections.abc import Callable, Sequence
from typing import BinaryIO

from rafty_core.entries import COMMAND
from rafty_core.events import Applied
from rafty_core.output import Committed, Restore
from rafty_transports.interfaces import SnapshotStore, StateMachine


class MachineFailed(RuntimeError):
    """The state machine raised, or broke its contract; the text says at which index and with which command."""


class Machine:
    """Drives a `StateMachine`. Not thread-safe: one call at a time, though `restore` may be in a worker thread."""

    def __init__(self, machine: StateMachine) -> None:
        self.machine = machine
        self.restoring = False  # whether a snapshot is being put into it, in a thread
        self._take: Callable[[], Callable[[BinaryIO], None]] | None = getattr(machine, "snapshot", None)
        self._put: Callable[[int, BinaryIO], None] | None = getattr(machine, "restore", None)

    @property
    def can_snapshot(self) -> bool:
        """Whether its state can be written down and taken over."""
        return self._take is not None and self._put is not None

    @property
    def ready(self) -> bool:
        """Whether a snapshot of it can be taken now."""
        return self.can_snapshot and not self.restoring

    @property
    def applied_index(self) -> int:
        """What the machine has applied already when the node starts: 0, unless it keeps its own durable state."""
        index = getattr(self.machine, "applied_index", 0)
        if type(index) is not int or index < 0:
            raise MachineFailed(f"the state machine says that it has applied up to {index!r:.40}, which is no index")
        return index

    def apply(self, committed: Committed) -> Applied:
        """Carry out committed commands. Raises `MachineFailed`."""
        commands = committed.commands()
        if len(commands) == len(committed.entries):
            return Applied(committed.last, self._apply(committed.first, commands))
        results: list[bytes] = []
        for start, run in _runs(committed.first, committed.entries):
            results += self._apply(start, run)
        return Applied(committed.last, results)

    def _apply(self, first: int, commands: list[bytes]) -> Sequence[bytes]:
        last = first + len(commands) - 1
        try:
            results = self.machine.apply(first, commands)
        except Exception as error:
            raise MachineFailed(
                f"the state machine raised {error!r} for commands at index {first} to {last}, the first of them "
                f"{commands[0]!r:.100}"
            ) from error
        if len(results) != len(commands):
            raise MachineFailed(
                f"the state machine gave {len(results)} results for the {len(commands)} commands at index {first} to "
                f"{last}"
            )
        if set(map(type, results)) != {bytes}:
            raise MachineFailed(f"the state machine gave results that are not bytes, for {commands[0]!r:.100} or later")
        return results

    def restore(self, restore: Restore, snapshots: SnapshotStore) -> Applied:
        """Take over the state of a stored snapshot. Blocking. Raises `MachineFailed`, or what the store raises."""
        if self._put is None:
            raise MachineFailed(
                f"the log starts behind a snapshot at index {restore.index}, and this state machine has no `restore`"
            )
        with snapshots.open(restore.index, restore.term) as source:
            try:
                self._put(restore.index, source)
            except Exception as error:
                raise MachineFailed(
                    f"the state machine raised {error!r} while it was restored from the snapshot at {restore.index}"
                ) from error
        return Applied(restore.index)

    def image(self, index: int) -> Callable[[BinaryIO], None]:
        """What writes down the state that the machine is in now, at `index`. Raises `MachineFailed`."""
        if self._take is None:
            raise MachineFailed("this state machine has no `snapshot`")
        try:
            return self._take()
        except Exception as error:
            raise MachineFailed(f"the state machine raised {error!r} in `snapshot` at index {index}") from error


def _runs(first: int, entries: Sequence[bytes]) -> list[tuple[int, list[bytes]]]:
    """The commands among the entries, in runs without a gap, each with the index of its first (fault F101)."""
    runs: list[tuple[int, list[bytes]]] = []
    behind = -1
    for index, entry in enumerate(entries, first):
        if entry[0] != COMMAND[0]:
            continue
        if index != behind:
            runs.append((index, []))
        runs[-1][1].append(entry[1:])
        behind = index + 1
    return runs
