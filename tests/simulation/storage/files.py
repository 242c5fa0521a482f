"""A simulated disk: a tree of files, the operations on it, and what goes wrong with each of them.

Law: *any operation may be the last one before power is lost*, and whoever had a file open then changes nothing more.
"""

import errno
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import Any, Literal, NoReturn

from tests.simulation.storage.content import KEPT, LOST, SECTOR, Directory, File, Link
from tests.simulation.storage.faults import NO_FAULTS, DiskFaults, PowerCut

BLOCK = 4096
"""Bytes of a page of the database."""

TOP = "disk"
"""The one directory that is always there."""


Moment = Literal["operation", "before", "renamed", "making"]
"""When another one may come in between: after an operation that changes something, before something that is asked of
the operating system, after a rename, or before a directory is made."""

OPERATIONS = frozenset[Moment](("operation",))
ANYWHERE = frozenset[Moment](("operation", "before"))
RENAMES = frozenset[Moment](("renamed",))
MAKING = frozenset[Moment](("making",))
"""Kinds of moments."""


class SimulatedDisk:
    """A disk and the operating system's view of it.

    draw    where chance comes from; may be another one at each call
    faults  what goes wrong by itself
    """

    def __init__(self, draw: random.Random, faults: DiskFaults = NO_FAULTS) -> None:
        self.draw = draw
        self.faults = faults
        self.life = 0
        """Counts the lives of the process that uses the disk; what an earlier one had open is dead."""
        self.is_off = False
        self.operations = self.failures = 0
        """How many operations there were that change something, and how many were made to fail."""
        self.connections: dict[str, Any] = {}
        """By path, what the process that uses the disk has connected to databases."""
        self._left: int | None = None  # operations until power is cut
        self._meanwhile: tuple[int, Callable[[], bool]] | None = None
        self._moments = OPERATIONS
        self._root = Directory()
        self._root.change({TOP: Directory()})
        self._root.sync()

    # --------------------------------------------------------------------- ends

    def cut_after(self, operations: int | None) -> None:
        """Let power be cut at the operation after so many; None: not at all."""
        self._left = operations

    def meanwhile(self, moments: int, call: Callable[[], bool], of: frozenset[Moment] = OPERATIONS) -> None:
        """After so many moments of these kinds another thread comes in between: `call` is called, until it says that
        it is done."""
        self._meanwhile, self._moments = (moments, call), of

    def nothing_meanwhile(self) -> None:
        """No other thread comes in between any more."""
        self._meanwhile = None

    def lose_power(self, share: float | None = None) -> None:
        """Power was lost and is back: of what was not synced this share is there; None: any."""
        if share is None:
            share = self.draw.choice((LOST, KEPT, 0.5, self.draw.random()))
        self._root.cut_power(self.draw, share)
        self.end_process()

    def end_process(self) -> None:
        """The process has ended, whatever it was doing, and the operating system lives on."""
        self.life += 1
        self.is_off = False
        self._left = self._meanwhile = None

    def flip(self, path: PurePosixPath) -> None:
        """Flip one bit of this file, durably: anywhere, or of what stands in some block, for many are nearly empty."""
        file = self.file(path)
        if file.data:
            place = self.draw.randrange(len(file.data))
            if self.draw.random() < 0.5:
                start = place - place % BLOCK
                block = file.data[start : start + BLOCK]
                place = start + self.draw.choice([at for at, byte in enumerate(block) if byte] or [place - start])
            file.data[place] ^= 1 << self.draw.randrange(8)

    def image(self) -> Directory:
        """All that is seen now."""
        return self._root.copy()

    def put_back(self, image: Directory) -> None:
        """Let the disk hold what it held when this image was taken; nobody uses it now."""
        self._root = image.copy()

    @contextmanager
    def copied(self) -> Iterator[None]:
        """In this block all is done on a copy, with what is seen now, all of it durable; after it all is as before."""
        root, self._root = self._root, self._root.copy()
        try:
            yield
        finally:
            self._root = root

    # -------------------------------------------------------------------- names

    def find(self, path: PurePosixPath) -> File | Directory | None:
        """What is found under this name; None: nothing is."""
        entry = self.named(path)
        return None if isinstance(entry, Link) else entry

    def named(self, path: PurePosixPath) -> File | Directory | None:
        """What has this name, be it a link; None: nothing has."""
        entry: File | Directory | None = self._root
        for name in path.parts[1:]:
            if not isinstance(entry, Directory):
                return None
            entry = entry.names.get(name)
        return entry

    def file(self, path: PurePosixPath) -> File:
        """The file of this name. Raises `OSError` if there is none."""
        found = self.find(path)
        if found is None:
            raise FileNotFoundError(errno.ENOENT, "no such file", str(path))
        if not isinstance(found, File):
            raise IsADirectoryError(errno.EISDIR, "is a directory", str(path))
        return found

    def directory(self, path: PurePosixPath) -> Directory:
        """The directory of this name. Raises `OSError` if there is none."""
        found = self.find(path)
        if found is None:
            raise FileNotFoundError(errno.ENOENT, "no such directory", str(path))
        if not isinstance(found, Directory):
            raise NotADirectoryError(errno.ENOTDIR, "not a directory", str(path))
        return found

    def walk(self, path: PurePosixPath) -> Iterator[PurePosixPath]:
        """The paths of all files below this one."""
        found = self.find(path)
        if isinstance(found, File):
            yield path
        elif found is not None:
            for name in sorted(found.names):
                yield from self.walk(path / name)

    def create(self, path: PurePosixPath) -> File:
        """A new and empty file of this name."""
        file = File()
        self._change(path, {path.name: file})
        return file

    def link(self, path: PurePosixPath) -> None:
        """A link of this name that leads nowhere."""
        self._change(path, {path.name: Link()})

    def make_directory(self, path: PurePosixPath) -> None:
        """A new and empty directory of this name."""
        if self.find(path) is not None:
            raise FileExistsError(errno.EEXIST, "exists", str(path))
        self._change(path, {path.name: Directory()})

    def remove(self, path: PurePosixPath) -> None:
        """Take this name away. Raises `OSError` for a directory in which something is."""
        self.give_way()
        entry = self.named(path)
        if entry is None:
            raise FileNotFoundError(errno.ENOENT, "no such file", str(path))
        if isinstance(entry, Directory) and entry.names:
            raise OSError(errno.ENOTEMPTY, "not empty", str(path))
        self._change(path, {path.name: None})
        self._end_after(self.faults.removing)

    def rename(self, before: PurePosixPath, after: PurePosixPath) -> None:
        """Give what has the one name the other name, in the same directory, in place of what had that."""
        if before.parent != after.parent:
            raise NotImplementedError("nothing is moved to another directory")
        self.give_way()
        entry = self.find(before)
        if entry is None:
            raise FileNotFoundError(errno.ENOENT, "no such file", str(before))
        if isinstance(entry, Directory) and self.find(after) is not None:
            raise FileExistsError(errno.EEXIST, "exists", str(after))
        self._change(before, {before.name: None, after.name: entry})
        self._let_others("renamed")
        self._end_after(self.faults.moving if isinstance(entry, Directory) else self.faults.renaming)

    # ------------------------------------------------------------------ content

    def write(self, file: File, data: bytes, offset: int, name: str = "") -> None:
        """Write to a file. Raises `OSError` when the disk is full: a part may have been written."""
        if self._chance(self.faults.full):
            end = offset + self.draw.randrange(len(data) + 1)
            file.write(data[: max(0, end - end % SECTOR - offset)], offset)
            raise OSError(errno.ENOSPC, "the disk is full", name)
        file.write(data, offset)
        self._count()

    def write_some(self, file: File, data: bytes, offset: int, name: str = "") -> int:
        """Write to a file, but only a part of it at times; returns how many bytes. Raises `OSError` as `write` does."""
        some = data
        if len(data) > 1 and self.faults.short and self.draw.random() < self.faults.short:
            some = data[: self.draw.randrange(1, len(data))]
        self.write(file, some, offset, name)
        return len(some)

    def resize(self, file: File, size: int) -> None:
        """Cut a file off, or make it longer."""
        file.resize(size)
        self._count()

    def sync(self, entry: File | Directory, name: str = "") -> None:
        """Make a file or a directory durable. Raises `OSError`, and then never does it."""
        self._count()
        if self._chance(self.faults.sync_failing):
            entry.fail_sync()
            raise OSError(errno.EIO, "a sync failed", name)
        entry.sync()

    def give_way(self, moment: Moment = "before") -> None:
        """Something is about to be looked for, opened, locked, made, removed or renamed: others may come in between."""
        self._let_others(moment)

    def check_power(self) -> None:
        """Raise `PowerCut` if there is none."""
        if self.is_off:
            raise PowerCut

    def _change(self, path: PurePosixPath, change: dict[str, File | Directory | None]) -> None:
        self.check_power()
        self.directory(path.parent).change(change)
        self._count()

    def _chance(self, probability: float) -> bool:
        self.check_power()
        fails = probability > 0 and self.draw.random() < probability
        self.failures += fails
        return fails

    def _end_after(self, probability: float) -> None:
        if probability and self.draw.random() < probability:
            self._cut_power()

    def _cut_power(self) -> NoReturn:
        self.is_off = True
        raise PowerCut

    def _count(self) -> None:
        self.check_power()
        self.operations += 1
        if self._left is not None:
            self._left -= 1
            if self._left < 0:
                self._cut_power()
        self._let_others("operation")

    def _let_others(self, moment: Moment) -> None:
        if self._meanwhile is not None and moment in self._moments:
            moments, call = self._meanwhile
            self._meanwhile = None
            if moments > 0 or not call():
                self._meanwhile = (moments - 1, call)
