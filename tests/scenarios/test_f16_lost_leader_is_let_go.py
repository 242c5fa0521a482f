"""A leader that is gone must not be held on to.

A loses its majority and steps down, while B still remembers A as the leader of the term. B sticks to A for the minimal
election timeout and no longer; after that it answers C's question, and A's own, by the logs alone.
"""

from rafty_core import Campaign, PreVote, PreVoteResponse
from tests.scenarios.story import Story


def test_voter_that_still_names_a_silent_leader_grants_a_pre_vote() -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    assert story["B"].status.leader == "A"
    story.wait(0.4)
    story.step("B", PreVote("C", "B", 2, 9, 1))
    story.wait(0.2)
    story.step("B", PreVote("C", "B", 2, 9, 1))
    assert [answer.vote_granted for answer in story.sent(PreVoteResponse)] == [False, True]
    assert story["B"].status.leader == "A"


def test_leader_that_stepped_down_can_be_elected_again() -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    story.wait(0.6, "A")
    assert (story["A"].status.role, story["A"].status.leader) == ("follower", None)
    story.drop()
    story.step("A", Campaign())
    story.settle("AB")
    assert (story["A"].status.role, story["A"].status.term) == ("leader", 2)


def test_leader_that_stepped_down_grants_a_pre_vote() -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    story.wait(0.6, "A")
    story.drop()
    story.step("A", PreVote("C", "A", 2, 9, 1))
    assert [answer.vote_granted for answer in story.sent(PreVoteResponse)] == [True]
