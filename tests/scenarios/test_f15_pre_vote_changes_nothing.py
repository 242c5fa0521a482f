"""A pre-vote is a question; asking it changes nobody.

C asks whether it could win term 9. B must not take that term for its own, store a vote, or answer with C's term as if
it were its own: any of these lets a node that merely asks disturb a cluster that works.
"""

from rafty_core import PreVote, PreVoteResponse, RequestVote, RequestVoteResponse
from tests.scenarios.story import Story


def test_granted_pre_vote_leaves_no_trace() -> None:
    story = Story("ABC", terms={"": 4})
    story.now = 1.0
    before, deadline = story["B"].status, story["B"].raft.deadline
    output = story.step("B", PreVote("C", "B", 9, 0, 0))
    assert output.messages == [PreVoteResponse("B", "C", 4, 9, True)]
    assert output.write is None
    assert (story["B"].status, story["B"].raft.deadline) == (before, deadline)


def test_vote_is_still_free_after_a_granted_pre_vote() -> None:
    story = Story("ABC", terms={"": 4})
    story.now = 1.0
    story.step("B", PreVote("C", "B", 5, 0, 0))
    story.step("B", RequestVote("A", "B", 5, 0, 0))
    story.persist("B")
    assert story.sent(RequestVoteResponse) == [RequestVoteResponse("B", "A", 5, True)]
