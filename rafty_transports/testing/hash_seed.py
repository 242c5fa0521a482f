"""The same commands in other processes, whose sets have other orders.

Law: *two nodes are two processes: what differs between two processes must not show in a result.*

This module is also the program of such a process: it reads how to make a machine and what to apply from its standard
input, and writes results and snapshot to its standard output.
"""

import os
import pickle
import subprocess
import sys
from io import BytesIO
from typing import TYPE_CHECKING, Any

from rafty_transports.testing.conformance import require

if TYPE_CHECKING:
    from rafty_transports.testing.machine_rules import Trial

SEEDS = ("0", "1", "2024")
"""The values of PYTHONHASHSEED; random bytes are drawn anew in each process anyway."""


def hash_seed_changes_nothing(trial: "Trial") -> None:
    """Equal results and snapshots in processes with other orders of sets, other addresses, another `random`."""
    outcomes = [_outcome(trial, seed) for seed in SEEDS]
    for seed, outcome in zip(SEEDS[1:], outcomes[1:], strict=True):
        what = f"in processes with PYTHONHASHSEED={SEEDS[0]} and {seed}"
        trial.same_results(outcomes[0]["results"], outcome["results"], 0, what)
        if trial.equal_images:
            require(outcome["image"] == outcomes[0]["image"], f"{what} the snapshots after the same commands differ")


def _outcome(trial: "Trial", seed: str) -> dict[str, Any]:
    child = subprocess.run(
        [sys.executable, "-m", "rafty_transports.testing.hash_seed"],
        input=pickle.dumps((sys.path, pickle.dumps(trial.make), trial.commands)),
        capture_output=True,
        env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        check=False,
    )
    last = child.stderr.decode(errors="replace").strip().rpartition("\n")[2]
    require(
        child.returncode == 0, f"a process with PYTHONHASHSEED={seed} that applies the commands failed: {last:.300}"
    )
    outcome: dict[str, Any] = pickle.loads(child.stdout)
    return outcome


def main() -> None:
    """Apply what standard input says, and say what came of it."""
    path, maker, commands = pickle.loads(sys.stdin.buffer.read())
    sys.path[:] = path
    output, sys.stdout = sys.stdout.buffer, sys.stderr  # what the machine prints must not stand among the results
    machine = pickle.loads(maker)()
    results = [result for at, command in enumerate(commands, 1) for result in machine.apply(at, [command])]
    target = BytesIO()
    if hasattr(machine, "snapshot"):
        machine.snapshot()(target)
    pickle.dump({"results": results, "image": target.getvalue()}, output)


if __name__ == "__main__":
    main()
