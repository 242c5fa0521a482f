"""`python -m benchmarks cluster`: committed writes a second, and their latency.

Law: *what was measured is reported, though it be cut short.*
"""

import argparse
from functools import partial
from typing import Any

from benchmarks.cluster import Run, run_row
from benchmarks.disks import directory_on_disk
from benchmarks.options import (
    add_common,
    add_load,
    backends_of,
    check_words,
    interleave,
    numbers,
    peer_python,
    say,
    words,
)
from benchmarks.report import WRITE_HEADINGS, WRITE_NOTES, Summary, rate, remarks, table, write_json
from benchmarks.rows import STYLES, Load, Row, plan

OVERHEAD = 2.5
"""Seconds that a run takes besides its load, about: three processes, an election, the end."""

HELP = "three processes on loopback, data on disk: committed writes a second, and latency"


def add_command(commands: Any) -> None:
    """Add the command and its options."""
    command = commands.add_parser("cluster", help=HELP, description=f"{HELP.capitalize()}.")
    add_common(command, "one repetition of one second for each row")
    add_load(command)
    command.add_argument("--styles", type=words, default=list(STYLES), help=f"of {','.join(STYLES)} (default: all)")
    command.set_defaults(run=run_cluster)


def load_of(options: argparse.Namespace) -> Load:
    """How each row is run."""
    return Load(options.size, options.warmup, options.seconds or (1.0 if options.quick else 3.0), options.callers)


def minutes(rows: int, repeats: int, load: Load) -> float:
    """How long all runs take, about."""
    return rows * repeats * (load.seconds + load.warmup + OVERHEAD) / 60


def run_cluster(options: argparse.Namespace) -> None:
    """All repetitions of all rows, interleaved; then the report. Raises `BenchmarkError`."""
    directory = directory_on_disk(options.directory)
    left_out: list[str] = []
    backends = backends_of(options, left_out)
    check_words(options.styles, STYLES, "style")
    in_flight = numbers(options.in_flight, "--in-flight")
    python = peer_python(options, left_out)
    rows = plan(backends, options.styles, in_flight, pysyncobj=python is not None)
    repeats, load = options.repeats or (1 if options.quick else 3), load_of(options)
    runs: dict[Row, list[Run]] = {row: [] for row in rows}
    about = minutes(len(rows), repeats, load)
    say(f"{len(rows)} rows, {repeats} repetitions, data below {directory}: about {about:.0f} minutes")
    try:
        run = partial(run_row, load=load, directory=directory, pysyncobj=python)
        interleave(runs, repeats, run, rate, left_out)
    finally:
        summaries = [Summary(row, done) for row, done in runs.items() if done]
        if summaries:
            print(table(WRITE_HEADINGS, [summary.cells() for summary in summaries]))
            print(remarks(WRITE_NOTES.format(callers=load.callers), summaries, left_out))
            if options.json is not None:
                write_json(options.json, [summary.as_dict() for summary in summaries], load, directory, left_out)
