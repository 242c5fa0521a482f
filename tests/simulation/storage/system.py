"""The operating system as the store sees it, on a simulated disk: `os`, `fcntl`, `shutil`, paths and threads.

Law: *only what the store uses is there, and it does what a POSIX system promises; not more.*

Everything is found by its path, which knows its disk, or by its handle; nothing here has a state of its own.
"""

import errno
import io
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import PurePosixPath
from typing import Any, BinaryIO, ClassVar, cast
from weakref import ReferenceType, ref

from tests.simulation.storage.content import Directory, File, Link
from tests.simulation.storage.files import TOP, SimulatedDisk


class DiskPath(PurePosixPath):
    """A path on a simulated disk, with what the store uses of `pathlib.Path`. Each disk has a kind of its own."""

    __slots__ = ()
    seen: ClassVar["ReferenceType[SimulatedDisk]"]

    @property
    def disk(self) -> SimulatedDisk:
        """The disk that it is on."""
        disk = self.seen()
        assert disk is not None
        return disk

    def exists(self) -> bool:
        self.disk.give_way()
        return self.disk.find(self) is not None

    def is_dir(self) -> bool:
        self.disk.give_way()
        return isinstance(self.disk.find(self), Directory)

    def resolve(self) -> "DiskPath":
        return self

    def iterdir(self) -> "Iterator[DiskPath]":
        self.disk.give_way()
        return iter([self / name for name in self.disk.directory(self).names])

    def mkdir(self, exist_ok: bool = False) -> None:
        self.disk.give_way()
        self.disk.give_way("making")
        if not exist_ok or not self.is_dir():
            self.disk.make_directory(self)

    def rmdir(self) -> None:
        self.unlink()

    def unlink(self, missing_ok: bool = False) -> None:
        if not missing_ok or self.exists():
            self.disk.remove(self)

    def rename(self, target: "DiskPath") -> None:
        self.disk.rename(self, target)

    def is_symlink(self) -> bool:
        return isinstance(self.disk.named(self), Link)

    def stat(self) -> os.stat_result:
        return _stat(self.disk.file(self))

    def open(self, mode: str = "rb", buffering: int = -1) -> BinaryIO:
        raw = RawFile(_open(self, _FLAGS[mode]), appends=mode == "ab")
        if buffering == 0:
            return cast(BinaryIO, raw)
        size = io.DEFAULT_BUFFER_SIZE if buffering < 0 else buffering
        return io.BufferedReader(raw, size) if mode == "rb" else io.BufferedWriter(cast(io.RawIOBase, raw), size)

    def read_bytes(self) -> bytes:
        return bytes(self.disk.file(self).data)

    def write_bytes(self, data: bytes) -> None:
        handle = _open(self, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        pwrite(handle, data, 0)


def _stat(file: File) -> os.stat_result:
    return os.stat_result((0, id(file), 0, 0, 0, 0, len(file.data), 0, 0, 0))


_FLAGS = {
    "rb": os.O_RDONLY,
    "xb": os.O_WRONLY | os.O_CREAT | os.O_EXCL,
    "wb": os.O_WRONLY | os.O_CREAT | os.O_TRUNC,
    "ab": os.O_WRONLY | os.O_CREAT | os.O_APPEND,
}


def top_of(disk: SimulatedDisk) -> DiskPath:
    """The path of the directory that is always there on this disk."""
    kind: type[DiskPath] = type("DiskPath", (DiskPath,), {"seen": ref(disk), "__slots__": ()})
    return kind("/") / TOP


class Handle:
    """What somebody has open. It is dead when the life of the process that opened it has ended."""

    def __init__(self, disk: SimulatedDisk, entry: File | Directory, name: str) -> None:
        self.disk, self.entry, self.name = disk, entry, name
        self.life = disk.life
        self.is_closed = False

    @property
    def is_alive(self) -> bool:
        return self.life == self.disk.life and not self.is_closed

    def file(self) -> File:
        """The file; raises `OSError` if it is none, or dead."""
        if not self.is_alive or not isinstance(self.entry, File):
            raise OSError(errno.EBADF, "not an open file", self.name)
        return self.entry


def _open(path: DiskPath, flags: int, mode: int = 0o666) -> Handle:
    disk = path.disk
    disk.check_power()
    disk.give_way()
    entry = disk.find(path)
    if entry is None and flags & os.O_CREAT:
        entry = disk.create(path)
    elif entry is not None and flags & os.O_EXCL:
        raise FileExistsError(errno.EEXIST, "exists", str(path))
    if entry is None:
        raise FileNotFoundError(errno.ENOENT, "no such file", str(path))
    if flags & os.O_TRUNC and isinstance(entry, File):
        disk.resize(entry, 0)
    return Handle(disk, entry, str(path))


def pwrite(handle: Handle, data: bytes, offset: int) -> int:
    handle.disk.write(handle.file(), data, offset, handle.name)
    return len(data)


class RawFile(io.RawIOBase):
    """A file that is read or written from its position on. What is left in a buffer by a dead process goes nowhere."""

    def __init__(self, handle: Handle, *, appends: bool = False) -> None:
        self._handle = handle
        self._place = len(handle.file().data) if appends else 0
        self.name = handle.name

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: len(self._handle.file().data)}[whence]
        self._place = start + offset
        return self._place

    def readinto(self, buffer: "memoryview | bytearray") -> int:  # type: ignore[override]
        data = self._handle.file().data[self._place : self._place + len(buffer)]
        buffer[: len(data)] = data
        self._place += len(data)
        return len(data)

    def write(self, data: "bytes | bytearray | memoryview") -> int:  # type: ignore[override]
        handle = self._handle
        count = len(data)
        if handle.is_alive and not handle.disk.is_off:
            count = handle.disk.write_some(handle.file(), bytes(data), self._place, handle.name)
        self._place += count
        return count


class SimulatedOs:
    """What the store uses of `os`."""

    O_RDONLY, O_WRONLY, O_RDWR = os.O_RDONLY, os.O_WRONLY, os.O_RDWR
    O_CREAT, O_CLOEXEC, O_DIRECTORY = os.O_CREAT, os.O_CLOEXEC, os.O_DIRECTORY
    SEEK_END, R_OK = os.SEEK_END, os.R_OK
    open = staticmethod(_open)
    pwrite = staticmethod(pwrite)

    @staticmethod
    def close(handle: Handle) -> None:
        handle.is_closed = True

    @staticmethod
    def fsync(handle: Handle) -> None:
        handle.disk.check_power()
        if not handle.is_alive:
            raise OSError(errno.EBADF, "not open", handle.name)
        handle.disk.sync(handle.entry, handle.name)

    @staticmethod
    def pread(handle: Handle, count: int, offset: int) -> bytes:
        return bytes(handle.file().data[offset : offset + count])

    @staticmethod
    def ftruncate(handle: Handle, size: int) -> None:
        handle.disk.resize(handle.file(), size)

    @staticmethod
    def access(path: DiskPath, how: int) -> bool:
        return path.exists()

    @staticmethod
    def fstat(handle: Handle) -> os.stat_result:
        return _stat(handle.file())

    @staticmethod
    def getpid() -> int:
        return 4711


class SimulatedFcntl:
    """What the store uses of `fcntl`."""

    LOCK_SH, LOCK_EX, LOCK_NB = 1, 2, 4

    @staticmethod
    def flock(handle: Handle, how: int) -> None:
        file = handle.file()
        handle.disk.give_way()
        if isinstance(file.owner, Handle) and file.owner.is_alive:
            raise BlockingIOError(errno.EAGAIN, "locked", handle.name)
        if how & SimulatedFcntl.LOCK_EX:
            file.owner = handle


class SimulatedShutil:
    """What the store uses of `shutil`."""

    @staticmethod
    def rmtree(path: DiskPath) -> None:
        for entry in path.iterdir():
            if entry.is_dir():
                SimulatedShutil.rmtree(entry)
            else:
                entry.unlink()
        path.unlink()


class NothingToDo(BaseException):
    """A thread has come to where it would wait."""


class Event(threading.Event):
    """An event that nobody waits for: whoever would wait is given up for now."""

    def wait(self, timeout: float | None = None) -> bool:
        if not self.is_set():
            raise NothingToDo
        return True


class Thread:
    """A thread that runs when it is told to, from its start to where it would wait for an `Event`."""

    def __init__(self, target: Callable[[], None], **_: Any) -> None:
        self._target = target

    def start(self) -> None:
        pass

    def join(self) -> None:
        self.run()

    def run(self) -> None:
        """Do what there is to do."""
        with suppress(NothingToDo):
            self._target()


class SimulatedThreading:
    """What the store uses of `threading`, in one thread."""

    Thread = Thread
    Event = Event
    Lock = staticmethod(threading.Lock)
