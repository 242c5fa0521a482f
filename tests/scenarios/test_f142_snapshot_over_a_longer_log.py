"""A snapshot in the place of a longer log of another history leaves nothing of that log, on the disk either.

C wrote entries 1 to 10 of term 1. The snapshot ends with entry 8 of term 3. The write that installs it says that what
is stored of the log goes; and the completion of the old entries' write, late, proves nothing about the new ones.
"""

from rafty_core import AppendEntries, AppendEntriesResponse, Batch, InstallSnapshot, Persisted, SnapshotReceived
from tests.scenarios.story import Story


def installed() -> Story:
    """C's old entries are on their way to the disk, and the snapshot too."""
    story = Story("ABC")
    story.step("C", AppendEntries("B", "C", 1, 0, 0, 2, Batch(1, 1, [b"\x01old"] * 10)))
    story.step("C", InstallSnapshot("A", "C", 3, 8, 3, story["C"].status.configuration))
    story.step("C", SnapshotReceived(8, 3))
    story["C"].images[8] = []
    story.drop()
    return story


def test_what_is_stored_of_the_log_goes() -> None:
    story = installed()
    assert [(write.installs, write.batches != []) for write in story["C"].writes][-1] == (True, False)
    story.persist("C", confirm=False)
    story.crash("C")
    assert (story["C"].log, story["C"].status.first_index) == ([], 9)
    story.step("C", AppendEntries("A", "C", 3, 8, 3, 8, Batch(9, 3, [b"\x01new"])))
    story.persist("C", confirm=False)
    story.crash("C")
    assert story["C"].log == [3]


def test_late_completion_of_the_old_entries_proves_what_was_committed_of_them() -> None:
    story = installed()
    story.step("C", AppendEntries("A", "C", 3, 8, 3, 8, Batch(9, 3, [b"\x01new", b"\x01new"])))
    first, *_, installs, last = story["C"].writes
    story.step("C", Persisted(first.seq))
    assert story["C"].status.durable_index == 2
    assert [answer.match_index for answer in story.sent(AppendEntriesResponse) if answer.match_index > 2] == []
    story.step("C", Persisted(installs.seq))
    assert story["C"].status.durable_index == 8
    story.step("C", Persisted(last.seq))
    assert story.sent(AppendEntriesResponse)[-1] == AppendEntriesResponse("C", "A", 3, True, 10)


def test_crash_before_the_write_leaves_the_old_log() -> None:
    story = installed()
    story["C"].disk.write(story["C"].writes[0])
    story.crash("C")
    assert (story["C"].log, story["C"].status.snapshot_index) == ([1] * 10, 0)
