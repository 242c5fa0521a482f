"""The command line of the simulation: what is found is not lost, and what is asked wrongly is answered in a sentence.

Law: *no use of it ends in a traceback.*
"""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rafty_core import election
from rafty_core.simulation import Faults, Simulation, SimulationFailure, command_line
from rafty_core.simulation.command_line import PROGRAM, main
from rafty_core.simulation.replay import load
from rafty_core.simulation.run import run_options
from rafty_core.simulation.shrink import _Shrinker
from tests.simulation.test_replay import CALM, LOSING, _always, losing, losing_fails
from tests.simulation.test_user_machine import Counter, draw

HERE = "tests.simulation.test_command_line"


class Unmade(Counter):
    def __init__(self) -> None:
        raise RuntimeError("there is no disk")


def unmade(seed: int) -> Simulation:
    return Simulation(machine=Unmade, command=draw, seed=seed)


def lossy(seed: int) -> Simulation:
    return Simulation(seed=seed, lossy="a")


def unknown(seed: int) -> Simulation:
    return Simulation(seed=seed, losy=0.1)


def no_command(seed: int) -> Simulation:
    return Simulation(seed=seed, machine=Counter)


def wrong_faults(seed: int) -> Simulation:
    return Simulation(seed=seed, faults="crashes")  # type: ignore[arg-type]


def instance(seed: int) -> Simulation:
    return Simulation(seed=seed, machine=Counter(), command=draw)  # type: ignore[arg-type]


def without_arguments() -> Simulation:
    return Simulation()


def stubborn(seed: int) -> Simulation:
    return Simulation(seed=5, seconds=3, faults=Faults.none())


def failing(seed: int) -> Simulation:
    """Fails in another process, too."""

    def never(counter: Counter) -> bool:
        return False

    return Simulation(seed=seed, seconds=3, machine=Counter, command=draw, check=never)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ("bogus", "there is no command 'bogus'; there are run, replay, shrink"),
        ("run -1", "SEED must be 0 or more, not -1"),
        ("-1", "SEED must be 0 or more, not -1"),
        ("run --seeds 9:3", "--seeds takes FIRST:LAST with FIRST below LAST, as in 0:1000, not 9:3"),
        ("run --seeds 0:0", "--seeds takes FIRST:LAST with FIRST below LAST, as in 0:1000, not 0:0"),
        ("run 5 --seeds 0:1", "which seeds? Say SEED or --seeds FIRST:LAST, not both"),
        ("run 0 --size 0", "--size must be from 1 to 7, not 0"),
        ("run 0 --size 99", "--size must be from 1 to 7, not 99"),
        (f"run 0 --size 3 --simulation {CALM}", "--size is of no use with --simulation"),
        ("run 0 --events -1", "--events takes a number, 0 or more, not -1"),
        ("replay no.json --events -1", "--events takes a number, 0 or more, not -1"),
        (f"run 0 --simulation {HERE}:lossy", "option lossy must be of type float, not 'a'"),
        (f"run 0 --simulation {HERE}:unknown", "there is no option 'losy' to be given here"),
        (f"run 0 --simulation {HERE}:no_command", "machine and command belong together"),
        (f"run 0 --simulation {HERE}:wrong_faults", "faults must be Faults"),
        (f"run 0 --simulation {HERE}:instance", "machine must be a function that makes a state machine"),
        (f"run 0 --simulation {HERE}:without_arguments", "takes 0 positional arguments but 1 was given"),
        (f"run 0 --simulation {HERE}:Counter", f"{HERE}:Counter(0) raises TypeError: "),
        (f"run 0 --simulation {HERE}:stubborn", f"{HERE}:stubborn(0) returns a Simulation of seed 5"),
        ("run 0 --simulation ./bugs.py:f", 'MODULE is named as in an import, without ".py"'),
        ("run 0 --simulation bugs.py:f", 'MODULE is named as in an import, without ".py"'),
        ("run 0 --simulation no_such_module:f", "cannot be imported: ModuleNotFoundError: No module named"),
        ("run 0 --simulation :f", "cannot be imported: ValueError: Empty module name"),
    ],
)
def test_wrong_use(
    arguments: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments=arguments.split()) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert text in err
    assert len(err.splitlines()) == 1


def test_module_that_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "unfinished_module.py").write_text("def f(:\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert main(arguments=["run", "0", "--simulation", "unfinished_module:f"]) == 2
    assert "unfinished_module:f cannot be imported: SyntaxError: " in capsys.readouterr().err


def test_machine_that_cannot_be_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments=["run", "0", "--simulation", f"{HERE}:unmade", "--save", str(tmp_path)]) == 1
    said = capsys.readouterr().out
    assert said.startswith("seed 0 after 0.0000 s: RuntimeError: there is no disk; so no cluster can be made\n")
    assert re.search(r"^1 cluster, .*, 1 failure: \[0\]$", said, re.MULTILINE)
    assert main(arguments=["replay", str(tmp_path / "simulation-0.json"), "--simulation", f"{HERE}:unmade"]) == 1


def test_nothing_runs_if_nothing_can_be_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def never(*_: Any, **__: Any) -> None:
        raise AssertionError

    monkeypatch.setattr(command_line, "run_options", never)
    monkeypatch.setattr(command_line, "shrink", never)
    file = tmp_path / "a file"
    file.touch()
    assert main(arguments=["run", "0", "--save", str(file)]) == 2
    assert capsys.readouterr().err == f"{file}: File exists\n"
    saved = tmp_path / "losing.json"
    with pytest.raises(SimulationFailure) as caught:
        losing_fails()
    caught.value.save(saved)
    shrink = ["shrink", str(saved), "--simulation", LOSING, "--output"]
    assert main(arguments=[*shrink, str(tmp_path)]) == 2
    assert "--output must be a file" in capsys.readouterr().err
    assert main(arguments=[*shrink, str(file / "x.json")]) == 2
    assert capsys.readouterr().err == f"{file}: File exists\n"


def test_failure_is_told_even_if_it_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(election, "_vote_is_durable", _always)
    (tmp_path / "simulation-0.json").mkdir()
    assert main(arguments=["run", "0", "--save", str(tmp_path), "--simulation", CALM]) == 2
    out, err = capsys.readouterr()
    assert out.startswith("seed 0 after ")
    assert err == f"{tmp_path / 'simulation-0.json'}: Is a directory\n"


def test_names_with_blanks_and_braces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(election, "_vote_is_durable", _always)
    directory = tmp_path / "a {b} {0}"
    assert main(arguments=["run", "0", "--save", str(directory), "--simulation", CALM]) == 1
    path = directory / "simulation-0.json"
    assert f"shrink --simulation {CALM} '{path}'\n" in capsys.readouterr().out
    assert main(arguments=["replay", str(path), "--simulation", CALM]) == 1
    assert f"Replay: {PROGRAM} replay --simulation {CALM} '{path}'\n" in capsys.readouterr().out
    output = directory / "new" / "short.json"
    shrink = ["shrink", str(path), "--simulation", CALM, "--seconds", "0", "--output", str(output)]
    assert main(arguments=shrink) == 0
    assert f"replay --simulation {CALM} '{output}'\n" in capsys.readouterr().out
    assert load(output).number == load(path).number
    for wrong in ("-1", "nan"):
        assert main(arguments=[*shrink, "--seconds", wrong]) == 2
        assert "seconds must be 0 or more, not " in capsys.readouterr().err


def test_size_is_part_of_the_replay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(election, "_vote_is_durable", _always)
    for seed in range(5):
        if main(arguments=["run", str(seed), "--size", "4", "--save", str(tmp_path)]) == 1:
            break
    said = capsys.readouterr().out
    assert f"Replay: {PROGRAM} run --size 4 {seed}\n" in said
    assert load(tmp_path / f"simulation-{seed}.json").options.size == 4


def test_failed_runs_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(election, "_vote_is_durable", _always)
    run = ["run", "--save", str(tmp_path), "--simulation", CALM, "--seeds"]
    main(arguments=[*run, "0:1"])
    assert re.search(r"^1 cluster, .* s, 1 failure: \[0\]$", capsys.readouterr().out, re.MULTILINE)
    main(arguments=[*run, "0:2", "--keep-going"])
    assert re.search(r"^2 clusters, .* s, \d failures?: \[0.*\]$", capsys.readouterr().out, re.MULTILINE)


def test_search_that_is_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(options: Any, *more: Any, **others: Any) -> Any:
        if options.seed == 2:
            raise KeyboardInterrupt
        return run_options(options, *more, **others)

    monkeypatch.setattr(command_line, "run_options", interrupted)
    run = ["run", "--save", str(tmp_path), "--simulation", CALM]
    assert main(arguments=[*run, "--seeds", "0:9"]) == 130
    out, err = capsys.readouterr()
    assert re.fullmatch(r"2 clusters, .* s, 0 failures: \[\]\n", out)
    assert err == ""


def test_shrinking_that_is_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SimulationFailure) as caught:
        losing_fails()
    path = tmp_path / "losing.json"
    caught.value.save(path)
    end_sooner = _Shrinker._end_sooner

    def interrupted(self: _Shrinker) -> None:
        end_sooner(self)
        raise KeyboardInterrupt

    monkeypatch.setattr(_Shrinker, "_end_sooner", interrupted)
    assert main(arguments=["shrink", str(path), "--simulation", LOSING]) == 0
    assert "Written to" in capsys.readouterr().out
    assert load(tmp_path / "losing-shrunk.json").options.duration <= caught.value.options.duration
    with pytest.raises(KeyboardInterrupt):
        losing(0).shrink(caught.value)


@pytest.mark.skipif(sys.platform == "win32", reason="pipes of a POSIX shell")
def test_nobody_reads(tmp_path: Path) -> None:
    """The file is there and the status is right, though the pipe is broken before the first word."""
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, *PROGRAM.split()[1:], "run", "--seeds", "0:9", "--save", str(tmp_path)]
    try:
        done = subprocess.run(
            [*command, "--keep-going", "--simulation", f"{HERE}:failing"],
            stdout=write,
            stderr=subprocess.PIPE,
            preexec_fn=lambda: signal.signal(signal.SIGPIPE, signal.SIG_IGN),
            timeout=60,
        )
    finally:
        os.close(write)
    assert (done.returncode, done.stderr) == (1, b"")
    assert [file.name for file in tmp_path.iterdir()] == ["simulation-0.json"]
