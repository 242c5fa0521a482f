"""Sessions: a pure table in front of a state machine, rule by rule."""

import random
from collections.abc import Sequence

import pytest

from rafty_core import sessions as protocol
from rafty_core.sessions import (
    APPLIED,
    EXPIRED,
    MALFORMED,
    OPEN,
    OVERLOADED,
    STALE,
    LogClock,
    Sessions,
    decode_opened,
    encode_call,
    encode_clock,
    encode_close,
    encode_touch,
    plain,
)
from tests.core.session_log import SECOND, Journal, Log, image

# ---------------------------------------------------------------- plain commands


def test_plain_commands_go_through_unchanged_in_one_call() -> None:
    log, commands = Log(), [b"", b"x", b"\xfd\xff", b"z"]
    assert plain(commands) is commands
    assert log.apply(*commands) == [b"1:", b"2:x", b"3:\xfd\xff", b"4:z"]
    assert log.journal.calls == [(1, 4)]
    assert log.machine.apply(5, []) == []


@pytest.mark.parametrize("command", [b"\xfe", b"\xff", b"\xfe\xfe", b"\xff\x01O", OPEN, b"\xffrest", b"\xfe\x00"])
def test_any_bytes_are_a_plain_command_once_they_are_escaped(command: bytes) -> None:
    log = Log()
    stored = plain([b"a", command])
    assert [len(one) for one in stored] == [1, len(command) + 1]
    assert log.apply(*stored) == [b"1:a", b"2:" + command]
    assert log.journal.calls == [(1, 2)]
    assert log.machine.open_sessions == 0


@pytest.mark.parametrize("stored", [b"\xfe", b"\xfe\x00", b"\xfe\xfd"])
def test_an_escape_in_front_of_what_needs_none_is_malformed(stored: bytes) -> None:
    log = Log()
    assert log.apply(stored, b"x") == [MALFORMED, b"1:x"]


def test_runs_have_the_indexes_of_their_entries() -> None:
    log = Log()
    session = log.open()
    answers = log.apply(
        b"a",
        b"b",
        encode_clock(SECOND),
        b"c",
        encode_call(session, 1, 0, b"d"),
        b"e",
        encode_call(session, 1, 0, b"d"),
        b"f",
    )
    assert answers == [b"1:a", b"2:b", APPLIED, b"3:c", APPLIED + b"4:d", b"5:e", APPLIED + b"4:d", b"6:f"]
    assert log.journal.calls == [(2, 2), (5, 3), (9, 1)]
    assert log.journal.applied == [(2, b"a"), (3, b"b"), (5, b"c"), (6, b"d"), (7, b"e"), (9, b"f")]


# ---------------------------------------------------------------- calls


def test_opening_tells_number_and_limits() -> None:
    log = Log(expiry_seconds=2.5, max_kept_answers=7)
    assert (
        log.apply(b"x", OPEN)[1] == APPLIED + bytes(7) + b"\x02" + (2_500_000).to_bytes(8, "big") + bytes(7) + b"\x07"
    )
    assert decode_opened(OVERLOADED) is None
    assert decode_opened(b"1:" + OPEN) is None


def test_a_repeated_call_is_run_once_and_answered_the_same() -> None:
    log = Log()
    session = log.open()
    call = encode_call(session, 1, 0, b"x")
    assert log.apply(call, call) == [APPLIED + b"1:x"] * 2
    assert log.one(call) == APPLIED + b"1:x"
    assert log.ran == [b"x"]


def test_sequences_come_in_any_order() -> None:
    log = Log()
    session = log.open()
    order = [3, 1, 2, 3, 2, 1]
    answers = [log.one(encode_call(session, sequence, 0, b"%d" % sequence)) for sequence in order]
    assert answers[:3] == [APPLIED + b"1:3", APPLIED + b"2:1", APPLIED + b"3:2"]
    assert answers[3:] == [answers[0], answers[2], answers[1]]
    assert log.ran == [b"3", b"1", b"2"]


def test_an_acknowledged_answer_is_dropped_and_its_call_is_never_run_again() -> None:
    log = Log()
    session = log.open()
    log.one(encode_call(session, 1, 0, b"one"))
    log.one(encode_call(session, 3, 1, b"three"))
    assert log.one(encode_call(session, 1, 0, b"one")) == STALE
    assert log.one(encode_call(session, 2, 0, b"two")) == APPLIED + b"3:two"
    assert log.one(encode_touch(session, 3)) == APPLIED
    assert [log.one(encode_call(session, number, 0, b"late")) for number in (1, 2, 3)] == [STALE] * 3
    assert log.ran == [b"one", b"three", b"two"]


def test_a_call_that_was_given_up_does_not_run_late() -> None:
    log = Log()
    session = log.open()
    assert log.one(encode_call(session, 2, 1, b"two")) == APPLIED + b"1:two"
    assert log.one(encode_call(session, 1, 0, b"one")) == STALE
    assert log.ran == [b"two"]


def test_acknowledging_far_ahead_drops_everything_quickly() -> None:
    log = Log()
    session = log.open()
    for sequence in range(1, 10):
        log.one(encode_call(session, sequence, 0, b"x"))
    assert log.one(encode_touch(session, 2**64 - 1)) == APPLIED
    assert log.machine._table.sessions[session].answers == {}
    assert log.machine._table.sessions[session].kept_bytes == 0


def test_without_room_a_call_is_refused_and_not_run_but_the_oldest_always_is() -> None:
    log = Log(max_kept_answers=2)
    session = log.open()
    assert [log.one(encode_call(session, sequence, 0, b"x"))[:1] for sequence in (2, 3, 4)] == [
        APPLIED,
        APPLIED,
        OVERLOADED,
    ]
    assert log.one(encode_call(session, 2, 0, b"x")) == APPLIED + b"1:x"
    assert log.one(encode_call(session, 1, 0, b"oldest")) == APPLIED + b"3:oldest"
    assert log.one(encode_call(session, 4, 1, b"x")) == OVERLOADED
    assert log.one(encode_call(session, 4, 2, b"x")) == APPLIED + b"4:x"
    assert log.ran == [b"x", b"x", b"oldest", b"x"]


def test_room_is_counted_in_bytes_too_whatever_the_batches() -> None:
    def answers(*, together: bool) -> list[bytes]:
        log = Log(max_kept_bytes=100)
        session = log.open()
        calls = [encode_call(session, sequence, 0, bytes(60)) for sequence in (2, 3, 4, 1, 5)]
        return log.apply(*calls) if together else [log.one(call) for call in calls]

    assert [answer[:1] for answer in answers(together=True)] == [APPLIED, APPLIED, OVERLOADED, APPLIED, OVERLOADED]
    assert answers(together=True) == answers(together=False)


def test_more_sessions_than_allowed_are_refused_until_one_is_closed() -> None:
    log = Log(max_sessions=2)
    first, second = log.open(), log.open()
    assert log.one(OPEN) == OVERLOADED
    assert log.one(encode_close(first)) == APPLIED
    assert log.one(encode_close(first)) == EXPIRED
    assert log.one(encode_call(first, 1, 0, b"x")) == EXPIRED
    third = log.open()
    assert third not in (first, second)
    assert log.ran == []


def test_a_machine_with_too_few_results_stops_the_node() -> None:
    class Silent(Journal):
        def apply(self, first_index: int, commands: Sequence[bytes]) -> list[bytes]:
            return []

    machine = Sessions(Silent())
    machine.apply(1, [OPEN])
    with pytest.raises(ValueError, match="0 results for 1 commands"):
        machine.apply(2, [encode_call(1, 1, 0, b"x")])


# ---------------------------------------------------------------- malformed


def malformed_commands(session: int) -> list[bytes]:
    """Operations cut, extended, of other versions and letters; and calls that contradict themselves."""
    whole = [OPEN, encode_call(session, 5, 2, b""), encode_touch(session, 2), encode_close(session), encode_clock(9)]
    bad = [command[:size] for command in whole for size in range(1, len(command))]
    bad = [command for command in bad if command not in whole]
    bad += [command + b"\x00" for command in whole if command[:3] != protocol.CALL]
    bad += [command[:1] + bytes([version]) + command[2:] for command in whole for version in (0, 2, 255)]
    bad += [b"\xff\x01" + bytes([letter]) + bytes(24) for letter in range(256) if letter not in b"OCTXK"]
    bad += [encode_call(session, 5, 5, b"x"), encode_call(session, 0, 0, b"x"), encode_call(session, 4, 9, b"x")]
    return [*bad, encode_clock(2**63), encode_clock(2**64 - 1)]


def test_malformed_operations_are_answered_so_and_change_nothing() -> None:
    log = Log()
    session = log.open()
    log.one(encode_call(session, 1, 0, b"x"))
    before = image(log.machine)
    for command in malformed_commands(session):
        assert log.one(command) == MALFORMED, command
    assert image(log.machine) == before


def test_random_bytes_never_raise() -> None:
    chance, log = random.Random(7), Log()
    log.open()
    for _ in range(3000):
        log.one(chance.choice([b"\xff", b"\xff\x01", b"\xfe", b""]) + chance.randbytes(chance.randrange(40)))


# ---------------------------------------------------------------- expiry


def test_an_unused_session_expires_by_log_time_and_a_used_one_does_not() -> None:
    log = Log(expiry_seconds=10)
    unused, touched, calling = log.open(), log.open(), log.open()
    log.one(encode_clock(SECOND))
    for now in range(2, 12):
        log.apply(encode_touch(touched, 0), encode_call(calling, now, now - 1, b"x"), encode_clock(now * SECOND))
    assert log.machine.open_sessions == 2
    assert log.one(encode_touch(unused, 0)) == EXPIRED
    assert log.one(encode_call(unused, 1, 0, b"never")) == EXPIRED
    assert b"never" not in log.ran
    log.one(encode_clock(100 * SECOND))
    log.one(encode_clock(120 * SECOND))
    assert log.machine.open_sessions == 0


def test_a_session_used_since_the_last_clock_entry_counts_as_used_at_the_next() -> None:
    log = Log(expiry_seconds=10)
    session = log.open()
    log.one(encode_clock(3600 * SECOND))  # after an hour in which nobody did anything
    assert log.one(encode_call(session, 1, 0, b"x"))[:1] == APPLIED
    log.one(encode_clock(7200 * SECOND))  # the call itself was the traffic that brought this entry about
    assert log.one(encode_touch(session, 1)) == APPLIED
    log.one(encode_clock(7200 * SECOND + 1))
    assert log.one(encode_clock(7210 * SECOND)) == APPLIED
    assert log.machine.open_sessions == 1
    log.one(encode_clock(7210 * SECOND + 1))
    assert log.machine.open_sessions == 0


def test_log_time_never_moves_back() -> None:
    log = Log()
    log.apply(encode_clock(5 * SECOND), encode_clock(3 * SECOND), encode_clock(0))
    assert log.machine.log_time == 5 * SECOND


# ---------------------------------------------------------------- the leader's clock


def test_the_clock_speaks_once_a_second_while_sessions_are_open_and_commands_come() -> None:
    log = Log()
    clock = LogClock(log.machine, 500.0)
    log.one(b"x")
    assert clock.due(502.0) is None  # no session is open
    log.open()
    assert clock.due(500.9) is None
    assert clock.due(502.5) == encode_clock(2_500_000)
    assert clock.due(503.6) is None  # no command since
    log.one(encode_clock(2_500_000))
    assert clock.due(503.6) is None  # a clock entry is no traffic
    log.one(b"x")
    assert clock.due(503.4) is None
    assert clock.due(503.5) == encode_clock(3_500_000)


def test_a_clock_goes_on_from_what_the_log_says_when_it_says_so_late() -> None:
    log = Log()
    log.open()
    clock = LogClock(log.machine, 10.0)  # the entries of the leader before are not applied yet
    log.apply(encode_clock(7 * SECOND), b"x")
    assert clock.due(15.0) is None
    assert clock.due(16.5) == encode_clock(8_500_000)
