"""A voter of a lower term grants a pre-vote for a later one; its answer names its own, lower term and must count.

A stands at t5, B and C never heard of it. Both would vote for A in t6 and say so. Thrown away as stale, their answers
left A waiting for another election timeout. Found by review.
"""

from rafty_core import Campaign, PreVote, PreVoteResponse
from tests.scenarios.story import Story


def test_pre_vote_of_voters_behind_is_won() -> None:
    story = Story("ABC", terms={"A": 5, "B": 4, "C": 4})
    story.wait(1.0)
    story.step("A", Campaign())
    story.deliver(PreVote)
    story.deliver(PreVoteResponse)
    assert story["A"].status.role == "candidate"
    assert story["A"].status.term == 6
