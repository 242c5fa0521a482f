"""Behind an installed snapshot the log goes on without a gap, in memory, in what is written, and after a restart.

C held one entry and installs the snapshot at 6. What comes next is entry 7, in the same write or in a later one. After
a compaction the store may still hold a record that reaches from before the snapshot to behind it.
"""

from rafty_core import AppendEntries, Batch, Config, Configuration, Raft, Snapshot, SnapshotReceived, Stable
from tests.scenarios.behind import begin_to_fetch, left_behind
from tests.scenarios.story import Chance


def test_first_entry_behind_the_snapshot_is_written_as_such() -> None:
    story = left_behind()
    begin_to_fetch(story)
    story["C"].images[6] = story["A"].images[6]
    more = AppendEntries("A", "C", 1, 6, 1, 6, Batch(7, 1, [b"\x01a", b"\x01b"]))
    write = story.step("C", SnapshotReceived(6, 1), more).write
    assert write is not None
    assert write.snapshot is not None
    assert (write.snapshot.index, write.installs, write.compact_to) == (6, True, 0)
    assert write.batches == [Batch(7, 1, [b"\x01a", b"\x01b"])]
    write = story.step("C", AppendEntries("A", "C", 1, 8, 1, 6, Batch(9, 1, [b"\x01c"]))).write
    assert write is not None
    assert (write.snapshot, write.batches) == (None, [Batch(9, 1, [b"\x01c"])])
    story.persist("C")
    story.crash("C")
    assert (story["C"].status.first_index, story["C"].status.last_index) == (7, 9)


def test_installed_snapshot_alone_writes_no_entries() -> None:
    story = left_behind()
    begin_to_fetch(story)
    write = story.receive_snapshot("C").write
    assert write is not None
    assert write.batches == []
    assert story.step("C").write is None


def test_record_that_reaches_over_the_snapshot_is_cut_when_it_is_loaded() -> None:
    snapshot = Snapshot(6, 2, Configuration.of("A", "B", "C"))
    batches = [
        Batch(1, 1, [b"\x01"] * 3),
        Batch(4, 2, [b"\x01%d" % index for index in range(4, 9)]),
        Batch(9, 3, [b"\x00"]),
    ]
    raft = Raft(Config(id="A"), Stable(3, None, snapshot, batches), random=Chance(0.5), now=0.0)
    assert [(entry.index, entry.term, entry.data) for entry in raft.entries(7, 9)] == [
        (7, 2, b"7"),
        (8, 2, b"8"),
        (9, 3, b""),
    ]
