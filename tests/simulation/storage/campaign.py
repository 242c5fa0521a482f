"""One store, random writes, every fault of a disk: what is loaded must be what was written, in each of its lives.

Law: *a case is a seed, and a seed that fails says what broke and in which step.*

    python -m tests.simulation.storage.campaign 42             replay one case
    python -m tests.simulation.storage.campaign --seeds 0:2000 search
"""

import argparse
import random
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace

from rafty_core.configuration import Configuration, Member
from rafty_core.entries import COMMAND, CONFIGURATION, Batch
from rafty_core.history import InvariantViolation
from rafty_core.output import Write
from rafty_core.simulation.parts import StorageRefused
from rafty_core.stable import Snapshot
from rafty_transports.interfaces import Identity
from rafty_transports.storage import StoreError
from tests.simulation.storage.acquaintances import NAMES, draw_peer
from tests.simulation.storage.checked import CheckedStore
from tests.simulation.storage.content import Directory
from tests.simulation.storage.faults import DiskFaults, PowerCut
from tests.simulation.storage.images import Coming, draw_coming
from tests.simulation.storage.lives import JOINED, initial_of
from tests.simulation.storage.lockstep import Lockstep
from tests.simulation.storage.offline import Offline
from tests.simulation.storage.wrong import wrong_write

STEPS = 60
"""Calls of the store in one case, about."""

DAMAGES = 40
"""What is done to the data directory, one after the other, at the end of some cases."""


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
        initial = initial_of(*([] if joins else ["n1", "n2", "n3"]))
        self.checked = CheckedStore(self.draw, faults, "n1", initial)
        with self.checked.quietly():
            self.memory = Lockstep("n1", initial, JOINED if joins else None)
        self.checked.worse = self.draw.choice((0, 0.1, 0.2, 0.3))
        self._coming: list[Coming] = []
        self._peer: Identity | None = None  # who is being met
        self._images: list[Directory] = []  # of the disk, at earlier times
        self.writes = self.lives = 0
        self.refused = False
        self._seq = 0
        self._largest = self.draw.choice((10, 300, 3000, 20000))

    def run(self) -> Outcome:
        """Do all steps. Raises `InvariantViolation`."""
        try:
            self._begin()
            for _ in range(STEPS):
                self._step()
            self._end()
            self.checked.faults = DiskFaults(limit=self.checked.faults.limit)
            self._live()
            if not self.checked.damaged and self.draw.random() < 0.5:
                self._damage()
            elif not self.checked.damaged:
                self._end()
                Offline(self.checked).run()
            self._end()
        except StorageRefused:
            self.refused = True
        disk = self.checked.disk
        return Outcome(self.writes, self.lives, disk.operations, disk.failures, self.refused)

    def _begin(self) -> None:
        """The first life: in some cases more than the rest goes wrong while the data directory is made."""
        checked, faults = self.checked, self.checked.faults
        if self.draw.random() < 0.3:
            checked.faults = replace(faults, sync_failing=0.1, cutting=0.5, killing=0.9)
        self._live()
        checked.faults = checked.disk.faults = faults

    def _live(self) -> None:
        checked, faults = self.checked, self.checked.faults
        flip = not checked.damaged and self.lives > 0 and self.draw.random() < faults.flipping
        before = checked.promises.peers.boots
        _, survivors = checked.open(flip)
        with checked.quietly():
            self.memory.restart(survivors, checked.model)
            if self._peer is not None and checked.promises.peers.boots != before:
                self.memory.meet(self._peer, False)
        self._peer = None
        self._seq = 0
        self.lives += 1

    def _damage(self) -> None:
        """What may be done to the data directory is done, with parts of older images and of a twin."""
        checked = self.checked
        twin = CheckedStore(self.draw, checked.faults, "n1", checked.initial)
        twin.open()
        for seq in range(1, self.draw.randint(1, 40)):
            twin.write([Write(seq, 1 + seq // 5, None, [Batch(seq, 1 + seq // 5, [self._entry()])])])
        twin.end()
        checked.try_damage(DAMAGES, [*self._images, twin.disk.image()], [checked.branch()])

    def _end(self) -> None:
        if self.checked.store is not None:
            self.checked.end()

    def _step(self, act: "Callable[[], None] | None" = None) -> None:
        act = act or self.draw.choice(self._acts)
        try:
            act()
        except OSError:  # an image that was not kept; it is soon asked for again
            if act in (self._image, self._take) and self.draw.random() < 0.7:
                self._step(act)
        except (PowerCut, StoreError):
            self._end()
            self._live()

    @property
    def _acts(self) -> "list[Callable[[], None]]":
        often = [self._write] * 15 + [self._image, self._take] * 3 + [self._meet, self._slowly] * 2
        return [*often, self._admit, self._again, self._wrong, self._restart, self._restart]

    def _restart(self) -> None:
        self._end()
        if len(self._images) < 3 and self.draw.random() < 0.5:
            self._images.append(self.checked.disk.image())
        self._live()

    def _wrong(self) -> None:
        """A write that must be refused ends a life, and nothing of it, or of one beside it, is in the next one."""
        draw, model, stored = self.draw, self.checked.model, self.checked.found()
        group = []
        if draw.random() < 0.3:
            term = model.term + 1
            group = [Write(self._seq + 1, term, None, [Batch(model.last + 1, term, [self._entry()])])]
        why, write = wrong_write(draw, model.after(group), self._seq + len(group) + 1, stored)
        group.append(write)
        with self.checked.quietly():
            self.memory.refuse(group, why, model)
        self.checked.refuse(group, why)
        self._live()

    def _again(self) -> None:
        self.checked.open_again()

    def _meet(self) -> None:
        own = self.checked.running().identity
        peer = draw_peer(self.draw, own)
        mine = peer.node_id == own.node_id
        if mine and peer.incarnation == own.incarnation:
            return
        refused = self.checked.promises.peers.refuses(peer, own)
        self._peer = None if refused or mine else peer
        self.checked.meet(peer)
        self._peer = None
        if not mine:
            with self.checked.quietly():
                self.memory.meet(peer, refused)

    def _admit(self) -> None:
        names = self.draw.sample(NAMES, 2)
        members = [Member(name, "", self.draw.choice((f"other-of-{name}", f"of-{name}", ""))) for name in names]
        with self.checked.quietly():
            self.memory.store.admit(members)
        while True:
            try:
                return self.checked.admit(members)
            except (PowerCut, StoreError):  # it is told again after each start
                self._end()
                self._live()

    def _slowly(self) -> None:
        """An image is written piece by piece, and other things are done in between: or the life comes to its end."""
        model, images = self.checked.model, self.checked.images
        if model.last == model.snapshot.index:
            return
        snapshot = Snapshot(model.last, model.term_at(model.last), Configuration.of("n1", "n2"))
        images.begin(snapshot)
        whole = b""
        for _ in range(self.draw.randint(1, 3)):
            piece = self.draw.randbytes(self.draw.randrange(self._largest))
            images.go_on(piece)
            whole += piece
            self._write()
            if self.draw.random() < 0.3:
                self._restart()
                return
        if self.draw.random() < 0.3:
            with self.checked.quietly():
                images.give_up()
            images.check_names(self.checked.running())
        else:
            images.finish()
            with self.checked.quietly():
                self.memory.keep(snapshot, whole)

    def _take(self) -> None:
        """A snapshot of another node comes in, a few pieces at a time; a newer one may come instead."""
        draw, checked = self.draw, self.checked
        self._coming = [one for one in self._coming if one.announced.snapshot.index > checked.model.snapshot.index]
        if not self._coming or draw.random() < 0.2:
            self._coming = [self._draw_coming()]
        coming = self._coming[-1]
        other = self._draw_coming() if draw.random() < 0.2 else None
        if checked.images.take(coming, draw.choice((0, 1, 3, 20)), other):
            self._coming.pop()
            if coming.image is not None and coming.announced.snapshot in checked.found():
                with checked.quietly():
                    self.memory.take(coming.announced, coming.data, coming.image)
            if coming.image is None:
                with checked.quietly():
                    self.memory.take(coming.announced, coming.data, None)
            if other is not None:
                self._coming.append(other)

    def _draw_coming(self) -> Coming:
        draw, model = self.draw, self.checked.model
        index = model.snapshot.index + draw.randint(1, 30)
        known = model.snapshot.index < index <= model.last
        term = model.term_at(index) if known else max(model.term, model.snapshot.term, 1)
        snapshot = Snapshot(index, term, Configuration.of(*draw.sample(("n1", "n2", "n3"), 2)))
        image = draw.randbytes(draw.randrange(self._largest))
        return draw_coming(draw, snapshot, image, self.checked.running().identity.cluster_id)

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
            image = self.checked.read(snapshot)
            with self.checked.quietly():
                self.memory.keep(snapshot, image)
        else:
            image = draw.randbytes(draw.randrange(self._largest))
            self.checked.keep_image(snapshot, image)
            with self.checked.quietly():
                self.memory.keep(snapshot, image)
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
        if self.draw.random() < 0.05:
            return CONFIGURATION + Configuration.of("n1", self.draw.choice(("n2", "n3"))).encode()
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
        with self.checked.quietly():
            self.memory.write(group, self.checked.model)
        self._seq += len(group)
        self.writes += len(group)
        self.checked.checkpoint()


def _faults(draw: random.Random) -> DiskFaults:
    """More of them than in a cluster, that goes on for longer."""
    return DiskFaults(
        sync_failing=draw.choice((0, 0, 0.02)),
        full=draw.choice((0, 0, 0.01)),
        cutting=draw.choice((0, 0.1, 0.3)),
        killing=draw.choice((0, 0.3, 0.5, 0.8)),
        closing=draw.choice((0, 0.3)),
        flipping=draw.choice((0, 0, 0.3)),
        flips=1,
        limit=draw.choice((1 << 13, 1 << 15, 1 << 17, 1 << 20)),
        short=draw.choice((0, 0.3)),
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
