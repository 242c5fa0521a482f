"""The slice of the simulation that runs with every test run; `python -m tests.simulation.run` is the long one."""

import os
import subprocess
import sys

import pytest

from rafty_core.invariants import InvariantViolation
from tests.simulation.run import run


@pytest.mark.parametrize("first", range(0, 40, 10))
def test_simulation_under_random_faults(first: int) -> None:
    """Safety while everything breaks, liveness once nothing does: invariants I1 to I14, I18, I24 to I27."""
    reports = [run(seed) for seed in range(first, first + 10)]
    assert all(report.committed > 0 and report.terms > 0 for report in reports)
    assert sum(report.fates["applied"] for report in reports) > 100


def test_simulation_same_seed_in_two_processes() -> None:
    """I23: the same seed gives the same trace, whatever PYTHONHASHSEED."""
    program = "from tests.simulation.run import run; print(run(7, with_digest=True), run(16, with_digest=True))"
    traces = [
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout
        for hash_seed in ("1", "2")
    ]
    assert traces[0] == traces[1]
    assert "digest='" in traces[0]


def test_invariant_violation_names_its_number() -> None:
    violation = InvariantViolation("I4", "a leader without a committed entry")
    assert violation.number == "I4"
    assert str(violation) == "I4: a leader without a committed entry"
