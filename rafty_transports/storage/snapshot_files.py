"""Snapshots on the disk, each a file that is there whole and durable, or not at all.

Law: *a snapshot gets its final name only once its content is durable, and none goes that the log may rest on.*

A file is written under a temporary name; its content is synced, then it is renamed, then the directory is synced
(faults F82, F83, F111). Names are made from index and term alone, and a file is found by looking at what is stored,
so nothing that came over the wire can name anything else (fault F131). A file that no write has named yet, for the
process ended in between, is harmless (fault F119).

Big files are read and written outside of any lock. A snapshot that is being received lies in one file that grows, with
a note beside it of what was announced, so that it goes on after a restart; what of it a power failure took is found by
its digest at the end.
"""

import json
import os
import re
import threading
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from rafty_core.stable import Snapshot
from rafty_transports.interfaces import SnapshotInfo
from rafty_transports.storage.datadir import put_in_place, sync_directory, sync_file
from rafty_transports.storage.errors import StoreClosed, StoreError
from rafty_transports.storage.snapshot_format import (
    PIECE,
    Encoder,
    SnapshotFile,
    body_of,
    check_announced,
    check_cluster,
    check_numbers,
    check_stored,
    look,
    verify,
)

FINAL = re.compile(r"([0-9]{20})-([0-9]{20})\.snap")
INCOMING = "incoming"
ANNOUNCED = "announced"
NEW_ANNOUNCED = "new-announced"

Key = tuple[int, int]


def name_of(snapshot: Snapshot) -> str:
    """The final name of the file of this snapshot. Raises `ValueError` unless it is made of numbers (fault F131)."""
    check_numbers(snapshot)
    return f"{snapshot.index:020d}-{snapshot.term:020d}.snap"


class SnapshotFiles:
    """The `SnapshotStore` of a data directory; files lie in `path`, which is made when it is first needed.

    cluster_id, node_id  stand in the files that are written, and the cluster is checked in those that come in
    named                tells the index of the snapshot that the log starts behind
    """

    def __init__(self, path: Path, cluster_id: str, node_id: str, named: Callable[[], int]) -> None:
        self.path = path
        self.cluster_id = cluster_id
        self.node_id = node_id
        self._named = named
        self._lock = threading.Lock()
        self._closed = False
        self._counter = 0
        self._made = False  # whether the name of `path` is known to be durable
        self._receiver: FileReceiver | None = None
        self._files: dict[Key, SnapshotFile] = {}
        self._tidy()

    def _tidy(self) -> None:
        """Learn what is stored; remove what an end in the midst of writing left behind."""
        if not self.path.is_dir():
            return
        for entry in list(self.path.iterdir()):
            match = FINAL.fullmatch(entry.name)
            if match is not None:
                try:
                    with entry.open("rb") as file:
                        found = look(file, entry)
                except StoreError:
                    continue  # nobody rests on it: the one that the log starts behind was looked at before
                if name_of(found.info.snapshot) == entry.name:
                    self._files[int(match[1]), int(match[2])] = found
            elif entry.name.endswith(".new") or entry.name == NEW_ANNOUNCED:
                entry.unlink()
        if not (self.path / ANNOUNCED).exists():
            (self.path / INCOMING).unlink(missing_ok=True)
        sync_directory(self.path)  # an end may have come between the rename of a file and this (R131)

    def infos(self) -> list[SnapshotInfo]:
        """What is stored, the newest first. Says nothing of damage that `open` would find."""
        with self._lock:
            return [file.info for _, file in sorted(self._files.items(), reverse=True)]

    def create(self, snapshot: Snapshot) -> "FileWriter":
        """Begin to write the snapshot that the state machine is at. Raises `OSError`."""
        name_of(snapshot)
        return FileWriter(self, self._temporary(), snapshot)

    def open(self, index: int, term: int) -> BinaryIO:
        """The state machine's image, verified before this returns; see `SnapshotStore.open`."""
        file = self._open_file(index, term)
        try:
            found = verify(file, self.path / file.name)
            check_cluster(found, self.cluster_id, self.path / file.name)
            return body_of(file, found)
        except BaseException:
            file.close()
            raise

    def read(self, index: int, term: int, offset: int, count: int) -> bytes:
        """Bytes of the whole file, for another node. Raises `LookupError` if it is not here (any more)."""
        with self._open_file(index, term) as file:
            file.seek(offset)
            return file.read(count)

    def receive(self, snapshot: Snapshot, size: int, digest: str) -> "FileReceiver":
        """Begin, or go on, to take in a snapshot of another node: of these bytes exactly. Raises `OSError`."""
        name_of(snapshot)
        announced = {
            "index": snapshot.index,
            "term": snapshot.term,
            "configuration": snapshot.configuration.encode().decode(),
            "size": size,
            "digest": digest,
        }
        note = json.dumps(announced, sort_keys=True).encode()
        with self._lock:
            self.check_open()
            before, self._receiver = self._receiver, None
            if before is not None:
                before.release()
            self._make()
            if not self._is_announced(note, size):
                (self.path / INCOMING).unlink(missing_ok=True)
                (self.path / NEW_ANNOUNCED).write_bytes(note)
                put_in_place(self.path / NEW_ANNOUNCED, self.path / ANNOUNCED)
            self._receiver = FileReceiver(self, snapshot, size, digest)
            return self._receiver

    def retain(self, most: int, needed: Collection[int] = ()) -> None:
        """Remove all but the newest `most`, the one that the log starts behind, and those of the indexes `needed`.

        Those that are newer than the one that the log starts behind stay too: a write that is under way may name them.
        """
        with self._lock:
            self.check_open()
            named = self._named()
            surplus = [key for key in sorted(self._files, reverse=True)[most:] if key[0] not in needed]
            for key in [key for key in surplus if key[0] < named]:
                (self.path / name_of(self._files[key].info.snapshot)).unlink(missing_ok=True)
                del self._files[key]

    def check_stored(self, snapshot: Snapshot) -> None:
        """Raise `WriteRefused` unless this snapshot is stored, durable, with this configuration (faults F80, F82)."""
        check_stored(snapshot, self.infos())

    def close(self) -> None:
        """Give nothing a final name from now on."""
        with self._lock:
            self._closed = True
            if self._receiver is not None:
                self._receiver.release()

    def settle(self, temporary: Path, found: SnapshotFile, receiver: "FileReceiver | None" = None) -> None:
        """Give a finished file its final name, durably.

        Raises `ValueError` if it was received, and what comes in now is another one: the name is that one's (R120).
        """
        snapshot = found.info.snapshot
        sync_file(temporary)  # this may take long, and so it is not done under the lock
        with self._lock:
            self.check_open()
            if receiver is not self._receiver and receiver is not None:
                raise ValueError("another snapshot was begun meanwhile")
            put_in_place(temporary, self.path / name_of(snapshot))
            self._files[snapshot.index, snapshot.term] = found

    def drop(self, receiver: "FileReceiver") -> None:
        """What this one received is not wanted any more."""
        with self._lock:
            if self._receiver is receiver:
                self._receiver = None
                (self.path / ANNOUNCED).unlink(missing_ok=True)
                (self.path / INCOMING).unlink(missing_ok=True)

    def _is_announced(self, note: bytes, size: int) -> bool:
        try:
            found = (self.path / ANNOUNCED).read_bytes()
            return found == note and (self.path / INCOMING).stat().st_size <= size
        except FileNotFoundError:
            return False

    def _temporary(self) -> Path:
        with self._lock:
            self.check_open()
            self._make()
            self._counter += 1
            return self.path / f"{self._counter}.new"

    def _make(self) -> None:
        if not self._made:
            if not self.path.is_dir():
                self.path.mkdir()
            sync_directory(self.path.parent)  # the name may be there and not be durable, since a sync failed (R131)
            self._made = True

    def _open_file(self, index: int, term: int) -> BinaryIO:
        with self._lock:
            self.check_open()
            found = self._files.get((index, term))
            if found is None:
                raise LookupError(f"there is no snapshot of index {index!r:.80} and term {term!r:.80} here")
            return (self.path / name_of(found.info.snapshot)).open("rb")

    def check_open(self) -> None:
        """Raise `StoreClosed` if it is."""
        if self._closed:
            raise StoreClosed(f"the store of {self.path} is closed")


class FileWriter:
    """A `SnapshotWriter` to a temporary file. What raises `OSError`, a full disk say, leaves nothing behind (F110)."""

    def __init__(self, store: SnapshotFiles, temporary: Path, snapshot: Snapshot) -> None:
        self._store = store
        self._temporary = temporary
        self._file: BinaryIO | None = temporary.open("xb", buffering=PIECE)
        try:
            self._encoder = Encoder(self._file, snapshot, store.cluster_id, store.node_id)
        except BaseException:
            self.abort()
            raise

    def write(self, data: bytes, /) -> int:
        """Append these bytes of the state machine's image; returns how many. Raises `OSError`."""
        self._check_begun()
        try:
            self._store.check_open()  # a long image ends with its node, and leaves nothing (R126)
            self._encoder.body(data)
        except BaseException:
            self.abort()
            raise
        return len(data)

    def finish(self) -> SnapshotInfo:
        """Make it durable under its final name: content synced, renamed, directory synced. Raises `OSError`."""
        file = self._check_begun()
        try:
            info = self._encoder.end()
            file.close()
            with self._temporary.open("rb") as written:
                found = look(written, self._temporary)
            self._store.settle(self._temporary, found)
        except BaseException:
            self.abort()
            raise
        self._file = None
        return info

    def abort(self) -> None:
        """Leave nothing behind. Harmless after `finish`."""
        file, self._file = self._file, None
        if file is None:
            return
        self._temporary.unlink(missing_ok=True)
        with suppress(OSError):  # it writes what is buffered, and so may fail; the file has no name any more
            file.close()

    def _check_begun(self) -> BinaryIO:
        if self._file is None:
            raise ValueError("this snapshot was finished or given up before")
        return self._file


class FileReceiver:
    """A `SnapshotReceiver` into the file of what is coming in; one at a time, and the newest one counts."""

    def __init__(self, store: SnapshotFiles, snapshot: Snapshot, size: int, digest: str) -> None:
        self._store = store
        self._snapshot = snapshot
        self._size = size
        self._digest = digest
        self._path = store.path / INCOMING
        self._file: BinaryIO | None = self._path.open("ab", buffering=0)
        self.offset = self._file.seek(0, os.SEEK_END)

    def write(self, offset: int, data: bytes) -> None:
        """Take the bytes at `offset`, which must be where the last ones ended. Raises `ValueError` for others.

        Raises `OSError` if the disk takes none or only some of them; what it took counts.
        """
        file = self._check_begun()
        if offset != self.offset or offset + len(data) > self._size:
            raise ValueError(f"bytes {offset} to {offset + len(data)} do not follow {self.offset} of {self._size}")
        left = memoryview(data)
        while left:
            count = file.write(left)
            self.offset += count
            left = left[count:]

    def finish(self) -> SnapshotInfo:
        """Verify size, digest and content, then make it durable under its final name; see `SnapshotReceiver`.

        Raises `OSError` if the disk fails; what a failed sync was for is asked for again from the beginning.
        """
        self._check_begun()
        try:
            with self._path.open("rb") as file:
                found = verify(file, f"the snapshot {self._snapshot.index} that was received")
            check_announced(found, SnapshotInfo(self._snapshot, self._size, self._digest), self._store.cluster_id)
        except OSError:
            raise
        except BaseException:
            self.abort()
            raise
        try:
            self._store.settle(self._path, found, self)
        finally:
            self.abort()  # even if only a sync failed: another one would say that all is well, and it is not (R174)
        return found.info

    def abort(self) -> None:
        """Leave nothing behind. Harmless after `finish`."""
        if self._file is not None:
            self.release()
            self._store.drop(self)

    def release(self) -> None:
        """Let go of the file, and leave it for whoever goes on with it."""
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def _check_begun(self) -> BinaryIO:
        if self._file is None:
            raise ValueError("this snapshot was finished or given up before, or another one was begun")
        return self._file
