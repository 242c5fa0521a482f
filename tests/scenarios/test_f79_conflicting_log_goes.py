"""A log that does not lead to the snapshot goes as a whole, what stands before its last entry and what stands behind.

C holds nine entries of the deposed leader of term 1. The cluster's entry 6 is of term 2.
"""

from rafty_core import AppendEntries, AppendEntriesResponse, Batch, InstallSnapshot, SnapshotReceived
from tests.scenarios.story import Story


def test_nothing_of_a_conflicting_log_stays() -> None:
    story = Story("ABC", logs={"C": [1] * 9})
    story.step("C", InstallSnapshot("A", "C", 2, 6, 2, story["C"].status.configuration))
    assert story["C"].log == [1] * 9
    story["C"].images[6] = [b"state"]
    story.step("C", SnapshotReceived(6, 2))
    status = story["C"].status
    assert (status.first_index, status.last_index, status.commit_index, status.snapshot_index) == (7, 6, 6, 6)
    story.step("C", AppendEntries("A", "C", 2, 6, 2, 7, Batch(7, 2, [b"\x01more"])))
    assert story.sent(AppendEntriesResponse) == []
    story.persist("C")
    story.apply("C")
    story.apply("C")
    assert story.sent(AppendEntriesResponse) == [AppendEntriesResponse("C", "A", 2, True, 7)]
    assert story["C"].applied == [b"state", b"more"]
    story.crash("C")
    assert (story["C"].log, story["C"].status.first_index) == ([2], 7)
