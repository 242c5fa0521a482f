"""The kit of stores: ours pass, and each that is wrong in one way is told which."""

import random
import re
import shutil
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rafty_core.configuration import Member
from rafty_core.entries import Batch
from rafty_core.output import Write
from rafty_core.stable import Stable
from rafty_transports.interfaces import Identity, LogStore
from rafty_transports.storage import MemoryStore, SqliteStore
from rafty_transports.testing import ConformanceError, check_log_store
from rafty_transports.testing.log_store import RULES
from tests.transports.storage_kit import VOTERS, flip_bit, image_after_kill, open_store


def test_sqlite_store(tmp_path: Path) -> None:
    """A crash leaves what `kill -9` leaves; damage is twenty flipped bits in the database and beside it."""
    stores: dict[str, SqliteStore] = {}

    def open_disk(disk: str) -> LogStore:
        stores[disk] = open_store(tmp_path / disk)
        return stores[disk]

    def crash(disk: str) -> None:
        image = image_after_kill(tmp_path / disk, tmp_path / "image")
        stores.pop(disk).close()
        shutil.rmtree(tmp_path / disk)
        image.rename(tmp_path / disk)

    def damage(disk: str, chance: random.Random) -> None:
        files = sorted(file for file in (tmp_path / disk).iterdir() if file.is_file() and file.stat().st_size)
        for _ in range(20):
            file = chance.choice(files)
            flip_bit(file, chance.randrange(file.stat().st_size * 8))

    tried = check_log_store(open_disk, crash=crash, damage=damage)
    assert tried == tuple(rule.name for rule in RULES)


def in_memory(kind: Callable[..., Any]) -> Callable[[str], LogStore]:
    """What opens stores of this kind, each around a `MemoryStore`."""
    disks: dict[str, Any] = {}

    def open_disk(disk: str) -> LogStore:
        inner = disks[disk].again() if disk in disks else MemoryStore("n1", VOTERS)
        disks[disk] = kind(inner)
        return disks[disk]  # type: ignore[no-any-return]

    return open_disk


def check(kind: Callable[..., Any], **options: Any) -> tuple[str, ...]:
    """Try stores of this kind; a crash takes what they did not hand on."""
    return check_log_store(in_memory(kind), crash=lambda disk: None, **options)


def test_memory_store() -> None:
    stores: dict[str, MemoryStore] = {}

    def open_disk(disk: str) -> MemoryStore:
        stores[disk] = stores[disk].restarted() if disk in stores else MemoryStore("n1", VOTERS)
        return stores[disk]

    tried = check_log_store(open_disk, crash=lambda disk: None)
    assert {rule.name for rule in RULES} - {*tried} == {"damage_is_noticed"}


class Right:
    """A store around one that is right; a fault is one method that differs."""

    def __init__(self, inner: MemoryStore) -> None:
        self.inner = inner
        self.opened()

    def opened(self) -> None:
        """One more start."""

    def again(self) -> MemoryStore:
        return self.inner.restarted()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    @property
    def identity(self) -> Identity:
        return self.inner.identity

    def load(self) -> Stable:
        return self.inner.load()

    def write(self, writes: Sequence[Write]) -> None:
        self.inner.write(writes)

    def close(self) -> None:
        self.inner.close()


class NotEmpty(Right):
    def load(self) -> Stable:
        return replace(self.inner.load(), term=1) if self.inner.load().term == 0 else self.inner.load()


class ForgetsTheBoot(Right):
    @property
    def identity(self) -> Identity:
        return replace(self.inner.identity, boot=1)


class NewIncarnation(Right):
    @property
    def identity(self) -> Identity:
        own = self.inner.identity
        return replace(own, incarnation=f"{own.incarnation}-{own.boot}")


class AnswersTooSoon(Right):
    """Keeps the last write of each call for later, and does it with the next, or when it is closed."""

    def opened(self) -> None:
        self.late: list[Write] = []

    def write(self, writes: Sequence[Write]) -> None:
        self.inner.write(self.late)
        self.late = list(writes)

    def close(self) -> None:
        self.write([])
        self.inner.close()


class LosesTheTail(Right):
    def load(self) -> Stable:
        stable = self.inner.load()
        return replace(stable, batches=list(stable.batches)[:-1])


class LosesLargeEntries(Right):
    def load(self) -> Stable:
        stable = self.inner.load()
        return replace(stable, batches=[one for one in stable.batches if one.weight < 1 << 20])


class MixesTermAndVote(Right):
    """Writes the vote only if there is one."""

    def opened(self) -> None:
        self.vote: list[str | None] = getattr(self.inner, "vote", [None])
        self.inner.vote = self.vote  # type: ignore[attr-defined]

    def again(self) -> MemoryStore:
        again = super().again()
        again.vote = self.vote  # type: ignore[attr-defined]
        return again

    def write(self, writes: Sequence[Write]) -> None:
        self.inner.write(writes)
        self.vote[0] = next((write.vote for write in reversed(writes) if write.vote), self.vote[0])

    def load(self) -> Stable:
        return replace(self.inner.load(), vote=self.vote[0])


class IgnoresTruncation(Right):
    """Writes over entries, and leaves those behind them."""

    def write(self, writes: Sequence[Write]) -> None:
        stored = self.inner.load().batches
        before = {at: entry for one in stored for at, entry in enumerate(one.entries, one.first)}
        self.inner.write(writes)
        last = max((one.last for write in writes for one in write.batches), default=0)
        position = self.inner._position
        if last and last + 1 in before and not any(write.snapshot for write in writes):
            tail = [before[at] for at in sorted(before) if at > last]
            self.inner._batches.append(Batch(last + 1, position.term, tail))


class LosesTheLastOfMany(Right):
    def write(self, writes: Sequence[Write]) -> None:
        self.inner.write(writes[:-1] if len(writes) > 2 else writes)


class OneThread(Right):
    def opened(self) -> None:
        self.owner = threading.get_ident()

    def write(self, writes: Sequence[Write]) -> None:
        if threading.get_ident() != self.owner:
            raise RuntimeError("objects created in a thread can only be used in that same thread")
        self.inner.write(writes)


class WritesIntoNothing(Right):
    """Takes writes after it was closed, and drops them."""

    def opened(self) -> None:
        self.closed = False

    def close(self) -> None:
        self.closed = True
        self.inner.close()

    def write(self, writes: Sequence[Write]) -> None:
        if not self.closed:
            self.inner.write(writes)


class Snapshots:
    """A `SnapshotStore` around one that is right."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


class RetainsTheNewest(Right):
    @property
    def snapshots(self) -> Any:
        class Few(Snapshots):
            def retain(self, most: int, needed: object = ()) -> None:
                for key in sorted(self.inner._files, reverse=True)[most:]:
                    del self.inner._files[key]

        return Few(self.inner.snapshots)


class BelievesWhatIsSent(Right):
    @property
    def snapshots(self) -> Any:
        class Trusting(Snapshots):
            def receive(self, snapshot: Any, size: int, digest: str) -> Any:
                receiver = self.inner.receive(snapshot, size, digest)
                receiver.finish = lambda: self.inner.infos()
                return receiver

        return Trusting(self.inner.snapshots)


class KeepsWhatWasGivenUp(Right):
    @property
    def snapshots(self) -> Any:
        class Keeping(Snapshots):
            def create(self, snapshot: Any) -> Any:
                writer = self.inner.create(snapshot)
                writer.abort = lambda: writer._file and writer.finish()
                return writer

        return Keeping(self.inner.snapshots)


class TakesBytesAnywhere(Right):
    @property
    def snapshots(self) -> Any:
        class Lax(Snapshots):
            def receive(self, snapshot: Any, size: int, digest: str) -> Any:
                receiver = self.inner.receive(snapshot, size, digest)
                write = receiver.write
                receiver.write = lambda offset, data: write(receiver.offset, data)
                return receiver

        return Lax(self.inner.snapshots)


class ForgetsSnapshots(Right):
    def again(self) -> MemoryStore:
        again = self.inner.restarted()
        again._snapshots._files.clear()
        return again


class ForgetsTheConfiguration(Right):
    def load(self) -> Stable:
        stable = self.inner.load()
        return replace(stable, snapshot=replace(stable.snapshot, configuration=VOTERS))


class KeepsTheOldLog(Right):
    """Installs a snapshot as one of its own: the log stays."""

    def write(self, writes: Sequence[Write]) -> None:
        before = list(self.inner.load().batches)
        self.inner.write(writes)
        if any(write.installs for write in writes):
            self.inner._batches[:0] = before


class ForgetsPeers(Right):
    def again(self) -> MemoryStore:
        again = self.inner.restarted()
        again._peers = {}
        return again


class MeetsAnybody(Right):
    def meet(self, peer: Identity) -> None:
        self.inner._peers = {(peer.node_id, peer.incarnation): peer.boot}


class AdmitsAndForgets(Right):
    def admit(self, members: Sequence[Member]) -> None:
        for member in members:
            if member.id == "peer":
                self.inner._peers = {("peer", member.incarnation): 1}


FAULTS: list[tuple[type[Right], str, str]] = [
    (NotEmpty, "begins_with_nothing", "a new store has term 1 and the vote None"),
    (ForgetsTheBoot, "identity_is_kept", "the boot after start 2 is 1: it is one more at each start"),
    (NewIncarnation, "identity_is_kept", "the incarnation was '"),
    (
        AnswersTooSoon,
        "written_is_durable",
        "in the life after write 1 the store has term 0 with the vote None; written",
    ),
    (
        LosesTheTail,
        "written_is_durable",
        "the log has no entry at index 1; written was an entry of term 1, b'\\x011/1',",
    ),
    (LosesLargeEntries, "all_sizes_are_kept", "load() gives a batch at index 10360 where index 10259 must follow"),
    (
        MixesTermAndVote,
        "term_and_vote_go_together",
        "has term 2 with the vote n1; written were term 2 and the vote None",
    ),
    (IgnoresTruncation, "suffix_is_replaced", "was replaced from index 1 on, the log has an entry of term 2"),
    (LosesTheLastOfMany, "writes_keep_their_order", "has term 2 with the vote n3; written were term 4 and"),
    (OneThread, "any_thread_may_call", "in a thread that did not open the store, write() raised RuntimeError"),
    (WritesIntoNothing, "closing_is_harmless", "write() on a store that was closed returned, and what it wrote is not"),
    (
        KeepsWhatWasGivenUp,
        "snapshot_is_whole_or_not_there",
        "snapshots.open() of a snapshot that is not here must raise",
    ),
    (TakesBytesAnywhere, "snapshot_travels", "a receiver at offset 10000 took bytes at offset 10001; it raises Valu"),
    (ForgetsSnapshots, "snapshot_is_durable", "in the next life infos() names snapshots []"),
    (BelievesWhatIsSent, "damaged_snapshot_is_refused", "a snapshot with byte 0 changed was received without an error"),
    (RetainsTheNewest, "needed_snapshots_stay", "removed the snapshot of index 6, which is needed"),
    (ForgetsTheConfiguration, "log_starts_behind_a_snapshot", "in the life after snapshot 5, the store has Snapshot("),
    (KeepsTheOldLog, "installed_snapshot_replaces_the_log", "a snapshot of index 5 was installed over a log of 20"),
    (ForgetsPeers, "peers_are_remembered", "meet() returned for a peer in boot 4 that was met in boot 5; it raises"),
    (MeetsAnybody, "peers_are_remembered", "meet() returned for a peer in boot 4 that was met in boot 5; it raises"),
    (AdmitsAndForgets, "admitted_peers_are_met", "met() says {'peer': 'new'} of a peer that was only admitted"),
]


@pytest.mark.parametrize(("kind", "rule", "words"), FAULTS, ids=[kind.__name__ for kind, _, _ in FAULTS])
def test_each_fault_is_named(kind: type[Right], rule: str, words: str) -> None:
    with pytest.raises(ConformanceError, match=re.escape(words)) as caught:
        check(kind, only=[rule])
    assert caught.value.rule == rule


def test_each_rule_has_a_store_that_breaks_it() -> None:
    assert {rule for _, rule, _ in FAULTS} | {"damage_is_noticed"} == {rule.name for rule in RULES}


def test_the_store_that_the_faults_were_made_of_is_right() -> None:
    check(Right)


def test_damage_that_is_not_noticed_is_named() -> None:
    """A store that ends the log before a record which it cannot read, as some do with a torn tail (fault F107)."""
    cut: set[str] = set()
    open_disk = in_memory(Right)

    def open_damaged(disk: str) -> Any:
        store: Any = open_disk(disk)
        if disk in cut:
            store.inner._batches.pop()
        return store

    with pytest.raises(ConformanceError, match=r"after damage number 0 the store opened without an error, and the log"):
        check_log_store(open_damaged, damage=lambda disk, chance: cut.add(disk), only=["damage_is_noticed"])
    with pytest.raises(ConformanceError, match="none of 12 damages did anything"):
        check_log_store(in_memory(Right), damage=lambda disk, chance: None, only=["damage_is_noticed"])
