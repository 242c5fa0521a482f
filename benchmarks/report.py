"""Figures for people and for programs.

Law: *a figure never stands alone*: beside it stand its range, the disk of the same minute, and whether its load was
what it claims.
"""

import json
import os
import platform
import sqlite3
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.cluster import Run
from benchmarks.rows import RAFTY, Load, ReadRow, Row
from benchmarks.sampling import is_off, middle

WRITE_HEADINGS = (
    "system",
    "variant",
    "calls",
    "in flight",
    "writes/s (range)",
    "p50 ms",
    "p99 ms",
    "rate x latency",
    "CPU us/write",
    "leader CPU",
    "fdatasync ms",
)

READ_HEADINGS = (
    "system",
    "variant",
    "asked",
    "calls",
    "in flight",
    "reads/s (range)",
    "p50 ms",
    "p99 ms",
    "rate x latency",
    "CPU us/read",
    "CPU of the asked",
)

WRITE_NOTES = """\
Three processes on loopback. Medians of the repetitions; ranges in brackets.
pipelined: {callers} tasks in the leader's process, each awaits propose_many of its share of the number in flight.
tasks: one task for each command in flight, each awaits propose. Both: processor time of the load is the leader's.
resp-pipelined: {callers} connections of another process share the number in flight; resp-clients: one connection each.
rate x latency: commands in flight as measured (writes/s times mean latency) / as claimed; flagged with ! if more than
10 % off. CPU us/write: processor time of the three members for each write.
fdatasync: a bare append of 256 bytes and its sync on the same directory, just before the run.
rafty syncs every write to the disks of all three before it counts. PySyncObj keeps its log in memory here, and never
calls fsync in any of its settings."""

READ_NOTES = """\
Three processes on loopback, nobody writes. Medians of the repetitions; ranges in brackets.
leader, follower: linearizable reads, asked of that member; a majority confirms each, many at a time (ReadIndex).
lease: linearizable reads by the leader's lease, which the configuration of the cluster has then; they rely on clocks.
stale: whatever a follower has; nobody is asked.
tasks: one task for each read in flight, each awaits Node.read and looks up a key in the state machine, in the process
of the member that is asked. A stale read waits for nothing, so that its task lets the others run after each.
resp-pipelined: GET over {callers} connections of another process, which share the number in flight; resp-clients: one
connection each.
rate x latency: reads in flight as measured (reads/s times mean latency) / as claimed; flagged with ! if more than
10 % off. CPU us/read: processor time of the three members for each read.
PySyncObj has no linearizable read beside its log: what is measured is a command that looks up a key and goes through
the log (callbacks, in the process of the member that is asked). Most of its users read their own member's objects,
which is not linearizable and costs what a dictionary costs: left out."""


@dataclass(frozen=True, slots=True)
class Summary:
    """A row and its runs."""

    row: Row
    runs: Sequence[Run]

    def median(self, field: str) -> float:
        """The median of a field of the results."""
        return middle([run.result[field] for run in self.runs])

    @property
    def is_off(self) -> bool:
        """Whether the load did not have in flight what it claims."""
        return is_off(self.median("in_flight_measured"), self.row.in_flight)

    @property
    def failed(self) -> int:
        """Calls that failed, in all runs."""
        return sum(run.result["failed"] for run in self.runs)

    def cells(self) -> tuple[str, ...]:
        """The line of the table."""
        row, rates = self.row, [run.result["rate"] for run in self.runs]
        ratio = self.median("in_flight_measured") / row.in_flight
        return (
            row.system,
            row.variant,
            *((row.asked,) if isinstance(row, ReadRow) else ()),
            row.style,
            str(row.in_flight),
            f"{middle(rates):,.0f} ({min(rates):,.0f}-{max(rates):,.0f})",
            f"{self.median('p50_ms'):.2f}",
            f"{self.median('p99_ms'):.2f}",
            f"{ratio:.2f}{'!' if self.is_off else ''}",
            known([run.cpu_us for run in self.runs], "{:.0f}"),
            known([run.asked_cpu for run in self.runs], "{:.0%}"),
            *(() if isinstance(row, ReadRow) else (f"{middle([run.fdatasync_ms for run in self.runs]):.2f}",)),
        )

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        rates = [run.result["rate"] for run in self.runs]
        medians = {name: self.median(name) for name in ("rate", "mean_ms", "p50_ms", "p99_ms", "in_flight_measured")}
        return {
            **asdict(self.row),
            **({} if isinstance(self.row, ReadRow) else {"syncs_to_disk": self.row.system == RAFTY}),
            "median": medians,
            "rate_range": [min(rates), max(rates)],
            "load_is_off": self.is_off,
            "failed": self.failed,
            "runs": [asdict(run) for run in self.runs],
        }


def known(values: Sequence[float | None], form: str) -> str:
    """The median of what is known, or a dash."""
    there = [value for value in values if value is not None]
    return form.format(middle(there)) if there else "-"


def rate(run: Run) -> str:
    """What a run gave, in a few words."""
    return f"{run.result['rate']:,.0f}/s"


def table(headings: Sequence[str], rows: Sequence[Sequence[str]], left: int = 3) -> str:
    """All rows as aligned text; the first `left` columns hold words, the others figures."""
    lines = [headings, *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    sides = "<" * left + ">" * (len(headings) - left)
    texts = [
        "  ".join(f"{cell:{side}{width}}" for cell, side, width in zip(line, sides, widths, strict=True))
        for line in lines
    ]
    return "\n".join([texts[0], "-" * len(texts[0]), *texts[1:]])


def remarks(notes: str, summaries: Sequence[Summary], left_out: Sequence[str]) -> str:
    """What a reader of the table must know."""
    lines = [notes]
    for summary in summaries:
        if summary.failed:
            error = next(run.result["first_error"] for run in summary.runs if run.result["failed"])
            lines.append(f"{summary.row.name}: {summary.failed} calls failed, the first with {error}")
    return "\n".join([*lines, *left_out])


def machine(directory: Path) -> Mapping[str, Any]:
    """What was measured on."""
    return {
        "python": sys.version.split()[0],
        "sqlite": sqlite3.sqlite_version,
        "system": platform.platform(),
        "cores": os.cpu_count(),
        "directory": str(directory),
    }


def write_json(
    path: Path, rows: Sequence[Mapping[str, Any]], load: Load | None, directory: Path, left_out: Sequence[str]
) -> None:
    """Everything, for programs."""
    content = {
        "machine": machine(directory),
        "load": None if load is None else asdict(load),
        "left_out": list(left_out),
        "rows": list(rows),
    }
    path.write_text(json.dumps(content, indent=1) + "\n")
