"""A store through its lives: opened, ended by closing or by a crash, opened again; and what it must hold then.

Law: *the kit keeps a model of what was promised, and compares each life with it.*
"""

import random
from collections.abc import Callable, Sequence
from contextlib import suppress

from rafty_core.entries import COMMAND, Batch
from rafty_core.output import Write
from rafty_core.stable import Snapshot, Stable
from rafty_transports.interfaces import LogStore, SnapshotInfo
from rafty_transports.testing.conformance import Fault, calling, require

Log = dict[int, tuple[int, bytes]]
"""Term and bytes of the entry at each index."""


class Lives:
    """Disks of one rule, and the store that is open on each."""

    def __init__(
        self,
        rule: str,
        open_store: Callable[[str], LogStore],
        crash: Callable[[str], None] | None,
        damage: Callable[[str, random.Random], None] | None,
    ) -> None:
        self._rule, self._open_store = rule, open_store
        self._crash, self.damage_disk = crash, damage
        self._open: dict[str, LogStore] = {}

    def name(self, disk: str) -> str:
        """The name of this disk, which no other rule has."""
        return f"{self._rule}-{disk}"

    def open(self, disk: str = "a") -> LogStore:
        """The store on this disk, as after a start."""
        with calling("opening the store"):
            store = self._open[disk] = self._open_store(self.name(disk))
        return store

    def close(self, disk: str = "a") -> None:
        """End this life in good order."""
        store = self._open.pop(disk)
        with calling("close()"):
            store.close()

    def restart(self, disk: str = "a") -> LogStore:
        """The next life after a crash, if crashes can be had; else after closing."""
        if self._crash is None:
            self.close(disk)
        else:
            del self._open[disk]
            self._crash(self.name(disk))
        return self.open(disk)

    def damage(self, disk: str, chance: random.Random) -> None:
        """Change something on this disk, which is closed."""
        if self.damage_disk is not None:
            self.damage_disk(self.name(disk), chance)

    def end(self) -> None:
        """Close whatever is open."""
        for store in self._open.values():
            with suppress(Exception):
                store.close()


class Model:
    """What a store must know: the writes that returned. `write` does them on a store and here."""

    def __init__(self) -> None:
        self.term, self.seq = 0, 0
        self.vote: str | None = None
        self.log: Log = {}
        self.snapshot: Snapshot | None = None

    def write(self, store: LogStore, *parts: Write) -> None:
        """Have these written, as one call; they are numbered here."""
        for part in parts:
            self.seq += 1
            part.seq = self.seq
        with calling("write()"):
            store.write(parts)
        for part in parts:
            self._note(part)

    def _note(self, part: Write) -> None:
        self.term, self.vote = part.term, part.vote
        if part.snapshot is not None:
            self.snapshot = part.snapshot
            if part.installs:
                self.log.clear()
        for batch in part.batches:
            self.log = {index: entry for index, entry in self.log.items() if index < batch.first}
            self.log.update({batch.first + i: (batch.term, bytes(entry)) for i, entry in enumerate(batch.entries)})

    def begin(self) -> None:
        """A new life: writes are numbered from 1 again."""
        self.seq = 0

    def compare(self, stable: Stable, when: str) -> None:
        """Raise `Fault` unless this is what a node must find."""
        found, expected = (stable.term, stable.vote), (self.term, self.vote)
        text = f"{when} the store has term {found[0]} with the vote {found[1]}"
        require(found == expected, f"{text}; written were term {expected[0]} and the vote {expected[1]}")
        base = 0 if self.snapshot is None else self.snapshot.index
        if self.snapshot is not None:
            same = stable.snapshot == self.snapshot
            require(same, f"{when} the store has {stable.snapshot!r:.150}; written was {self.snapshot!r:.150}")
        log = {index: entry for index, entry in log_in(stable).items() if index > base}
        expected_log = {index: entry for index, entry in self.log.items() if index > base}
        if log != expected_log:
            raise Fault(f"{when} {_difference(log, expected_log)}")


def log_in(stable: Stable) -> Log:
    """The log that was loaded. Raises `Fault` unless it is in one piece and begins where the snapshot ends."""
    log: Log = {}
    after: int | None = None
    for batch in stable.batches:
        gap = after is not None and batch.first != after
        require(not gap, f"load() gives a batch at index {batch.first} where index {after} must follow")
        for at, entry in enumerate(batch.entries):
            log[batch.first + at] = (batch.term, bytes(entry))
        after = batch.last + 1
    begins = min(log, default=stable.snapshot.index + 1)
    text = f"the log begins at index {begins}, and the snapshot ends at {stable.snapshot.index}"
    require(begins <= stable.snapshot.index + 1, f"{text}: there is a gap")
    return log


def _difference(log: Log, expected: Log) -> str:
    for index in sorted({*log, *expected}):
        if log.get(index) != expected.get(index):
            return (
                f"the log has {_entry(log.get(index))} at index {index}; written was {_entry(expected.get(index))} "
                f"(it ends at {max(log, default=0)}, and must end at {max(expected, default=0)})"
            )
    return "the log is right"


def _entry(entry: tuple[int, bytes] | None) -> str:
    return "no entry" if entry is None else f"an entry of term {entry[0]}, {entry[1]!r:.40},"


def batch(first: int, count: int, term: int = 1, size: int = 0) -> Batch:
    """Commands that name their index and term, so that no two entries are the same."""
    return Batch(first, term, [COMMAND + f"{first + i}/{term}".encode().ljust(size, b".") for i in range(count)])


def image_of(index: int, size: int = 100_000) -> bytes:
    """A state machine's image, of bytes that repeat nowhere."""
    return b"".join(b"%d:%d;" % (index, number) for number in range(size // 8))


def keep_snapshot(store: LogStore, snapshot: Snapshot, image: bytes | None = None) -> SnapshotInfo:
    """Write this snapshot into the store, in pieces."""
    image = image_of(snapshot.index) if image is None else image
    with calling("writing a snapshot"):
        writer = store.snapshots.create(snapshot)
        for start in range(0, len(image), 7000):
            writer.write(image[start : start + 7000])
        return writer.finish()


def image_in(store: LogStore, snapshot: Snapshot) -> bytes:
    """The state machine's image as the store gives it back."""
    with calling(f"opening the snapshot of index {snapshot.index}"):
        with store.snapshots.open(snapshot.index, snapshot.term) as file:
            return file.read()


def indexes(infos: Sequence[SnapshotInfo]) -> list[int]:
    """The indexes of these snapshots."""
    return [info.snapshot.index for info in infos]
