"""Changes of membership, told as they go: learners first, both halves together, then the new one alone."""

from rafty_core import Configuration, MembershipAnswer
from tests.scenarios.story import Story


def test_voter_is_added_as_a_learner_first() -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    story.join("D")
    story.change("A", ("add_voter", "D"))
    now = story["A"].status.configuration
    assert (now.voter_ids, [member.id for member in now.learners]) == (("A", "B", "C"), ["D"])
    story.settle("ABC")
    assert story["A"].status.configuration.voter_ids == ("A", "B", "C")
    for _ in range(10):
        story.wait(0.1, "A")
        story.settle("ABCD")
    now = story["D"].status.configuration
    assert now == Configuration.of("A", "B", "C", "D") == story["A"].status.configuration
    (answer,) = [answer for answer in story["A"].answers if isinstance(answer, MembershipAnswer)]
    assert (answer.error, answer.configuration) == (None, now)


def test_leader_removes_itself_and_another_takes_over() -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    story.change("A", ("remove", "A"))
    story.settle("ABC")
    assert story["A"].status.role == "follower"
    leaders = [name for name in "BC" if story[name].status.role == "leader"]
    assert len(leaders) == 1
    story.propose(leaders[0], b"x")
    story.settle("BC")
    assert story["B"].applied == story["C"].applied == [b"x"]


def test_voters_are_replaced_in_one_change() -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    for name in "DE":
        story.join(name)
    story.change("A", ("remove", "B"), ("remove", "C"), ("add_voter", "D"), ("add_voter", "E"))
    for _ in range(10):
        story.wait(0.1, "A")
        story.settle("ABCDE")
    assert story["E"].status.configuration.voter_ids == ("A", "D", "E")
    assert [gone.id for gone in story["E"].status.configuration.removed] == ["B", "C"]
    assert len(story["A"].status.peers) == 2
