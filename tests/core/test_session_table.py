"""The table of sessions in a snapshot: consistent, verified, and only where the machine has snapshots itself."""

import io
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from rafty_core.sessions import (
    OPEN,
    Sessions,
    encode_call,
    encode_clock,
    encode_close,
    encode_touch,
)
from tests.core.session_log import SECOND, Journal, Log, image


def test_a_machine_with_durable_state_of_its_own_is_refused() -> None:
    class Durable(Journal):
        applied_index = 5

    with pytest.raises(TypeError, match="own transactions"):
        Sessions(Durable())


def test_a_machine_without_snapshots_has_none_with_sessions_either() -> None:
    class Plain:
        def apply(self, first_index: int, commands: Sequence[bytes]) -> list[bytes]:
            return list(commands)

    machine = Sessions(Plain())
    assert not hasattr(machine, "snapshot")
    assert not hasattr(machine, "restore")
    assert hasattr(Sessions(Journal()), "snapshot")


@pytest.mark.parametrize("limit", ["expiry_seconds", "max_sessions", "max_kept_answers", "max_kept_bytes"])
def test_limits_of_zero_are_refused(limit: str) -> None:
    limits: dict[str, Any] = {limit: 0}
    with pytest.raises(ValueError, match="above zero"):
        Sessions(Journal(), **limits)


def filled() -> Log:
    """A log with sessions, kept answers and acknowledgements."""
    log = Log()
    for _ in range(3):
        session = log.open()
        log.one(encode_clock(session * SECOND))
        for sequence in (2, 1, 4):
            log.one(encode_call(session, sequence, 0, b"x%d" % sequence))
        log.one(encode_touch(session, 1))
    return log


def test_a_snapshot_is_of_the_moment_at_which_it_was_asked_for() -> None:
    log, target = filled(), io.BytesIO()
    before = image(log.machine)
    write = log.machine.snapshot()
    log.apply(encode_call(1, 9, 4, b"after"), encode_close(2), OPEN, encode_clock(99 * SECOND), b"x")
    write(target)
    assert target.getvalue() == before != image(log.machine)


def test_a_damaged_snapshot_is_refused_and_the_old_state_stays() -> None:
    whole = image(filled().machine)
    for at in range(len(whole) - len(image_of_journal())):
        log = filled()
        before = image(log.machine)
        for bad in (whole[:at], whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]):
            with pytest.raises(ValueError, match="snapshot"):
                log.machine.restore(5, io.BytesIO(bad))
        assert image(log.machine) == before


def image_of_journal() -> bytes:
    """What the wrapped machine of `filled` writes."""
    target = io.BytesIO()
    filled().journal.snapshot()(target)
    return target.getvalue()


@pytest.mark.parametrize("change", [lambda body: body[:-1], lambda body: body + b"\x00"])
def test_a_table_that_is_not_as_long_as_it_says_is_refused(change: Callable[[bytes], bytes]) -> None:
    target = io.BytesIO()
    filled().machine._table.image()(target)
    body = change(target.getvalue()[28:])
    whole = target.getvalue()[:16] + len(body).to_bytes(8, "big") + zlib.crc32(body).to_bytes(4, "big") + body
    with pytest.raises(ValueError, match="snapshot"):
        Sessions(Journal()).restore(5, io.BytesIO(whole))


def test_a_snapshot_of_a_machine_without_sessions_is_refused() -> None:
    with pytest.raises(ValueError, match="not wrapped in Sessions"):
        Sessions(Journal()).restore(5, io.BytesIO(image_of_journal() + bytes(100)))
