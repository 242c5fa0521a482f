"""What a simulated disk holds: files and directories, each as it is seen now and as it may be after a power failure.

Law: *what was synced stays; of the rest any subset does*: sectors of files, their sizes, and names in directories.
"""

import random
from typing import TypeVar

T = TypeVar("T")

SECTOR = 512
"""Bytes that are written whole or not at all."""

LOST, KEPT = 0.0, 1.0
"""Shares of what was not synced that survive a power failure."""


class File:
    """A file: `data` is what is seen now.

    A sync that fails leaves what it was for as it is, but clean: a later sync does nothing for it (fault F108).
    """

    def __init__(self) -> None:
        self.data = bytearray()
        self.owner: object = None
        """Who has locked it."""
        self._unsynced: dict[int, list[bytes]] = {}  # by sector: what is durable, then what was written over it
        self._sizes: list[int] = []  # the size that is durable, then others that it had
        self._clean: set[int] = set()  # unsynced sectors that no sync will write

    def copy(self) -> "File":
        """A file with what is seen now, all of it durable."""
        other = type(self)()
        other.data[:] = self.data
        return other

    def write(self, data: bytes, offset: int) -> None:
        """Write these bytes at this offset; a gap before them reads as zeros."""
        end = offset + len(data)
        if end > len(self.data):
            self.resize(end)
        self._touch(offset, end)
        self.data[offset:end] = data

    def resize(self, size: int) -> None:
        """Cut the file off, or make it longer by zeros."""
        before = len(self.data)
        if size == before:
            return
        self._sizes.append(before)
        if size < before:
            self._touch(size, before)
            del self.data[size:]
        else:
            self.data.extend(bytes(size - before))

    def sync(self) -> None:
        """Make durable what is not taken for clean already."""
        self._sizes.clear()
        if self._clean:
            self._unsynced = {sector: versions for sector, versions in self._unsynced.items() if sector in self._clean}
        else:
            self._unsynced.clear()

    def fail_sync(self) -> None:
        """A sync that fails; its size is what a file system writes again."""
        self._clean.update(self._unsynced)

    def cut_power(self, draw: random.Random, share: float) -> None:
        """Keep what is durable, and of each other sector, and of the size, one of the versions there were."""
        sizes = [*self._sizes, len(self.data)]
        chosen = {}
        for sector, versions in self._unsynced.items():
            seen = bytes(self.data[sector * SECTOR : (sector + 1) * SECTOR])
            chosen[sector] = _one_of([*versions, seen] if seen else versions, draw, share)  # cutting off erases nothing
        size = _one_of(sizes, draw, share)
        self.data.extend(bytes(max(sizes) + SECTOR - len(self.data)))
        for sector, content in chosen.items():
            self.data[sector * SECTOR : (sector + 1) * SECTOR] = content.ljust(SECTOR, b"\0")
        del self.data[size:]
        self._unsynced.clear()
        self._sizes.clear()
        self._clean.clear()

    def _touch(self, start: int, end: int) -> None:
        for sector in range(start // SECTOR, (end + SECTOR - 1) // SECTOR):
            before = bytes(self.data[sector * SECTOR : (sector + 1) * SECTOR])
            self._unsynced.setdefault(sector, []).append(before)
            self._clean.discard(sector)


class Link(File):
    """A link that leads nowhere: a name is taken, and nothing is found there."""


class Directory:
    """A directory: `names` is what is seen now."""

    def __init__(self) -> None:
        self.names: dict[str, File | Directory] = {}
        self._durable: dict[str, File | Directory] = {}
        self._unsynced: list[dict[str, File | Directory | None]] = []  # what each change makes of names; None: gone

    def copy(self) -> "Directory":
        """A directory with what is seen now and below, all of it durable."""
        other = Directory()
        other.names = {name: entry.copy() for name, entry in self.names.items()}
        other.sync()
        return other

    def change(self, change: dict[str, "File | Directory | None"]) -> None:
        """Let these names be this from now on, all at once; None: gone."""
        self._unsynced.append(change)
        _apply(change, self.names)

    def sync(self) -> None:
        """Make every change durable."""
        self._durable = dict(self.names)
        self._unsynced.clear()

    def fail_sync(self) -> None:
        """A sync that fails; another one may do what it was for."""

    def cut_power(self, draw: random.Random, share: float) -> None:
        """Keep what is durable, and of the other changes some, in their order."""
        for change in self._unsynced:
            if share == KEPT or (share != LOST and draw.random() < share):
                _apply(change, self._durable)
        self.names = dict(self._durable)
        self._unsynced.clear()
        for entry in self.names.values():
            entry.cut_power(draw, share)


def _apply(change: dict[str, File | Directory | None], names: dict[str, File | Directory]) -> None:
    for name, entry in change.items():
        if entry is None:
            names.pop(name, None)
        else:
            names[name] = entry


def _one_of(versions: list[T], draw: random.Random, share: float) -> T:
    if share == LOST:
        return versions[0]
    if share == KEPT or draw.random() < share:
        return versions[-1]
    return versions[draw.randrange(len(versions))]
