"""`python -m benchmarks transports`: each transport on each event loop, beside the raw stream under it.

Law: *a rate of ours stands beside the rate of what it is built on, of the same minute.*
"""

import argparse
import asyncio
import statistics
import tempfile
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import anyio

from benchmarks.options import backends_of, check_words, interleave, words
from benchmarks.processes import BenchmarkError, WrongOption
from benchmarks.report import table
from benchmarks.transports import ENTRIES, ENTRY, KINDS, Figures, measure

HELP = "messages and bytes a second, and round trips, of each transport on each event loop"

HEADINGS = (
    "transport",
    "backend",
    "batched MB/s",
    "raw MB/s",
    "raw / ours",
    "most MB/s",
    "messages/s",
    "round trip us",
    "raw us",
)

NOTES = f"""\
Both ends in one event loop on one core; medians of the repetitions, ranges in brackets.
batched: commands of {ENTRY} bytes, {ENTRIES} in each AppendEntries; ours encodes the frame (the batch was packed once,
as a leader does), checks and unpacks it. raw: the stream below (for tls with TLS, for ws with WebSocket, for wss with
both), {ENTRIES} x {ENTRY} bytes joined in each send; most: as many bytes in each send as ours joins when much waits.
messages: heartbeats, each a frame. round trip: a heartbeat and its answer; raw: 64 bytes each way."""


class TransportRow(NamedTuple):
    """One line of the report."""

    kind: str
    backend: str

    @property
    def name(self) -> str:
        """In words."""
        return f"{self.kind} on {self.backend}"


def add_command(commands: Any) -> None:
    """Add the command and its options."""
    command = commands.add_parser("transports", help=HELP, description=f"{HELP.capitalize()}.")
    command.add_argument("--quick", action="store_true", help="one repetition of 0.1 s for each figure")
    command.add_argument("--repeats", type=int, help="repetitions of each row, interleaved (default 5)")
    command.add_argument("--seconds", type=float, help="for each figure (default 0.5)")
    command.add_argument("--backends", type=words, help="of asyncio,uvloop,trio (default: those installed)")
    command.add_argument("--transports", type=words, default=list(KINDS), help=f"of {','.join(KINDS)} (default: all)")
    command.set_defaults(run=run_transports)


def run_transports(options: argparse.Namespace) -> None:
    """All repetitions of all rows, interleaved; then the report. Raises `BenchmarkError`."""
    left_out: list[str] = []
    backends = backends_of(options, left_out)
    check_words(options.transports, KINDS, "transport")
    repeats, seconds = (
        options.repeats or (1 if options.quick else 5),
        options.seconds or (0.1 if options.quick else 0.5),
    )
    if repeats < 1 or not 0 < seconds <= 60:
        raise WrongOption("--repeats takes numbers from 1, --seconds a time up to 60")
    runs: dict[TransportRow, list[Figures]] = {
        TransportRow(kind, backend): [] for kind in options.transports for backend in backends
    }
    with tempfile.TemporaryDirectory() as directory:
        certificates = _make_certificates(Path(directory))
        interleave(runs, repeats, partial(_run, seconds=seconds, certificates=certificates), _in_words, left_out)
    print(table(HEADINGS, [_cells(row, done) for row, done in runs.items() if done], left=2))
    print("\n".join([NOTES, *left_out]))


def _make_certificates(directory: Path) -> Path:
    from rafty_transports.certs import make

    make(directory, ["n1", "n2"], 1)
    return directory


def _run(row: TransportRow, seconds: float, certificates: Path) -> Figures:
    backend, loop = ("trio", {}) if row.backend == "trio" else ("asyncio", {"use_uvloop": row.backend == "uvloop"})
    try:
        return anyio.run(measure, row.kind, seconds, certificates, backend=backend, backend_options=loop)
    except (OSError, RuntimeError, asyncio.InvalidStateError) as error:
        raise BenchmarkError(str(error) or type(error).__name__) from error


def _in_words(figures: Figures) -> str:
    return f"{figures.batched / 1e6:,.0f} MB/s, {figures.messages:,.0f} messages/s, {figures.round_trip:,.0f} us"


def _cells(row: TransportRow, done: list[Figures]) -> list[str]:
    def spread(numbers: list[float], scale: float = 1.0) -> str:
        if not any(numbers):
            return "-"
        low, middle, high = (number / scale for number in (min(numbers), statistics.median(numbers), max(numbers)))
        return f"{middle:,.0f} ({low:,.0f}-{high:,.0f})"

    ratios = [figures.raw / figures.batched for figures in done if figures.raw]
    return [
        row.kind,
        row.backend,
        spread([figures.batched for figures in done], 1e6),
        spread([figures.raw for figures in done], 1e6),
        f"{statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})" if ratios else "-",
        spread([figures.most for figures in done], 1e6),
        spread([figures.messages for figures in done]),
        spread([figures.round_trip for figures in done]),
        spread([figures.raw_round_trip for figures in done]),
    ]
