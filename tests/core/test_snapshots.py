"""Snapshots: taken, offered, fetched, installed."""

from rafty_core import InstallSnapshot
from tests.scenarios.story import Story


def test_follower_far_behind_gets_the_snapshot_and_goes_on_by_the_log() -> None:
    story = Story("ABC", settings={"max_retained_bytes": 1})
    story.elect("A", "ABC")
    for number in range(5):
        story.propose("A", b"%d" % number)
        story.settle("AB")
    story.take_snapshot("A")
    assert story["A"].status.first_index == story["A"].status.commit_index + 1
    story.settle("AB")
    story.propose("A", b"more")
    story.settle("AB")
    for _ in range(4):
        story.wait(0.1, "A")
        story.settle("ABC")
    assert story["C"].applied == story["A"].applied == [b"0", b"1", b"2", b"3", b"4", b"more"]
    assert story["C"].status.snapshot_index == 6
    assert story.sent(InstallSnapshot) == []
    story.crash("C")
    assert story["C"].status.snapshot_index == 6
    assert story["C"].applied == [b"0", b"1", b"2", b"3", b"4"]
