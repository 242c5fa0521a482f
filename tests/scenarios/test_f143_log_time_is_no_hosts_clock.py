"""Fault F143: every session expires at a change of leader, since the new leader's host has been up for longer.

Log time starts at 0, and each leader adds the seconds since it leads to what it finds.
"""

from rafty_core.sessions import APPLIED, EXPIRED, LogClock, encode_call, encode_touch
from tests.core.session_log import SECOND, Log


def lead(log: Log, since: float, seconds: int, *commands: bytes) -> None:
    """A node leads for so long, and these commands come once a second. Its monotonic clock begins at `since`."""
    clock = LogClock(log.machine, since)
    for second in range(1, seconds + 1):
        log.apply(b"x", *commands)
        due = clock.due(since + second)
        if due is not None:
            log.one(due)


def test_f143_hosts_that_were_up_for_longer_or_shorter_let_no_session_expire() -> None:
    log = Log(expiry_seconds=60)
    session = log.open()
    for uptime in (100.0, 9_000_000.0, 0.5, 3e9, 100.0):
        lead(log, uptime, 10)
        assert log.one(encode_touch(session, 0)) == APPLIED
    assert log.machine.log_time == 50 * SECOND


def test_f143_log_time_goes_on_under_each_leader() -> None:
    log = Log(expiry_seconds=60)
    unused, used = log.open(), log.open()
    for uptime in (9_000_000.0, 100.0, 3e9, 0.5, 100.0, 5.0, 7.0):
        lead(log, uptime, 10, encode_touch(used, 0))
    assert log.one(encode_call(unused, 1, 0, b"never")) == EXPIRED
    assert log.one(encode_call(used, 1, 0, b"once"))[:1] == APPLIED
    assert log.ran.count(b"never") == 0


def test_f143_a_leader_that_applies_the_last_clock_entry_late_goes_on_from_it() -> None:
    log = Log(expiry_seconds=60)
    session = log.open()
    clock = LogClock(log.machine, 9_000_000.0)
    log.apply(encode_clock_of_an_earlier_leader(), encode_touch(session, 0))
    assert clock.due(9_000_000.5) is None
    due = clock.due(9_000_003.5)
    assert due is not None
    log.one(due)
    assert log.machine.log_time == 1003 * SECOND
    assert log.one(encode_touch(session, 0)) == APPLIED


def encode_clock_of_an_earlier_leader() -> bytes:
    """Log time is 1000 s."""
    log = Log()
    log.open()
    clock = LogClock(log.machine, 0.0)
    log.one(b"x")
    due = clock.due(1000.0)
    assert due is not None
    return due


def test_f143_a_call_after_a_silence_does_not_let_its_own_session_expire() -> None:
    log = Log(expiry_seconds=60)
    session = log.open()
    clock = LogClock(log.machine, 5.0)
    assert log.one(encode_call(session, 1, 0, b"x"))[:1] == APPLIED
    due = clock.due(5.0 + 3600.0)  # an hour in which nobody did anything else
    assert due is not None
    log.one(due)
    assert log.one(encode_call(session, 2, 1, b"y"))[:1] == APPLIED
