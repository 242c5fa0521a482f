"""From a long story to a short one that breaks the same rule.

Law: *whatever is taken away, the same invariant breaks; a run that breaks another one does not count.*

What can be taken away: complications (lost messages, slow disks, small windows), nodes, time, and single strikes of the
nemesis, of clients and of administrators. Each strike has its chance of its own, so without one the others stay what
they are. Messages do not: their delays change with all that went before. So a run that does not fail any more is tried
again with other delays and election timeouts (`Options.salt`), once all that falls away easily has fallen away.
"""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rafty_core.simulation.failure import SimulationFailure
from rafty_core.simulation.options import Options
from rafty_core.simulation.parts import SIMULATED, Parts
from rafty_core.simulation.run import run_options

INTERVALS = (
    "fault_interval",
    "proposal_interval",
    "read_interval",
    "snapshot_interval",
    "churn_interval",
    "transfer_interval",
)
"""How often what strikes by itself does so."""

PLAIN: dict[str, Any] = {
    "churn_interval": 0,
    "transfer_interval": 0,
    "snapshot_interval": 0,
    "read_interval": 0,
    "striking": 0,
    "application": "none",
    "long_chains": False,
    "lossy": 0,
    "repeating": 0,
    "delaying": 0,
    "replaying": 0,
    "encoding": 0,
    "corrupting": 0,
    "reporting": 0,
    "gathering": 1,
    "clock_drift": 0,
    "lease": 0,
    "fetch_failing": 0,
    "sync_time": 0.0,
    "apply_time": 0.0,
    "max_batch_bytes": 256 * 1024,
    "max_inflight_messages": 64,
    "max_inflight_bytes": 8 * 1024 * 1024,
    "max_uncommitted_bytes": 64 * 1024 * 1024,
    "max_apply_bytes": 4 * 1024 * 1024,
    "max_pending_proposals": 65536,
    "max_pending_reads": 65536,
    "max_retained_bytes": 256 * 1024 * 1024,
}
"""The options that make a run complicated, and what they are in a plain one."""

LEAST = 0.5
"""No run is made shorter than this, in simulated seconds: it takes a while to elect a leader."""

ATTEMPTS = (1, 4, 16)
"""With so many salts each smaller story is tried, round after round."""

PATIENCE = 1.0
"""With fewer strikes it may fail so much later, in simulated seconds: for elections may go another way."""

AT_LEAST = 8
"""With so many, what makes a story much shorter: fewer nodes, less time."""

UNSTEADY = 5
"""So often the shortest story is tried, to be told in full: a machine that is not deterministic may pass by chance."""

FRUITLESS = 300
"""After so many tries in vain no more strikes are taken away at random."""


@dataclass(frozen=True, slots=True)
class Size:
    """How long a story is; `seconds` are simulated."""

    strikes: int
    nodes: int
    seconds: float
    events: int

    @classmethod
    def of(cls, failure: SimulationFailure) -> "Size":
        """The size of the story that this failure tells."""
        return cls(len(failure.strikes), failure.options.size, failure.time, failure.happened)


@dataclass(frozen=True, slots=True)
class Shrunk:
    """A shorter story.

    failure  the short one, with all its events
    before   how long the story was
    after    how long it is
    runs     how many were needed to find it
    """

    failure: SimulationFailure
    before: Size
    after: Size
    runs: int

    def __str__(self) -> str:
        rows = [("strikes", "strikes"), ("nodes", "nodes"), ("seconds", "simulated seconds"), ("events", "events")]
        lines = [
            f"{f'{getattr(self.before, name):.5g}':>8} -> {getattr(self.after, name):.5g} {text}" for name, text in rows
        ]
        return "\n".join([f"{self.runs} runs of {self.failure.number}:", *lines])


def shrink(
    options: Options,
    number: str,
    parts: Parts = SIMULATED,
    *,
    seconds: float = 60.0,
    runs: float = float("inf"),
    interruptible: bool = False,
) -> Shrunk:
    """Find a short run that breaks this invariant, like that of `options`, within so many real `seconds` and `runs`.

    interruptible  Ctrl-C ends the search, and what was found by then is returned

    Raises `ValueError` if the run of `options` does not break it.
    """
    if not seconds >= 0:
        raise ValueError(f"seconds must be 0 or more, not {seconds!r}")
    shrinker = _Shrinker(options, number, parts, time.monotonic() + seconds, runs)
    try:
        shrinker.shrink()
    except KeyboardInterrupt:
        if not interruptible:
            raise
    again = (shrinker.attempt(shrinker.best.options, keep=None) for _ in range(UNSTEADY))
    failure = next((failure for failure in again if failure is not None), None)
    if failure is None:
        raise ValueError("the run is not the same each time, and cannot be shrunk: the machine is not deterministic")
    return Shrunk(failure, shrinker.before, Size.of(failure), shrinker.runs)


class _Shrinker:
    """`best` is the shortest story so far."""

    def __init__(self, options: Options, number: str, parts: Parts, deadline: float, most_runs: float) -> None:
        self.number, self.parts, self.runs = number, parts, 0
        self._deadline, self._most_runs, self._attempts = deadline, most_runs, 1
        self._until_repair, self._latest = False, 0.0
        first = self.attempt(options)
        if first is None:
            raise ValueError(f"nothing to shrink: the run of seed {options.seed} does not break {number} (any more)")
        self.before = Size.of(first)
        self._until_repair = first.time <= options.duration
        self.best = self._cut(first)

    def attempt(self, options: Options, keep: int | None = 0) -> SimulationFailure | None:
        """Run it; return the failure if it is the one that is looked for."""
        self.runs += 1
        try:
            run_options(options, self.parts, keep=keep, until_repair=self._until_repair)
        except SimulationFailure as failure:
            return failure if failure.number == self.number else None
        return None

    def shrink(self) -> None:
        """Take away what can be taken away, at first what falls away easily."""
        for self._attempts in ATTEMPTS:
            before = None
            while before != (before := Size.of(self.best)) and self._in_time():
                self._latest = self.best.time + PATIENCE
                self._end_sooner()
                self._simplify()
                self._remove_nodes()
                self._hurry()
                self._remove_strikes()
                self._remove_at_random()

    def _in_time(self) -> bool:
        return time.monotonic() < self._deadline and self.runs < self._most_runs

    def _cut(self, failure: SimulationFailure) -> SimulationFailure:
        """The same failure; its run ends right after it, if it broke while there were faults."""
        if self._until_repair:
            duration = min(failure.options.duration, failure.time + 1e-6)
            failure.options = replace(failure.options, duration=duration)
        return failure

    def _accept(self, at_least: int = 1, sooner: bool = False, **changes: Any) -> bool:
        """Whether the best run still fails with these changes: then it is the best from now on.

        It may take a little longer to, but without more strikes; or it must be `sooner` than it was.
        """
        now = self.best.options
        if self._until_repair:
            patient = {"duration": max(self._latest, now.duration), "kept": frozenset(self.best.strikes)}
            changes = patient | changes
        for more in range(max(self._attempts, at_least)):
            if not self._in_time():
                return False
            failure = self.attempt(replace(now, **{"salt": now.salt + more} | changes))
            if failure is not None and not (sooner and failure.time > 0.95 * self.best.time):
                self.best = self._cut(failure)
                return True
        return False

    # ------------------------------------------------------------------- steps

    def _end_sooner(self) -> None:
        """The faults end sooner, if it breaks only afterwards."""
        for factor in (0.25, 0.5, 0.8):
            while not self._until_repair and self.best.options.duration > LEAST:
                if not self._accept(duration=self.best.options.duration * factor):
                    break

    def _simplify(self) -> None:
        now = self.best.options
        names = [name for name, value in PLAIN.items() if getattr(now, name) != value]
        _reduce(names, lambda kept: self._accept(**{name: PLAIN[name] for name in names if name not in kept}))

    def _remove_nodes(self) -> None:
        for size in range(1, self.best.options.size):
            if self._accept(AT_LEAST if self._until_repair else 1, size=size):
                break

    def _hurry(self) -> None:
        """All strikes come sooner, in the same order."""
        for factor in (0.5, 0.8):
            while self.best.time > LEAST and self._accept(AT_LEAST, sooner=True, **self._in_a_hurry(factor)):
                pass

    def _in_a_hurry(self, factor: float) -> dict[str, float]:
        return {name: getattr(self.best.options, name) * factor for name in INTERVALS}

    def _remove_strikes(self) -> None:
        _reduce(self.best.strikes, lambda kept: self._accept(kept=frozenset(kept)))

    def _remove_at_random(self) -> None:
        """Some strikes hold each other in place: without either of two it does not fail, but without both it does."""
        draw, fruitless = random.Random(self.runs), 0
        while fruitless < FRUITLESS and self.best.strikes and self._in_time():
            kept = self.best.strikes
            gone = draw.sample(kept, min(len(kept), draw.choice((2, 2, 3, 4, 6, 10))))
            salt = self.best.options.salt if draw.random() < 0.5 else draw.randrange(1000)
            found = self._accept(salt=salt, kept=frozenset(kept).difference(gone))
            fruitless = 0 if found else fruitless + 1


def _reduce(items: Sequence[Any], fails: Callable[[Sequence[Any]], bool]) -> None:
    """Find few of these items with which it still `fails`: leave out all, halves, quarters, at last single ones."""
    kept = list(items)
    size = len(kept)
    while size:
        at = 0
        while at < len(kept):
            fewer = kept[:at] + kept[at + size :]
            if fails(fewer):
                kept = fewer
            else:
                at += size
        size //= 2
