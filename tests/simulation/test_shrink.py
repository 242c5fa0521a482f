"""A long story becomes a short one, and the same invariant breaks in it.

Law: *what is left is needed.*
"""

from pathlib import Path

import pytest

from rafty_core.simulation import Simulation, SimulationFailure
from rafty_core.simulation.command_line import main
from rafty_core.simulation.replay import load
from rafty_core.simulation.run import run_options
from rafty_core.simulation.shrink import shrink
from rafty_core.simulation.story import tell_strikes
from tests.simulation.test_replay import LOSING, losing, losing_fails, planted


def test_planted_fault_becomes_a_short_story(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failure = planted(monkeypatch)
    shrunk = shrink(failure.options, failure.number, runs=30)
    assert shrunk.before.strikes == len(failure.strikes) > 10
    assert shrunk.after.strikes < shrunk.before.strikes / 2
    assert shrunk.after.nodes <= shrunk.before.nodes == 3
    assert shrunk.after.events < shrunk.before.events
    shrunk.failure.save(tmp_path / "short.json")
    recipe = load(tmp_path / "short.json")
    with pytest.raises(SimulationFailure) as caught:
        run_options(recipe.options)
    assert caught.value.number == recipe.number == failure.number
    assert caught.value.text == shrunk.failure.text
    strikes = [line for line in tell_strikes(shrunk.failure.events) if "nemesis" in line]
    assert len(strikes) == shrunk.after.strikes
    monkeypatch.undo()
    run_options(recipe.options)


@pytest.mark.slow
def test_machine_of_a_user(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SimulationFailure) as caught:
        losing_fails()
    caught.value.save(tmp_path / "losing.json")
    assert main(arguments=["shrink", str(tmp_path / "losing.json"), "--seconds", "2", "--simulation", LOSING]) == 0
    said = capsys.readouterr().out
    assert "What was done to the cluster:" in said
    shorter = tmp_path / "losing-shrunk.json"
    assert f"Replay: python -m rafty_core.simulation replay --simulation {LOSING} {shorter}" in said
    assert f"Written to {shorter}" in said
    with pytest.raises(SimulationFailure, match="I19: the state machine's restore loses"):
        losing(0).replay(shorter)
    shrunk = losing(0).shrink(caught.value, seconds=1)
    assert shrunk.after.strikes <= shrunk.before.strikes
    assert f"{shrunk.before.strikes} -> {shrunk.after.strikes} strikes" in str(shrunk)
    assert len(shrunk.failure.events) == shrunk.failure.happened


def test_what_does_not_fail_is_not_shrunk() -> None:
    options = Simulation(seed=1, seconds=2).options
    with pytest.raises(ValueError, match=r"the run of seed 1 does not break I4 \(any more\)"):
        shrink(options, "I4", seconds=1)
