"""Snapshots in memory: the same contract as on disk, for a store that ends with its process.

Law: *what is kept are the bytes of a whole file, so that two stores can hand it to each other, and damage is found.*
"""

import io
import threading
from collections.abc import Callable, Collection
from typing import BinaryIO

from rafty_core.stable import Snapshot
from rafty_transports.interfaces import SnapshotInfo
from rafty_transports.storage.snapshot_format import (
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

Key = tuple[int, int]


class MemorySnapshots:
    """The `SnapshotStore` of a `MemoryStore`. `named` tells the index of the snapshot that the log starts behind."""

    def __init__(self, cluster_id: str, node_id: str, named: Callable[[], int]) -> None:
        self.cluster_id = cluster_id
        self.node_id = node_id
        self._named = named
        self._lock = threading.Lock()
        self._files: dict[Key, tuple[SnapshotFile, bytes]] = {}
        self._receiver: MemoryReceiver | None = None

    def copied(self, named: Callable[[], int]) -> "MemorySnapshots":
        """The same snapshots for the store of the next start."""
        again = MemorySnapshots(self.cluster_id, self.node_id, named)
        with self._lock:
            again._files = dict(self._files)
        return again

    def infos(self) -> list[SnapshotInfo]:
        """What is stored, the newest first."""
        with self._lock:
            return [found.info for _, (found, _) in sorted(self._files.items(), reverse=True)]

    def create(self, snapshot: Snapshot) -> "MemoryWriter":
        """Begin to write the snapshot that the state machine is at."""
        check_numbers(snapshot)
        return MemoryWriter(self, snapshot)

    def open(self, index: int, term: int) -> BinaryIO:
        """The state machine's image, verified before this returns; see `SnapshotStore.open`."""
        file, where = io.BytesIO(self._bytes(index, term)), f"the snapshot {index}"
        found = verify(file, where)
        check_cluster(found, self.cluster_id, where)
        return body_of(file, found)

    def read(self, index: int, term: int, offset: int, count: int) -> bytes:
        """Bytes of the whole file. Raises `LookupError` if it is not here (any more)."""
        return self._bytes(index, term)[offset : offset + count]

    def receive(self, snapshot: Snapshot, size: int, digest: str) -> "MemoryReceiver":
        """Begin, or go on, to take in a snapshot of another node: of these bytes exactly."""
        check_numbers(snapshot)
        announced = SnapshotInfo(snapshot, size, digest)
        with self._lock:
            before = self._receiver
            goes_on = before is not None and before.announced == announced
            data = before.data if before is not None and goes_on else None
            if before is not None:
                before.data = None
            self._receiver = MemoryReceiver(self, announced, data or bytearray())
            return self._receiver

    def retain(self, most: int, needed: Collection[int] = ()) -> None:
        """Remove all but the newest `most`, the one that the log starts behind or newer, and those of `needed`."""
        with self._lock:
            named = self._named()
            for key in sorted(self._files, reverse=True)[most:]:
                if key[0] < named and key[0] not in needed:
                    del self._files[key]

    def check_stored(self, snapshot: Snapshot) -> None:
        """Raise `WriteRefused` unless this snapshot is stored with this configuration (faults F80, F82)."""
        check_stored(snapshot, self.infos())

    def put(self, data: bytes, announced: SnapshotInfo | None = None) -> SnapshotInfo:
        """Keep this file, if it is whole, and what was announced."""
        file, where = io.BytesIO(data), "the snapshot that was received"
        found = look(file, where) if announced is None else verify(file, where)
        if announced is not None:
            check_announced(found, announced, self.cluster_id)
        snapshot = found.info.snapshot
        with self._lock:
            self._files[snapshot.index, snapshot.term] = (found, data)
        return found.info

    def drop(self, receiver: "MemoryReceiver") -> None:
        """What this one received is not wanted any more."""
        with self._lock:
            if self._receiver is receiver:
                self._receiver = None

    def _bytes(self, index: int, term: int) -> bytes:
        with self._lock:
            if (index, term) not in self._files:
                raise LookupError(f"there is no snapshot of index {index!r:.80} and term {term!r:.80} here")
            return self._files[index, term][1]


class MemoryWriter:
    """A `SnapshotWriter` that gathers the file in memory."""

    def __init__(self, store: MemorySnapshots, snapshot: Snapshot) -> None:
        self._store = store
        self._file: io.BytesIO | None = io.BytesIO()
        self._encoder = Encoder(self._file, snapshot, store.cluster_id, store.node_id)

    def write(self, data: bytes, /) -> int:
        """Append these bytes of the state machine's image; returns how many."""
        self._check_begun()
        self._encoder.body(data)
        return len(data)

    def finish(self) -> SnapshotInfo:
        """Keep it."""
        file = self._check_begun()
        self._encoder.end()
        self._file = None
        return self._store.put(file.getvalue())

    def abort(self) -> None:
        """Leave nothing behind. Harmless after `finish`."""
        self._file = None

    def _check_begun(self) -> io.BytesIO:
        if self._file is None:
            raise ValueError("this snapshot was finished or given up before")
        return self._file


class MemoryReceiver:
    """A `SnapshotReceiver` that gathers the file in memory; `data` is None once it is over."""

    def __init__(self, store: MemorySnapshots, announced: SnapshotInfo, data: bytearray) -> None:
        self._store = store
        self.announced = announced
        self.data: bytearray | None = data
        self.offset = len(data)

    def write(self, offset: int, data: bytes) -> None:
        """Take the bytes at `offset`, which must be where the last ones ended. Raises `ValueError` for others."""
        taken = self._check_begun()
        if offset != len(taken) or offset + len(data) > self.announced.size:
            raise ValueError(
                f"bytes {offset} to {offset + len(data)} do not follow {len(taken)} of {self.announced.size}"
            )
        taken += data
        self.offset = len(taken)

    def finish(self) -> SnapshotInfo:
        """Verify size, digest and content, then keep it; see `SnapshotReceiver`."""
        data = bytes(self._check_begun())
        try:
            return self._store.put(data, self.announced)
        finally:
            self.abort()

    def abort(self) -> None:
        """Leave nothing behind. Harmless after `finish`."""
        self.data = None
        self._store.drop(self)

    def _check_begun(self) -> bytearray:
        if self.data is None:
            raise ValueError("this snapshot was finished or given up before, or another one was begun")
        return self.data
