"""What a load measures: the latency of each command, and how many commands a second were committed.

Law: *a rate is believed only if rate times mean latency is the number of commands in flight* (Little's law).

A load that cannot keep its commands in flight measures itself. So each result carries the number that it claims and
the number that it had. Standard library alone: the processes of other systems use this module too.
"""

import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

clock = time.perf_counter

TOLERANCE = 0.1
"""By how much the number in flight may differ from the one claimed before a result is flagged."""


@dataclass(frozen=True, slots=True)
class Result:
    """One run. Latencies in milliseconds; `in_flight_measured` is rate times mean latency; `failed` counts commands."""

    rate: float
    mean_ms: float
    p50_ms: float
    p99_ms: float
    in_flight_measured: float
    completed: int
    failed: int
    first_error: str | None

    def as_dict(self) -> dict[str, Any]:
        """For a line of JSON."""
        return asdict(self)


class Samples:
    """Latencies of what completes inside one window, which begins after `warmup` seconds and lasts `seconds`."""

    def __init__(self, warmup: float, seconds: float) -> None:
        self.seconds = seconds
        self.begin = clock() + warmup
        self.end = self.begin + seconds
        self._latencies: list[tuple[float, int]] = []
        self._failed = 0
        self._first_error: str | None = None

    def add(self, began: float, ended: float, count: int = 1) -> None:
        """`count` commands, issued together at `began`, were all committed by `ended`."""
        if self.begin <= ended < self.end:
            self._latencies.append((ended - began, count))

    def fail(self, error: str, count: int = 1) -> None:
        """`count` commands failed, whenever that was."""
        self._failed += count
        self._first_error = self._first_error or error

    def result(self) -> Result:
        """What was measured; all zero if nothing completed."""
        completed = sum(count for _, count in self._latencies)
        total = sum(latency * count for latency, count in self._latencies)
        mean = total / completed if completed else 0.0
        ordered = sorted(self._latencies)
        rate = completed / self.seconds
        return Result(
            rate=rate,
            mean_ms=1000 * mean,
            p50_ms=1000 * quantile(ordered, 0.50),
            p99_ms=1000 * quantile(ordered, 0.99),
            in_flight_measured=rate * mean,
            completed=completed,
            failed=self._failed,
            first_error=self._first_error,
        )


def quantile(ordered: Sequence[tuple[float, int]], part: float) -> float:
    """The value below which `part` of all commands are; `ordered` holds (value, how many commands), ascending."""
    wanted = part * sum(count for _, count in ordered)
    passed = 0
    for value, count in ordered:
        passed += count
        if passed >= wanted:
            return value
    return 0.0


def is_off(measured: float, claimed: float) -> bool:
    """Whether a load did not have in flight what it claims."""
    return abs(measured - claimed) > TOLERANCE * claimed


def middle(values: Sequence[float]) -> float:
    """The median; 0 of nothing."""
    return statistics.median(values) if values else 0.0


def shares(in_flight: int, parts: int) -> list[int]:
    """`in_flight` divided into at most `parts` shares of at least 1 whose sum is exactly `in_flight`."""
    parts = min(parts, in_flight)
    return [in_flight // parts + (part < in_flight % parts) for part in range(parts)]
