"""The figures of `catchup` for people and for programs.

Law: *a figure never stands alone*: beside it stand its range, and how much it is about.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.catchup import Caught, Grown
from benchmarks.report import known, table
from benchmarks.rows import CatchupRow
from benchmarks.sampling import middle

TIMES = (
    "system",
    "variant",
    "what",
    "entries",
    "bytes each",
    "answers after s",
    "all applied after s (range)",
    "entries/s",
    "MB",
    "memory MB",
)

GROWTH = ("system", "variant", "what", "entries", "bytes each", "grown by MB (range)", "bytes/entry", "beyond content")

NOTES = """\
Medians of the repetitions; ranges in brackets. Seconds count from the start of the process, Python and imports
included. Each entry sets a key of its own, except for memory; nothing compresses the values.
by log, by snapshot: one of three members was away while the entries were written, and comes back with its data
(PySyncObj with nothing: it keeps its log in memory there). MB: what it has to get, the entries or the snapshot.
restart: a node that is a cluster of its own; it has applied all once it was elected again and has committed an entry.
MB: its data directory. PySyncObj restarts from a journal file, and with its dump file, none of which it ever syncs.
memory MB: of the process in the end. grown by: memory of the process of a node, while its log grows and its state does
not; beyond content: that for each entry, less its bytes. A million bytes are a MB."""


@dataclass(frozen=True, slots=True)
class CatchupSummary:
    """A row and its runs, all of one kind."""

    row: CatchupRow
    runs: Sequence[Caught | Grown]

    @property
    def caught(self) -> list[Caught]:
        """The runs that took time."""
        return [run for run in self.runs if isinstance(run, Caught)]

    @property
    def grown(self) -> list[int]:
        """By how many bytes the others grew."""
        return [run.after - run.before for run in self.runs if isinstance(run, Grown)]

    def head(self) -> tuple[str, ...]:
        """What was measured."""
        row = self.row
        return row.system, row.variant, row.measure, f"{row.entries:,}", str(row.size)

    def times(self) -> tuple[str, ...]:
        """The line of the first table."""
        applied = [run.applied for run in self.caught]
        return (
            *self.head(),
            f"{middle([run.ready for run in self.caught]):.2f}",
            f"{middle(applied):.2f} ({min(applied):.2f}-{max(applied):.2f})",
            f"{self.row.entries / middle(applied):,.0f}",
            f"{middle([run.size for run in self.caught]) / 1e6:,.1f}",
            known([None if run.memory is None else run.memory / 1e6 for run in self.caught], "{:,.0f}"),
        )

    def growth(self) -> tuple[str, ...]:
        """The line of the second table."""
        grown = self.grown
        each = middle(grown) / self.row.entries
        return (
            *self.head(),
            f"{middle(grown) / 1e6:,.1f} ({min(grown) / 1e6:,.1f}-{max(grown) / 1e6:,.1f})",
            f"{each:,.0f}",
            f"{each - self.row.size:,.0f}",
        )

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self.row), "runs": [asdict(run) for run in self.runs]}


def tables(summaries: Sequence[CatchupSummary]) -> str:
    """A table of times and one of memory, as far as there is something for them."""
    times = [summary.times() for summary in summaries if summary.caught]
    growth = [summary.growth() for summary in summaries if summary.grown]
    parts = [table(TIMES, times)] if times else []
    parts += [table(GROWTH, growth)] if growth else []
    return "\n\n".join(parts)


def in_short(run: Caught | Grown) -> str:
    """What a run gave, in a few words."""
    if isinstance(run, Caught):
        return f"{run.applied:.2f} s"
    return f"{(run.after - run.before) / 1e6:,.1f} MB"
