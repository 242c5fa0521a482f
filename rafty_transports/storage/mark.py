"""A few bytes beside the database that say how far it had come.

Law: *a database behind its mark has lost durable data, whatever it says of itself.*

One flipped bit in its write-ahead log makes sqlite reopen without an error at an earlier state: all later transactions
are gone, term and vote with them (fault F147). So the number of each transaction, once it is durable, is noted here.

The mark is written without a sync: after a crash of the process it is exact, since the operating system keeps it;
after a power failure it may be older than the database, which is harmless, never newer. Two slots are written in turn,
so that a torn write leaves the other.
"""

import os
import struct
import zlib
from pathlib import Path

from rafty_transports.storage.errors import RESTORE, CorruptStore, UnknownFormat

SLOT = struct.Struct(">8sQII")
"""One slot: magic, number, seed of the data directory, CRC of the three."""

MAGIC = b"raftymk1"
SLOT_OFFSETS = (0, 512)
SIZE = 1024


def encode_slot(number: int, seed: int) -> bytes:
    """The bytes of one slot."""
    head = SLOT.pack(MAGIC, number, seed, 0)[:-4]
    return head + zlib.crc32(head).to_bytes(4, "big")


def new_mark(number: int, seed: int) -> bytes:
    """The bytes of a new mark file: both slots say `number`."""
    slot = encode_slot(number, seed)
    return slot.ljust(SLOT_OFFSETS[1], b"\0") + slot.ljust(SIZE - SLOT_OFFSETS[1], b"\0")


def read_mark(path: Path) -> tuple[int, int] | None:
    """The newest valid slot as (number, seed); None if there is no such file.

    Raises `CorruptStore` if no slot is valid, `OSError` if the file cannot be read.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    valid = []
    for offset in SLOT_OFFSETS:
        piece = data[offset : offset + SLOT.size]
        if len(piece) == SLOT.size:
            magic, number, seed, crc = SLOT.unpack(piece)
            if zlib.crc32(piece[:-4]) == crc:
                if magic != MAGIC:
                    raise UnknownFormat(f"{path} has the format {magic!r}, which this version of rafty does not know")
                valid.append((number, seed))
    if not valid:
        raise CorruptStore(f"{path} is damaged in both its slots; {RESTORE}")
    return max(valid)


class Mark:
    """The mark of an open store. Its errors are `OSError`."""

    def __init__(self, path: Path, seed: int) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        self._seed = seed

    def note(self, number: int) -> None:
        """Note that transaction `number` is durable."""
        slot = encode_slot(number, self._seed)
        if os.pwrite(self._file, slot, SLOT_OFFSETS[number % 2]) != len(slot):
            raise OSError("the mark was written in part only")

    def sync(self) -> None:
        """Make the mark itself durable, so that it stands after a power failure too."""
        os.fsync(self._file)

    def close(self) -> None:
        """Release the file."""
        os.close(self._file)
