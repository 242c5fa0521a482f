"""One store, random writes, every fault of a disk: what is loaded must be what was written, in each of its lives.

Law: *a case is a seed, and a seed that fails says what broke and in which step.*

    python -m tests.simulation.storage.campaign 42             replay one case
    python -m tests.simulation.storage.campaign --seeds 0:2000 search
"""

import argparse
import random
import time
import traceback
from dataclasses import dataclass

from rafty_core.configuration import Configuration
from rafty_core.entries import COMMAND, Batch
from rafty_core.history import InvariantViolation
from rafty_core.output import Write
from rafty_core.simulation.parts import StorageRefused
from rafty_core.stable import Snapshot
from rafty_transports.storage import StoreError
from tests.simulation.storage.checked import CheckedStore, initial_of
from tests.simulation.storage.faults import DiskFaults, PowerCut

STEPS = 40
"""Calls of the store in one case, about."""

FLIPS = 40
"""Bits that are flipped, one after the other, at the end of some cases."""


class CampaignFailure(Exception):
    """A case broke an invariant, or the store raised what it must not. The text says which, and how to replay it."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What happened in a case."""

    writes: int
    lives: int
    operations: int
    failures: int
    refused: bool


class Case:
    """One store from its creation on."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(f"storage {seed}")
        faults = _faults(self.draw)
        joins = self.draw.random() < 0.2
        self.checked = CheckedStore(self.draw, faults, "n1", initial_of(*([] if joins else ["n1", "n2", "n3"])))
        self.writes = self.lives = 0
        self.refused = False
        self._seq = 0
        self._largest = self.draw.choice((10, 300, 3000, 20000))

    def run(self) -> Outcome:
        """Do all steps. Raises `InvariantViolation`."""
        try:
            self._live()
            for _ in range(STEPS):
                self._step()
            self._end()
            self.checked.faults = DiskFaults(limit=self.checked.faults.limit)
            self._live()
            if not self.checked.flipped and self.draw.random() < 0.3:
                self.checked.try_flips(FLIPS)
            self._end()
        except StorageRefused:
            self.refused = True
        disk = self.checked.disk
        return Outcome(self.writes, self.lives, disk.operations, disk.failures, self.refused)

    def _live(self) -> None:
        checked, faults = self.checked, self.checked.faults
        flip = not checked.flipped and self.lives > 0 and self.draw.random() < faults.flipping
        checked.open(flip)
        self._seq = 0
        self.lives += 1

    def _end(self) -> None:
        if self.checked.store is not None:
            self.checked.end()

    def _step(self) -> None:
        act = self.draw.choice((self._write,) * 12 + (self._image, self._meet, self._again, self._restart))
        try:
            act()
        except OSError:
            return  # an image that was not kept
        except (PowerCut, StoreError):
            self._end()
            self._live()

    def _restart(self) -> None:
        self._end()
        self._live()

    def _again(self) -> None:
        self.checked.open_again()

    def _meet(self) -> None:
        name = self.draw.choice(("n2", "n3", "n4"))
        self.checked.meet(name, f"of-{name}")

    def _image(self) -> None:
        """Keep the image of a snapshot, taken or installed, and let the log start behind it."""
        draw, model = self.draw, self.checked.model
        installs = draw.random() < 0.3
        if installs:
            index, term = model.snapshot.index + draw.randint(1, 30), max(model.term, 1)
        elif model.last > model.snapshot.index:
            index = draw.randint(model.snapshot.index + 1, model.last)
            term = model.term_at(index)
        else:
            return
        voters = draw.sample(("n1", "n2", "n3", "n4"), draw.randint(1, 4))
        snapshot = Snapshot(index, term, Configuration.of(*voters))
        terms = range(max(model.snapshot.term, 1), max(model.term, 1) + 1)
        found = [one for one in self.checked.found() if one.index > model.snapshot.index and one.term in terms]
        if found and draw.random() < 0.5:
            snapshot, installs = found[0], True
            index, term = snapshot.index, snapshot.term
        else:
            self.checked.keep_image(snapshot, draw.randbytes(draw.randrange(self._largest)))
        if draw.random() < 0.8:
            compact_to = draw.choice((0, index, draw.randint(0, index)))
            self._submit([self._one(Write(0, max(model.term, term), None, [], snapshot, installs, compact_to))])
            if draw.random() < 0.5:
                self.checked.retain(draw.randint(1, 2))

    def _write(self) -> None:
        group: list[Write] = []
        model = self.checked.model
        for _ in range(self.draw.choice((1, 1, 2, 4))):
            after = model.after(group)
            term, vote = after.term, after.vote
            if term == 0 or self.draw.random() < 0.2:
                term, vote = term + self.draw.randint(1, 2), None
            if vote is None and self.draw.random() < 0.5:
                vote = self.draw.choice(("n1", "n2", "n3"))
            first = after.last + 1
            if term > after.term and self.draw.random() < 0.5:
                first = self.draw.randint(after.snapshot.index + 1, max(after.last, after.snapshot.index) + 1)
            entries = [self._entry() for _ in range(self.draw.choice((0, 1, 1, 3, 10)))]
            batches = [Batch(first, term, entries)] if entries else []
            group.append(self._numbered(Write(0, term, vote, batches), len(group) + 1))
        self._submit(group)

    def _entry(self) -> bytes:
        return COMMAND + self.draw.randbytes(self.draw.randrange(self._largest))

    def _one(self, write: Write) -> Write:
        model = self.checked.model
        vote = model.vote if write.term == model.term else None
        numbered = self._numbered(write, 1)
        return Write(numbered.seq, write.term, vote, write.batches, write.snapshot, write.installs, write.compact_to)

    def _numbered(self, write: Write, number: int) -> Write:
        return Write(self._seq + number, write.term, write.vote, write.batches, write.snapshot, write.installs)

    def _submit(self, group: list[Write]) -> None:
        self.checked.write(group)
        self._seq += len(group)
        self.writes += len(group)
        self.checked.checkpoint()


def _faults(draw: random.Random) -> DiskFaults:
    """More of them than in a cluster, that goes on for longer."""
    return DiskFaults(
        sync_failing=draw.choice((0, 0, 0.02)),
        full=draw.choice((0, 0, 0.01)),
        cutting=draw.choice((0, 0.1, 0.3)),
        killing=draw.choice((0, 0.5, 1)),
        closing=draw.choice((0, 0.3)),
        flipping=draw.choice((0, 0, 0.3)),
        flips=1,
        limit=draw.choice((1 << 13, 1 << 15, 1 << 17, 1 << 20)),
    )


def run_case(seed: int) -> Outcome:
    """Run this case. Raises `CampaignFailure`."""
    case = Case(seed)
    try:
        return case.run()
    except Exception as error:
        where = "" if isinstance(error, InvariantViolation) else "\n" + traceback.format_exc()
        what = f"case {seed}: {type(error).__name__} {error}"
        when = f"{case.checked.faults}, {case.writes} writes, life {case.lives}{where}"
        raise CampaignFailure(f"{what}\n{when}\npython -m tests.simulation.storage.campaign {seed}") from error


def main() -> int:
    """The command line: returns the exit status."""
    parser = argparse.ArgumentParser(description="Try the store's durability by seed.")
    parser.add_argument("seed", type=int, nargs="?", help="replay this case")
    parser.add_argument("--seeds", help="search cases FIRST:LAST (LAST excluded)")
    parser.add_argument("--keep-going", action="store_true", help="search on after a failure")
    options = parser.parse_args()
    first, _, last = (options.seeds or f"{options.seed}:{(options.seed or 0) + 1}").partition(":")
    began, writes, lives, refused, failures = time.perf_counter(), 0, 0, 0, []
    for seed in range(int(first), int(last)):
        try:
            outcome = run_case(seed)
        except CampaignFailure as failure:
            failures.append(seed)
            print(str(failure).splitlines()[0] if options.keep_going else failure)
            if not options.keep_going:
                break
        else:
            writes, lives, refused = writes + outcome.writes, lives + outcome.lives, refused + outcome.refused
            if options.seed is not None:
                print(outcome)
    seconds = time.perf_counter() - began
    done = f"{writes} writes in {lives} lives ({refused} refused) in {seconds:.1f} s"
    print(f"{done}, {len(failures)} failures: {failures[:30]}")
    return 1 if failures else 0


if __name__ == "__main__":
    raise SystemExit(main())
