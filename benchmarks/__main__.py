"""The command line of the benchmarks: `python -m benchmarks cluster`.

Law: *it stops by itself, leaves nothing behind, and says so when it leaves something out.*
"""

import argparse
import importlib.util
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from benchmarks.cluster import Run, run_row
from benchmarks.disks import directory_on_disk
from benchmarks.peers import cache_directory, pysyncobj_python
from benchmarks.processes import BenchmarkError
from benchmarks.report import Summary, remarks, table, write_json
from benchmarks.rows import PYSYNCOBJ, STYLES, Load, Row, plan

OVERHEAD = 2.5
"""Seconds that a run takes besides its load, about: three processes, an election, the end."""


def words(text: str) -> list[str]:
    """The words of a list with commas."""
    return [word.strip() for word in text.split(",") if word.strip()]


def parser() -> argparse.ArgumentParser:
    """The options."""
    top = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure rafty on this machine.")
    commands = top.add_subparsers(dest="command", required=True)
    cluster = commands.add_parser(
        "cluster",
        help="three processes on loopback, data on disk: committed writes a second, and latency",
        description="Three processes on loopback, data on disk: committed writes a second, and latency.",
    )
    cluster.add_argument("--quick", action="store_true", help="one repetition of one second for each row")
    cluster.add_argument("--repeats", type=int, help="repetitions of each row, interleaved (default 3)")
    cluster.add_argument("--seconds", type=float, help="length of each load, after a warm-up (default 3)")
    cluster.add_argument("--warmup", type=float, default=0.5, help="seconds before the clock starts (default 0.5)")
    cluster.add_argument("--backends", type=words, help="of asyncio,uvloop,trio (default: those installed)")
    cluster.add_argument("--styles", type=words, default=list(STYLES), help=f"of {','.join(STYLES)} (default: all)")
    cluster.add_argument("--in-flight", type=words, default=["1", "64", "1024"], help="default 1,64,1024")
    cluster.add_argument("--size", type=int, default=256, help="bytes of a command (default 256)")
    cluster.add_argument(
        "--callers", type=int, default=4, help="tasks, or connections, of a pipelined load (default 4)"
    )
    cluster.add_argument("--no-pysyncobj", action="store_true", help="leave PySyncObj out")
    cluster.add_argument("--directory", type=Path, help="where data is written; must be on a disk")
    cluster.add_argument("--cache", type=Path, default=cache_directory(), help="keeps the environment of PySyncObj")
    cluster.add_argument("--json", type=Path, help="write everything to this file, too")
    return top


def installed_backends() -> list[str]:
    """Event loops that can be imported here."""
    return ["asyncio", *(name for name in ("uvloop", "trio") if importlib.util.find_spec(name) is not None)]


def rows_of(options: argparse.Namespace, left_out: list[str]) -> tuple[list[Row], str | None]:
    """The rows that were asked for and can be run; and the interpreter of PySyncObj. Raises `BenchmarkError`."""
    installed = installed_backends()
    backends = options.backends if options.backends is not None else installed
    if missing := [name for name in backends if name not in installed]:
        raise BenchmarkError(f"{', '.join(missing)}: not installed, or no event loop that is known here")
    if unknown := [style for style in options.styles if style not in STYLES]:
        raise BenchmarkError(f"{', '.join(unknown)}: no style; the styles are {', '.join(STYLES)}")
    left_out += [f"{name} is not installed and was left out." for name in ("uvloop", "trio") if name not in installed]
    python = None
    if not options.no_pysyncobj:
        try:
            python = pysyncobj_python(options.cache)
        except BenchmarkError as error:
            left_out.append(f"PySyncObj was left out: {error}.")
    try:
        in_flight = [int(number) for number in options.in_flight]
    except ValueError as error:
        raise BenchmarkError(f"--in-flight takes numbers: {error}") from error
    if min(in_flight, default=0) < 1:
        raise BenchmarkError("--in-flight takes numbers above 0")
    return plan(backends, options.styles, in_flight, pysyncobj=python is not None), python


def run_cluster(options: argparse.Namespace) -> None:
    """All repetitions of all rows, interleaved; then the report, though it be cut short.

    A run that gives no figure (on a busy machine a leader may be replaced) is told in the report, and the others go on.
    """
    directory = directory_on_disk(options.directory)
    left_out: list[str] = []
    rows, python = rows_of(options, left_out)
    repeats = options.repeats or (1 if options.quick else 3)
    seconds = options.seconds or (1.0 if options.quick else 3.0)
    load = Load(options.size, options.warmup, seconds, options.callers)
    runs: dict[Row, list[Run]] = {row: [] for row in rows}
    minutes = len(rows) * repeats * (seconds + options.warmup + OVERHEAD) / 60
    say(f"{len(rows)} rows, {repeats} repetitions, data below {directory}: about {minutes:.0f} minutes")
    began = time.monotonic()
    try:
        for repetition in range(repeats):
            for row in rows:
                try:
                    run = run_row(row, load, directory, python if row.system == PYSYNCOBJ else None)
                    runs[row].append(run)
                    figure = f"{run.result['rate']:,.0f}/s"
                except BenchmarkError as error:
                    figure = f"no figure: {error}"
                    left_out.append(f"{row.name}, repetition {repetition + 1}, gave {figure}.")
                say(f"{time.monotonic() - began:5.0f} s  {repetition + 1}  {row.name}: {figure}")
        if not any(runs.values()):
            raise BenchmarkError("no run gave a figure" + "".join(f"\n{line}" for line in left_out))
    finally:
        summaries = [Summary(row, done) for row, done in runs.items() if done]
        if summaries:
            print(table(summaries))
            print(remarks(summaries, load, left_out))
            if options.json is not None:
                write_json(options.json, summaries, load, directory, left_out)


def say(text: str) -> None:
    """Tell who waits how far it is; not part of the report."""
    print(text, file=sys.stderr, flush=True)


def interrupt(number: int, frame: FrameType | None) -> None:
    """A request to end takes the way of Ctrl-C, which leaves nothing behind."""
    raise KeyboardInterrupt


def main(arguments: Sequence[str] | None = None) -> int:
    """The program. Returns its exit status."""
    options = parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, interrupt)
    try:
        run_cluster(options)
    except BenchmarkError as error:
        say(f"benchmarks: {error}")
        return 1
    except KeyboardInterrupt:
        say("benchmarks: interrupted; nothing was left behind")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
