"""What stands behind a snapshot that is being fetched stays in the leader's log, within a bound.

C needs as long for the snapshot at 6 as A for its next two. If A cut its log each time, C would find itself behind it
again and again. But a follower that is silent, or very far behind, does not keep the log from being cut.
"""

from rafty_core import AppendEntries, InstallSnapshot
from tests.scenarios.behind import begin_to_fetch, left_behind, write
from tests.scenarios.story import Story

ROOM = 1024


def slow_fetch(room: int) -> Story:
    """C fetches the snapshot at 6, and A has taken two more since."""
    story = left_behind(max_retained_bytes=room, silent=True)
    begin_to_fetch(story)
    for _ in range(2):
        write(story, 3)
        story.take_snapshot("A")
        story.settle("AB")
    return story


def test_follower_goes_on_by_the_log_behind_what_it_fetched() -> None:
    story = slow_fetch(ROOM)
    status = story["A"].status
    assert (status.snapshot_index, status.first_index, status.last_index) == (12, 7, 12)
    story.receive_snapshot("C")
    story.persist("C")
    story.apply("C")
    story.deliver(sender="C")
    assert story.sent(InstallSnapshot) == []
    assert story.sent(AppendEntries, to="C")[0].prev_log_index == 6
    story.settle("ABC")
    assert story["C"].applied == story["A"].applied


def test_log_is_cut_beyond_the_bound() -> None:
    assert slow_fetch(8)["A"].status.first_index == 13


def test_silent_follower_keeps_nothing() -> None:
    story = left_behind(max_retained_bytes=ROOM, silent=True)
    begin_to_fetch(story)
    for _ in range(6):
        story.wait(0.1, "A")
        story.settle("AB")
    write(story, 3)
    story.take_snapshot("A")
    assert story["A"].status.first_index == 10


def test_log_stays_for_a_follower_that_is_a_little_behind() -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    write(story, 3)
    story.take_snapshot("A")
    assert (story["A"].status.snapshot_index, story["A"].status.first_index) == (4, 2)
    story.wait(0.1, "A")
    story.settle("ABC")
    assert story.sent(InstallSnapshot) == []
    assert story["C"].applied == story["A"].applied
    write(story, 1)
    story.settle("ABC")
    story.take_snapshot("A")
    assert story["A"].status.first_index >= 5
