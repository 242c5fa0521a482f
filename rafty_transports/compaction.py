"""When snapshots are taken, and how: an image at once, the writing in a worker thread (thesis 5.1).

Law: *the log is cut only when the snapshot that takes its place is durable, and nobody waits for that meanwhile.*
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import BinaryIO, cast

from rafty_core.stable import Snapshot
from rafty_transports.interfaces import SnapshotInfo, SnapshotStore
from rafty_transports.machine import Machine, MachineFailed
from rafty_transports.storage.errors import StoreError
from rafty_transports.threads import OneEach, run_in_daemon

logger = logging.getLogger("rafty")


class SnapshotNotTaken(Exception):
    """A snapshot could not be taken, and nothing has changed; the text says why."""


@dataclass(frozen=True, slots=True)
class SnapshotPolicy:
    """When the log is compacted, and what stays.

    log_bytes         a snapshot is taken when what was applied since the last one weighs this much; 0: only on request
    trailing_entries  entries before a snapshot that stay in memory for followers that are a little behind, at most
    trailing_bytes    what these weigh, at most
    keep              how many snapshots stay on the disk
    """

    log_bytes: int = 64 * 1024 * 1024
    trailing_entries: int = 10_000
    trailing_bytes: int = 16 * 1024 * 1024
    keep: int = 2

    def __post_init__(self) -> None:
        if min(self.log_bytes, self.trailing_entries, self.trailing_bytes) < 0 or self.keep < 1:
            raise ValueError(f"{self!r} makes no sense: nothing is below 0, and at least one snapshot is kept")


class Compactor:
    """Counts what the log weighs, as far as it is applied, and takes snapshots. One at a time."""

    def __init__(self, machine: Machine, store: SnapshotStore, policy: SnapshotPolicy) -> None:
        self.policy = policy
        self.log_bytes = 0  # behind the last snapshot
        self._machine = machine
        self._store = store
        self._due = policy.log_bytes
        self._disk = OneEach()

    @property
    def busy(self) -> bool:
        """Whether a snapshot is being written, though whoever asked for it may have given up waiting (R222)."""
        return self._disk.busy

    @property
    def due(self) -> bool:
        """Whether a snapshot should be taken now."""
        return 0 < self._due <= self.log_bytes and not self.busy and self._machine.ready

    async def take(self, snapshot: Snapshot, needed: Sequence[int]) -> SnapshotInfo:
        """Write down the state of the machine, which is at `snapshot.index` now; return when that is durable.

        `needed` are indexes of older snapshots that must stay. Raises `SnapshotNotTaken` for what the disk does, which
        is tried again when the log has grown by as much again, and `MachineFailed` for what the machine does.
        """
        if self.busy:
            raise SnapshotNotTaken("a snapshot is being taken already; wait for it")
        weight = self.log_bytes
        try:
            image = self._machine.image(snapshot.index)
            info = await self._disk.run("snapshot", self._write, snapshot, image)
            self.log_bytes = max(0, self.log_bytes - weight)
            self._due = self.policy.log_bytes
            await run_in_daemon(self._store.retain, self.policy.keep, needed)
            return info
        except (OSError, StoreError) as error:
            self._due = self.log_bytes + self.policy.log_bytes
            logger.error("no snapshot at index %d: %s; the log is kept, and grows", snapshot.index, error)
            raise SnapshotNotTaken(f"no snapshot at index {snapshot.index} could be written: {error}") from error

    def _write(self, snapshot: Snapshot, image: Callable[[BinaryIO], None]) -> SnapshotInfo:
        writer = self._store.create(snapshot)
        try:
            try:
                image(cast(BinaryIO, writer))
            except (OSError, StoreError):
                raise
            except Exception as error:
                raise MachineFailed(
                    f"the state machine raised {error!r} while its snapshot at index {snapshot.index} was written"
                ) from error
            return writer.finish()
        finally:
            writer.abort()
