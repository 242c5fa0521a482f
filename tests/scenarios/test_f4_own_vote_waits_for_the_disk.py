"""A candidate votes for itself like any other voter: on disk first.

A campaigns for term 5, asks for votes, and loses its power before its own vote is durable. After the restart it could
vote for B in term 5, while the answers to its old requests still make it leader.
"""

from rafty_core import Campaign, PreVote, PreVoteResponse, RequestVote, RequestVoteResponse
from tests.scenarios.story import Story


def test_request_for_votes_leaves_only_after_the_own_vote_is_durable() -> None:
    story = Story("ABC", terms={"": 4})
    story.now = 1.0
    story.step("A", Campaign())
    story.deliver(PreVote)
    story.deliver(PreVoteResponse)
    assert story["A"].status.role == "candidate"
    assert story.sent(RequestVote) == []
    story.persist("A")
    assert [request.to for request in story.sent(RequestVote)] == ["B", "C"]


def test_vote_of_another_node_does_not_make_up_for_the_own_one() -> None:
    story = Story("ABC", terms={"": 4})
    story.now = 1.0
    story.step("A", Campaign())
    story.deliver(PreVote)
    story.deliver(PreVoteResponse)
    story.step("A", RequestVoteResponse("B", "A", 5, True))
    assert story["A"].status.role == "candidate"
    story.persist("A")
    assert story["A"].status.role == "leader"
