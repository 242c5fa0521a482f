"""Brings each fault back, and asks which seed of the simulation finds it, and by which invariant.

    python -m tests.mutants.simulated [F30 F7a ...] [--jobs 2] [--seconds 60] [--table]

Law: *a simulator that is not held to a number finds what its author thought of.*

Seeds 0, 1, 2, ... are run against each mutant, nothing else: no scenario, no unit test. Mutants of the core are hunted
with whole clusters, those of the durable store with the store on its simulated disk. What the simulation does not run
at all (connections, the service, the command line) is not asked about; `tests.mutants.run` kills those.

`--table` writes `tests/mutants/RESULTS.md`. Of a mutant that survives `survivors.py` has the proof that it changes
nothing; without one it is a gap.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from tests.mutants.run import PATCHES, ROOT, copy_tree, fault_of, patches, scenarios_of
from tests.mutants.survivors import PROOFS

TABLE = PATCHES / "RESULTS.md"
MOST_SEEDS = 2000
HUNTERS: Mapping[str, Sequence[str]] = {"rafty_core/": (), "rafty_transports/storage/": ("--store",)}
"""By the start of the paths that a patch changes: how it is hunted for."""


class Result(NamedTuple):
    """What the simulation found of one mutant: `seed` is None for a survivor, after so many `runs`."""

    mutant: str
    seed: int | None
    number: str
    text: str
    runs: int


def hunter_of(patch: Path) -> Sequence[str] | None:
    """How this mutant is hunted for; None if the simulation does not run what it changes."""
    targets = [line[6:] for line in patch.read_text().splitlines() if line.startswith("+++ b/")]
    for start, hunter in HUNTERS.items():
        if any(target.startswith(start) for target in targets):
            return hunter
    return None


def hunt(patch: Path, seconds: float) -> Result:
    """Hunt for one mutant, in a copy of the tree."""
    hunter = hunter_of(patch)
    if hunter is None:
        raise ValueError(f"the simulation does not run what {patch.stem} changes")
    with tempfile.TemporaryDirectory(prefix="mutant-") as name:
        tree = Path(name)
        copy_tree(tree)
        environment = {**os.environ, "GIT_CEILING_DIRECTORIES": str(tree.parent), "PYTHONHASHSEED": "0"}
        environment.pop("PYTHONPATH", None)
        subprocess.run(["git", "apply", str(patch)], cwd=tree, env=environment, check=True)
        command = [
            sys.executable,
            "-m",
            "tests.simulation.hunt",
            "--seeds",
            f"0:{MOST_SEEDS}",
            "--seconds",
            str(seconds),
        ]
        command += hunter
        ended = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        return Result(patch.stem, None, "", f"A MISTAKE, and no fault: {ended.stderr.strip()[-200:]}", 0)
    found = json.loads(ended.stdout.splitlines()[-1])
    if "seed" not in found:
        return Result(patch.stem, None, "", "", found["runs"])
    if found["mistake"]:
        return Result(patch.stem, None, "", f"A MISTAKE, and no fault: {found['number']} {found['text']}", 0)
    return Result(patch.stem, found["seed"], found["number"], found["text"], found["seed"] + 1)


def summary(results: Sequence[Result]) -> str:
    """How many were found, and how soon."""
    seeds = [result.seed for result in results if result.seed is not None]
    alive = [result.mutant for result in results if result.seed is None]
    share = 100 * len(seeds) / len(results) if results else 0.0
    median = statistics.median(seeds) if seeds else float("nan")
    text = (
        f"{len(seeds)} of {len(results)} mutants found by the simulation alone ({share:.1f} %), median seed {median:g}"
    )
    return text + (f", greatest {max(seeds)}" if seeds else "") + (f"; not: {', '.join(alive)}" if alive else "")


def _row(result: Result) -> str:
    scenario = scenarios_of(fault_of(PATCHES / f"{result.mutant}.patch"))[0].rsplit("/", 1)[1].removesuffix(".py")
    if result.seed is not None:
        what = result.text.replace("|", "/")[:110]
        return f"| {result.mutant} | {scenario} | {result.seed} | {result.number} | {what} |"
    proof = PROOFS.get(result.mutant)
    why = f"proof: {proof}" if proof else "gap: its moment has not come in these seeds"
    return f"| {result.mutant} | {scenario} | not in {result.runs} | | {why} |"


def write_table(results: Sequence[Result]) -> None:
    """Write the table of results."""
    others = [patch.stem for patch in patches() if hunter_of(patch) is None]
    lines = [
        "# What the simulation finds",
        "",
        "Each mutant brings a fault back: F are faults of other implementations, R are those that rafty had. The",
        "seed is the first of 0, 1, 2, ... that fails with it, and the invariant the one that it breaks; made by",
        "`python -m tests.mutants.simulated --table`. Its scenario kills it as well: `python -m tests.mutants.run`.",
        "",
        summary(results) + ".",
        "",
        "| mutant | scenario | seed | invariant | what was seen, or why nothing is |",
        "|---|---|---|---|---|",
        *map(_row, results),
        "",
        f"Not asked about, for the simulation does not run what they change ({len(others)}): {', '.join(others)}.",
        "",
    ]
    TABLE.write_text("\n".join(lines))


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns 0 only if all were found, but those with a proof."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants.simulated", description="find faults by simulation")
    parser.add_argument("names", nargs="*", help="F30 for all variants of a fault, F30b for one; default: all")
    parser.add_argument("--jobs", type=int, default=2, help="mutants hunted at once (default 2)")
    parser.add_argument("--seconds", type=float, default=60.0, help="of processor time for each mutant (default 60)")
    parser.add_argument("--table", action="store_true", help=f"write {TABLE.relative_to(ROOT)}; all mutants only")
    options = parser.parse_args(arguments)
    names = set(options.names)
    chosen = [patch for patch in patches() if not names or {patch.stem, fault_of(patch)} & names]
    chosen = [patch for patch in chosen if hunter_of(patch) is not None]
    results = []
    with ThreadPoolExecutor(options.jobs) as pool:
        for result in pool.map(lambda patch: hunt(patch, options.seconds), chosen):
            verdict = f"seed {result.seed}" if result.seed is not None else f"NOT FOUND in {result.runs}"
            print(f"{result.mutant:8} {verdict:18} {result.number:5} {result.text[:90]}", flush=True)
            results.append(result)
    print(summary(results))
    if options.table and not names:
        write_table(results)
    return 0 if all(result.seed is not None or result.mutant in PROOFS for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
