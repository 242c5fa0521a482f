"""A state machine of a user's in a simulated cluster: a good one passes, each kind of bad one gives itself away.

Law: *the message names the command, or the state, by which the machine gave itself away.*
"""

import random
import re
import time
from collections.abc import Callable, Sequence
from typing import Any, BinaryIO

import pytest

from rafty_core import Sessions
from rafty_core.simulation import Faults, Options, Simulation, SimulationFailure
from rafty_core.simulation.application import Application
from rafty_core.simulation.faults import AT_POINTS, STRIKES, SWITCHES
from rafty_core.simulation.liveness import Liveness
from rafty_core.simulation.nemesis import Nemesis


class Counter:
    total = 0

    def apply(self, first_index: int, commands: Sequence[bytes]) -> list[bytes]:
        return [self.add(int(command)) for command in commands]

    def add(self, number: int) -> bytes:
        self.total += number
        return b"%d" % self.total

    def snapshot(self) -> Callable[[BinaryIO], object]:
        total = self.total
        return lambda target: target.write(b"%d" % total)

    def restore(self, index: int, source: BinaryIO) -> None:
        self.total = int(source.read())


class WithChance(Counter):
    def add(self, number: int) -> bytes:
        return super().add(number + random.randint(0, 1))


class WithClock(Counter):
    def add(self, number: int) -> bytes:
        return super().add(time.perf_counter_ns())


class OfBatches(Counter):
    def apply(self, first_index: int, commands: Sequence[bytes]) -> list[bytes]:
        super().apply(first_index, commands)
        return [b"%d" % self.total] * len(commands)


class Forgetful(Counter):
    """Its snapshot holds the sum, and not how often something was added."""

    times = 0

    def add(self, number: int) -> bytes:
        self.times += 1
        return super().add(number) + b" after %d" % self.times


class Losing(Counter):
    def restore(self, index: int, source: BinaryIO) -> None:
        self.total = int(source.read()) // 10 * 10


class Sharing(Counter):
    def snapshot(self) -> Callable[[BinaryIO], object]:
        return lambda target: target.write(b"%d" % self.total)


class Drifting(Counter):
    """Its answers are right, and its state is not."""

    def add(self, number: int) -> bytes:
        result = super().add(number)
        if random.random() < 0.1:
            self.total += 1000
        return result[-1:]


class OneWay(WithChance):
    restore = property()  # hasattr finds nothing


class Overflowing(Counter):
    def add(self, number: int) -> bytes:
        if self.total > 20:
            raise OverflowError("more than twenty")
        return super().add(number)


class Mute(Counter):
    def apply(self, first_index: int, commands: Sequence[bytes]) -> list[bytes]:
        super().apply(first_index, commands)
        return []


class OfItsDay(Counter):
    step = 1

    def add(self, number: int) -> bytes:
        return super().add(self.step * number)


class WithoutSnapshots:
    """A log of what was applied; it cannot be written down."""

    def __init__(self) -> None:
        self.seen: list[bytes] = []

    def apply(self, first_index: int, commands: Sequence[bytes]) -> list[bytes]:
        self.seen += commands
        return [b"%d" % len(self.seen)] * len(commands)


def draw(chance: random.Random) -> bytes:
    return b"%d" % chance.randint(1, 9)


def first_failure(machine: Callable[[], Any], **more: Any) -> SimulationFailure:
    with pytest.raises(SimulationFailure) as caught:
        for seed in range(10):
            Simulation(machine=machine, command=draw, seed=seed, **more).run()
    return caught.value


def test_good_machine_under_all_faults() -> None:
    reports = [Simulation(machine=Counter, command=draw, seed=seed).run() for seed in range(3)]
    assert sum(report.fates["applied"] for report in reports) > 50


def test_machine_within_sessions_and_one_without_snapshots() -> None:
    Simulation(machine=lambda: Sessions(Counter()), command=draw, seed=1, seconds=5).run()
    with pytest.raises(SimulationFailure, match="the state machine is not deterministic"):
        Simulation(machine=WithoutSnapshots, command=draw, seed=1).run()


@pytest.mark.parametrize(
    ("machine", "number", "text"),
    [
        (WithChance, "I5", r"not deterministic: at index \d+ n\d answers b'\d' with b'\d+', but the reference answers"),
        (WithClock, "I5", "not deterministic: at index"),
        (OfBatches, "I5", r"; commands at once: [2-9]\. The reference .* applies each command alone"),
        (Forgetful, "I5", r"answers b'\d' with b'\d+ after \d+', .* took over the snapshot at index \d+"),
        (Losing, "I19", r"restore loses or changes something: n\d took over the snapshot at index \d+, which has"),
        (
            Sharing,
            "I19",
            r"what snapshot\(\) returned on n\d writes another state: it would have written b'\d+', and writes",
        ),
        (Drifting, "I19", r"at index \d+ .* has b'\d+', but .* has b'\d+' behind \[b'\d'.*\] \("),
        (Overflowing, "OverflowError", r"more than twenty; apply\(\d+, \[b'\d'\]\) was called on the reference"),
        (Mute, "I5", r"must return one result \(bytes\) for each command: apply\(\d+, \[b'\d'\]\) on the reference"),
    ],
)
def test_bad_machine_gives_itself_away(machine: Callable[[], Any], number: str, text: str) -> None:
    failure = first_failure(machine)
    assert failure.number == number
    assert re.search(text, failure.text)


def test_machine_that_is_another_one_on_the_next_day(monkeypatch: pytest.MonkeyPatch) -> None:
    """When all has gone well, all nodes start again, and must come to what they had."""
    restart_all = Liveness._restart_all

    def next_day(self: Liveness) -> bool:
        monkeypatch.setattr(OfItsDay, "step", 2)
        return restart_all(self)

    monkeypatch.setattr(Liveness, "_restart_all", next_day)
    found = set()
    for seed in (0, 2, 4):  # 2: with a machine whose state is durable
        monkeypatch.setattr(OfItsDay, "step", 1)
        simulation = Simulation(machine=OfItsDay, command=draw, seed=seed, seconds=3, faults=Faults.none())
        try:
            simulation.run()
        except SimulationFailure as failure:
            found.add((simulation.options.machine, failure.number))
    assert found == {("from nothing", "I5"), ("from the snapshot", "I5")}


def test_check_that_is_false_or_raises() -> None:
    failure = first_failure(Counter, check=lambda counter: counter.total <= 20)
    assert failure.number == "check"
    text = r"check\(machine\) is False on n\d at index \d+, behind \[b'\d'.*\]; its state is b'\d+'"
    assert re.fullmatch(text, failure.text)
    assert first_failure(Counter, check=lambda counter: int(counter.total <= 20)).number == "check"
    Simulation(machine=Counter, command=draw, check=lambda counter: [], seed=1, seconds=3).run()

    def no_more(counter: Counter) -> None:
        if counter.total > 20:
            raise AssertionError  # as a plain `assert` does, outside pytest

    assert first_failure(Counter, check=no_more).text.startswith("check(machine) was called at index")

    def at_most_twenty(counter: Counter) -> None:
        assert counter.total <= 20, "too much"

    failure = first_failure(Counter, check=at_most_twenty)
    assert failure.number == "AssertionError"
    assert failure.text.startswith("too much")
    assert "; check(machine) was called at index" in failure.text


def test_machine_that_can_write_its_state_down_and_not_take_it_over() -> None:
    with pytest.raises(TypeError, match="OneWay must have both snapshot and restore, or neither"):
        Application(OneWay)


def test_machine_that_cannot_be_made() -> None:
    class Unmade(Counter):
        def __init__(self) -> None:
            raise RuntimeError("there is no disk")

    for machine, number, text in (
        (Unmade, "RuntimeError", "there is no disk; so no cluster can be made"),
        (OneWay, "TypeError", "OneWay must have both snapshot and restore, or neither"),
    ):
        with pytest.raises(SimulationFailure) as caught:
            Simulation(machine=machine, command=draw, seed=3).run()
        assert caught.value.number == number
        assert text in caught.value.text
        last = str(caught.value).splitlines()[-1]
        assert last == f"Replay: Simulation(machine={machine.__name__}, seed=3, ...).run()"
        assert "in make" in caught.value.trace or "in __init__" in caught.value.trace


def test_command_that_is_not_bytes() -> None:
    with pytest.raises(SimulationFailure, match="TypeError: command must return bytes, not str"):
        Simulation(machine=Counter, command=lambda chance: "1", seed=1, seconds=3).run()  # type: ignore[arg-type, return-value]


def test_options_that_make_no_sense() -> None:
    for wrong, text in (
        ({"machine": Counter}, "machine and command belong together"),
        ({"check": bool}, "check looks at machines"),
        ({"nodes": 8}, "nodes must be a whole number from 1 to 7, not 8"),
        ({"seconds": 0}, "seconds must be a number above 0, and finite, not 0"),
        ({"losy": 0.1}, "there is no option 'losy' to be given here; do you mean 'lossy'?"),
        ({"size": 3}, "do you mean 'nodes'?"),
        ({"lossy": 2}, "option lossy must be from 0 to 1, not 2"),
        ({"trailing": "3"}, "option trailing must be of type int, not '3'"),
        ({"trailing": 2.5}, "option trailing must be of type int, not 2.5"),
        ({"read_interval": -1}, "option read_interval must be 0 or more, not -1"),
        ({"read_interval": float("inf")}, "option read_interval must be a finite number, not inf"),
        ({"application": "zzz"}, "option application must be one of 'none', 'registers', 'sessions', not 'zzz'"),
        ({"kept": "abc"}, "option kept must be a set of names, not 'abc'"),
        ({"clock_drift": 1}, "option clock_drift must be from 0 to 0.9, not 1"),
        ({"max_batch_bytes": 0}, "max_batch_bytes must be above 0, not 0"),
        ({"seed": "x"}, "seed must be a whole number, not 'x'"),
        ({"seed": 1.5}, "seed must be a whole number, not 1.5"),
        ({"seed": None}, "seed must be a whole number, not None"),
        ({"seconds": float("inf")}, "seconds must be a number above 0, and finite, not inf"),
        ({"machine": Counter, "command": b"x"}, "command must be a function that draws a command from a random.Random"),
        (
            {"machine": Counter(), "command": draw},
            "machine must be a function that makes a state machine, as its class",
        ),
        ({"machine": Counter, "command": draw, "check": 5}, "check must be a function that looks at a machine, not 5"),
        ({"faults": "crashes"}, """faults must be Faults, as in Faults.only("crashes"), not 'crashes'"""),
    ):
        with pytest.raises((TypeError, ValueError)) as caught:
            Simulation(**wrong)
        assert text in str(caught.value)


def test_faults_that_are_left_out() -> None:
    with pytest.raises(ValueError, match="there is no kind of fault 'crash'; there are crashes, partitions"):
        Faults.only("crash")
    none = Simulation(seed=3, faults=Faults.none()).options
    names = [name for switches in SWITCHES.values() for name in switches]
    assert [getattr(none, name) for name in [*names, "fault_interval", "striking"]] == [0] * (len(names) + 2)
    assert Simulation(seed=3).options == Simulation(seed=3, faults=Faults()).options
    crashes = Simulation(seed=3, faults=Faults.only("crashes")).options
    assert crashes.kinds == {"crash", "crash_all", "crash_one", "crash_soon"}
    assert crashes.fault_interval == Options.draw(3, 3).fault_interval


def test_every_fault_is_of_some_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    offered: set[str] = set()
    choose = Nemesis._choose

    def watched(self: Nemesis, kinds: Sequence[Callable[..., None]]) -> Callable[..., None] | None:
        offered.update(getattr(kind, "__name__", "").strip("_") for kind in kinds)
        return choose(self, kinds)

    monkeypatch.setattr(Nemesis, "_choose", watched)
    Simulation(seed=5, seconds=5, fault_interval=0.2, striking=1).run()
    assert offered == ({*STRIKES, *AT_POINTS} - {"late"}) | {"press"}


@pytest.mark.parametrize("kind", ["crashes", "partitions", "pauses", "messages", "elections"])
def test_only_one_kind_of_fault(kind: str) -> None:
    Simulation(machine=Counter, command=draw, seed=5, seconds=5, faults=Faults.only(kind), fault_interval=0.3).run()
