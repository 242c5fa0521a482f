"""Damaged images of sessions, malformed operations, and limits that make no sense: all refused, and nothing changed.

Law: *an image is taken over as a whole or not at all; what is malformed is answered so* on every node alike.
"""

import random
import zlib
from collections.abc import Callable, Sequence
from io import BytesIO
from struct import Struct
from typing import Any

from rafty_core import sessions
from rafty_core.history import InvariantViolation
from rafty_core.sessions import (
    CALL,
    CLOCK,
    CLOSE,
    ESCAPE,
    OPERATION,
    Sessions,
    encode_clock,
    encode_close,
    encode_touch,
)

_MAGIC = 16
_ANNOUNCED = Struct(">QI")
_NOWHERE = 2**64 - 1


class _Echo:
    """A machine without snapshots, whose results are the commands, or one result too few."""

    def __init__(self, fewer: bool = False) -> None:
        self._fewer = fewer

    def apply(self, first_index: int, commands: Sequence[bytes], /) -> Sequence[bytes]:
        return commands[1:] if self._fewer else commands


class _Durable(_Echo):
    applied_index = 0


def err_with_sessions(machine: Sessions, where: str, draw: random.Random) -> None:
    """Do all that is wrong with this machine and others like it. Raises `InvariantViolation` if it is taken."""
    before = image = _image_of(machine)
    for damaged in _damaged(image, draw):
        _refused(ValueError, lambda damaged=damaged: machine.restore(1, BytesIO(damaged)), where)  # type: ignore[misc]
    operations = {
        OPERATION: sessions.MALFORMED,
        OPERATION + b"\x02O": sessions.MALFORMED,
        ESCAPE + b"not escaped": sessions.MALFORMED,
        CALL: sessions.MALFORMED,
        CALL + b"\0" * 24: sessions.MALFORMED,
        CLOCK + b"\xff" * 8: sessions.MALFORMED,
        CLOSE + b"\0" * 7: sessions.MALFORMED,
        encode_close(_NOWHERE): sessions.EXPIRED,
        encode_touch(_NOWHERE, 0): sessions.EXPIRED,
        sessions.encode_call(_NOWHERE, 1, 0, b"?"): sessions.EXPIRED,
        encode_clock(0): sessions.APPLIED,
    }
    traffic = machine.traffic
    answers = machine.apply(1, list(operations))
    machine.traffic = traffic
    if list(answers) != list(operations.values()):
        raise InvariantViolation("I19", f"{where} answers {list(operations)} with {answers}")
    if _image_of(machine) != before:
        raise InvariantViolation("I19", f"{where} is changed by what its sessions refuse")
    _check_others(where)


def _image_of(machine: Sessions) -> bytes:
    target = BytesIO()
    machine.snapshot()(target)
    return target.getvalue()


def _damaged(image: bytes, draw: random.Random) -> list[bytes]:
    """This image, no image any more."""
    start = _MAGIC + _ANNOUNCED.size
    size, _ = _ANNOUNCED.unpack_from(image, _MAGIC)
    body, rest = image[start : start + size], image[start + size :]

    def with_body(other: bytes) -> bytes:
        return image[:_MAGIC] + _ANNOUNCED.pack(len(other), zlib.crc32(other)) + other + rest

    at = draw.randrange(size)
    flipped = body[:at] + bytes([body[at] ^ 1 << draw.randrange(8)]) + body[at + 1 :]
    return [
        b"",
        b"another machine" + image,
        image[: draw.randrange(start + size)],
        image[:start] + flipped + rest,
        with_body(body + b"?"),
        with_body(body[: draw.randrange(size)]),
    ]


def _refused(error: type[Exception], wrong: Callable[[], object], where: str) -> None:
    try:
        done = wrong()
    except error:
        return
    raise InvariantViolation("I19", f"{where}: sessions take what is wrong: {done!r:.200}")


def _check_others(where: str) -> None:
    """Machines that cannot be wrapped, and one that can and has no snapshots."""
    limits: Sequence[dict[str, Any]] = ({"expiry_seconds": 0}, {"max_sessions": 0}, {"max_kept_answers": -1})
    for limit in limits:
        _refused(ValueError, lambda limit=limit: Sessions(_Echo(), **limit), where)  # type: ignore[misc]
    _refused(TypeError, lambda: Sessions(_Durable()), where)
    _refused(ValueError, lambda: Sessions(_Echo(fewer=True)).apply(1, [OPERATION, b"a command"]), where)
    bare, commands = Sessions(_Echo()), [b"a command", ESCAPE + b"?", OPERATION]
    if hasattr(bare, "snapshot") or hasattr(bare, "restore"):
        raise InvariantViolation("I19", f"{where}: sessions have snapshots though their machine has none")
    for some in (commands, commands[:1]):
        if list(bare.apply(1, sessions.plain(some))) != some:
            raise InvariantViolation("I19", f"{where}: {some} are others when they are applied")
