"""Runs seeds until one fails, and says in one line which, and by which invariant: for the runner of the mutants.

    python -m tests.simulation.hunt --seeds 0:2000 --seconds 60 [--store]

Of the durable store each seed is first a case of the store alone, then a cluster on the real store.
"""

import argparse
import json
import signal
import time
from collections.abc import Callable
from types import FrameType

from rafty_core.invariants import InvariantViolation
from rafty_core.simulation.failure import SimulationFailure
from rafty_core.simulation.run import run
from tests.simulation.parts import REAL_CODEC
from tests.simulation.storage.campaign import CampaignFailure, run_case
from tests.simulation.storage.parts import REAL_STORE

LONGEST_SEED = 20.0
"""Seconds of processor time that one seed may take; a step that never ends is a failure, too."""

MISTAKES = (AttributeError, NameError, ImportError)
"""What a patch raises that is no fault brought back but a slip of the pen; as is a call with wrong arguments."""


def run_cluster(seed: int) -> None:
    """One cluster, on simulated storage."""
    run(seed, REAL_CODEC)


def run_store(seed: int) -> None:
    """The real store alone, and every now and then in a cluster."""
    run_case(seed)
    if seed % 10 == 0:
        run(seed, REAL_STORE)


def hunt(first: int, last: int, seconds: float, run_seed: Callable[[int], object]) -> dict[str, object]:
    """The first seed that fails, or how many were run."""
    began = time.process_time()
    for seed in range(first, last):
        signal.setitimer(signal.ITIMER_VIRTUAL, LONGEST_SEED)
        try:
            run_seed(seed)
        except (SimulationFailure, CampaignFailure) as failure:
            cause = failure.__cause__
            number = cause.number if isinstance(cause, InvariantViolation) else type(cause).__name__
            text = str(cause).removeprefix(f"{number}: ").split("\n", 1)[0]
            return {"seed": seed, "number": number, "text": text, "mistake": _is_mistake(cause)}
        if time.process_time() - began > seconds:
            return {"runs": seed + 1 - first}
    return {"runs": last - first}


def _is_mistake(cause: BaseException | None) -> bool:
    return isinstance(cause, MISTAKES) or (isinstance(cause, TypeError) and "argument" in str(cause))


def _too_long(number: int, frame: FrameType | None) -> None:
    raise InvariantViolation("I25", f"a seed has not come to its end in {LONGEST_SEED} s of processor time")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="run seeds until one fails")
    parser.add_argument("--seeds", default="0:2000", help="FIRST:LAST (LAST excluded)")
    parser.add_argument("--seconds", type=float, default=60.0, help="of processor time, at most")
    parser.add_argument("--store", action="store_true", help="the durable store, instead of whole clusters")
    options = parser.parse_args()
    first, _, last = options.seeds.partition(":")
    signal.signal(signal.SIGVTALRM, _too_long)
    print(json.dumps(hunt(int(first), int(last), options.seconds, run_store if options.store else run_cluster)))


if __name__ == "__main__":
    main()
