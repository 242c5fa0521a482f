"""Patches and scenarios belong together: no patch without a scenario, no scenario without a patch.

The full run is a command of its own: `python -m tests.mutants.run`.
"""

import re
from pathlib import Path

import pytest

from tests.mutants.run import PATCHES, ROOT, fault_of, patches, run_mutant, scenarios_of

NO_PATCH_NEEDED: dict[str, str] = {}
"""Scenarios that no small patch of the shipped code can break, by fault, each with its reason."""

SAMPLE = ("F30", "F37a")


def test_every_patch_has_a_scenario() -> None:
    assert patches()
    assert [patch.name for patch in patches() if not scenarios_of(fault_of(patch))] == []


def test_every_scenario_has_a_patch() -> None:
    covered = {fault_of(patch) for patch in patches()} | NO_PATCH_NEEDED.keys()
    names = [path.name for path in (ROOT / "tests" / "scenarios").glob("test_*.py")]
    faults = {match[1].upper() for name in names if (match := re.match(r"test_([fr]\d+)_", name))}
    assert len(names) >= len(faults) > 0
    assert [name for name in names if not re.match(r"test_[fr]\d+_", name)] == []
    assert sorted(faults - covered) == []


def test_scenarios_without_a_patch_exist_and_have_none() -> None:
    with_patch = {fault_of(patch) for patch in patches()}
    assert [fault for fault in NO_PATCH_NEEDED if not scenarios_of(fault) or fault in with_patch] == []


@pytest.mark.parametrize("patch", patches(), ids=lambda patch: patch.stem)
def test_patch_changes_shipped_code_only_and_little(patch: Path) -> None:
    lines = patch.read_text().splitlines()
    targets = [line[6:] for line in lines if line.startswith("+++ b/")]
    assert targets
    assert all(target.startswith(("rafty_core/", "rafty_transports/")) for target in targets)
    changed = [line for line in lines if line[:1] in "+-" and line[:3] not in ("+++", "---")]
    assert len(changed) <= 30


@pytest.mark.parametrize("name", SAMPLE)
def test_mutant_of_the_sample_is_killed(name: str) -> None:
    verdict = run_mutant(PATCHES / f"{name}.patch")
    assert verdict.killed, verdict.text
