"""The kit of stores: ours pass, and each that is wrong in one way is told which."""

import random
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rafty_transports.interfaces import LogStore
from rafty_transports.storage import MemoryStore, SqliteStore
from rafty_transports.testing import ConformanceError, check_log_store
from rafty_transports.testing.log_store import RULES
from tests.transports import broken_stores as wrong
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


FAULTS: list[tuple[type[wrong.Right], str, str]] = [
    (wrong.NotEmpty, "begins_with_nothing", "a new store has term 1 and the vote None"),
    (wrong.ForgetsTheBoot, "identity_is_kept", "the boot after start 2 is 1: it is one more at each start"),
    (wrong.NewIncarnation, "identity_is_kept", "the incarnation was '"),
    (
        wrong.AnswersTooSoon,
        "written_is_durable",
        "in the life after write 1 the store has term 0 with the vote None; written",
    ),
    (
        wrong.LosesTheTail,
        "written_is_durable",
        "the log has no entry at index 1; written was an entry of term 1, b'\\x011/1',",
    ),
    (
        wrong.LosesLargeEntries,
        "all_sizes_are_kept",
        "load() gives a batch at index 10360 where index 10259 must follow",
    ),
    (
        wrong.MixesTermAndVote,
        "term_and_vote_go_together",
        "has term 2 with the vote n1; written were term 2 and the vote None",
    ),
    (wrong.IgnoresTruncation, "suffix_is_replaced", "was replaced from index 1 on, the log has an entry of term 2"),
    (wrong.LosesTheLastOfMany, "writes_keep_their_order", "has term 2 with the vote n3; written were term 4 and"),
    (wrong.OneThread, "any_thread_may_call", "in a thread that did not open the store, write() raised RuntimeError"),
    (
        wrong.WritesIntoNothing,
        "closing_is_harmless",
        "write() on a store that was closed returned, and what it wrote is not",
    ),
    (
        wrong.KeepsWhatWasGivenUp,
        "snapshot_is_whole_or_not_there",
        "snapshots.open() of a snapshot that is not here must raise",
    ),
    (
        wrong.TakesBytesAnywhere,
        "snapshot_travels",
        "a receiver at offset 10000 took bytes at offset 10001; it raises Valu",
    ),
    (wrong.ForgetsSnapshots, "snapshot_is_durable", "in the next life infos() names snapshots []"),
    (
        wrong.BelievesWhatIsSent,
        "damaged_snapshot_is_refused",
        "a snapshot with byte 0 changed was received without an error",
    ),
    (wrong.RetainsTheNewest, "needed_snapshots_stay", "removed the snapshot of index 6, which is needed"),
    (
        wrong.ForgetsTheConfiguration,
        "log_starts_behind_a_snapshot",
        "in the life after snapshot 5, the store has Snapshot(",
    ),
    (
        wrong.KeepsTheOldLog,
        "installed_snapshot_replaces_the_log",
        "a snapshot of index 5 was installed over a log of 20",
    ),
    (
        wrong.ForgetsPeers,
        "peers_are_remembered",
        "meet() returned for a peer in boot 4 that was met in boot 5; it raises",
    ),
    (
        wrong.MeetsAnybody,
        "peers_are_remembered",
        "meet() returned for a peer in boot 4 that was met in boot 5; it raises",
    ),
    (wrong.AdmitsAndForgets, "admitted_peers_are_met", "met() says {'peer': 'new'} of a peer that was only admitted"),
]


@pytest.mark.parametrize(("kind", "rule", "words"), FAULTS, ids=[kind.__name__ for kind, _, _ in FAULTS])
def test_each_fault_is_named(kind: type[wrong.Right], rule: str, words: str) -> None:
    with pytest.raises(ConformanceError, match=re.escape(words)) as caught:
        check(kind, only=[rule])
    assert caught.value.rule == rule


def test_each_rule_has_a_store_that_breaks_it() -> None:
    assert {rule for _, rule, _ in FAULTS} | {"damage_is_noticed"} == {rule.name for rule in RULES}


def test_the_store_that_the_faults_were_made_of_is_right() -> None:
    check(wrong.Right)


def test_damage_that_is_not_noticed_is_named() -> None:
    """A store that ends the log before a record which it cannot read, as some do with a torn tail (fault F107)."""
    cut: set[str] = set()
    open_disk = in_memory(wrong.Right)

    def open_damaged(disk: str) -> Any:
        store: Any = open_disk(disk)
        if disk in cut:
            store.inner._batches.pop()
        return store

    with pytest.raises(ConformanceError, match=r"after damage number 0 the store opened without an error, and the log"):
        check_log_store(open_damaged, damage=lambda disk, chance: cut.add(disk), only=["damage_is_noticed"])
    with pytest.raises(ConformanceError, match="none of 12 damages did anything"):
        check_log_store(in_memory(wrong.Right), damage=lambda disk, chance: None, only=["damage_is_noticed"])
