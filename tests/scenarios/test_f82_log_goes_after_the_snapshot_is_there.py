"""The log is cut when the snapshot is durable, and the write that says so names the snapshot.

Until `SnapshotTaken` nothing changes, however long the image takes. Then one write names the snapshot and how far the
log may go; a crash before it is durable leaves the whole log, a crash after it the snapshot and what stands behind.
"""

import pytest

from rafty_core import SnapshotTaken
from tests.scenarios.story import Story


def applied_to_six() -> Story:
    story = Story("A")
    story.elect("A", "A")
    for number in range(5):
        story.propose("A", b"%d" % number)
        story.settle("A")
    return story


def test_log_is_whole_until_the_snapshot_is_taken() -> None:
    story = applied_to_six()
    story["A"].images[6] = list(story["A"].applied)
    assert story["A"].raft.snapshot().index == 6
    story.propose("A", b"meanwhile")
    story.settle("A")
    assert (story["A"].status.first_index, story["A"].status.snapshot_index) == (1, 0)
    output = story.step("A", SnapshotTaken(6))
    assert output.write is not None
    assert output.write.snapshot is not None
    assert (output.write.snapshot.index, output.write.snapshot.term, output.write.compact_to) == (6, 1, 6)
    assert (output.write.installs, output.write.batches) == (False, [])
    assert (story["A"].status.first_index, story["A"].status.last_index) == (7, 7)


@pytest.mark.parametrize("durable", [False, True])
def test_crash_before_and_after_the_write_leaves_everything(durable: bool) -> None:
    story = applied_to_six()
    story.take_snapshot("A", compact_to=4)
    if durable:
        story.persist("A", confirm=False)
    story.crash("A")
    assert story["A"].status.snapshot_index == (6 if durable else 0)
    story.elect("A", "A")
    assert story["A"].applied == [b"0", b"1", b"2", b"3", b"4"]


def test_trailing_entries_stay() -> None:
    story = applied_to_six()
    output = story.take_snapshot("A", compact_to=4)
    assert output.write is not None
    assert output.write.compact_to == 4
    assert (story["A"].status.first_index, story["A"].status.snapshot_index) == (5, 6)


def test_snapshot_beyond_what_is_applied_is_a_wrong_call() -> None:
    story = applied_to_six()
    story.propose("A", b"meanwhile")
    story.persist("A")
    with pytest.raises(ValueError, match="a snapshot of index 7 cannot be taken: 6 is applied"):
        story.step("A", SnapshotTaken(7))
