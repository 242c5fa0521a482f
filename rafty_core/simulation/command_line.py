"""The simulation from the command line: search for failures, see them again, make them short.

Law: *what fails is written to a file before anything is said of it, and the file is all that is needed.*

    python -m rafty_core.simulation run 42             run one seed
    python -m rafty_core.simulation run --seeds 0:2000 search
    python -m rafty_core.simulation replay FILE        run what failed
    python -m rafty_core.simulation shrink FILE        find a shorter story of the same failure

For a state machine of yours say `--simulation MODULE:FUNCTION`: the function makes a `Simulation` from a seed.
"""

import argparse
import importlib
import os
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TextIO

from rafty_core.simulation.churn import NAMES
from rafty_core.simulation.failure import SHOWN, SimulationFailure
from rafty_core.simulation.options import Options
from rafty_core.simulation.parts import SIMULATED, Parts
from rafty_core.simulation.replay import load
from rafty_core.simulation.run import run_options
from rafty_core.simulation.shrink import shrink
from rafty_core.simulation.simulation import Simulation
from rafty_core.simulation.story import tell_strikes
from rafty_core.simulation.tally import ENOUGH, Tally

PROGRAM = "python -m rafty_core.simulation"
COMMANDS = ("run", "replay", "shrink")
INTERRUPTED = 130
"""The exit status after Ctrl-C, as shells have it."""


def main(parts: Parts = SIMULATED, program: str = PROGRAM, arguments: Sequence[str] | None = None) -> int:
    """The command line: returns the exit status, 0 if nothing failed, 1 if something did, 2 if nothing could be run;
    130 if it was interrupted.

    parts      what is around the core
    program    what the user has typed, before the arguments
    arguments  None: those of the process. `run` is what is meant if no command is named
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given and given[0] not in (*COMMANDS, "-h", "--help"):
        if given[0][:1] != "-" and not given[0].isdecimal():
            _say(f"there is no command {given[0]!r}; there are {', '.join(COMMANDS)}", to=sys.stderr)
            return 2
        given.insert(0, "run")
    options = _parser(program).parse_args(given)
    try:
        if options.events < 0:
            raise ValueError(f"--events takes a number, 0 or more, not {options.events}")
        return int(options.action(options, _Source(options.simulation, parts, program)))
    except KeyboardInterrupt:
        return INTERRUPTED
    except OSError as error:
        _say(f"{error.filename}: {error.strerror}" if error.filename else error, to=sys.stderr)
        return 2
    except ValueError as error:
        _say(error, to=sys.stderr)
        return 2


def _say(*lines: object, to: TextIO | None = None) -> bool:
    """Print these lines; return whether anybody still reads. If nobody does, what is said later is lost."""
    stream = to or sys.stdout
    try:
        print(*lines, sep="\n", file=stream, flush=True)
    except BrokenPipeError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
        return False
    return True


def _parser(program: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=program, description="Simulate clusters by seed.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    run = commands.add_parser("run", help="run one seed, or search many")
    run.add_argument("seed", type=int, nargs="?", help="run this seed")
    run.add_argument("--seeds", metavar="FIRST:LAST", help="search these seeds (LAST excluded)")
    run.add_argument("--size", type=int, help="number of nodes, instead of the seed's own")
    run.add_argument("--events", type=int, default=SHOWN, help="how many of the last events a failure shows")
    run.add_argument("--keep-going", action="store_true", help="search on after a failure")
    run.add_argument(
        "--save", type=Path, default=Path(), metavar="DIR", help="where failures are written; default: here"
    )
    run.add_argument("--coverage", action="store_true", help=f"count what was reached, as after {ENOUGH} runs")
    run.set_defaults(action=_run)
    replay = commands.add_parser("replay", help="run again what failed")
    replay.add_argument("--events", type=int, default=SHOWN, help="how many of the last events a failure shows")
    replay.set_defaults(action=_replay)
    smaller = commands.add_parser("shrink", help="find a shorter story of the same failure")
    smaller.add_argument("--seconds", type=float, default=60.0, help="for how long to search (default 60)")
    smaller.add_argument("--events", type=int, default=SHOWN, help="how many of the last events are shown")
    smaller.add_argument("--output", type=Path, metavar="FILE", help="default: FILE with -shrunk in its name")
    smaller.set_defaults(action=_shrink)
    for command in (replay, smaller):
        command.add_argument("file", type=Path, metavar="FILE", help="written when a run failed")
    for command in (run, replay, smaller):
        command.add_argument("--simulation", metavar="MODULE:FUNCTION", help="makes a Simulation of yours from a seed")
    return parser


class _Source:
    """Where runs come from: the seeds' own options, or a user's `Simulation`."""

    def __init__(self, simulation: str | None, parts: Parts, program: str) -> None:
        self.program, self.simulation = program, simulation
        self._parts = parts
        self._make = None if simulation is None else _function(simulation)

    def of_seed(self, seed: int, size: int | None) -> tuple[Options, Parts]:
        """What to run for this seed."""
        if self._make is None:
            sized = "" if size is None else f" --size {size}"
            return Options.draw(seed, size), replace(self._parts, replay=f"{self.program} run{sized} {seed}")
        try:
            made = self._make(seed)
        except Exception as error:
            raise ValueError(f"{self.simulation}({seed}) raises {type(error).__name__}: {error}") from error
        if not isinstance(made, Simulation):
            raise ValueError(f"{self.simulation}({seed}) must return a Simulation, not {made!r:.100}")
        if made.options.seed != seed:
            raise ValueError(f"{self.simulation}({seed}) returns a Simulation of seed {made.options.seed}")
        return made.options, replace(made.parts, replay=f"{self.command('run')} {seed}")

    def of_file(self, path: Path) -> tuple[Options, str, Parts]:
        """What failed, and the invariant that broke."""
        recipe = load(path)
        is_other = " --simulation " in recipe.replay or not recipe.replay.startswith(self.program)
        if self.simulation is None and is_other:
            raise ValueError(
                f"{path} is of a run with other parts than this one: {recipe.replay}. "
                "For a state machine of yours say --simulation MODULE:FUNCTION"
            )
        return recipe.options, recipe.number, self.of_seed(recipe.options.seed, None)[1]

    def command(self, name: str) -> str:
        """This command, as the user would type it."""
        return f"{self.program} {name}" + (f" --simulation {shlex.quote(self.simulation)}" if self.simulation else "")


def _function(name: str) -> Callable[[int], Any]:
    """What stands at this place, as in "tests.test_counter:simulation"."""
    module, _, attribute = name.partition(":")
    if module.endswith(".py") or os.sep in module:
        raise ValueError(
            f'--simulation {name}: MODULE is named as in an import, without ".py", as in tests.test_counter:simulation'
        )
    try:
        function = getattr(importlib.import_module(module), attribute, None)
    except Exception as error:
        raise ValueError(f"--simulation {name} cannot be imported: {type(error).__name__}: {error}") from error
    if not callable(function):
        raise ValueError(f"--simulation {name} must name a function, as in tests.test_counter:simulation")
    return function  # type: ignore[no-any-return]


def _seeds(options: argparse.Namespace) -> range:
    """The seeds to be run."""
    if options.seed is not None and options.seeds is not None:
        raise ValueError("which seeds? Say SEED or --seeds FIRST:LAST, not both")
    if options.seed is not None:
        if options.seed < 0:
            raise ValueError(f"SEED must be 0 or more, not {options.seed}")
        return range(options.seed, options.seed + 1)
    if options.seeds is None:
        raise ValueError("which seeds? Say SEED, or --seeds FIRST:LAST")
    first, _, last = options.seeds.partition(":")
    if not (first.isdecimal() and last.isdecimal()):
        raise ValueError(f"--seeds takes FIRST:LAST, as in 0:1000, not {options.seeds}")
    if int(first) >= int(last):
        raise ValueError(f"--seeds takes FIRST:LAST with FIRST below LAST, as in 0:1000, not {options.seeds}")
    return range(int(first), int(last))


def _run(options: argparse.Namespace, source: _Source) -> int:
    seeds = _seeds(options)
    if options.size is not None and source.simulation is not None:
        raise ValueError("--size is of no use with --simulation: the function says how many nodes there are")
    if options.size is not None and not 1 <= options.size <= len(NAMES):
        raise ValueError(f"--size must be from 1 to {len(NAMES)}, not {options.size}")
    options.save.mkdir(parents=True, exist_ok=True)
    began, failures, tally, interrupted = time.perf_counter(), list[int](), Tally(), False
    try:
        _search(options, source, seeds, failures, tally)
    except KeyboardInterrupt:
        interrupted = True
    seconds = time.perf_counter() - began
    clusters = str(tally) if tally.runs != 1 else str(tally).replace("clusters", "cluster", 1)
    _say(f"{clusters} in {seconds:.1f} s, {len(failures)} failure{'s' * (len(failures) != 1)}: {failures[:30]}")
    if interrupted:
        return INTERRUPTED
    unvisited = tally.unvisited()
    if options.coverage or tally.runs >= ENOUGH:
        _say(*tally.lines(), *(f"NEVER REACHED in {tally.runs} runs: {missed}" for missed in unvisited))
    return 1 if failures or (unvisited and tally.runs >= ENOUGH) else 0


def _search(options: argparse.Namespace, source: _Source, seeds: range, failures: list[int], tally: Tally) -> None:
    """Run the seeds, and save what fails."""
    for seed in seeds:
        what, parts = source.of_seed(seed, options.size)
        try:
            report = run_options(what, parts, keep=options.events, with_digest=options.seed is not None)
        except SimulationFailure as failure:
            failures.append(seed)
            tally.runs += 1
            tally.seconds += failure.time
            path = options.save / f"simulation-{seed}.json"
            try:
                failure.save(path)
            finally:
                heard = _say(failure.headline.splitlines()[0] if options.keep_going else failure)
            _say(f"Written to {path}; to make it short: {source.command('shrink')} {shlex.quote(str(path))}")
            if not options.keep_going or not heard:
                return
        else:
            tally.add(report)
            if options.seed is not None:
                _say(*(f"{name:15} {value}" for name, value in asdict(report).items()))
        if seed % ENOUGH == ENOUGH - 1:
            _say(f"... up to seed {seed}: {tally}, {len(failures)} failures", to=sys.stderr)


def _replay(options: argparse.Namespace, source: _Source) -> int:
    what, number, parts = source.of_file(options.file)
    parts = replace(parts, replay=f"{source.command('replay')} {shlex.quote(str(options.file))}")
    try:
        run_options(what, parts, keep=options.events)
    except SimulationFailure as failure:
        _say(failure)
        if failure.number != number:
            _say(f"This is another failure than that of the file, which was {number}.")
        return 1
    _say(f"It does not fail any more: {options.file} broke {number} when it was written.")
    return 0


def _shrink(options: argparse.Namespace, source: _Source) -> int:
    what, number, parts = source.of_file(options.file)
    path = options.output or options.file.with_name(f"{options.file.stem}-shrunk.json")
    if path.is_dir():
        raise ValueError(f"--output must be a file, and {path} is a directory")
    path.parent.mkdir(parents=True, exist_ok=True)
    parts = replace(parts, replay=f"{source.command('replay')} {shlex.quote(str(path))}")
    began = time.perf_counter()
    shrunk = shrink(what, number, parts, seconds=options.seconds, interruptible=True)
    try:
        shrunk.failure.save(path)
    finally:
        done = tell_strikes(shrunk.failure.events)
        _say(shrunk.failure.headline.splitlines()[0], "", "What was done to the cluster:", *done, "")
        _say(shrunk.failure.story(options.events), "", shrunk)
    _say(f"Written to {path}, after {time.perf_counter() - began:.1f} s.")
    return 0
