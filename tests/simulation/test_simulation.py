"""The slice of the simulation that runs with every test run; `python -m tests.simulation.run` is the long one."""

import os
import subprocess
import sys
from collections.abc import Sequence

import pytest

from rafty_core import election, quorum
from rafty_core.invariants import InvariantViolation
from rafty_core.log import Log
from rafty_core.pending import Window
from rafty_core.simulation import SimulationFailure
from rafty_core.simulation.run import run
from tests.simulation.parts import REAL_CODEC

MORE = [pytest.param(first, 10, marks=pytest.mark.slow) for first in range(5, 45, 10)]


@pytest.mark.parametrize(("first", "count"), [(0, 5), *MORE])
def test_simulation_under_random_faults(first: int, count: int) -> None:
    """Safety while everything breaks, liveness once nothing does: invariants I1 to I16, I18 to I20, I22, I24 to I27."""
    reports = [run(seed, REAL_CODEC) for seed in range(first, first + count)]
    assert all(report.committed > 0 and report.terms > 0 for report in reports)
    assert sum(report.fates["applied"] for report in reports) > 100
    for call in ("read done", "change done", "transfer done"):
        assert sum(report.calls.get(call, 0) for report in reports) > 0


WITH_CALLERS = "print(run(8, with_digest=True))  # callers that do not know what became of something"
SHRUNKEN = 'print(run(54, with_digest=True, kept=frozenset({"propose 3", "break_something 1"}), salt=3))'
WITH_MACHINE = """
faults = Faults.only("crashes", "partitions", "members")
print(Simulation(machine=Counter, command=draw, seed=5, seconds=5, faults=faults).run(with_digest=True))
"""


@pytest.mark.parametrize(
    "runs",
    [
        (WITH_CALLERS, SHRUNKEN, WITH_MACHINE),
        pytest.param(("print(run(54, with_digest=True))",), marks=pytest.mark.slow),
    ],
    ids=["short", "long"],
)
def test_simulation_same_seed_in_two_processes(runs: Sequence[str]) -> None:
    """I23: the same seed gives the same trace, whatever PYTHONHASHSEED; so do shrunken ones and machines."""
    program = """
from rafty_core.simulation import Faults, Simulation
from rafty_core.simulation.run import run
from tests.simulation.test_user_machine import Counter, draw
"""
    traces = [
        subprocess.run(
            [sys.executable, "-c", "\n".join((program, *runs))],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout
        for hash_seed in ("1", "2")
    ]
    assert traces[0] == traces[1]
    assert traces[0].count("digest='") == len(runs)


def _always(*_: object) -> bool:
    return True


@pytest.mark.parametrize(
    ("where", "name", "numbers"),
    [
        (election, "_vote_is_durable", {"I9"}),
        (election, "_may_vote_for", {"I6", "I8", "I15"}),
        (Log, "is_up_to_date", {"I4", "I15"}),
        (Window, "admit", {"I18"}),
        (quorum, "majority", {"I1", "I4", "I5", "I10", "I15"}),
    ],
)
def test_simulation_catches_a_broken_rule(
    monkeypatch: pytest.MonkeyPatch, where: object, name: str, numbers: set[str]
) -> None:
    """A check that never fails checks nothing: each of these rules, always true, is missed within a few seeds."""
    monkeypatch.setattr(where, name, _always)
    with pytest.raises(SimulationFailure) as caught:
        for seed in range(10):
            run(seed, REAL_CODEC)
    cause = caught.value.__cause__
    assert isinstance(cause, InvariantViolation)
    assert cause.number in numbers
    assert str(caught.value).splitlines()[-1].startswith("Replay: python -m tests.simulation.run run ")
