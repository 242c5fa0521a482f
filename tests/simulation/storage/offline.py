"""What a person makes of data directories while no node runs: a new cluster of a survivor, a backup, a restored node.

Law: *what goes on is a new cluster with an id that never was; whatever breaks off, the next attempt finishes, and
nothing that was promised is gone meanwhile* (faults F145, R125, R127, R175, R181 to R189, R194 to R196).

What a person does may end by a kill as well as by a loss of power, and often right after a rename: the name is seen
then, and not durable, and whoever comes next must not build on it. Two of a hundred operations are too few to wait for.

A person is told that something is done, be it that it is there already, and lets go of what it was made from; or sees
what is there and lets a node use it.
"""

import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import cast

from rafty_core.configuration import Configuration, Member
from rafty_core.entries import CONFIGURATION, NO_OP, Batch
from rafty_core.history import InvariantViolation
from rafty_core.output import Write
from rafty_transports.interfaces import Identity
from rafty_transports.storage import StoreError, datadir, rebirth
from tests.simulation.storage.checked import CheckedStore
from tests.simulation.storage.faults import DiskFaults, PowerCut
from tests.simulation.storage.model import Model
from tests.simulation.storage.rivals import Rivals
from tests.simulation.storage.starts import Starts
from tests.simulation.storage.system import DiskPath, SimulatedShutil

LONGEST = 150
"""Operations of the disk within which what a person does may break off; a recovery takes about a hundred."""

ATTEMPTS = 6
"""So often faults may spoil what a person does; then the disk works."""

MORE = 5
"""So often a recovery in place is done over from where the first one began: two ends at the wrong moments are rare."""


BACKUPS, RESTORES = 4, 4
"""So many are made of one snapshot, and of one backup: two that write one file at the wrong moments are rare."""


class Offline:
    """What is done with the data directory of a checked store whose life has ended, and of which all is known."""

    def __init__(self, checked: CheckedStore) -> None:
        self._checked = checked
        self._draw = checked.draw
        self._clusters: set[str] = set()  # ids of others that were made of it
        self._old = checked.path
        self._renaming = self._draw.choice((0, 0.1, 0.4))
        self._removing = self._draw.choice((0, 0.15, 1))
        identity = checked.promises.identity
        assert identity is not None
        self._before = identity.cluster_id  # of the cluster that is recovered
        self._rivals = Rivals(checked, self._picture)
        self._starts = Starts(checked, self._picture)

    def run(self) -> None:
        """Let a person do some of it. Raises `InvariantViolation`."""
        killing = self._draw.choice((0.3, 0.6))  # a power failure hides what a kill leaves half durable (R175)
        self._checked.faults = replace(self._checked.faults, killing=killing)
        state = self._checked.promises.image(self._checked.model.snapshot)
        if state is not None and self._draw.random() < 0.5:
            self._back_up_and_restore(state)
        for _ in range(self._draw.choice((0, 1, 2))):
            self._recover_elsewhere(self._draw.choice((datadir.RECOVERED, ".elsewhere")))
        image = self._checked.disk.image()
        self._recover()
        for _ in range(MORE):
            self._checked.end_life()
            self._checked.disk.put_back(image)
            self._recover()

    # ----------------------------------------------------------------- recovered

    def _recover_elsewhere(self, end: str) -> None:
        """Recover into another directory, and let a node use that or not."""
        target = self._old.with_name(self._old.name + end)
        if target.exists():
            return
        before = self._picture(self._old)
        refusals = "holds a store already"
        told = self._until_told(lambda: self._to_recover(target), target, refusals, lambda: self._made(target))
        self._same(self._old, before)
        if told:
            self._checked.end_life()
        if self._draw.random() < 0.7:
            self._use(target, self._reborn(target))
        else:
            self._reborn(target)

    def _recover(self) -> None:
        """Recover in place; a directory that a node has used is in the way, and stays."""
        built, kept = (self._old.with_name(self._old.name + end) for end in (datadir.RECOVERED, datadir.KEPT))
        if built.exists() and self._boot(built) > 0:
            before = self._picture(built)
            self._refused(lambda: self._to_recover(None), StoreError)
            self._same(built, before)
            self._move(built, self._old.with_name("moved"))
        if self._draw.random() < 0.3:
            self._draw.choice((self._starts.before_it_has_the_lock, self._starts.all_along))()
        before = self._picture(self._old)
        if built.exists() and self._draw.random() < 0.5:
            self._recover_in_vain(built)
        if built.exists() and self._boot(built) == 0:
            self._starts.on_what_is_removed(built)
            self._starts.while_it_is_removed(built)

        def recover() -> None:
            if kept.exists() and self._old.exists() and self._draw.random() < 0.5:
                rebirth.recover(cast(Path, kept), into=cast(Path, self._old))
            else:
                self._to_recover(None)

        refusals = "is there from an earlier recovery|holds a store already"
        broken = self._starts.once_it_has_broken_off
        told = self._until_told(recover, self._old, refusals, lambda: kept.exists() and self._made(self._old), broken)
        self._same(kept, before)
        if told and self._draw.random() < 0.5:
            SimulatedShutil.rmtree(kept)  # it is on another disk now
        if told:
            self._checked.end_life()
        self._use(self._old, self._reborn(self._old))

    def _recover_in_vain(self, built: DiskPath) -> None:
        """A recovery that is refused leaves what an earlier one has built."""
        before = self._picture(built)
        nobody = Configuration.of("nobody")
        self._refused(lambda: rebirth.recover(cast(Path, self._old), members=nobody), ValueError)
        self._same(built, before)

    def _move(self, path: DiskPath, target: DiskPath) -> None:
        """Move this directory, and wait until that is durable."""
        durable = []

        def move() -> None:
            if path.exists():
                path.rename(target)
            path.disk.sync(path.disk.directory(path.parent))
            durable.append(True)

        self._until(move, lambda: bool(durable))

    def _to_recover(self, target: DiskPath | None) -> None:
        rebirth.recover(cast(Path, self._old), into=cast(Path | None, target))

    def _reborn(self, path: DiskPath) -> Model:
        """What the store in this directory must hold now: what the old one held, of a cluster of this node alone."""
        identity, before = self._newborn(path), self._checked.model
        snapshot = replace(before.snapshot, configuration=_alone(identity))
        log = before.log[before.snapshot.index - before.base :]
        entries = [(term, NO_OP if entry[:1] == CONFIGURATION else entry) for term, entry in log]
        return Model(snapshot, before.term, None, snapshot.index, entries)

    # ------------------------------------------------------------------ restored

    def _back_up_and_restore(self, image: bytes) -> None:
        """A backup is made of a running node, and a node of a new cluster of that."""
        checked, snapshot = self._checked, self._checked.model.snapshot
        if not snapshot.index:
            return
        place, restored = self._old.with_name("backups"), self._old.with_name("restored")
        backups = [place / f"backup{number}" for number in range(BACKUPS)]
        place.mkdir()  # a directory of their own: that of the store is synced at each opening
        place.disk.sync(place.disk.directory(place.parent))

        def begin() -> None:
            if checked.store is None:
                checked.open()

        def export(backup: DiskPath) -> None:
            snapshots, unfinished = checked.running().snapshots, backup.with_name(f"{backup.name}.new")
            was_there = unfinished.exists()
            try:
                rebirth.export_snapshot(snapshots, snapshot.index, snapshot.term, cast(Path, backup))
            except OSError as error:
                if unfinished.exists() and not was_there:
                    raise InvariantViolation("I24", f"a backup is refused, and leaves something: {error}") from error
                raise

        def restore() -> None:
            with rebirth.open_snapshot_file(cast(Path, backup)) as (found, body):
                if found.info.snapshot != snapshot:
                    raise InvariantViolation("I19", f"a backup of {snapshot} is one of {found.info}")
                members = replace(snapshot, configuration=Configuration.of("n1"))
                rebirth.create_from_snapshot(
                    cast(Path, restored), node_id="n1", cluster="rafty", snapshot=members, image=body
                )

        begin()
        link = place / "link"
        link.disk.link(link)
        self._refused(lambda: export(link), FileExistsError)
        if not link.is_symlink():
            raise InvariantViolation("I20", f"{link} was there before a backup was made, and is not any more")
        for one in backups:
            self._until_told(partial(export, one), one, "is there already", lambda: False, begin)
        backup = self._draw.choice(backups)
        if checked.store is not None:
            checked.end()
        before = checked.disk.image()
        for again in range(RESTORES):
            if again:
                checked.end_life()
                checked.disk.put_back(before)
            if self._until_told(restore, restored, "holds a store already", lambda: self._made(restored)):
                checked.end_life()
            lone = replace(snapshot, configuration=_alone(self._newborn(restored)))
            self._use(restored, Model(lone, snapshot.term, None, snapshot.index))

    # --------------------------------------------------------------------- steps

    def _until_told(
        self,
        act: Callable[[], object],
        target: DiskPath,
        refusals: str,
        seen: Callable[[], bool],
        begin: Callable[[], object] = lambda: None,
    ) -> bool:
        """Do this, which makes `target`, until it is done, or is refused for it was done before, or a person sees that
        it is; if he looks. Another one may do it at the same time.

        Returns whether it was told.
        """
        told = []
        looks = self._draw.random() < 0.5

        def attempt() -> None:
            self._rivals.expect(act, target, refusals)
            try:
                act()
            except (StoreError, FileExistsError) as error:
                if not re.search(refusals, str(error)):
                    raise
            told.append(True)

        def done() -> bool:
            self._rivals.check()
            return bool(told) or self._rivals.told or (looks and seen())

        self._until(attempt, done, begin)
        return bool(told) or self._rivals.told

    def _until(
        self, act: Callable[[], object], done: Callable[[], bool], begin: Callable[[], object] = lambda: None
    ) -> None:
        """Do this as often as it takes. What has broken off may be done all the same."""
        checked = self._checked
        cutting = max(checked.faults.cutting, 0.4)
        faults = replace(checked.faults, cutting=cutting, renaming=self._renaming)
        faults = replace(faults, moving=0.5, removing=self._removing)
        for attempt in range(100):
            begin()
            self._rivals.none()
            checked.disk.faults = faults if attempt < ATTEMPTS else DiskFaults(limit=checked.faults.limit)
            failures = checked.disk.failures
            try:
                with checked.working(LONGEST):
                    act()
            except PowerCut:
                pass
            except (StoreError, OSError) as error:
                if checked.disk.failures == failures and not self._rivals.may_be_told(error):
                    raise InvariantViolation("I20", f"a person cannot do this: {error}") from error
                checked.end_life()
            checked.disk.faults = checked.faults
            with checked.quietly():
                if done():
                    return
        raise InvariantViolation("I20", "a person does this again and again, and it is never done")

    def _refused(self, act: Callable[[], object], expected: type[Exception]) -> None:
        with self._checked.quietly():
            try:
                act()
            except expected:
                return
        raise InvariantViolation("I21", "a recovery is to be refused, and is done")

    def _made(self, path: DiskPath) -> bool:
        """Whether a store is there, and of a new cluster."""
        if not (path / "raft.db").exists():
            return False
        found = rebirth.inspect(cast(Path, path)).identity
        if found is None or found.cluster_id == self._before:
            return False
        if found.cluster_id in self._clusters:
            raise InvariantViolation("I1", f"a new cluster has the id of one that was there before, {found}")
        return True

    def _boot(self, path: DiskPath) -> int:
        """How often the store in this directory was opened; -1 if there is none, and power may have taken it."""
        if not (path / "raft.db").exists():
            return -1
        with self._checked.quietly():
            found = rebirth.inspect(cast(Path, path)).identity
            return -1 if found is None else found.boot

    def _newborn(self, path: DiskPath) -> Identity:
        """Whose this directory is; its cluster was never there before."""
        with self._checked.quietly():
            try:
                report = rebirth.inspect(cast(Path, path))
            except StoreError as error:
                raise InvariantViolation("I20", f"what was made is not there: {error}") from error
        identity = report.identity
        if identity is None or identity.cluster_id in {self._before, *self._clusters}:
            raise InvariantViolation("I1", f"a new cluster is none: {identity}, {report.damage}")
        self._clusters.add(identity.cluster_id)
        return identity

    def _use(self, path: DiskPath, model: Model) -> None:
        """A node uses this directory: it holds what it must, and goes on."""
        other = self._checked.moved(path, model, self._newest(path))
        for _ in range(3):
            other.open()
            try:
                term = other.model.term + 1
                entries = [b"\x00" + self._draw.randbytes(20)]
                other.write([Write(1, term, None, [Batch(other.model.last + 1, term, entries)])])
            except (PowerCut, StoreError):
                pass
            if other.store is not None:
                other.end()
        self._checked.store = None

    def _newest(self, path: DiskPath) -> Identity:
        with self._checked.quietly():
            found = rebirth.inspect(cast(Path, path)).identity
        assert found is not None
        return found

    def _picture(self, path: DiskPath) -> dict[str, bytes]:
        disk = self._checked.disk
        files = [one for one in disk.walk(path) if one.name != "lock"]
        return {str(one.relative_to(path)): bytes(disk.file(one).data) for one in files}

    def _same(self, path: DiskPath, before: dict[str, bytes]) -> None:
        if self._picture(path) != before:
            raise InvariantViolation("I20", f"what was in {path} is not there any more, and nobody asked for that")


def _alone(identity: Identity) -> Configuration:
    return Configuration(voters=(Member(identity.node_id, "", identity.incarnation),))
