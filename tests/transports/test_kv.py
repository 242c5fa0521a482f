"""The key-value machine: what each command answers, that no bytes make it raise, that its digest tells states apart."""

import io
import random
from typing import Any

import pytest

from rafty_core import sessions
from rafty_core.sessions import Sessions
from rafty_transports import kv, kv_image
from rafty_transports.interfaces import StateMachine
from rafty_transports.kv import KeyValueMachine

LARGEST = 2**63 - 1


def one(machine: KeyValueMachine, command: bytes) -> bytes:
    """The answer to a single command."""
    (answer,) = machine.apply(1, [command])
    return answer


def test_machine_is_a_state_machine_of_the_seam() -> None:
    machine: StateMachine = KeyValueMachine()
    assert list(machine.apply(1, [])) == []


def test_get_answers_what_set_stored_and_null_before() -> None:
    machine = KeyValueMachine()
    commands = [kv.encode_get(b"a"), kv.encode_set(b"a", b"one\r\n\x00"), kv.encode_get(b"a")]
    assert machine.apply(7, commands) == [kv.NULL, kv.OK, b"$6\r\none\r\n\x00\r\n"]


def test_get_of_an_empty_key_and_an_empty_value() -> None:
    machine = KeyValueMachine()
    assert machine.apply(1, [kv.encode_set(b"", b""), kv.encode_get(b"")]) == [kv.OK, b"$0\r\n\r\n"]


def test_get_of_a_large_value_a_thousand_times_is_one_object() -> None:
    machine = KeyValueMachine()
    machine.apply(1, [kv.encode_set(b"a", bytes(kv.VALUE_LIMIT))])
    assert len({id(answer) for answer in machine.apply(2, [kv.encode_get(b"a")] * 1000)}) == 1


@pytest.mark.parametrize(
    ("options", "present", "answer", "after"),
    [
        (kv.IF_ABSENT, False, kv.OK, b"new"),
        (kv.IF_ABSENT, True, kv.NULL, b"old"),
        (kv.IF_PRESENT, False, kv.NULL, None),
        (kv.IF_PRESENT, True, kv.OK, b"new"),
        (kv.ANSWER_OLD, False, kv.NULL, b"new"),
        (kv.ANSWER_OLD, True, kv.bulk(b"old"), b"new"),
        (kv.ANSWER_OLD | kv.IF_ABSENT, False, kv.NULL, b"new"),
        (kv.ANSWER_OLD | kv.IF_ABSENT, True, kv.bulk(b"old"), b"old"),
        (kv.ANSWER_OLD | kv.IF_PRESENT, False, kv.NULL, None),
        (kv.ANSWER_OLD | kv.IF_PRESENT, True, kv.bulk(b"old"), b"new"),
    ],
)
def test_set_with_options(options: int, present: bool, answer: bytes, after: bytes | None) -> None:
    machine = KeyValueMachine()
    if present:
        machine.apply(1, [kv.encode_set(b"key", b"old")])
    assert one(machine, kv.encode_set(b"key", b"new", options)) == answer
    assert one(machine, kv.encode_get(b"key")) == (kv.NULL if after is None else kv.bulk(after))


@pytest.mark.parametrize(
    ("before", "answer"),
    [
        (None, b":1\r\n"),
        (b"0", b":1\r\n"),
        (b"-1", b":0\r\n"),
        (b"%d" % (LARGEST - 1), b":%d\r\n" % LARGEST),
        (b"%d" % -(LARGEST + 1), b":%d\r\n" % -LARGEST),
        (b"%d" % LARGEST, kv.OVERFLOW),
        (b"%d" % (LARGEST + 1), kv.NOT_AN_INTEGER),
        (b"", kv.NOT_AN_INTEGER),
        (b" 1", kv.NOT_AN_INTEGER),
        (b"+1", kv.NOT_AN_INTEGER),
        (b"01", kv.NOT_AN_INTEGER),
        (b"-0", kv.NOT_AN_INTEGER),
        (b"1_0", kv.NOT_AN_INTEGER),
        (b"1.5", kv.NOT_AN_INTEGER),
        (b"\xd9\xa1", kv.NOT_AN_INTEGER),
        (b"9" * 10_000, kv.NOT_AN_INTEGER),
    ],
)
def test_incr_as_redis_counts(before: bytes | None, answer: bytes) -> None:
    machine = KeyValueMachine()
    if before is not None:
        machine.apply(1, [kv.encode_set(b"n", before)])
    digest = machine.digest()
    assert one(machine, kv.encode_incr(b"n")) == answer
    if answer.startswith(b"-"):
        assert machine.digest() == digest
    else:
        assert one(machine, kv.encode_get(b"n")) == kv.bulk(answer[1:-2])


def test_incr_by_amounts_up_to_the_ends_of_64_bits() -> None:
    machine = KeyValueMachine()
    amounts = [5, -7, LARGEST, 2, 1, -LARGEST - 1, -LARGEST - 1]
    answers = [b":5\r\n", b":-2\r\n", b":%d\r\n" % (LARGEST - 2), b":%d\r\n" % LARGEST, kv.OVERFLOW]
    answers += [b":-1\r\n", kv.OVERFLOW]
    assert machine.apply(1, [kv.encode_incr(b"n", amount) for amount in amounts]) == answers


def test_several_keys_at_once() -> None:
    machine = KeyValueMachine()
    assert one(machine, kv.encode_keys(kv.MSET, [b"a", b"1", b"b", b"2", b"a", b"3"])) == kv.OK
    assert one(machine, kv.encode_keys(kv.MGET, [b"a", b"x", b"b"])) == b"*3\r\n$1\r\n3\r\n$-1\r\n$1\r\n2\r\n"
    assert one(machine, kv.encode_keys(kv.EXISTS, [b"a", b"a", b"x"])) == b":2\r\n"
    assert one(machine, kv.DBSIZE) == b":2\r\n"
    assert one(machine, kv.encode_keys(kv.DEL, [b"a", b"a", b"x"])) == b":1\r\n"
    assert len(machine) == 1


def test_mget_is_refused_when_the_answer_would_be_too_large() -> None:
    machine = KeyValueMachine()
    machine.apply(1, [kv.encode_set(b"a", bytes(kv.VALUE_LIMIT))])
    fitting = one(machine, kv.encode_keys(kv.MGET, [b"a"] * 3))
    assert fitting.startswith(b"*3\r\n$1048576\r\n")
    assert one(machine, kv.encode_keys(kv.MGET, [b"a"] * 4)) == kv.ANSWER_TOO_LARGE


@pytest.mark.parametrize(
    "command",
    [
        b"",
        b"?",
        b"S",
        b"S\x00\x00\x00",
        b"S\x00\x00\x00\x05abc",
        b"S\xff\xff\xff\xffabc",
        b"s",
        b"s\x01\x00\x00\x00\x05abc",
        b"s\x03\x00\x00\x00\x01ab",
        b"s\x08\x00\x00\x00\x01ab",
        b"I",
        b"I\x00\x00\x00\x00\x00\x00\x00",
        b"D",
        b"E\x00",
        b"M\x00\x00\x00\x09abc",
        b"P\x00\x00\x00\x01a",
        b"Nx",
    ],
)
def test_malformed_command_is_answered_and_changes_nothing(command: bytes) -> None:
    machine = KeyValueMachine()
    machine.apply(1, [kv.encode_set(b"a", b"1")])
    digest = machine.digest()
    assert one(machine, command) == kv.MALFORMED
    assert machine.digest() == digest


def test_random_commands_give_the_same_answers_and_digest_on_two_machines_batched_differently() -> None:
    for seed in range(20):
        rng = random.Random(seed)
        commands = [_random_command(rng) for _ in range(500)]
        first, second = KeyValueMachine(), KeyValueMachine()
        at_once = first.apply(1, commands)
        one_by_one = [one(second, command) for command in commands]
        assert at_once == one_by_one, f"seed {seed}"
        assert (first.digest(), first.commands_applied) == (second.digest(), second.commands_applied), f"seed {seed}"


def _random_command(rng: random.Random) -> bytes:
    key, value = rng.choice(b"abcdefgh").to_bytes(1, "big"), b"%d" % rng.randrange(100)
    operation = rng.choice((kv.DEL, kv.EXISTS, kv.MGET))
    command = rng.choice(
        (
            kv.encode_get(key),
            kv.encode_set(key, value),
            kv.encode_set(key, value, rng.choice((1, 2, 4, 5, 6))),
            kv.encode_incr(key),
            kv.encode_keys(operation, [key, value]),
            kv.encode_keys(kv.MSET, [key, value]),
            kv.DBSIZE,
            rng.randbytes(rng.randrange(12)),
        )
    )
    if rng.random() < 0.1 and command:
        command = command[: rng.randrange(len(command))] + rng.randbytes(1) + command[rng.randrange(len(command)) :]
    return command


def test_digest_is_independent_of_the_order_of_insertion_and_tells_states_apart() -> None:
    pairs = [(b"%d" % number, b"%d" % (number * 7)) for number in range(100)]
    machines = []
    for order in (pairs, pairs[::-1]):
        machine = KeyValueMachine()
        machine.apply(1, [kv.encode_set(key, value) for key, value in order])
        machines.append(machine)
    assert machines[0].digest() == machines[1].digest() == kv.digest_of(machines[1].items())
    different = [KeyValueMachine() for _ in range(4)]
    different[1].apply(1, [kv.encode_set(b"ab", b"c")])
    different[2].apply(1, [kv.encode_set(b"a", b"bc")])
    different[3].apply(1, [kv.encode_set(b"", b"")])
    assert len({machine.digest() for machine in [*machines, *different]}) == 5


def test_deleting_everything_gives_the_digest_of_the_empty_store() -> None:
    machine = KeyValueMachine()
    machine.apply(1, [kv.encode_set(b"a", b"1"), kv.encode_keys(kv.DEL, [b"a"])])
    assert machine.digest() == KeyValueMachine().digest()


def filled() -> KeyValueMachine:
    """A machine with some of everything."""
    machine = KeyValueMachine()
    machine.apply(1, [kv.encode_set(b"", b""), kv.encode_set(b"a", b"\r\n\x00"), kv.encode_incr(b"n", -5)])
    machine.apply(4, [kv.encode_set(b"large", bytes(3 * kv_image.PIECE)), kv.encode_keys(kv.DEL, [b"x"])])
    return machine


def image_of(machine: KeyValueMachine) -> bytes:
    target = io.BytesIO()
    machine.snapshot()(target)
    return target.getvalue()


def test_reading_answers_what_the_log_would_and_counts_nothing() -> None:
    machine = filled()
    before = machine.commands_applied
    commands = [kv.encode_get(b"n"), kv.encode_get(b"x"), kv.DBSIZE, kv.encode_keys(kv.MGET, [b"a", b"x"])]
    commands += [kv.encode_keys(kv.EXISTS, [b"a", b"a"]), kv.encode_keys(kv.MGET, []), b""]
    answers = machine.read(commands)
    assert machine.commands_applied == before
    assert answers == machine.apply(6, commands)


def test_reading_changes_nothing_whatever_the_bytes() -> None:
    machine = filled()
    digest = machine.digest()
    writes = [kv.encode_set(b"a", b"1"), kv.encode_incr(b"n"), kv.encode_keys(kv.DEL, [b"a"]), b"\xff\xff"]
    assert machine.read(writes) == [kv.MALFORMED] * 4
    assert machine.digest() == digest


def test_image_gives_the_same_state_and_the_same_count() -> None:
    machine, other = filled(), KeyValueMachine()
    other.apply(1, [kv.encode_set(b"gone", b"1")])
    other.restore(5, io.BytesIO(image_of(machine)))
    assert (other.digest(), other.commands_applied) == (machine.digest(), machine.commands_applied)
    assert one(other, kv.encode_get(b"gone")) == kv.NULL
    assert one(other, kv.encode_incr(b"n")) == b":-4\r\n"


def test_image_is_of_the_moment_at_which_it_was_taken() -> None:
    machine, other = filled(), KeyValueMachine()
    digest = machine.digest()
    write = machine.snapshot()
    machine.apply(6, [kv.encode_set(b"a", b"later"), kv.encode_keys(kv.DEL, [b"n"]), kv.encode_set(b"new", b"1")])
    target = io.BytesIO()
    write(target)
    other.restore(5, io.BytesIO(target.getvalue()))
    assert other.digest() == digest


def test_image_is_written_in_pieces() -> None:
    machine = KeyValueMachine()
    machine.apply(1, [kv.encode_set(b"k%d" % number, bytes(1000)) for number in range(2000)])
    sizes: list[int] = []

    class Target(io.BytesIO):
        def write(self, data: Any, /) -> int:
            sizes.append(memoryview(data).nbytes)
            return super().write(data)

    machine.snapshot()(Target())
    assert len(sizes) >= 7
    assert max(sizes) < kv_image.PIECE + 2000


def test_image_cut_anywhere_is_refused_and_the_state_stays() -> None:
    machine, other = KeyValueMachine(), filled()
    machine.apply(1, [kv.encode_set(b"a", b"1"), kv.encode_set(b"bc", b"23")])
    image, digest = image_of(machine), other.digest()
    wrong = [image[:size] for size in range(len(image))]
    wrong += [image + b"x", image.replace(kv_image.MAGIC, b"RAFTYKV"), image[:7] + b"\x02" + image[8:]]
    wrong += [image[:16] + (1 << 40).to_bytes(8, "big") + image[24:], image[:24] + b"\xff" * 4 + image[28:]]
    for data in wrong:
        with pytest.raises(ValueError, match="image"):
            other.restore(9, io.BytesIO(data))
        assert other.digest() == digest


def test_image_of_a_newer_format_says_so() -> None:
    image = image_of(filled())
    with pytest.raises(ValueError, match="format 9, and this version of rafty knows format 1"):
        KeyValueMachine().restore(1, io.BytesIO(image[:7] + b"\x09" + image[8:]))


def test_image_within_sessions_takes_the_table_along() -> None:
    machine = Sessions(KeyValueMachine())
    (opened,) = machine.apply(1, [sessions.OPEN])
    call = sessions.encode_call(1, 1, 0, kv.encode_incr(b"n"))
    first = machine.apply(2, [call])
    target = io.BytesIO()
    machine.snapshot()(target)
    other = Sessions(KeyValueMachine())
    other.restore(2, io.BytesIO(target.getvalue()))
    assert sessions.decode_opened(opened) is not None
    assert other.apply(3, [call, kv.encode_get(b"n")]) == [*first, b"$1\r\n1\r\n"]
