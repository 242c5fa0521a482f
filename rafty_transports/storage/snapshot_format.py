"""A snapshot file says what it is, whose it is, and proves that it is whole.

Law: *nothing of a snapshot is used before all of it was verified; a file that does not prove itself is none.*

    prefix   magic, format version, length of the header, CRC of all that and of the header
    header   cluster id, node id of who took it, index, term, configuration
    body     the state machine's image, opaque
    trailer  length of the body, SHA-256 over everything before that digest

The same bytes lie on the disk, travel to other nodes, and are what a backup is. The prefix stays as it is in every
format to come, so that a newer file is recognised as one, and not taken for a damaged one. The digest that names a
file to other nodes is that of the trailer.
"""

import hashlib
import io
import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from rafty_core.configuration import Configuration
from rafty_core.entries import LARGEST
from rafty_core.stable import Snapshot
from rafty_transports.interfaces import SnapshotInfo
from rafty_transports.storage.errors import DamagedSnapshot, UnknownFormat, WriteRefused

MAGIC = b"raftysnp"
VERSION = 1

PREFIX = struct.Struct(">8sIII")
NUMBERS = struct.Struct(">QQHHI")
"""Index, term, and the lengths of cluster id, node id and configuration, which follow."""
LENGTH = struct.Struct(">Q")
DIGEST_BYTES = 32
TRAILER_BYTES = LENGTH.size + DIGEST_BYTES

MOST_HEADER_BYTES = 16 << 20
PIECE = 1 << 20
"""Bytes that are read and hashed at once."""


@dataclass(frozen=True, slots=True)
class SnapshotFile:
    """What a snapshot file says of itself: whose it is, what it is of, and where its body lies."""

    cluster_id: str
    node_id: str
    info: SnapshotInfo
    body_start: int

    @property
    def body_end(self) -> int:
        """Where the trailer begins."""
        return self.info.size - TRAILER_BYTES


def check_numbers(snapshot: Snapshot) -> None:
    """Raise `ValueError` unless index and term are numbers that a snapshot can have; they name its file (F131)."""
    for name, number in (("index", snapshot.index), ("term", snapshot.term)):
        if type(number) is not int or not 1 <= number <= LARGEST:
            raise ValueError(f"no snapshot has the {name} {number!r:.80}")


def encode_head(snapshot: Snapshot, cluster_id: str, node_id: str) -> bytes:
    """Prefix and header of the file of this snapshot."""
    check_numbers(snapshot)
    texts = (cluster_id.encode(), node_id.encode(), snapshot.configuration.encode())
    header = NUMBERS.pack(snapshot.index, snapshot.term, *map(len, texts)) + b"".join(texts)
    start = PREFIX.pack(MAGIC, VERSION, len(header), 0)[:-4]
    return start + zlib.crc32(header, zlib.crc32(start)).to_bytes(4, "big") + header


def look(file: BinaryIO, where: object) -> SnapshotFile:
    """What the file says of itself, if its header is whole and its size is right; its body is not verified.

    Raises `DamagedSnapshot` or `UnknownFormat`. `where` names the file in their texts.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    prefix = file.read(PREFIX.size)
    if len(prefix) < PREFIX.size:
        raise DamagedSnapshot(f"{where} was cut short: it has {size} bytes only; use another copy")
    magic, version, length, crc = PREFIX.unpack(prefix)
    if magic != MAGIC:
        raise DamagedSnapshot(f"{where} is no snapshot of rafty, or damaged at its very beginning; use another copy")
    header = file.read(length) if length <= MOST_HEADER_BYTES else b""
    if len(header) < length and length <= MOST_HEADER_BYTES:
        raise DamagedSnapshot(f"{where} was cut short in its header, or is damaged there; use another copy")
    if zlib.crc32(header, zlib.crc32(prefix[:-4])) != crc:
        raise DamagedSnapshot(f"{where} is damaged: its header does not match its CRC; use another copy")
    if version != VERSION:
        raise UnknownFormat(
            f"{where} is a snapshot of format {version}, this version of rafty knows format {VERSION}; "
            "use the version of rafty that wrote it"
        )
    return _look_behind(file, size, header, where)


def _look_behind(file: BinaryIO, size: int, header: bytes, where: object) -> SnapshotFile:
    start = PREFIX.size + len(header)
    if size < start + TRAILER_BYTES:
        raise DamagedSnapshot(f"{where} was cut short: its end is missing; use another copy")
    file.seek(size - TRAILER_BYTES)
    trailer = file.read(TRAILER_BYTES)
    (length,) = LENGTH.unpack_from(trailer)
    if length != size - start - TRAILER_BYTES:
        raise DamagedSnapshot(f"{where} was cut short, or is damaged at its end: its length is wrong; use another copy")
    try:
        cluster_id, node_id, snapshot = _decode_header(header)
        check_numbers(snapshot)
    except (ValueError, struct.error) as error:
        raise DamagedSnapshot(f"{where} has a header without sense ({error}); use another copy") from error
    return SnapshotFile(cluster_id, node_id, SnapshotInfo(snapshot, size, trailer[LENGTH.size :].hex()), start)


def _decode_header(header: bytes) -> tuple[str, str, Snapshot]:
    index, term, *lengths = NUMBERS.unpack_from(header)
    if len(header) != NUMBERS.size + sum(lengths):
        raise ValueError("its parts do not fill it")
    texts = io.BytesIO(header[NUMBERS.size :])
    cluster_id, node_id, configuration = (texts.read(length) for length in lengths)
    return cluster_id.decode(), node_id.decode(), Snapshot(index, term, Configuration.decode(configuration))


def verify(file: BinaryIO, where: object) -> SnapshotFile:
    """Read the whole file; returns what it is. Raises `DamagedSnapshot` or `UnknownFormat`; see `look`."""
    found = look(file, where)
    digest = hashlib.sha256()
    file.seek(0)
    for piece in pieces(file, found.info.size - DIGEST_BYTES):
        digest.update(piece)
    if digest.hexdigest() != found.info.digest:
        raise DamagedSnapshot(f"{where} is damaged: its content does not match its digest; use another copy")
    return found


def check_cluster(found: SnapshotFile, cluster_id: str, where: object) -> None:
    """Raise `DamagedSnapshot` if this snapshot was taken in another cluster."""
    if found.cluster_id != cluster_id:
        raise DamagedSnapshot(
            f"{where} is of cluster {found.cluster_id}, not of {cluster_id}; to begin a new cluster from it, restore it"
        )


def check_announced(found: SnapshotFile, announced: SnapshotInfo, cluster_id: str) -> None:
    """Raise `DamagedSnapshot` if a snapshot that was received is not the one that was announced."""
    where = f"the snapshot {announced.snapshot.index} that was received"
    check_cluster(found, cluster_id, where)
    if found.info != announced:
        raise DamagedSnapshot(f"{where} is another one than was announced; it will be asked for again")


def check_stored(snapshot: Snapshot, stored: Sequence[SnapshotInfo]) -> None:
    """Raise `WriteRefused` unless this snapshot is stored, with this configuration (faults F80, F82)."""
    where = f"the snapshot of index {snapshot.index} and term {snapshot.term}"
    same = [
        one for one in (info.snapshot for info in stored) if (one.index, one.term) == (snapshot.index, snapshot.term)
    ]
    if not same:
        raise WriteRefused(f"the log cannot start behind {where}, for that is not stored; finish it first")
    if same[0].configuration != snapshot.configuration:
        raise WriteRefused(f"{where} is stored with another configuration than the log has at that index")


def pieces(file: BinaryIO, count: int) -> Iterator[bytes]:
    """The next `count` bytes of the file, or what there is, piece by piece."""
    while count > 0 and (piece := file.read(min(count, PIECE))):
        count -= len(piece)
        yield piece


class Encoder:
    """Writes the bytes of a snapshot file to `file`: the head at once, the body as it comes, the trailer at the end."""

    def __init__(self, file: BinaryIO, snapshot: Snapshot, cluster_id: str, node_id: str) -> None:
        self._file = file
        self._snapshot = snapshot
        self._digest = hashlib.sha256()
        self._size = 0
        self._put(encode_head(snapshot, cluster_id, node_id))
        self._start = self._size

    def body(self, data: bytes) -> None:
        """Append these bytes to the body. Raises `OSError`."""
        self._put(data)

    def end(self) -> SnapshotInfo:
        """Append the trailer; returns what the file is then. Raises `OSError`."""
        self._put(LENGTH.pack(self._size - self._start))
        digest = self._digest.digest()
        self._file.write(digest)
        return SnapshotInfo(self._snapshot, self._size + len(digest), digest.hex())

    def _put(self, data: bytes) -> None:
        self._file.write(data)
        self._digest.update(data)
        self._size += len(data)


class _Body(io.RawIOBase):
    """The part of a file between two offsets, to be read once; closes the file with itself."""

    def __init__(self, file: BinaryIO, start: int, end: int) -> None:
        self._file = file
        self._left = end - start
        file.seek(start)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "memoryview | bytearray") -> int:  # type: ignore[override]
        data = self._file.read(min(self._left, len(buffer)))
        buffer[: len(data)] = data
        self._left -= len(data)
        return len(data)

    def close(self) -> None:
        self._file.close()
        super().close()


def body_of(file: BinaryIO, found: SnapshotFile) -> BinaryIO:
    """The body of a verified file alone, as a binary file to be read once; closing it closes `file`."""
    return io.BufferedReader(_Body(file, found.body_start, found.body_end), PIECE)
