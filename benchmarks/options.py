"""What the commands of the benchmarks share: options, and repetitions that are interleaved.

Law: *a run that gives no figure is told in the report, and the others go on.*
"""

import argparse
import importlib.util
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from benchmarks.peers import cache_directory, pysyncobj_python
from benchmarks.processes import BenchmarkError, WrongOption


class Named(Protocol):
    """A row, as far as repetitions are concerned."""

    @property
    def name(self) -> str:
        """In words."""
        ...


N = TypeVar("N", bound=Named)
R = TypeVar("R")


def words(text: str) -> list[str]:
    """The words of a list with commas."""
    return [word.strip() for word in text.split(",") if word.strip()]


def add_common(command: argparse.ArgumentParser, quick: str) -> None:
    """The options of every command; `quick` says what --quick does."""
    command.add_argument("--quick", action="store_true", help=quick)
    command.add_argument("--repeats", type=int, help="repetitions of each row, interleaved (default 3)")
    command.add_argument("--size", type=int, default=256, help="bytes of a command (default 256)")
    command.add_argument("--no-pysyncobj", action="store_true", help="leave PySyncObj out")
    command.add_argument("--directory", type=Path, help="where data is written; must be on a disk")
    command.add_argument("--cache", type=Path, default=cache_directory(), help="keeps the environment of PySyncObj")
    command.add_argument("--json", type=Path, help="write everything to this file, too")


def add_load(command: argparse.ArgumentParser) -> None:
    """The options of commands that keep a number of calls in flight."""
    command.add_argument("--seconds", type=float, help="length of each load, after a warm-up (default 3)")
    command.add_argument("--warmup", type=float, default=0.5, help="seconds before the clock starts (default 0.5)")
    command.add_argument("--backends", type=words, help="of asyncio,uvloop,trio (default: those installed)")
    command.add_argument("--in-flight", type=words, default=["1", "64", "1024"], help="default 1,64,1024")
    command.add_argument(
        "--callers", type=int, default=4, help="tasks, or connections, of a pipelined load (default 4)"
    )


def installed_backends() -> list[str]:
    """Event loops that can be imported here."""
    return ["asyncio", *(name for name in ("uvloop", "trio") if importlib.util.find_spec(name) is not None)]


def backends_of(options: argparse.Namespace, left_out: list[str]) -> list[str]:
    """The event loops that were asked for, or all that are installed. Raises `WrongOption`."""
    installed = installed_backends()
    backends: list[str] = options.backends if options.backends is not None else installed
    if missing := [name for name in backends if name not in installed]:
        raise WrongOption(f"{', '.join(missing)}: not installed, or no event loop that is known here")
    left_out += [f"{name} is not installed and was left out." for name in ("uvloop", "trio") if name not in installed]
    return backends


def check_words(given: Sequence[str], known: Sequence[str], what: str) -> None:
    """Raise `WrongOption` for a word that is none of `known`."""
    if unknown := [word for word in given if word not in known]:
        raise WrongOption(f"{', '.join(unknown)}: no {what}; the {what}s are {', '.join(known)}")


def numbers(texts: Sequence[str], option: str) -> list[int]:
    """Numbers above 0. Raises `WrongOption`."""
    try:
        found = [int(text) for text in texts]
    except ValueError as error:
        raise WrongOption(f"{option} takes whole numbers with commas between, not {','.join(texts)}") from error
    if min(found, default=0) < 1:
        raise WrongOption(f"{option} takes numbers above 0")
    return found


def peer_python(options: argparse.Namespace, left_out: list[str]) -> str | None:
    """The interpreter of PySyncObj, if it is wanted and can be had."""
    if options.no_pysyncobj:
        return None
    try:
        return pysyncobj_python(options.cache)
    except BenchmarkError as error:
        left_out.append(f"PySyncObj was left out: {error}.")
        return None


def interleave(
    runs: Mapping[N, list[R]],
    repeats: int,
    run: Callable[[N], R],
    figure: Callable[[R], str],
    left_out: list[str],
) -> None:
    """Run each row, then each again, and so on; gather what came of it in `runs`, which holds all rows.

    `figure` says in a few words what a run gave. Raises `BenchmarkError` if no run gave anything.
    """
    began = time.monotonic()
    for repetition in range(repeats):
        for row, done in runs.items():
            try:
                done.append(run(row))
                text = figure(done[-1])
            except BenchmarkError as error:
                text = f"no figure: {error}"
                left_out.append(f"{row.name}, repetition {repetition + 1}, gave {text}.")
            say(f"{time.monotonic() - began:5.0f} s  {repetition + 1}  {row.name}: {text}")
    if not any(runs.values()):
        raise BenchmarkError("no run gave a figure" + "".join(f"\n{line}" for line in left_out))


def say(text: str) -> None:
    """Tell who waits how far it is; not part of the report."""
    print(text, file=sys.stderr, flush=True)
