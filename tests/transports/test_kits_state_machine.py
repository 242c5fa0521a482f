"""The kit of state machines: ours pass, and each that is wrong in one way is told which."""

import itertools
import random
import re
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any, BinaryIO

import pytest

from rafty_core import Sessions
from rafty_core.sessions import OPEN, encode_call, plain
from rafty_transports import kv
from rafty_transports.testing import ConformanceError, check_state_machine
from rafty_transports.testing.state_machine import RULES
from tests.examples.replicated_sql import ReplicatedSql, statement

ALL = {rule.name for rule in RULES}
OF_DURABLE = {"applied_index_is_true", "restart_goes_on"}


def kv_command(chance: Random) -> bytes:
    key, value = b"k%d" % chance.randrange(20), b"%d" % chance.randrange(100)
    commands: list[bytes] = [
        kv.encode_set(key, value),
        kv.encode_get(key),
        kv.encode_incr(key, chance.randint(-5, 5)),
        kv.encode_keys(kv.DEL, [key, b"k1"]),
        kv.encode_keys(kv.MGET, [b"k1", key]),
        kv.DBSIZE,
        value,
    ]
    return chance.choice(commands)


def sessions_of_store() -> Sessions:
    return Sessions(kv.KeyValueMachine())


def session_command(chance: Random) -> bytes:
    call = encode_call(chance.randrange(1, 4), chance.randrange(1, 20), 0, kv_command(chance))
    return chance.choice([OPEN, call, *plain([kv_command(chance)])])


def test_key_value_machine() -> None:
    tried = check_state_machine(kv.KeyValueMachine, kv_command)
    assert {*tried} == ALL - OF_DURABLE


def test_sessions_around_a_machine() -> None:
    tried = check_state_machine(sessions_of_store, session_command, check=lambda machine: machine.open_sessions < 1000)
    assert {*tried} == ALL - OF_DURABLE


def test_replicated_sql(tmp_path: Path) -> None:
    numbers = itertools.count()

    def make() -> ReplicatedSql:
        return ReplicatedSql(tmp_path / f"{next(numbers)}.db")

    def restart(machine: ReplicatedSql) -> ReplicatedSql:
        machine.close()
        return ReplicatedSql(machine._path)

    def command(chance: Random) -> bytes:
        return chance.choice(
            [
                statement("CREATE TABLE IF NOT EXISTS t (n INTEGER PRIMARY KEY, v)"),
                statement("INSERT INTO t VALUES (?, ?)", chance.randrange(10), chance.randrange(100)),
                statement("UPDATE t SET v = v + 1 WHERE n = ?", chance.randrange(10)),
                statement("SELECT count(*), sum(v) FROM t"),
                b"no statement",
            ]
        )

    tried = check_state_machine(
        make, command, restart=restart, close=ReplicatedSql.close, equal_images=False, seeds=[1], count=40
    )
    assert {*tried} == ALL - {"hash_seed_changes_nothing", "simulated_cluster_agrees"}


class Names:
    """A right machine: a set of names, which it answers in their order."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def apply(self, first_index: int, commands: Sequence[bytes]) -> Any:
        return [self.add(command) for command in commands]

    def add(self, command: bytes) -> bytes:
        self.names.add(command.decode())
        return self.text()

    def text(self) -> bytes:
        return ",".join(sorted(self.names)).encode()

    def snapshot(self) -> Callable[[BinaryIO], object]:
        text = self.text()
        return lambda target: target.write(text)

    def restore(self, index: int, source: BinaryIO) -> None:
        self.names = set(source.read().decode().split(",")) - {""}


def name(chance: Random) -> bytes:
    return b"name-%d" % chance.randrange(1000)


class OneResultTooFew(Names):
    def apply(self, first_index: int, commands: Sequence[bytes]) -> Any:
        return super().apply(first_index, commands)[:1]


class TextResults(Names):
    def apply(self, first_index: int, commands: Sequence[bytes]) -> Any:
        return [result.decode() for result in super().apply(first_index, commands)]


class Raises(Names):
    def add(self, command: bytes) -> bytes:
        if command.decode() in self.names:
            raise ValueError("there is such a name")
        return super().add(command)


class WithClock(Names):
    def add(self, command: bytes) -> bytes:
        return super().add(command) + b" %d" % time.monotonic_ns()


class WithChance(Names):
    def add(self, command: bytes) -> bytes:
        return super().add(command) + b" %d" % random.randrange(1000)


class HiddenChance(Names):
    """Its results are right, and its state is not."""

    def add(self, command: bytes) -> bytes:
        result = super().add(command)
        self.names.add(f"name-{random.random()}") if len(self.names) == 5 else None
        return result[:1]


class OrderOfASet(Names):
    def text(self) -> bytes:
        return ",".join(self.names).encode()

    def snapshot(self) -> Callable[[BinaryIO], object]:
        text = ",".join(sorted(self.names)).encode()
        return lambda target: target.write(text)


class AnswersForTheBatch(Names):
    def apply(self, first_index: int, commands: Sequence[bytes]) -> Any:
        return [super().apply(first_index, commands)[-1]] * len(commands)


class FollowsLaterCommands(Names):
    def snapshot(self) -> Callable[[BinaryIO], object]:
        return lambda target: target.write(self.text())


class BoundToItsThread(Names):
    def snapshot(self) -> Callable[[BinaryIO], object]:
        text, owner = self.text(), threading.current_thread()

        def write(target: BinaryIO) -> None:
            if threading.current_thread() is not owner:
                raise RuntimeError("another thread")
            target.write(text)

        return write if len(self.names) > 20 else (lambda target: target.write(text))


class RestoreAddsToWhatWas(Names):
    def restore(self, index: int, source: BinaryIO) -> None:
        before = self.names
        super().restore(index, source)
        self.names |= before


class RestoreLoses(Names):
    """How often something was added is no part of its snapshot."""

    times = 0

    def add(self, command: bytes) -> bytes:
        self.times += 1
        return super().add(command) + b" %d" % self.times


class Durable(Names):
    applied_index = 0

    def apply(self, first_index: int, commands: Sequence[bytes]) -> Any:
        results = super().apply(first_index, commands)
        self.applied_index = first_index + len(commands) - 1
        return results

    def restore(self, index: int, source: BinaryIO) -> None:
        super().restore(index, source)
        self.applied_index = index


class AheadOfItself(Durable):
    def apply(self, first_index: int, commands: Sequence[bytes]) -> Any:
        results = super().apply(first_index, commands)
        self.applied_index += 1
        return results


class KeepsItsIndex(Durable):
    def restore(self, index: int, source: BinaryIO) -> None:
        Names.restore(self, index, source)


FAULTS: list[tuple[type[Names], str, str]] = [
    (OneResultTooFew, "one_result_for_each", "1 results; one for each command is due"),
    (TextResults, "one_result_for_each", "apply() of 1 commands returned ['name-"),
    (Raises, "one_result_for_each", "raised ValueError('there is such a name')"),
    (WithClock, "equal_commands_give_equal_results", "the same commands: command b'name-"),
    (WithChance, "equal_commands_give_equal_results", "by one machine and b'name-"),
    (HiddenChance, "equal_commands_give_equal_results", "the snapshots of two machines differ, from byte "),
    (AnswersForTheBatch, "splitting_changes_nothing", "alone and in batches as large as can be: command b'name-"),
    (FollowsLaterCommands, "snapshot_is_of_its_moment", "while commands were applied is not of its moment, from byte "),
    (BoundToItsThread, "snapshot_is_of_its_moment", "writing the snapshot in a thread raised RuntimeError('another "),
    (RestoreAddsToWhatWas, "restore_gives_an_equal_machine", "restored over a state of its own: the snapshots of two"),
    (RestoreLoses, "restore_gives_an_equal_machine", "restored, later: command b'name-"),
    (AheadOfItself, "applied_index_is_true", "applied_index is "),
    (KeepsItsIndex, "applied_index_is_true", ", ...) applied_index is 0"),
    (OrderOfASet, "hash_seed_changes_nothing", "in processes with PYTHONHASHSEED=0 and 1: command b'name-"),
    (RestoreLoses, "simulated_cluster_agrees", "in a simulated cluster with seed "),
]


@pytest.mark.parametrize(("kind", "rule", "words"), FAULTS, ids=[f"{kind.__name__}-{rule}" for kind, rule, _ in FAULTS])
def test_each_fault_is_named(kind: type[Names], rule: str, words: str) -> None:
    with pytest.raises(ConformanceError, match=re.escape(words)) as caught:
        check_state_machine(kind, name, only=[rule], seeds=range(20))
    assert caught.value.rule == rule


def test_each_rule_has_a_machine_that_breaks_it() -> None:
    assert {rule for _, rule, _ in FAULTS} | {"restart_goes_on"} == ALL


def test_the_machines_that_the_faults_were_made_of_are_right() -> None:
    check_state_machine(Names, name, seeds=[0])
    check_state_machine(Durable, name, seeds=[0])


@pytest.mark.parametrize("lost", ["nothing", "state", "index"])
def test_a_machine_that_restarts(lost: str) -> None:
    def restart(machine: Durable) -> Durable:
        again = Durable()
        again.names = set() if lost == "state" else set(machine.names)
        again.applied_index = 5 if lost == "index" else machine.applied_index
        return again

    if lost == "nothing":
        assert "restart_goes_on" in check_state_machine(Durable, name, restart=restart, seeds=[0])
        return
    with pytest.raises(ConformanceError, match=r"breaks the rule `restart_goes_on`: after (restarts|a restart)"):
        check_state_machine(Durable, name, restart=restart)


def test_what_must_always_hold_is_looked_at() -> None:
    with pytest.raises(ConformanceError, match=r"check\(machine\) is False at index "):
        check_state_machine(Names, name, check=lambda machine: len(machine.names) < 5)


def test_machines_without_a_name_are_not_made_in_another_process() -> None:
    tried = check_state_machine(lambda: Names(), name, skip=["simulated_cluster_agrees"])
    assert {*tried} == ALL - OF_DURABLE - {"hash_seed_changes_nothing", "simulated_cluster_agrees"}
