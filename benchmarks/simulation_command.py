"""`python -m benchmarks simulation`: how fast clusters are simulated, with all checks on.

Law: *a simulator is as good as the number of years it lives through in a night.*

Processor time of one core, so that others on the machine do not matter much; the real codec takes part as in the
campaigns of the tests.
"""

import argparse
import statistics
import time
from typing import Any

from benchmarks.options import say
from benchmarks.processes import WrongOption
from rafty_core.simulation.run import run
from tests.simulation.parts import REAL_CODEC

HELP = "clusters simulated under faults: events per second of one core, and hours of their life"


def add_command(commands: Any) -> None:
    """Add the command and its options."""
    command = commands.add_parser("simulation", help=HELP, description=f"{HELP.capitalize()}.")
    command.add_argument("--seeds", type=int, default=40, help="for each repetition (default 40)")
    command.add_argument("--repeats", type=int, default=5, help="each with other seeds (default 5)")
    command.add_argument("--first", type=int, default=0, help="the first seed (default 0)")
    command.set_defaults(run=run_simulation)


def run_simulation(options: argparse.Namespace) -> None:
    """All repetitions; then the report. Raises `WrongOption`."""
    if min(options.seeds, options.repeats) < 1 or options.first < 0:
        raise WrongOption("--seeds and --repeats take numbers from 1, --first from 0")
    events, steps, hours, seconds = [], [], [], []
    for repetition in range(options.repeats):
        first = options.first + repetition * options.seeds
        began = time.process_time()
        reports = [run(seed, REAL_CODEC) for seed in range(first, first + options.seeds)]
        spent = time.process_time() - began
        events.append(sum(report.events for report in reports) / spent)
        steps.append(sum(report.steps for report in reports) / spent)
        hours.append(sum(report.seconds for report in reports) / 3600 / (spent / 60))
        seconds.append(spent / options.seeds)
    say(f"{options.repeats} repetitions of {options.seeds} seeds, from seed {options.first}; per second of one core:")
    for name, numbers, digits in (
        ("events", events, 0),
        ("steps of the core among them", steps, 0),
        ("cluster-hours per CPU-minute", hours, 2),
        ("CPU-seconds per seed", seconds, 3),
    ):
        low, middle, high = min(numbers), statistics.median(numbers), max(numbers)
        print(f"{name:30} {middle:12,.{digits}f}   ({low:,.{digits}f} to {high:,.{digits}f})")
