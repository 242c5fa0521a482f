"""A snapshot of what is committed here already is never installed, when it is offered and when it arrives.

C begins to fetch the snapshot at 6. Meanwhile late appends bring it everything up to 8, it applies that and takes a
snapshot of its own. Then the one at 6 arrives, and is offered again.
"""

from rafty_core import AppendEntries, AppendEntriesResponse, Batch, InstallSnapshot, SnapshotReceived
from tests.scenarios.behind import begin_to_fetch, left_behind
from tests.scenarios.story import Story


def overtaken() -> Story:
    """C fetches 6 and holds everything up to 8."""
    story = left_behind()
    begin_to_fetch(story)
    entries = [b"\x01%d" % index for index in range(1, 8)]
    story.step("C", AppendEntries("A", "C", 1, 1, 1, 8, Batch(2, 1, entries)))
    story.persist("C")
    story.apply("C")
    story.take_snapshot("C")
    story.persist("C")
    story.drop()
    assert story["C"].status.commit_index == story["C"].status.snapshot_index == 8
    return story


def test_snapshot_that_arrives_late_is_not_installed() -> None:
    story = overtaken()
    output = story.step("C", SnapshotReceived(6, 1))
    assert (output.write, output.apply, output.messages) == (None, [], [])
    assert story["C"].status.snapshot_index == story["C"].status.applied_index == 8
    assert story["C"].status.fetching_snapshot == 0


def test_stale_snapshot_is_not_fetched_and_acknowledged() -> None:
    story = overtaken()
    story.step("C", SnapshotReceived(6, 1))
    output = story.step("C", InstallSnapshot("A", "C", 1, 6, 1, story["C"].status.configuration))
    assert (output.fetch, output.write) == (None, None)
    assert output.messages == [AppendEntriesResponse("C", "A", 1, True, 8)]


def test_two_snapshots_shortly_after_one_another() -> None:
    story = left_behind()
    begin_to_fetch(story)
    story.receive_snapshot("C")
    output = story.step(
        "C", SnapshotReceived(6, 1), InstallSnapshot("A", "C", 1, 6, 1, story["C"].status.configuration)
    )
    assert (output.fetch, story["C"].status.snapshot_index) == (None, 6)
