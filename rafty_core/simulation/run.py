"""One run from start to end: safety under all faults, then liveness when they have stopped.

Law: *a run that fails says what it was, what broke, and what happened just before.*
"""

import traceback
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

from rafty_core.history import InvariantViolation
from rafty_core.simulation.cluster import Cluster
from rafty_core.simulation.failure import SHOWN, SimulationFailure, number_of, text_of
from rafty_core.simulation.liveness import Liveness
from rafty_core.simulation.nemesis import Nemesis
from rafty_core.simulation.options import Options
from rafty_core.simulation.parts import SIMULATED, Parts


@dataclass(frozen=True, slots=True)
class Report:
    """What a run did.

    steps           how many steps the cores made
    terms           how many terms had a leader
    committed       how many entries were committed
    fates           what became of the proposals, and of how many
    calls           what became of reads, changes of membership and transfers
    configurations  how many configurations were committed
    digest          of all that happened; empty unless it was asked for
    """

    seed: int
    steps: int
    events: int
    terms: int
    committed: int
    fates: dict[str, int]
    calls: dict[str, int]
    configurations: int
    points: dict[str, int]
    cells: dict[tuple[str, str], int]
    digest: str


def run(
    seed: int,
    parts: Parts = SIMULATED,
    *,
    size: int | None = None,
    keep: int | None = SHOWN,
    with_digest: bool = False,
    **fixed: Any,
) -> Report:
    """Run this seed, with some of its options `fixed`. Raises `SimulationFailure`."""
    options = replace(Options.draw(seed, size), **fixed)
    if options != Options.draw(seed):
        parts = replace(parts, replay="save this failure, and replay the file")
    return run_options(options, parts, keep=keep, with_digest=with_digest)


def run_options(
    options: Options,
    parts: Parts = SIMULATED,
    *,
    keep: int | None = SHOWN,
    with_digest: bool = False,
    until_repair: bool = False,
) -> Report:
    """Run what these options say. Raises `SimulationFailure`.

    keep          how many of the last events a failure holds; None: all
    until_repair  end when the faults end, and expect no liveness
    """
    cluster = Cluster(options, parts, keep=keep, with_digest=with_digest)
    nemesis = Nemesis(cluster)
    try:
        cluster.start()
        nemesis.start()
        cluster.world.run_until(options.duration)
        if not until_repair:
            nemesis.repair()
            Liveness(cluster, nemesis).check()
    except Exception as error:
        raise _failure(cluster, nemesis, error) from error
    return _report(cluster)


def _failure(cluster: Cluster, nemesis: Nemesis, error: Exception) -> SimulationFailure:
    world = cluster.world
    return SimulationFailure(
        cluster.options,
        number_of(error),
        text_of(error),
        world.time,
        nemesis.strikes,
        world.events,
        tuple(world.trace),
        cluster.parts.replay.format(seed=cluster.options.seed),
        "" if isinstance(error, InvariantViolation) else traceback.format_exc(),
    )


def _report(cluster: Cluster) -> Report:
    digest = cluster.world.digest
    return Report(
        cluster.options.seed,
        cluster.world.steps,
        cluster.world.events,
        len(cluster.invariants.leaders),
        len(cluster.invariants.committed),
        dict(Counter(cluster.clients.fates.values())),
        dict(Counter(f"{token.rstrip('0123456789')} {fate}" for token, fate in cluster.calls.fates.items())),
        len(cluster.invariants.ghost.configurations),
        dict(cluster.points),
        dict(cluster.cells),
        digest.hexdigest() if digest else "",
    )
<<<<<<< HEAD


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
=======
>>>>>>> d09e991 (A failed run is told in English, written to a file, replayed and shrunk; a machine of the user's is simulated)
