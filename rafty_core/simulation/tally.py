"""What many runs have reached together, and what none of them has.

Law: *what a campaign never reaches, it has not tested, however many seeds it ran*: zero is a failure.
"""

from collections import Counter
from collections.abc import Iterator

from rafty_core.raft import TABLE
from rafty_core.simulation.points import POINTS
from rafty_core.simulation.run import Report

ENOUGH = 1000
"""After so many runs every named point and every cell of the table must have been reached."""


class Tally:
    """Adds up reports. `str` says how much was run."""

    def __init__(self) -> None:
        self.runs = self.events = self.steps = 0
        self.seconds = 0.0
        self.points: Counter[str] = Counter()
        self.cells: Counter[tuple[str, str]] = Counter()

    def add(self, report: Report) -> None:
        """One more run."""
        self.runs += 1
        self.events += report.events
        self.steps += report.steps
        self.seconds += report.seconds
        self.points.update(report.points)
        self.cells.update(report.cells)

    def unvisited(self) -> list[str]:
        """The named points and the cells of the table (role, event) that no run has reached."""
        cells = [(role.__name__, event.__name__) for role, event in TABLE]
        missed = [f"{role} is told {event}" for role, event in cells if not self.cells[role, event]]
        return [f"a node {point}" for point in POINTS if not self.points[point]] + missed

    def lines(self) -> Iterator[str]:
        """How often each point was reached, per 1000 runs, and how many cells were visited how rarely."""
        for point in POINTS:
            yield f"{1000 * self.points[point] / max(self.runs, 1):12,.1f} times per 1000 runs a node {point}"
        cells = [(self.cells[role.__name__, event.__name__], role.__name__, event.__name__) for role, event in TABLE]
        visited = [cell for cell in cells if cell[0]]
        yield f"{len(visited)} of {len(cells)} cells of the table were visited; the rarest of them:"
        for count, role, event in sorted(visited)[:5]:
            yield f"{1000 * count / max(self.runs, 1):12,.1f} times per 1000 runs a {role} is told {event}"

    def __str__(self) -> str:
        hours = self.seconds / 3600
        return f"{self.runs} clusters, {hours:.1f} hours of their life, {self.events} events, {self.steps} steps"
