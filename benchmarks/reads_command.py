"""`python -m benchmarks reads`: reads a second, and their latency.

Law: *what was measured is reported, though it be cut short.*
"""

import argparse
from functools import partial
from typing import Any

from benchmarks.cluster import Run
from benchmarks.cluster_command import load_of, minutes
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
from benchmarks.reads import run_read_row
from benchmarks.report import READ_HEADINGS, READ_NOTES, Summary, rate, remarks, table, write_json
from benchmarks.rows import ASKED, READ_STYLES, ReadRow, plan_reads

HELP = "three processes on loopback: linearizable reads, by lease, and stale, a second; and latency"


def add_command(commands: Any) -> None:
    """Add the command and its options."""
    command = commands.add_parser("reads", help=HELP, description=f"{HELP.capitalize()}.")
    add_common(command, "one repetition of one second for each row")
    add_load(command)
    styles = ",".join(READ_STYLES)
    command.add_argument("--styles", type=words, default=list(READ_STYLES), help=f"of {styles} (default: all)")
    command.add_argument("--asked", type=words, default=list(ASKED), help=f"of {','.join(ASKED)} (default: all)")
    command.set_defaults(run=run_reads)


def run_reads(options: argparse.Namespace) -> None:
    """All repetitions of all rows, interleaved; then the report. Raises `BenchmarkError`."""
    directory = directory_on_disk(options.directory)
    left_out: list[str] = []
    backends = backends_of(options, left_out)
    check_words(options.styles, READ_STYLES, "style")
    check_words(options.asked, ASKED, "way of asking")
    in_flight = numbers(options.in_flight, "--in-flight")
    python = peer_python(options, left_out)
    rows = plan_reads(backends, options.asked, options.styles, in_flight, pysyncobj=python is not None)
    repeats, load = options.repeats or (1 if options.quick else 3), load_of(options)
    runs: dict[ReadRow, list[Run]] = {row: [] for row in rows}
    about = minutes(len(rows), repeats, load)
    say(f"{len(rows)} rows, {repeats} repetitions, data below {directory}: about {about:.0f} minutes")
    try:
        run = partial(run_read_row, load=load, directory=directory, pysyncobj=python)
        interleave(runs, repeats, run, rate, left_out)
    finally:
        summaries = [Summary(row, done) for row, done in runs.items() if done]
        if summaries:
            print(table(READ_HEADINGS, [summary.cells() for summary in summaries], left=4))
            print(remarks(READ_NOTES.format(callers=load.callers), summaries, left_out))
            if options.json is not None:
                write_json(options.json, [summary.as_dict() for summary in summaries], load, directory, left_out)
