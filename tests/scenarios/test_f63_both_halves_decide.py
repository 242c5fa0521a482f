"""While the configuration is joint a majority of each half decides: votes, commits, the leader's office, and reads.

{A, B, C} becomes {D, E, F}. One half alone, however many, decides nothing, and neither does a majority of all six.
"""

import pytest

from rafty_core import (
    AppendEntriesResponse,
    Campaign,
    HeartbeatResponse,
    PreVoteResponse,
    Read,
    RequestVoteResponse,
)
from tests.scenarios.story import Story

ONE_SIDED = ["BC", "DEF", "BCD"]


def joint() -> Story:
    """A has just entered the joint configuration, on its own disk alone; all else is committed everywhere."""
    story = Story("ABC", learners="DEF")
    story.elect("A", "ABCDEF")
    changes = [("add_voter", name) for name in "DEF"] + [("remove", name) for name in "ABC"]
    story.change("A", *changes)
    story.until(lambda: story["A"].status.configuration.is_joint, "ABCDEF")
    story.drop()
    story.persist("A")
    story.drop()
    return story


@pytest.mark.parametrize("names", ONE_SIDED)
def test_commit_needs_both_halves(names: str) -> None:
    story = joint()
    last = story["A"].status.last_index
    for name in names:
        story.step("A", AppendEntriesResponse(name, "A", 1, True, last))
    assert story["A"].status.commit_index == last - 1
    story.step("A", *(AppendEntriesResponse(name, "A", 1, True, last) for name in "BDE"))
    assert story["A"].status.commit_index == last


@pytest.mark.parametrize("names", ONE_SIDED)
def test_election_needs_both_halves(names: str) -> None:
    story = joint()
    story.crash("A")
    story.wait(1.0)
    story.step("A", Campaign())
    story.step("A", *(PreVoteResponse(name, "A", 1, 2, True) for name in names))
    assert story["A"].status.role == "pre_candidate"
    story.step("A", *(PreVoteResponse(name, "A", 1, 2, True) for name in "BDE"))
    story.persist("A")
    story.step("A", *(RequestVoteResponse(name, "A", 2, True) for name in names))
    assert story["A"].status.role == "candidate"
    story.step("A", *(RequestVoteResponse(name, "A", 2, True) for name in "BDE"))
    assert story["A"].status.role == "leader"


@pytest.mark.parametrize("names", [*ONE_SIDED, "BDE"])
def test_leader_needs_both_halves(names: str) -> None:
    story = joint()
    for _ in range(7):
        story.wait(0.1, "A")
        sent = story.drop(sender="A")
        for message in sent:
            if message.to in names and hasattr(message, "round"):
                story.step("A", HeartbeatResponse(message.to, "A", 1, message.round))
    assert story["A"].status.role == ("leader" if names == "BDE" else "follower")


@pytest.mark.parametrize("names", ONE_SIDED)
def test_read_needs_both_halves(names: str) -> None:
    story = joint()
    story.apply("A")
    story.step("A", Read("r"))
    round = max(message.round for message in story.drop(sender="A") if hasattr(message, "round"))
    story.step("A", *(HeartbeatResponse(name, "A", 1, round) for name in names))
    assert story["A"].answers == []
    story.step("A", *(HeartbeatResponse(name, "A", 1, round) for name in "BDE"))
    assert story["A"].answer("r").error is None
