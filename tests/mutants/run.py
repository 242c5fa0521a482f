"""Brings each fault back, one at a time, and demands that its scenario notices.

    python -m tests.mutants.run [F30 F7 ...] [--jobs 2]

Law: *a scenario that does not fail when its fault returns protects nothing.*

`F30.patch`, `F30a.patch`, ... are small patches of the shipped code; `tests/scenarios/test_f30_*.py` must fail under
each of them. F are the faults of other implementations, R those that were found in rafty itself. Every patch gets a
copy of the tree of its own. A mutant is killed only by a failing test: a test that cannot be collected proves nothing,
and neither does one that hangs (unless the first line of the patch says "hangs"). Some faults show only if two things
come together in time; a mutant that was not killed is tried once more, and its line says so.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
PATCHES = ROOT / "tests" / "mutants"
TREE = ("rafty_core", "rafty_transports", "tests", "pyproject.toml")
TIME_LIMIT = 60.0
TEST_FAILED = 1
"""pytest's exit code for "tests were run and some failed"; 2 to 5 are errors of other kinds."""


class Verdict(NamedTuple):
    """What became of one mutant."""

    mutant: str
    scenario: str
    killed: bool
    text: str
    seconds: float


def patches() -> list[Path]:
    """Every patch, in the order of the faults' numbers."""
    paths = PATCHES.glob("*.patch")
    return sorted(paths, key=lambda path: (path.stem[0], int(fault_of(path)[1:]), path.stem))


def fault_of(patch: Path) -> str:
    """The fault that a patch brings back: "F30" for `F30b.patch`."""
    match = re.fullmatch(r"([FR]\d+)[a-z]*", patch.stem)
    if match is None:
        raise ValueError(f"{patch.name} is not named like F30.patch or F30a.patch")
    return match[1]


def scenarios_of(fault: str, root: Path = ROOT) -> list[str]:
    """The scenario files of a fault, relative to the root of the tree."""
    paths = (root / "tests" / "scenarios").glob(f"test_{fault.lower()}_*.py")
    return sorted(str(path.relative_to(root)) for path in paths)


def run_mutant(patch: Path, time_limit: float = TIME_LIMIT) -> Verdict:
    """Apply one patch to a copy of the tree and run its scenarios there."""
    started = time.monotonic()
    fault = fault_of(patch)
    killed, text = False, ""
    for attempt in ("", ", at the second attempt"):
        with tempfile.TemporaryDirectory(prefix="mutant-") as name:
            killed, text = _judge(patch, Path(name), time_limit)
        text += attempt
        if killed or not scenarios_of(fault):
            break
    return Verdict(patch.stem, f"test_{fault.lower()}_", killed, text, time.monotonic() - started)


def _judge(patch: Path, tree: Path, time_limit: float) -> tuple[bool, str]:
    scenarios = scenarios_of(fault_of(patch))
    if not scenarios:
        return False, "no scenario"
    copy_tree(tree)
    environment = {**os.environ, "GIT_CEILING_DIRECTORIES": str(tree.parent), "PYTHONDONTWRITEBYTECODE": "1"}
    environment.pop("PYTHONPATH", None)
    applied = subprocess.run(
        ["git", "apply", str(patch)], cwd=tree, env=environment, capture_output=True, text=True, check=False
    )
    if applied.returncode != 0:
        return False, f"does not apply: {applied.stderr.strip().splitlines()[0]}"
    command = [sys.executable, "-m", "pytest", *scenarios, "-x", "-q", "-p", "no:cacheprovider"]
    try:
        ended = subprocess.run(
            command, cwd=tree, env=environment, capture_output=True, text=True, check=False, timeout=time_limit
        )
    except subprocess.TimeoutExpired:
        may_hang = "hangs" in patch.read_text().splitlines()[0]
        return may_hang, "hangs, as it must" if may_hang else f"hangs for {time_limit:.0f} s"
    if ended.returncode == TEST_FAILED:
        return True, "killed"
    if ended.returncode == 0:
        return False, "SURVIVED"
    return False, f"broken, pytest ended with {ended.returncode}: {(ended.stdout.strip() or '?').splitlines()[-1]}"


def copy_tree(tree: Path) -> None:
    """Copy what a mutant needs to this directory."""
    for name in TREE:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, tree / name, ignore=shutil.ignore_patterns("__pycache__", "*.patch"))
        else:
            shutil.copy(source, tree / name)


def run(chosen: Iterable[Path], jobs: int) -> list[Verdict]:
    """Run these mutants, some at once; print each verdict as it comes."""
    verdicts = []
    with ThreadPoolExecutor(jobs) as pool:
        for verdict in pool.map(run_mutant, chosen):
            print(f"{verdict.mutant:8} {verdict.scenario:12} {verdict.text:24} {verdict.seconds:5.1f} s", flush=True)
            verdicts.append(verdict)
    return verdicts


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns 0 only if every mutant was killed."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants.run", description="bring faults back, one by one")
    parser.add_argument("names", nargs="*", help="F30 for all variants of a fault, F30b for one; default: all")
    parser.add_argument("--jobs", type=int, default=2, help="mutants run at once (default 2)")
    options = parser.parse_args(arguments)
    names = set(options.names)
    chosen = [patch for patch in patches() if not names or {patch.stem, fault_of(patch)} & names]
    known = {name for patch in chosen for name in (patch.stem, fault_of(patch))}
    if not chosen or names - known:
        print(f"no patch for {', '.join(sorted(names - known)) or 'anything'}")
        return 2
    verdicts = run(chosen, options.jobs)
    alive = [verdict.mutant for verdict in verdicts if not verdict.killed]
    print(
        f"{len(verdicts) - len(alive)} of {len(verdicts)} mutants killed"
        + (f"; not: {', '.join(alive)}" if alive else "")
    )
    return 1 if alive else 0


if __name__ == "__main__":
    sys.exit(main())
