"""A leader that is no voter afterwards does not count itself, leads until its removal is committed, and then leaves."""

import pytest

from rafty_core import AppendEntriesResponse, Removed, TimeoutNow
from tests.scenarios.story import Story


def leaving() -> tuple[Story, int]:
    """A has appended the configuration {B, C}, on its own disk alone; returns its index too."""
    story = Story("ABC")
    story.elect("A", "ABC")
    story.change("A", ("remove", "A"))
    story.until(lambda: story["A"].status.configuration.voter_ids == ("B", "C") and at_rest(story), "ABC")
    story.persist("A")
    story.drop()
    return story, story["A"].status.last_index


def at_rest(story: Story) -> bool:
    return story["A"].status.configuration.at_rest


def test_its_own_copy_is_not_counted() -> None:
    story, index = leaving()
    story.step("A", AppendEntriesResponse("B", "A", 1, True, index))
    assert (story["A"].status.role, story["A"].status.commit_index) == ("leader", index - 1)


def test_it_leads_until_its_removal_is_committed_and_not_longer() -> None:
    story, index = leaving()
    story.propose("A", b"x", token="x")
    story.step("A", AppendEntriesResponse("B", "A", 1, True, index))
    story.step("A", AppendEntriesResponse("C", "A", 1, True, index - 1))
    assert story["A"].status.role == "leader"
    story.step("A", AppendEntriesResponse("C", "A", 1, True, index))
    assert (story["A"].status.role, story["A"].status.commit_index) == ("follower", index)
    assert story["A"].answer("change").error is None
    assert Removed(index) in story["A"].notices
    assert [message.to for message in story.sent(TimeoutNow)] == ["B"]
    story.drop()
    story.wait(100.0, "A")
    assert (story["A"].status.role, story.air) == ("follower", [])


@pytest.mark.parametrize("lost", [False, True])
def test_others_go_on_whether_they_were_told_to_or_not(lost: bool) -> None:
    story, _ = leaving()
    story.wait(0.1, "A")
    story.until(lambda: story["A"].status.role == "follower", "ABC")
    if lost:
        story.drop(TimeoutNow)
        story.elect("C", "BC")
    story.settle("ABC")
    leader = next(name for name in "BC" if story[name].status.role == "leader")
    story.propose(leader, b"y")
    story.settle("BC")
    assert story["B"].applied == story["C"].applied == [b"y"]


def test_leader_that_makes_itself_a_learner_steps_down_and_follows() -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    story.change("A", ("add_learner", "A"))
    story.beat("A", "ABC", 3)
    leader = next(name for name in "BC" if story[name].status.role == "leader")
    story.beat(leader, "ABC", 2)
    story.propose(leader, b"x")
    story.settle("ABC")
    assert story["A"].applied == [b"x"]
    assert Removed not in map(type, story["A"].notices)
