"""A learner gets its snapshot, and then its disk stands still: it answers heartbeats, and installs nothing.

A learner that fetches a snapshot takes no entries, and may need an hour for it; so a leader waited for it without end,
and refused all other changes meanwhile. But a disk that stands still is known where it stands: the learner sees that
its oldest write is not done. Found when nodes with such disks were to join simulated clusters.
"""

import pytest

from rafty_core import ChangeRefused, Configuration, InstallSnapshotResponse
from tests.scenarios.story import Story


def story_of_a_joining_node() -> Story:
    """A leads A, B and C, has only a snapshot for who joins, and takes D in, which is empty."""
    story = Story("ABC", settings={"max_retained_bytes": 1})
    story.elect("A", "ABC")
    story.propose("A", b"x")
    story.settle("ABC")
    story.take_snapshot("A")
    story.settle("ABC")
    story.join("D")
    story.change("A", ("add_voter", "D"))
    return story


def go_on(story: Story, seconds: float, *, disk: bool, fetching: bool = False) -> int:
    """Time passes, with heartbeats; D's disk works or stands still, its snapshot arrives or is still `fetching`.

    Returns how often D said that it has not installed it.
    """
    said = 0
    for _ in range(round(seconds / 0.1)):
        story.wait(0.1, "A")
        for _ in range(4):
            for name in "ABCD" if disk else "ABC":
                story.persist(name)
                story.apply(name)
            if story["D"].fetch is not None and not fetching:
                story.receive_snapshot("D")
            said += len(story.sent(InstallSnapshotResponse))
            story.deliver()
    return said


def flow_of(story: Story, name: str) -> str:
    return next(peer.flow for peer in story["A"].status.peers if peer.id == name)


def is_waited_for(story: Story) -> bool:
    return [answer for answer in story["A"].answers if answer.token == "change"] == []


@pytest.mark.parametrize("fetching", [False, True], ids=["it installs", "it fetches"])
def test_r171_learner_whose_disk_stands_still_is_given_up(fetching: bool) -> None:
    story = story_of_a_joining_node()
    go_on(story, 4.9, disk=False, fetching=fetching)
    assert flow_of(story, "D") == "snapshot"
    assert is_waited_for(story)
    go_on(story, 1.0, disk=False, fetching=fetching)
    answer = story["A"].answer("change")
    assert isinstance(answer.error, ChangeRefused)
    assert "could not get a snapshot in 3 attempts" in str(answer.error)
    assert story["A"].status.configuration == Configuration.of("A", "B", "C")
    story.change("A", ("remove", "C"), token="next")
    story.settle("ABC")
    assert story["A"].answer("next").error is None


def test_r171_learner_that_fetches_for_long_is_waited_for() -> None:
    story = story_of_a_joining_node()
    go_on(story, 60.0, disk=True, fetching=True)
    assert is_waited_for(story)
    go_on(story, 1.0, disk=True)
    assert story["A"].answer("change").error is None
    assert story["A"].status.configuration.voter_ids == ("A", "B", "C", "D")


def test_r171_learner_whose_disk_goes_on_in_time_votes() -> None:
    story = story_of_a_joining_node()
    go_on(story, 4.9, disk=False)
    assert is_waited_for(story)
    go_on(story, 1.0, disk=True)
    assert story["A"].answer("change").error is None
    assert story["A"].status.configuration.voter_ids == ("A", "B", "C", "D")


def test_r171_voter_whose_disk_stands_still_says_so_once_a_round_and_is_brought_up_later() -> None:
    story = story_of_a_joining_node()
    go_on(story, 1.0, disk=True)
    story.propose("A", b"y")
    story.settle("ABC")
    story.take_snapshot("A")
    story.settle("ABC")
    assert go_on(story, 5.0, disk=False) == 0
    assert 40 <= go_on(story, 5.0, disk=False) <= 50
    assert go_on(story, 1.0, disk=True) <= 1
    assert flow_of(story, "D") == "replicate"
    assert story["D"].status.last_index == story["A"].status.last_index
