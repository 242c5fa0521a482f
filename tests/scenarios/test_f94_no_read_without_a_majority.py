"""A leader reads nothing on its own word: a majority of the voters must have answered, of both halves if there are two.

Learners are not asked for that, nor do members that were dropped count.
"""

import pytest

from rafty_core import Heartbeat, HeartbeatResponse, Read
from tests.scenarios.story import Story


def confirmed_by(story: Story, names: str) -> bool:
    """Whether a read at A is answered when just these nodes answer its round."""
    story.step("A", Read(names))
    for name in names:
        story.deliver(Heartbeat, to=name)
    story.deliver(HeartbeatResponse)
    story.drop()
    return any(answer.token == names for answer in story["A"].answers)


@pytest.mark.parametrize(("names", "enough"), [("", False), ("B", False), ("BC", True), ("FG", False), ("BFG", False)])
def test_majority_of_the_voters_confirms(names: str, enough: bool) -> None:
    story = Story("ABCDE", learners="FG")
    story.elect("A", "ABCDEFG")
    assert confirmed_by(story, names) is enough


@pytest.mark.parametrize(("names", "enough"), [("B", False), ("D", False), ("DE", False), ("BC", False), ("BD", True)])
def test_majority_of_both_halves_confirms(names: str, enough: bool) -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    story.join("D")
    story.join("E")
    story.change("A", ("add_voter", "D"), ("add_voter", "E"), ("remove", "B"), ("remove", "C"))
    for _ in range(20):
        if story["A"].status.configuration.is_joint:
            break
        story.wait(0.02, "A")
        for name in "ABCDE":
            story.persist(name)
        story.deliver()
    assert story["A"].status.configuration.voter_ids == ("A", "D", "E")
    story.drop()
    story.apply("A")
    assert confirmed_by(story, names) is enough


def test_leader_that_is_cut_off_answers_nothing_and_then_refuses() -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    for _ in range(4):
        story.step("A", Read(story.now))
        story.wait(0.1, "A")
        story.drop()
        assert story["A"].answers == []
    story.wait(0.2, "A")
    assert len(story["A"].answers) == 4
    assert all(answer.error is not None for answer in story["A"].answers)
