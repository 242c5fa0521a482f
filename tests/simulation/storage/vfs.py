"""sqlite's own view of a simulated disk: a file system for it, written in Python.

Law: *each write, cut and sync of sqlite is an operation of the simulated disk*, as its file system for Unix does them.

There is no memory that is shared between connections, and so sqlite keeps the index of a write-ahead log to itself: a
file has one connection at a time.
"""

import random
from contextlib import suppress
from pathlib import PurePosixPath

import apsw

from tests.simulation.storage.content import File
from tests.simulation.storage.files import SimulatedDisk

NAME = "rafty-simulated"

SAFE_OVERWRITE = 0x1000
"""Of the device: a write that is cut short damages nothing beside it."""

JOURNALS = apsw.SQLITE_OPEN_WAL | apsw.SQLITE_OPEN_MAIN_JOURNAL
"""Files that sqlite also syncs the directory of, when it syncs one for the first time."""


class DatabaseFile(apsw.VFSFile):
    """One file that sqlite has open."""

    def __init__(self, disk: SimulatedDisk, path: PurePosixPath, flags: int) -> None:
        self._disk, self._path, self._life = disk, path, disk.life
        self._writable = not flags & apsw.SQLITE_OPEN_READONLY
        self._file = disk.create(path) if disk.find(path) is None else disk.file(path)
        self._new = bool(flags & apsw.SQLITE_OPEN_CREATE and flags & JOURNALS)

    def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802
        self._check()
        return bytes(self._file.data[offset : offset + amount])

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        self._check_writable()
        try:
            self._disk.write(self._file, data, offset, str(self._path))
        except OSError as error:
            raise Full(str(self._path), str(error)) from None

    def xTruncate(self, newsize: int) -> None:  # noqa: N802
        self._check_writable()
        self._disk.resize(self._file, newsize)

    def xSync(self, flags: int) -> None:  # noqa: N802
        self._check_writable()
        try:
            self._disk.sync(self._file, str(self._path))
        except OSError as error:
            raise Failed(str(self._path), str(error)) from None
        if self._new:
            self._new = False
            with suppress(OSError):  # which is what sqlite does
                self._disk.sync(self._disk.directory(self._path.parent), str(self._path.parent))

    def xFileSize(self) -> int:  # noqa: N802
        self._check()
        return len(self._file.data)

    def xLock(self, level: int) -> None:  # noqa: N802
        pass

    def xUnlock(self, level: int) -> None:  # noqa: N802
        pass

    def xCheckReservedLock(self) -> bool:  # noqa: N802
        return False

    def xFileControl(self, op: int, ptr: int) -> bool:  # noqa: N802
        return False

    def xSectorSize(self) -> int:  # noqa: N802
        return 4096

    def xDeviceCharacteristics(self) -> int:  # noqa: N802
        return SAFE_OVERWRITE

    def xClose(self) -> None:  # noqa: N802
        pass

    def _check(self) -> None:
        self._disk.check_power()
        if self._life != self._disk.life:
            raise Failed(str(self._path), "its process has ended")

    def _check_writable(self) -> None:
        self._check()
        if not self._writable:
            raise Failed(str(self._path), "it was opened to be read")


class Failed(apsw.IOError):
    """An operation on the file `path` failed."""

    def __init__(self, path: str, text: str) -> None:
        super().__init__(text)
        self.path = path


class Full(apsw.FullError):
    """An operation on the file `path` failed, for the disk is full."""

    def __init__(self, path: str, text: str) -> None:
        super().__init__(text)
        self.path = path


class SimulatedFiles(apsw.VFS):
    """The files of one disk at a time: of `disk`."""

    disk: SimulatedDisk | None = None

    def __init__(self) -> None:
        super().__init__(NAME, "", makedefault=True)
        self.salt = random.Random(0)

    def xOpen(self, name: "str | apsw.URIFilename | None", flags: list[int]) -> DatabaseFile:  # noqa: N802
        disk = self._disk()
        text = name.filename() if isinstance(name, apsw.URIFilename) else name
        path = PurePosixPath(text or "")
        disk.check_power()
        if disk.find(path) is None and not flags[0] & apsw.SQLITE_OPEN_CREATE:
            raise apsw.CantOpenError(f"{path} is not there")
        flags[1] = flags[0]
        return DatabaseFile(disk, path, flags[0])

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802
        disk, path = self.disk, PurePosixPath(filename)
        if disk is not None and disk.find(path) is not None:
            disk.remove(path)
            if syncdir:
                try:
                    disk.sync(disk.directory(path.parent), str(path.parent))
                except OSError as error:
                    raise Failed(filename, str(error)) from None

    def xAccess(self, pathname: str, flags: int) -> bool:  # noqa: N802
        """Whether it is there; sqlite takes an empty file for none."""
        found = self._disk().find(PurePosixPath(pathname))
        return isinstance(found, File) and (flags != apsw.SQLITE_ACCESS_EXISTS or bool(found.data))

    def xFullPathname(self, name: str) -> str:  # noqa: N802
        return name

    def xRandomness(self, numbytes: int) -> bytes:  # noqa: N802
        return self.salt.randbytes(numbytes)

    def _disk(self) -> SimulatedDisk:
        if self.disk is None:
            raise apsw.CantOpenError("no disk is in use")
        return self.disk


FILES = SimulatedFiles()
