"""Sessions: a pure table in front of a state machine. Rules one by one, then many histories by seed against a model."""

import io
import os
import random
import subprocess
import sys
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

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

SECOND = 1_000_000
ROOT = Path(__file__).resolve().parents[2]


class Journal:
    """A state machine that keeps every command with its index, and every call of `apply`."""

    def __init__(self) -> None:
        self.applied: list[tuple[int, bytes]] = []
        self.calls: list[tuple[int, int]] = []

    def apply(self, first_index: int, commands: Sequence[bytes]) -> list[bytes]:
        self.calls.append((first_index, len(commands)))
        results = []
        for index, command in enumerate(commands, first_index):
            self.applied.append((index, command))
            results.append(b"%d:%b" % (len(self.applied), command))
        return results

    def snapshot(self) -> Callable[[BinaryIO], None]:
        lines = b"".join(b"%d %b\n" % (index, command.hex().encode()) for index, command in self.applied)

        def write(target: BinaryIO) -> None:
            target.write(lines)

        return write

    def restore(self, index: int, source: BinaryIO) -> None:
        self.applied = []
        for line in source.read().splitlines():
            at, _, command = line.partition(b" ")
            self.applied.append((int(at), bytes.fromhex(command.decode())))


class Log:
    """A log that a machine applies, an entry at a time."""

    def __init__(self, **limits: Any) -> None:
        self.journal = Journal()
        self.machine = Sessions(self.journal, **limits)
        self.last = 0

    def apply(self, *commands: bytes) -> list[bytes]:
        first = self.last + 1
        self.last += len(commands)
        return list(self.machine.apply(first, commands))

    def one(self, command: bytes) -> bytes:
        return self.apply(command)[0]

    def open(self) -> int:
        opened = decode_opened(self.one(OPEN))
        assert opened is not None
        return opened.session

    @property
    def ran(self) -> list[bytes]:
        return [command for _, command in self.journal.applied]


def image(machine: Sessions) -> bytes:
    """What a snapshot of this machine writes."""
    target = io.BytesIO()
    machine.snapshot()(target)
    return target.getvalue()


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


# ---------------------------------------------------------------- snapshots


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


# ---------------------------------------------------------------- histories by seed


class Model:
    """The same rules, written the plain way: one entry at a time, nothing fast."""

    def __init__(self, expiry: int, max_sessions: int, max_kept: int) -> None:
        self.expiry, self.max_sessions, self.max_kept = expiry, max_sessions, max_kept
        self.time, self.ran = 0, list[bytes]()
        self.sessions: dict[int, dict[str, Any]] = {}

    def apply(self, index: int, entry: tuple[Any, ...]) -> bytes:
        what, *fields = entry
        if what == "plain":
            return self.run(fields[0])
        if what == "clock":
            return self.clock(fields[0])
        if what == "open":
            if len(self.sessions) >= self.max_sessions:
                return OVERLOADED
            self.sessions[index] = {"used": None, "acknowledged": 0, "answers": {}}
            return APPLIED + b"".join(n.to_bytes(8, "big") for n in (index, self.expiry, self.max_kept))
        session = self.sessions.get(fields[0])
        if session is None:
            return EXPIRED
        if what == "close":
            del self.sessions[fields[0]]
            return APPLIED
        session["used"] = None
        session["acknowledged"] = max(session["acknowledged"], fields[-1])
        for sequence in [sequence for sequence in session["answers"] if sequence <= session["acknowledged"]]:
            del session["answers"][sequence]
        return APPLIED if what == "touch" else self.call(session, fields[1], fields[2])

    def clock(self, time: int) -> bytes:
        if time > self.time:
            self.time = time
            for number, session in list(self.sessions.items()):
                if session["used"] is None:
                    session["used"] = time
                if session["used"] + self.expiry <= time:
                    del self.sessions[number]
        return APPLIED

    def call(self, session: dict[str, Any], sequence: int, command: bytes) -> bytes:
        if sequence in session["answers"]:
            return bytes(session["answers"][sequence])
        if sequence <= session["acknowledged"]:
            return STALE
        if len(session["answers"]) >= self.max_kept and sequence != session["acknowledged"] + 1:
            return OVERLOADED
        session["answers"][sequence] = APPLIED + self.run(command)
        return bytes(session["answers"][sequence])

    def run(self, command: bytes) -> bytes:
        self.ran.append(command)
        return b"%d:%b" % (len(self.ran), command)


def encode(entry: tuple[Any, ...]) -> bytes:
    what, *fields = entry
    if what == "call":
        session, sequence, command, acknowledged = fields
        return encode_call(session, sequence, acknowledged, command)
    encoders: dict[str, Callable[..., bytes]] = {
        "plain": lambda command: plain([command])[0],
        "open": lambda: OPEN,
        "touch": encode_touch,
        "close": encode_close,
        "clock": encode_clock,
    }
    return encoders[what](*fields)


def history(chance: random.Random, length: int) -> list[tuple[Any, ...]]:
    """Entries as hostile as clients can make them: repeated, reordered, late, of sessions that never were."""
    entries: list[tuple[Any, ...]] = []
    time, opened = 0, [1]
    for index in range(1, length + 1):
        kind = chance.random()
        session = chance.choice(opened[-4:])
        if kind < 0.05 or index == 1:
            entries.append(("open",))
            opened.append(index)
        elif kind < 0.2:
            entries.append(("plain", chance.choice([b"", b"p", b"\xfe", b"\xff\x01O", b"\xffx"]) + b"%d" % index))
        elif kind < 0.27:
            time += chance.choice([0, SECOND, 3 * SECOND])
            entries.append(("clock", max(0, time - chance.choice([0, 0, SECOND]))))
        elif kind < 0.3:
            entries.append(("touch", session, chance.randrange(12)))
        elif kind < 0.32:
            entries.append(("close", session))
        elif kind < 0.5 and index > 3:
            entries.append(chance.choice(entries[-20:]))
        else:
            acknowledged = chance.randrange(10)
            entries.append(("call", session, acknowledged + chance.randrange(1, 7), b"c%d" % index, acknowledged))
    return entries


LIMITS: dict[str, Any] = {"expiry_seconds": 8, "max_sessions": 4, "max_kept_answers": 3}


@pytest.mark.parametrize("seed", range(60))
def test_any_history_in_any_batches_is_what_the_model_says(seed: int) -> None:
    chance = random.Random(seed)
    entries = history(chance, 300)
    model, log = Model(8 * SECOND, 4, 3), Log(**LIMITS)
    expected = [model.apply(index, entry) for index, entry in enumerate(entries, 1)]
    answers: list[bytes] = []
    while len(answers) < len(entries):
        batch = entries[len(answers) : len(answers) + chance.choice([1, 2, 5, 40])]
        answers += log.apply(*map(encode, batch))
    assert answers == expected
    assert log.ran == model.ran
    used = [session.used for session in log.machine._table.sessions.values()]
    assert used == sorted(used)


@pytest.mark.parametrize("seed", range(6))
def test_i19_a_snapshot_at_any_point_continues_like_the_whole_log(seed: int) -> None:
    entries = [encode(entry) for entry in history(random.Random(seed), 120)]
    whole = Log(**LIMITS)
    answers = [whole.one(entry) for entry in entries]
    log = Log(**LIMITS)
    for point in range(len(entries)):
        restored = Log(**LIMITS)
        restored.machine.restore(point, io.BytesIO(image(log.machine)))
        restored.last = point
        assert image(restored.machine) == image(log.machine)
        assert restored.apply(*entries[point:]) == answers[point:]
        assert image(restored.machine) == image(whole.machine)
        log.one(entries[point])


@pytest.mark.parametrize("seed", range(20))
def test_clients_that_retry_over_a_network_that_loses_and_repeats_run_each_call_once(seed: int) -> None:
    """Each of three clients has up to four calls under way; copies are lost, repeated and delayed, and so are answers;
    the machine is replaced by one that restored its snapshot. Every answer that a client gets is that of the one run.
    """
    chance = random.Random(seed)
    log = Log(max_kept_answers=4)
    numbers = [log.open() for _ in range(3)]
    acknowledged, results = dict.fromkeys(numbers, 0), dict[tuple[int, int], bytes]()
    network: list[bytes] = []
    while any(reached < 30 for reached in acknowledged.values()):
        number = chance.choice(numbers)
        for sequence in range(acknowledged[number] + 1, acknowledged[number] + 5):
            if (number, sequence) not in results and chance.random() < 0.5:
                network.append(encode_call(number, sequence, acknowledged[number], b"%d.%d" % (number, sequence)))
        chance.shuffle(network)
        for command in network[: chance.randrange(6)]:
            answer = log.one(command)
            _, session, sequence = (
                command[:3],
                int.from_bytes(command[3:11], "big"),
                int.from_bytes(command[11:19], "big"),
            )
            if answer[:1] == APPLIED and sequence > acknowledged[session] and chance.random() < 0.6:
                assert results.setdefault((session, sequence), answer) == answer
        network = [command for command in network if chance.random() < 0.8]
        while (number, acknowledged[number] + 1) in results:
            acknowledged[number] += 1
        if chance.random() < 0.1:
            copy = image(log.machine)
            log.machine = Sessions(log.journal, max_kept_answers=4)
            log.machine.restore(log.last, io.BytesIO(copy))
    assert len(log.ran) == len(set(log.ran))
    for (session, sequence), answer in results.items():
        assert answer.endswith(b":%d.%d" % (session, sequence))
        assert answer[1:] == b"%d:%b" % (
            log.ran.index(b"%d.%d" % (session, sequence)) + 1,
            b"%d.%d" % (session, sequence),
        )


def test_snapshots_are_the_same_bytes_whatever_the_hash_seed() -> None:
    program = (
        "import hashlib, random; from tests.core.test_sessions import *\n"
        "log = Log(**LIMITS); [log.one(encode(entry)) for entry in history(random.Random(3), 400)]\n"
        "print(hashlib.sha256(image(log.machine)).hexdigest(), log.machine.open_sessions)"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", program],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "12345")
    }
    assert len(digests) == 1
