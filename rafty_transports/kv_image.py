"""The key-value store as bytes: how its state is written down, and read back, in pieces.

Law: *what is read back is the state that was written down, or a `ValueError`; nothing in between.*

    head    magic, format, number of commands applied, number of pairs
    pairs   length of the key, length of the value, key, value
    end     nothing

All numbers are unsigned, big-endian. The order of the pairs is that of the dictionary. A state may be far larger than
what anybody wants to hold twice, so it is written in pieces of about `PIECE` bytes, and a length is believed only as
far as there are bytes.
"""

from collections.abc import Callable, Mapping
from struct import Struct
from typing import BinaryIO

MAGIC = b"raftykv"
FORMAT = 1

PIECE = 256 * 1024
"""About so many bytes are written at once."""

_HEAD = Struct(">7sBQQ")
_LENGTHS = Struct(">II")


def write_image(target: BinaryIO, kept: Mapping[bytes, bytes], applied: int, unbulk: Callable[[bytes], bytes]) -> None:
    """Write down these pairs of key and kept value; `unbulk` makes a value of what is kept."""
    pieces = [_HEAD.pack(MAGIC, FORMAT, applied, len(kept))]
    size = 0
    for key, held in kept.items():
        value = unbulk(held)
        pieces += (_LENGTHS.pack(len(key), len(value)), key, value)
        size += len(key) + len(value) + _LENGTHS.size
        if size >= PIECE:
            target.write(b"".join(pieces))
            pieces, size = [], 0
    target.write(b"".join(pieces))


def read_image(source: BinaryIO, bulk: Callable[[bytes], bytes]) -> tuple[dict[bytes, bytes], int]:
    """The pairs, each value in the form that `bulk` makes of it, and how many commands had been applied.

    Raises `ValueError` for what is no image of this format, damaged, cut short, or followed by something.
    """
    head = source.read(_HEAD.size)
    if len(head) < _HEAD.size or not head.startswith(MAGIC):
        raise ValueError("this is no image of a key-value store, or it was cut short at its beginning")
    _, form, applied, count = _HEAD.unpack(head)
    if form != FORMAT:
        raise ValueError(f"this image has format {form}, and this version of rafty knows format {FORMAT} alone")
    kept: dict[bytes, bytes] = {}
    for _ in range(count):
        key_size, value_size = _LENGTHS.unpack(_take(source, _LENGTHS.size))
        key = _take(source, key_size)
        kept[key] = bulk(_take(source, value_size))
    if len(kept) != count:
        raise ValueError(f"this image names a key twice: {count} pairs have {len(kept)} keys")
    if source.read(1):
        raise ValueError("something follows the image of the key-value store")
    return kept, applied


def _take(source: BinaryIO, count: int) -> bytes:
    if count <= PIECE:
        data = source.read(count)
    else:
        parts: list[bytes] = []
        left = count
        while left and (part := source.read(min(left, PIECE))):
            parts.append(part)
            left -= len(part)
        data = b"".join(parts)
    if len(data) != count:
        raise ValueError("this image of a key-value store was cut short")
    return data
