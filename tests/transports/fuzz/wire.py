"""What must hold for bytes: a frame or none, a message or one error, and the same again.

Law: *any bytes whatever give messages or one `DecodeError`, however they are cut, and what was read can be written.*
"""

import random
import struct
from typing import Final

from rafty_transports.codec import LARGEST_FRAME, DecodeError, FrameSplitter, decode, encode, is_keep_alive, weight
from rafty_transports.interfaces import Travelling
from rafty_transports.shapes import SHAPES, SMALL_FRAME

LIMITS: Final = {0: SMALL_FRAME, **{shape.kind: shape.limit for shape in SHAPES}}
SHORTEST: Final = 12


class Broken(AssertionError):
    """Something does not hold that must; the text says what."""


def frames_of(data: bytes) -> tuple[list[bytes], bool, int]:
    """What a splitter must make of these bytes, told anew: the frames, whether an error ends them, what is left."""
    frames: list[bytes] = []
    start = 0
    while len(data) - start >= 10:
        length = struct.unpack_from(">I", data, start)[0]
        if not SHORTEST <= length <= LIMITS.get(data[start + 9], 0):
            return frames, True, 0
        if start + 4 + length > len(data):
            break
        frames.append(data[start + 4 : start + 4 + length])
        start += 4 + length
    return frames, False, len(data) - start


def check_splitter(chance: random.Random, data: bytes) -> list[bytes]:
    """Feed these bytes whole and in chunks; return the frames. Raises `Broken`."""
    frames, error, left = frames_of(data)
    whole = _split([data])
    if whole[1] != error or (not error and whole[0] != frames):
        raise Broken(f"in one chunk they give {len(whole[0])} frames, error {whole[1]}; not {len(frames)}, {error}")
    chunks, start = [], 0
    most = chance.choice((1, 5, 40)) if len(data) < 400 else 5000
    while start < len(data):
        size = chance.randint(1, most)
        chunks.append(data[start : start + size])
        start += size
    cut = _split(chunks)
    wrong = frames[: len(cut[0])] != cut[0] if error else cut[0] != frames  # those in the chunk of an error go with it
    if wrong or cut[1] != error:
        raise Broken(f"in {len(chunks)} chunks they give {len(cut[0])} frames, {cut[1]}; not {len(frames)}, {error}")
    if not error and (whole[2], cut[2]) != (left, left):
        raise Broken(f"{left} bytes are left, and {whole[2]} or {cut[2]} are kept")
    return frames


def _split(chunks: list[bytes]) -> tuple[list[bytes], bool, int]:
    splitter = FrameSplitter()
    frames: list[bytes] = []
    for chunk in chunks:
        try:
            frames += map(bytes, splitter.feed(chunk))
        except DecodeError:
            return frames, True, 0
        kept = len(splitter._rest)
        if kept and not kept < splitter._needed <= LARGEST_FRAME + 4:
            raise Broken(f"{kept} bytes are kept of a frame of {splitter._needed}")
    return frames, False, len(splitter._rest)


def read(data: bytes) -> Travelling | None:
    """The message of this frame (without its length), or None. Raises `Broken`, and whatever `decode` should not."""
    if is_keep_alive(data):
        return None
    try:
        message = decode(data)
    except DecodeError as error:
        if not str(error) or len(str(error)) > 2000:
            raise Broken(f"an error of {len(str(error))} characters") from error
        return None
    _check_numbers(message)
    again = b"".join(encode(message))[4:]
    if decode(again) != message:
        raise Broken(f"{message!r:.500} is another one when it is written and read again")
    if abs(weight(message) - len(again)) > 1200:
        raise Broken(f"{message!r:.500} weighs {weight(message)}, and has {len(again)} bytes")
    return message


def _check_numbers(message: Travelling) -> None:
    """Numbers are numbers that a log can have, and the flags are flags (faults F28, F136)."""
    for name in message.__slots__:
        value = getattr(message, name)
        if name == "digest" and value and (len(value) != 64 or set(value) - HEXADECIMAL):
            raise Broken(f"{value!r:.200} is the digest of a {type(message).__name__} (fault F131)")
        right = type(value) is bool if name in FLAGS else type(value) is not bool
        if not right or type(value) is float or (type(value) is int and not 0 <= value < 2**63):
            raise Broken(f"{value!r:.60} is the {name} of a {type(message).__name__}")


HEXADECIMAL: Final = frozenset("0123456789abcdef")

FLAGS: Final = frozenset(("transfer", "vote_granted", "success", "lease"))
"""The fields that are true or false."""
