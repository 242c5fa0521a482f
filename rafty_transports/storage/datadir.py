"""One directory on one disk belongs to one node and to one process at a time.

Law: *a data directory is created whole or not at all, is never created a second time, and has one user.*

Everything that a store keeps lies in it: the database, its write-ahead log, the mark, the lock, the snapshots. A name
in a directory is durable only once the directory itself is synced (fault F111); a file gets its final name only once
its content is durable. A directory that once held promises and holds them no more is refused, not begun anew (fault
F116).
"""

import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from os.path import abspath, samestat
from pathlib import Path

from rafty_transports.storage.errors import RESTORE, DataDirectoryInUse, DataDirectoryUnusable, LostWrites
from rafty_transports.storage.mark import new_mark, read_mark

DATABASE = "raft.db"
NEW_DATABASE = "new-raft.db"
MARK = "mark"
NEW_MARK = "new-mark"
LOCK = "lock"
SNAPSHOTS = "snapshots"

RECOVERED = ".recovered"
"""Ends the name of a data directory that a recovery has built, and that has not taken its place yet."""

KEPT = ".before-recovery"
"""Ends the name under which the old data directory is kept."""

PIECE = 1 << 20
"""Bytes that are written anew at once."""

HALF_MADE = frozenset((LOCK, MARK, NEW_MARK, *(NEW_DATABASE + end for end in ("", "-wal", "-shm", "-journal"))))
"""What a creation that a crash interrupted may leave behind, before it promised anything."""

HARMLESS = frozenset(("lost+found",))
"""What the file system itself puts into an empty directory."""


def sync_directory(path: Path) -> None:
    """Make the names in this directory durable."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_file(path: Path) -> None:
    """Make the content of this file durable."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_anew(path: Path) -> None:
    """Make the content of this file durable even where a sync of it has failed before: it is written over itself.

    After such a failure the operating system shows what is not on the disk, and takes it for clean (fault F108).
    """
    handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        offset = 0
        while piece := os.pread(handle, PIECE, offset):
            offset += os.pwrite(handle, piece, offset)
        os.fsync(handle)
    finally:
        os.close(handle)


def put_in_place(temporary: Path, final: Path) -> None:
    """Give a finished file its final name, durably: content first, then the name (fault F111)."""
    sync_file(temporary)
    temporary.rename(final)
    sync_directory(final.parent)


def is_taken(path: Path) -> bool:
    """Whether anything has this name, be it a link that leads nowhere."""
    return path.exists() or path.is_symlink()


@contextmanager
def written_anew(final: Path) -> Iterator[Path]:
    """Let the block write what is to be the file `final`, under the path that it is given: `final` with ".new" behind
    its name. If the block ends well, give it its final name, durably.

    Nobody else writes there meanwhile (R187), and what a kill leaves there is written anew. Raises `FileExistsError` if
    another process is writing it, or if `final` is there by the end.
    """
    temporary = final.with_name(f"{final.name}.new")
    handle = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FileExistsError(f"{final} is just being written by another process; give another name") from None
        if not _is_open_as(handle, temporary):
            raise FileExistsError(f"{final} has just been written, or given up, by another process; look again")
        try:
            yield temporary
            if is_taken(final):
                raise FileExistsError(f"{final} has come to be there meanwhile; give another name")
            put_in_place(temporary, final)
        except BaseException:
            if _is_open_as(handle, temporary):  # or it has its final name, and the next may be under way
                temporary.unlink()
            raise
    finally:
        os.close(handle)


def _is_open_as(handle: int, path: Path) -> bool:
    """Whether the file that is open is the one that has this name now."""
    try:
        return samestat(path.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False


class DataDirectory:
    """A data directory, locked from `lock` until `release`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: int | None = None

    @property
    def database(self) -> Path:
        """Where the database is."""
        return self.path / DATABASE

    @property
    def mark(self) -> Path:
        """Where the mark is."""
        return self.path / MARK

    @property
    def snapshots(self) -> Path:
        """Where the files of snapshots are."""
        return self.path / SNAPSHOTS

    @property
    def kept(self) -> Path:
        """Where a recovery in place keeps what was here."""
        return self._beside(KEPT)

    @property
    def recovered(self) -> Path:
        """Where a recovery in place builds what takes its place here."""
        return self._beside(RECOVERED)

    def _beside(self, end: str) -> Path:
        path = type(self.path)(abspath(self.path))  # "." has a name, too
        return path.with_name(path.name + end)

    def has_both(self) -> bool:
        """Whether beside this directory there is what a recovery has built, and what it has kept."""
        try:
            return self.kept.exists() and self.recovered.exists()
        except (ValueError, OSError) as error:  # the root of a file system, or a name that is nearly too long
            if isinstance(error, OSError) and error.errno != errno.ENAMETOOLONG:
                raise
            return False

    def is_half_recovered(self) -> bool:
        """Whether a recovery in place was done but for the rename that puts the new directory here. Raises as `exists`
        does."""
        return not self._is_there() and self.has_both()

    def exists(self) -> bool:
        """Whether a store is here; False where one may be created.

        Raises `DataDirectoryUnusable` or `LostWrites` where neither is the case. Changes nothing.
        """
        if self._is_there():
            return True
        if self.has_both():  # who began anew here would know nothing of what it promised (R197)
            raise DataDirectoryUnusable(
                f"{self.path} is just being recovered, or its recovery has broken off: `rafty recover` finishes it; if "
                f"that was long ago, move {self.recovered} elsewhere"
            )
        return self._is_there()  # a recovery may have put it there since

    def _is_there(self) -> bool:
        if self.database.exists():
            return True
        try:
            names = {entry.name for entry in self.path.iterdir()}
        except FileNotFoundError:
            return False
        except NotADirectoryError:
            raise DataDirectoryUnusable(f"{self.path} is not a directory; give the path of a data directory") from None
        if DATABASE in names:
            return True
        mark = read_mark(self.mark)
        if mark is not None and mark[0] > 0:
            raise LostWrites(
                f"{self.path} has a mark that says {mark[0]}, but {DATABASE} is gone: what this node promised is lost "
                f"unless the file is put back; {RESTORE}"
            )
        known = HALF_MADE | HARMLESS | (frozenset() if mark is None else {SNAPSHOTS})
        foreign = sorted(names - known)
        if foreign:
            raise DataDirectoryUnusable(
                f"{self.path} holds no store but is not empty ({', '.join(foreign[:3])}); give an empty directory"
            )
        return False

    def make(self) -> None:
        """Make the directory itself, if it is not there; its name is durable then, even if it was (R130).

        Who made it before may have come to its end, or its sync may have failed. Where the parent must not be read,
        whoever made it there is trusted.
        """
        if self.path.exists():
            self.sync_name()
        else:
            self.path.mkdir(exist_ok=True)  # another one may make it, too
            sync_directory(self.path.parent)

    def sync_name(self) -> None:
        """Make the name of the directory durable, if its parent may be read."""
        if os.access(self.path.parent, os.R_OK):
            sync_directory(self.path.parent)

    def lock(self) -> None:
        """Lock the directory for this process.

        Raises `DataDirectoryInUse` if another store has it open, or has just moved or removed it: what is locked then
        is the lock of another directory (R194).
        """
        try:
            handle = os.open(self.path / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except FileNotFoundError:
            raise DataDirectoryInUse(self._moved) from None
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                owner = os.pread(handle, 32, 0).strip()
                process = owner.decode() if owner.isdigit() else "unknown"
                raise DataDirectoryInUse(
                    f"{self.path} is in use by process {process}; a data directory has one process at a time"
                ) from None
            if not _is_open_as(handle, self.path / LOCK):
                raise DataDirectoryInUse(self._moved)
        except BaseException:
            os.close(handle)
            raise
        self._lock = handle

    @property
    def _moved(self) -> str:
        return f"{self.path} has just been moved, removed or made anew by another process; look again"

    def lock_store(self) -> None:
        """Lock the directory for this process, as `lock` does; raises `DataDirectoryInUse`, too, if the store that was
        here has just been removed."""
        self.lock()
        if not self.exists():
            raise DataDirectoryInUse(self._moved)

    def sign(self) -> None:
        """Note in the locked directory that this process uses it; only once it is sure that it will."""
        if self._lock is not None:
            os.ftruncate(self._lock, 0)
            os.pwrite(self._lock, f"{os.getpid()}\n".encode(), 0)

    def remove(self) -> None:
        """Remove the locked directory, whose store is gone; its lock last, so that nobody comes before (R195)."""
        if self.snapshots.is_dir():
            shutil.rmtree(self.snapshots)
        sync_directory(self.path)
        for path in self.path.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif path.name != LOCK:
                path.unlink()
        (self.path / LOCK).unlink()
        try:
            self.path.rmdir()
        except OSError as error:
            if error.errno != errno.ENOTEMPTY:
                raise
            raise DataDirectoryInUse(self._moved) from None

    def release(self) -> None:
        """Let other processes use the directory; harmless if they may already."""
        handle, self._lock = self._lock, None
        if handle is not None:
            os.close(handle)

    def begin_creation(self) -> Path:
        """Note durably that a creation began; return the path where the new database is to be built."""
        for name in HALF_MADE - {LOCK, MARK}:
            (self.path / name).unlink(missing_ok=True)
        if self.snapshots.is_dir():
            shutil.rmtree(self.snapshots)
        temporary = self.path / NEW_MARK
        temporary.write_bytes(new_mark(0, 0))
        put_in_place(temporary, self.mark)
        return self.path / NEW_DATABASE

    def finish_creation(self) -> None:
        """Put the new database in its place."""
        put_in_place(self.path / NEW_DATABASE, self.database)
