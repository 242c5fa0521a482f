"""One run from start to end: safety under all faults, liveness when they have stopped, and everything restarted.

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
from rafty_core.simulation.story import tell_all


@dataclass(frozen=True, slots=True)
class Report:
    """What a run did.

    seconds         how long the cluster lived, in simulated seconds
    steps           how many steps the cores made
    events          how many things happened in all: arrivals, timers, writes that are done, strikes
    terms           how many terms had a leader
    committed       how many entries were committed
    fates           what became of the proposals, and of how many
    calls           what became of reads, changes of membership and transfers
    configurations  how many configurations were committed
    points          how often each of the named points was reached
    cells           how often which role was told what
    digest          of all that happened; empty unless it was asked for
    """

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
    __tracebackhide__ = True
    try:
        cluster = Cluster(options, parts, keep=keep, with_digest=with_digest)
    except Exception as error:
        text, trace = f"{text_of(error)}; so no cluster can be made", traceback.format_exc()
        replay = _replay(options, parts)
        raise SimulationFailure(options, number_of(error), text, replay=replay, trace=trace) from error
    nemesis = Nemesis(cluster)
    try:
        cluster.start()
        nemesis.start()
        cluster.world.run_until(options.duration)
        if not until_repair:
            nemesis.repair()
            Liveness(cluster, nemesis).check()
        tell_all(cluster.world.kinds.values())  # who looks for a failure can rely on it that all can be told
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
        tuple(nemesis.struck),
        world.noted,
        tuple(world.trace),
        _replay(cluster.options, cluster.parts),
        "" if isinstance(error, InvariantViolation) else traceback.format_exc(),
    )


def _replay(options: Options, parts: Parts) -> str:
    return parts.replay.replace("{seed}", str(options.seed))


def _report(cluster: Cluster) -> Report:
    digest = cluster.world.digest
    return Report(
        cluster.options.seed,
        cluster.world.time,
        cluster.world.steps,
        cluster.world.events,
        len(cluster.invariants.leaders),
        len(cluster.invariants.committed),
        dict(Counter(cluster.clients.fates.values())),
        dict(Counter(f"{token.rstrip('0123456789')} {fate}" for token, fate in cluster.calls.fates.items())),
        len(cluster.invariants.ghost.configurations),
        dict(cluster.points),
        dict(cluster.cells),
        cluster.callers.summary,
        digest.hexdigest() if digest else "",
    )
