"""`python -m benchmarks catchup`: how long a follower takes that was away, a node that restarts; what a log weighs.

Law: *what was measured is reported, though it be cut short.*
"""

import argparse
from functools import partial
from typing import Any

from benchmarks.catchup import Caught, Grown, run_catchup_row
from benchmarks.catchup_report import NOTES, CatchupSummary, in_short, tables
from benchmarks.disks import directory_on_disk
from benchmarks.options import add_common, backends_of, check_words, interleave, numbers, peer_python, say, words
from benchmarks.processes import WrongOption
from benchmarks.report import write_json
from benchmarks.rows import MEASURES, CatchupRow, plan_catchup

SMALLEST, MOST_KEYS = 16, 10**7
"""Bytes of the smallest command, and how many keys of 8 bytes there are."""

HELP = "a follower that was away catches up, a node restarts, a log grows: seconds, and memory"


def add_command(commands: Any) -> None:
    """Add the command and its options."""
    command = commands.add_parser("catchup", help=HELP, description=f"{HELP.capitalize()}.")
    add_common(command, "one repetition with a tenth of the entries")
    command.add_argument("--backends", type=words, default=["asyncio"], help="default asyncio")
    command.add_argument("--measures", type=words, default=list(MEASURES), help=f"of {','.join(MEASURES)}")
    command.add_argument("--entries", type=int, help="that a follower is behind (default 100000)")
    command.add_argument("--log", type=int, help="entries of a node that restarts, or grows (default 1000000)")
    command.add_argument("--memory-sizes", type=words, default=["16", "256"], help="bytes (default 16,256)")
    command.set_defaults(run=run_catchup)


def rows_of(options: argparse.Namespace, backends: list[str], *, pysyncobj: bool) -> list[CatchupRow]:
    """The rows that were asked for. Raises `WrongOption`."""
    check_words(options.measures, MEASURES, "measure")
    part = 10 if options.quick else 1
    behind, log = options.entries or 100_000 // part, options.log or 1_000_000 // part
    sizes = numbers(options.memory_sizes, "--memory-sizes")
    if min(options.size, *sizes) < SMALLEST:
        raise WrongOption(f"a command has at least {SMALLEST} bytes")
    if not 0 < min(behind, log) <= max(behind, log) <= MOST_KEYS:
        raise WrongOption(f"--entries and --log take numbers from 1 to {MOST_KEYS:,}")
    return plan_catchup(backends, options.measures, behind, log, options.size, sizes, pysyncobj)


def run_catchup(options: argparse.Namespace) -> None:
    """All repetitions of all rows, interleaved; then the report. Raises `BenchmarkError`."""
    directory = directory_on_disk(options.directory)
    left_out: list[str] = []
    backends = backends_of(options, left_out)
    python = peer_python(options, left_out)
    rows = rows_of(options, backends, pysyncobj=python is not None)
    repeats = options.repeats or (1 if options.quick else 3)
    runs: dict[CatchupRow, list[Caught | Grown]] = {row: [] for row in rows}
    say(f"{len(rows)} rows, {repeats} repetitions, data below {directory}")
    try:
        run = partial(run_catchup_row, directory=directory, pysyncobj=python)
        interleave(runs, repeats, run, in_short, left_out)
    finally:
        summaries = [CatchupSummary(row, done) for row, done in runs.items() if done]
        if summaries:
            print(tables(summaries))
            print("\n".join([NOTES, *left_out]))
            if options.json is not None:
                write_json(options.json, [summary.as_dict() for summary in summaries], None, directory, left_out)
