"""A vote is given when it is durable, not when it is decided.

B grants A its vote of term 5, and the power fails before the vote is on disk. If the answer had left already, B could
vote for C in the same term after the restart.
"""

from rafty_core import RequestVote, RequestVoteResponse
from tests.scenarios.story import Story


def test_grant_leaves_only_after_the_vote_is_durable() -> None:
    story = Story("ABC", terms={"": 4})
    story.now = 1.0
    story.step("B", RequestVote("A", "B", 5, 0, 0))
    assert story.sent(RequestVoteResponse) == []
    story.wait(0.1, "B")
    assert story.sent(RequestVoteResponse) == []
    story.persist("B")
    assert story.sent(RequestVoteResponse) == [RequestVoteResponse("B", "A", 5, True)]


def test_vote_lost_with_the_power_was_never_given() -> None:
    story = Story("ABC", terms={"": 4})
    story.now = 1.0
    story.step("B", RequestVote("A", "B", 5, 0, 0))
    story.crash("B")
    story.now = 2.0
    story.step("B", RequestVote("C", "B", 5, 0, 0))
    story.persist("B")
    assert [grant.to for grant in story.sent(RequestVoteResponse) if grant.vote_granted] == ["C"]


def test_grant_held_back_beyond_its_term_never_leaves() -> None:
    story = Story("ABC", terms={"": 4})
    story.now = 1.0
    story.step("B", RequestVote("A", "B", 5, 0, 0))
    story.step("B", RequestVote("C", "B", 6, 0, 0))
    story.persist("B")
    assert story.sent(RequestVoteResponse) == [RequestVoteResponse("B", "C", 6, True)]
