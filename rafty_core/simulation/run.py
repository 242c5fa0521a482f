"""One seed from start to end: safety under all faults, then liveness when they have stopped.

Law: *a seed that fails says what it was, what broke, and what happened just before.*

    python -m rafty_core.simulation.run 42             replay one seed
    python -m rafty_core.simulation.run --seeds 0:2000 search
"""

import argparse
import time
import traceback
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

from rafty_core.invariants import InvariantViolation
from rafty_core.simulation.cluster import Cluster
from rafty_core.simulation.liveness import Liveness
from rafty_core.simulation.nemesis import Nemesis
from rafty_core.simulation.options import Options
from rafty_core.simulation.parts import SIMULATED, Parts

REPLAY = "python -m rafty_core.simulation.run"


class SimulationFailure(Exception):
    """A run broke an invariant, or the core raised. The text has seed, options, what broke, and the last events."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a run did. `digest` is empty unless it was asked for."""

    seed: int
    seconds: float
    steps: int
    events: int
    terms: int
    committed: int
    fates: dict[str, int]
    calls: dict[str, int]
    configurations: int
    points: dict[str, int]
    cells: dict[tuple[str, str], int]
    history: dict[str, int]
    digest: str


def run(
    seed: int,
    parts: Parts = SIMULATED,
    *,
    size: int | None = None,
    keep: int = 40,
    with_digest: bool = False,
    **fixed: Any,
) -> Report:
    """Run this seed, with some of its options `fixed`. Raises `SimulationFailure`."""
    options = replace(Options.draw(seed, size), **fixed)
    cluster = Cluster(options, parts, keep=keep, with_digest=with_digest)
    try:
        _run_phases(cluster)
    except Exception as error:
        where = "" if isinstance(error, InvariantViolation) else "\n" + traceback.format_exc()
        events = [f"{at:9.4f} {node:7} {what} {value}" for at, node, what, value in cluster.world.trace]
        what = f"{type(error).__name__} {error}{where}"
        text = "\n".join([f"seed {seed}: {error}", str(options), *events, what, f"{REPLAY} {seed}"])
        raise SimulationFailure(text) from error
    clients, digest = cluster.clients, cluster.world.digest
    return Report(
        seed,
        cluster.world.time,
        cluster.world.steps,
        cluster.world.events,
        len(cluster.invariants.leaders),
        len(cluster.invariants.committed),
        dict(Counter(clients.fates.values())),
        dict(Counter(f"{token.rstrip('0123456789')} {fate}" for token, fate in cluster.calls.fates.items())),
        len(cluster.invariants.ghost.configurations),
        dict(cluster.points),
        dict(cluster.cells),
        cluster.callers.summary,
        digest.hexdigest() if digest else "",
    )


def _run_phases(cluster: Cluster) -> None:
    nemesis = Nemesis(cluster)
    cluster.start()
    nemesis.start()
    cluster.world.run_until(cluster.options.duration)
    nemesis.repair()
    Liveness(cluster, nemesis).check()


def main(parts: Parts = SIMULATED, program: str = REPLAY) -> int:
    """The command line: returns the exit status."""
    parser = argparse.ArgumentParser(prog=program, description="Simulate a cluster by seed.")
    parser.add_argument("seed", type=int, nargs="?", help="replay this seed")
    parser.add_argument("--seeds", help="search seeds FIRST:LAST (LAST excluded)")
    parser.add_argument("--size", type=int, help="number of nodes, instead of the seed's own")
    parser.add_argument("--events", type=int, default=40, help="how many of the last events a failure shows")
    parser.add_argument("--keep-going", action="store_true", help="search on after a failure")
    options = parser.parse_args()
    first, _, last = (options.seeds or f"{options.seed}:{(options.seed or 0) + 1}").partition(":")
    began, steps, events, failures = time.perf_counter(), 0, 0, []
    for seed in range(int(first), int(last)):
        try:
            report = run(seed, parts, size=options.size, keep=options.events, with_digest=options.seed is not None)
        except SimulationFailure as failure:
            text = str(failure)
            print(text.splitlines()[0] if options.keep_going else text)
            failures.append(seed)
            if not options.keep_going:
                break
        else:
            steps, events = steps + report.steps, events + report.events
            if options.seed is not None:
                print(report)
    seconds = time.perf_counter() - began
    print(f"{events} events, {steps} of them steps, in {seconds:.1f} s, {len(failures)} failures: {failures[:30]}")
    return 1 if failures else 0


if __name__ == "__main__":
    raise SystemExit(main())
