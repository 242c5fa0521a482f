"""A vote is for one term, and worthless in the next.

A campaigns in term 5; B's answer is slow. A gives up and campaigns again, in term 6, and now the vote of term 5
arrives. In term 6 B may have voted for C.
"""

from rafty_core import Campaign, PreVote, PreVoteResponse, RequestVote, RequestVoteResponse
from tests.scenarios.story import Story


def test_late_vote_does_not_elect_the_candidate_of_the_next_term() -> None:
    story = Story("ABC", terms={"": 4})
    story.now = 1.0
    for term in (5, 6):
        story.step("A", Campaign())
        story.deliver(PreVote)
        story.deliver(PreVoteResponse)
        story.persist("A")
        assert (story["A"].status.role, story["A"].status.term) == ("candidate", term)
        story.deliver(RequestVote)
        story.persist("B")
        story.persist("C")
    late = [vote for vote in story.sent(RequestVoteResponse) if vote.term == 5]
    assert [vote.vote_granted for vote in late] == [True, True]
    story.step("A", *late)
    assert story["A"].status.role == "candidate"
    story.deliver(RequestVoteResponse)
    assert story["A"].status.role == "leader"
