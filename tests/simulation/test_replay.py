"""A failure is written to a file that holds all of it, and is had again from there.

Law: *the file is all that is needed.*
"""

import errno
import json
import os
import pickle
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from rafty_core import election
from rafty_core.log import Log
from rafty_core.simulation import Faults, Options, Simulation, SimulationFailure
from rafty_core.simulation.command_line import PROGRAM, main
from rafty_core.simulation.replay import load
from rafty_core.simulation.run import run
from rafty_core.simulation.story import tell_all, tell_strikes
from tests.simulation.test_user_machine import Counter, Losing, draw


def _always(*_: object) -> bool:
    return True


def losing(seed: int) -> Simulation:
    """Named on the command line of the tests below."""
    return Simulation(machine=Losing, command=draw, seed=seed)


def losing_fails() -> None:
    """The first seed that fails, but for two that take longer."""
    for seed in range(2, 10):
        losing(seed).run()


def calm(seed: int) -> Simulation:
    """Named on the command line, too: nothing fails in it, unless a rule is broken."""
    return Simulation(seed=seed, seconds=3, faults=Faults.only("crashes"), application="none")


CALM = "tests.simulation.test_replay:calm"
LOSING = "tests.simulation.test_replay:losing"


def planted(monkeypatch: pytest.MonkeyPatch) -> SimulationFailure:
    """The failure of a cluster in which everybody gets a vote, however old the log."""
    monkeypatch.setattr(Log, "is_up_to_date", _always)
    with pytest.raises(SimulationFailure) as caught:
        for seed in range(30):
            run(seed, size=3, duration=6.0, churn_interval=0, fault_interval=0.3, proposal_interval=0.1)
    assert caught.value.number in ("I1", "I4", "I15")
    assert caught.value.time < 6
    return caught.value


def test_failure_tells_its_story(monkeypatch: pytest.MonkeyPatch) -> None:
    failure = planted(monkeypatch)
    lines = str(failure).splitlines()
    assert re.fullmatch(r"seed \d+ after \d+\.\d{4} s: I\d+: n\d .*", lines[0])
    events = lines[3 : lines.index("", 3)]
    assert len(events) == 40
    sentence = re.compile(r" *\d+\.\d{4}  (n\d|nemesis|network) +[a-z]+.*")
    assert [line for line in events if not sentence.fullmatch(line) or "(term=" in line] == []
    assert any("hears: n" in line and "asks n" in line for line in events)
    assert "lossy=" in lines[-2]
    assert lines[-1] == "Replay: save this failure, and replay the file"
    assert str(pickle.loads(pickle.dumps(failure))) == str(failure)


@pytest.mark.parametrize("seed", [5, 9])
def test_everything_that_happens_is_told_in_english(seed: int) -> None:
    def finally_fail(counter: Counter) -> None:
        assert counter.total < 120

    simulation = Simulation(
        machine=Counter, command=draw, check=finally_fail, seed=seed, churn_interval=0.3, snapshot_interval=0.2
    )
    with pytest.raises(SimulationFailure) as caught:
        simulation.run(keep=None)
    lines = tell_all(caught.value.events)
    assert len(lines) == caught.value.happened > 1000
    sentence = re.compile(r" *\d+\.\d{4}  (n\d|nemesis|network) +[a-z].*")
    wrong = re.compile(r"[a-z_]=|object at|\{|frozenset(?! is no)")
    assert [line for line in lines if not sentence.fullmatch(line) or wrong.search(line)] == []
    assert 0 < len(tell_strikes(caught.value.events)) < len(lines) / 2


def test_file_holds_all_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failure = planted(monkeypatch)
    failure.options = replace(failure.options, kept=frozenset(["read 1", "crash 2"]), salt=5)
    failure.save(tmp_path / "one.json")
    recipe = load(tmp_path / "one.json")
    assert recipe.options == failure.options
    assert (recipe.number, recipe.text) == (failure.number, failure.text)
    assert json.loads((tmp_path / "one.json").read_text())["options"]["kept"] == ["crash 2", "read 1"]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("", "is no file of a simulation"),
        ("[]", "is no file of a simulation"),
        ("[" * 100_000, "is no file of a simulation"),
        (
            '{"rafty simulation": 1, "options": {"seed": 1}}',
            "was written by another version of rafty, or was damaged: what it says of 'replay' is missing",
        ),
    ],
)
def test_file_that_is_none(content: str, text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "other.json"
    path.write_text(content)
    assert main(arguments=["replay", str(path)]) == 2
    assert text in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("size", "3", "option size must be of type int, not '3'"),
        ("size", 2.5, "option size must be of type int, not 2.5"),
        ("size", None, "option size must be of type int, not None"),
        ("size", 8, "option size must be from 1 to 7, not 8"),
        ("seed", "x", "option seed must be of type int, not 'x'"),
        ("seed", None, "option seed must be of type int, not None"),
        ("duration", "20", "option duration must be of type float, not '20'"),
        ("duration", -1, "option duration must be 0 or more, not -1"),
        ("duration", float("nan"), "option duration must be a finite number, not nan"),
        ("lossy", "a", "option lossy must be of type float, not 'a'"),
        ("lossy", 7, "option lossy must be from 0 to 1, not 7"),
        ("proposal_interval", -0.1, "option proposal_interval must be 0 or more, not -0.1"),
        ("long_chains", 1, "option long_chains must be of type bool, not 1"),
        ("machine", "mine", "option machine must be one of 'from the snapshot', 'from nothing', 'durable', not 'mine'"),
        ("kept", "abc", "option kept must be a set of names, not 'abc'"),
        ("kept", [["a"]], "option kept must be a set of names, not [['a']]"),
        ("kinds", None, "option kinds must be a set of names, not None"),
        ("kinds", ["crash", "earthquake"], "option kinds has 'earthquake', which names no strike"),
        ("forward_timeout", 0, "forward_timeout must be above 0, not 0"),
        ("more", 1, "of its options these are not known: more"),
    ],
)
def test_file_with_a_wrong_value(name: str, value: object, text: str, tmp_path: Path) -> None:
    path = tmp_path / "one.json"
    SimulationFailure(Options.draw(7), "I1", "it broke").save(path)
    assert load(path).options == Options.draw(7)
    content = json.loads(path.read_text())
    content["options"][name] = value
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=re.escape(f"or was damaged: {text}")):
        load(path)


def test_file_is_replaced_as_a_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "one.json"
    SimulationFailure(Options.draw(7), "I1", "it broke").save(path)

    def full(self: Path, text: str) -> int:
        with self.open("w") as file:
            file.write(text[:10])
        raise OSError(errno.ENOSPC, "No space left on device", str(self))

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_text", full)
        with pytest.raises(OSError, match="No space left"):
            SimulationFailure(Options.draw(8), "I1", "it broke").save(path)
    assert load(path).options == Options.draw(7)
    assert [file.name for file in tmp_path.iterdir()] == ["one.json"]


def test_what_is_no_file_is_written_to(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with ThreadPoolExecutor(1) as pool:
        read = pool.submit(path.read_text)
        SimulationFailure(Options.draw(7), "I1", "it broke").save(path)
        assert json.loads(read.result(10))["options"]["seed"] == 7
    assert path.is_fifo()


def test_file_without_an_option(tmp_path: Path) -> None:
    path = tmp_path / "one.json"
    SimulationFailure(Options.draw(7), "I1", "it broke").save(path)
    path.write_text(path.read_text().replace('"salt"', '"sugar"'))
    with pytest.raises(ValueError, match="of its options these are missing: salt"):
        load(path)


def test_command_line_runs_and_replays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(election, "_vote_is_durable", _always)
    assert main(arguments=["--seeds", "0:5", "--save", str(tmp_path), "--events", "7", "--simulation", CALM]) == 1
    path = tmp_path / "simulation-0.json"
    said = capsys.readouterr().out
    assert said.startswith("seed 0 after ")
    assert (
        f"Written to {path}; to make it short: python -m rafty_core.simulation shrink --simulation {CALM} {path}"
        in said
    )
    assert "The last 7 of" in said
    assert main(arguments=["replay", str(path), "--simulation", CALM]) == 1
    assert capsys.readouterr().out.splitlines()[0] == said.splitlines()[0]
    assert main(arguments=["replay", str(path)]) == 2
    assert f"with other parts than this one: {PROGRAM} run --simulation {CALM} 0. " in capsys.readouterr().err
    monkeypatch.undo()
    assert main(arguments=["replay", str(path), "--simulation", CALM]) == 0
    assert "It does not fail any more" in capsys.readouterr().out
    assert main(arguments=["shrink", str(path), "--simulation", CALM]) == 2
    assert "the run of seed 0 does not break I9 (any more)" in capsys.readouterr().err


def test_file_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("replay", "shrink"):
        assert main(arguments=[command, str(tmp_path / "none.json")]) == 2
        assert capsys.readouterr().err == f"{tmp_path / 'none.json'}: No such file or directory\n"


def test_command_line_without_failures(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments=["run", "0", "--simulation", CALM]) == 0
    first = capsys.readouterr().out
    (digest,) = re.findall(r"^digest +([0-9a-f]{64})$", first, re.MULTILINE)
    assert main(arguments=["0", "--simulation", CALM]) == 0
    assert digest in capsys.readouterr().out
    assert main(arguments=["run"]) == 2
    assert "which seeds?" in capsys.readouterr().err
    for wrong in ("20", "first:last"):
        assert main(arguments=["run", "--seeds", wrong]) == 2
        assert capsys.readouterr().err == f"--seeds takes FIRST:LAST, as in 0:1000, not {wrong}\n"


def test_replay_says_if_something_else_breaks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failure = planted(monkeypatch)
    failure.number, failure.replay = "I1", "python -m rafty_core.simulation"
    failure.save(tmp_path / "one.json")
    assert main(arguments=["replay", str(tmp_path / "one.json")]) == 1
    assert "This is another failure than that of the file, which was I1." in capsys.readouterr().out


def test_simulation_of_a_user_is_replayed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SimulationFailure, match="restore loses") as caught:
        losing_fails()
    assert f"Replay: Simulation(machine=Losing, seed={caught.value.options.seed}, ...).run()" in str(caught.value)
    path = tmp_path / "losing.json"
    caught.value.save(path)
    with pytest.raises(SimulationFailure, match=re.escape(caught.value.text)) as again:
        losing(99).replay(path)
    assert again.value.replay == f"Simulation(machine=Losing, seed=99, ...).replay({str(path)!r})"
    assert main(arguments=["replay", str(path)]) == 2
    assert "say --simulation MODULE:FUNCTION" in capsys.readouterr().err
    assert main(arguments=["replay", str(path), "--simulation", LOSING]) == 1
    assert caught.value.text in capsys.readouterr().out
    for wrong in ("tests.simulation.test_replay:nothing", "no.such.module:f", "tests.simulation.test_replay:_always"):
        assert main(arguments=["replay", str(path), "--simulation", wrong]) == 2
