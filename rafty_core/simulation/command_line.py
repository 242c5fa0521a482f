"""The simulation from the command line: search for failures, see them again, make them short.

Law: *what fails is written to a file, and the file is all that is needed.*

    python -m rafty_core.simulation run 42             run one seed
    python -m rafty_core.simulation run --seeds 0:2000 search
    python -m rafty_core.simulation replay FILE        run what failed
    python -m rafty_core.simulation shrink FILE        find a shorter story of the same failure

For a state machine of yours say `--simulation MODULE:FUNCTION`: the function makes a `Simulation` from a seed.
"""

import argparse
import importlib
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

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


def main(parts: Parts = SIMULATED, program: str = PROGRAM, arguments: Sequence[str] | None = None) -> int:
    """The command line: returns the exit status, 0 if nothing failed, 1 if something did, 2 if nothing could be run.

    parts      what is around the core
    program    what the user has typed, before the arguments
    arguments  None: those of the process. `run` is what is meant if no command is named
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given and given[0] not in (*COMMANDS, "-h", "--help"):
        given.insert(0, "run")
    options = _parser(program).parse_args(given)
    try:
        return int(options.action(options, _Source(options.simulation, parts, program)))
    except OSError as error:
        print(f"{error.filename}: {error.strerror}" if error.filename else error, file=sys.stderr)
        return 2
    except (ValueError, ImportError) as error:
        print(error, file=sys.stderr)
        return 2


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
        self._parts = replace(parts, replay=f"{program} run {{seed}}")
        self._make = None if simulation is None else _function(simulation)

    def of_seed(self, seed: int, size: int | None) -> tuple[Options, Parts]:
        """What to run for this seed."""
        if self._make is None:
            return Options.draw(seed, size), self._parts
        made = self._make(seed)
        if not isinstance(made, Simulation):
            raise ValueError(f"{self.simulation}({seed}) must return a Simulation, not {made!r:.100}")
        return made.options, replace(made.parts, replay=f"{self.command('run')} {seed}")

    def of_file(self, path: Path) -> tuple[Options, str, Parts]:
        """What failed, and the invariant that broke."""
        recipe = load(path)
        is_other = "--simulation" in recipe.replay or not recipe.replay.startswith(self.program)
        if self.simulation is None and is_other:
            raise ValueError(
                f"{path} is of a run with other parts than this one: {recipe.replay}. "
                "For a state machine of yours say --simulation MODULE:FUNCTION"
            )
        return recipe.options, recipe.number, self.of_seed(recipe.options.seed, None)[1]

    def command(self, name: str) -> str:
        """This command, as the user would type it."""
        return f"{self.program} {name}" + (f" --simulation {self.simulation}" if self.simulation else "")


def _function(name: str) -> Callable[[int], Any]:
    """What stands at this place, as in "tests.test_counter:simulation"."""
    module, _, attribute = name.partition(":")
    function = getattr(importlib.import_module(module), attribute, None)
    if not callable(function):
        raise ValueError(f"--simulation {name} must name a function, as in tests.test_counter:simulation")
    return function  # type: ignore[no-any-return]


def _run(options: argparse.Namespace, source: _Source) -> int:
    if options.seed is None and options.seeds is None:
        raise ValueError("which seeds? Say SEED, or --seeds FIRST:LAST")
    first, _, last = (options.seeds or f"{options.seed}:{options.seed + 1}").partition(":")
    if not (first.isdecimal() and last.isdecimal()):
        raise ValueError(f"--seeds takes FIRST:LAST, as in 0:1000, not {options.seeds}")
    began, failures, tally = time.perf_counter(), [], Tally()
    for seed in range(int(first), int(last)):
        what, parts = source.of_seed(seed, options.size)
        try:
            report = run_options(what, parts, keep=options.events, with_digest=options.seed is not None)
        except SimulationFailure as failure:
            failures.append(seed)
            print(failure.headline.splitlines()[0] if options.keep_going else failure)
            options.save.mkdir(parents=True, exist_ok=True)
            path = options.save / f"simulation-{seed}.json"
            failure.save(path)
            print(f"Written to {path}; to make it short: {source.command('shrink')} {path}")
            if not options.keep_going:
                break
        else:
            tally.add(report)
            if options.seed is not None:
                print(*(f"{name:15} {value}" for name, value in asdict(report).items()), sep="\n")
        if seed % ENOUGH == ENOUGH - 1:
            print(f"... up to seed {seed}: {tally}, {len(failures)} failures", file=sys.stderr, flush=True)
    seconds = time.perf_counter() - began
    print(f"{tally} in {seconds:.1f} s, {len(failures)} failures: {failures[:30]}")
    unvisited = tally.unvisited()
    if options.coverage or tally.runs >= ENOUGH:
        print(*tally.lines(), sep="\n")
        for missed in unvisited:
            print(f"NEVER REACHED in {tally.runs} runs: {missed}")
    return 1 if failures or (unvisited and tally.runs >= ENOUGH) else 0


def _replay(options: argparse.Namespace, source: _Source) -> int:
    what, number, parts = source.of_file(options.file)
    parts = replace(parts, replay=f"{source.command('replay')} {options.file}")
    try:
        run_options(what, parts, keep=options.events)
    except SimulationFailure as failure:
        print(failure)
        if failure.number != number:
            print(f"This is another failure than that of the file, which was {number}.")
        return 1
    print(f"It does not fail any more: {options.file} broke {number} when it was written.")
    return 0


def _shrink(options: argparse.Namespace, source: _Source) -> int:
    what, number, parts = source.of_file(options.file)
    path = options.output or options.file.with_name(f"{options.file.stem}-shrunk.json")
    parts = replace(parts, replay=f"{source.command('replay')} {path}")
    began = time.perf_counter()
    shrunk = shrink(what, number, parts, seconds=options.seconds)
    print("What was done to the cluster:", *tell_strikes(shrunk.failure.events), "", sep="\n")
    print(shrunk.failure.story(options.events), "", shrunk, sep="\n")
    shrunk.failure.save(path)
    print(f"Written to {path}, after {time.perf_counter() - began:.1f} s.")
    return 0
