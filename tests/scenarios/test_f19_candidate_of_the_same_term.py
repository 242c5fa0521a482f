"""Two nodes of three are alive, and the one that cannot win is a candidate already.

C stands in term 5 with the shorter log, and has voted for itself. A, the only one that can be elected, asks in term 5
whether it would win. C must answer, so that A learns of the term and asks for the next one.
"""

from rafty_core import Campaign, PreVote, PreVoteResponse
from tests.scenarios.story import Story


def test_candidate_answers_the_pre_vote_of_a_longer_log() -> None:
    story = Story("ABC", logs={"A": [4, 4], "B": [4], "C": [4]})
    story.wait(1.0)
    story.step("C", Campaign())
    story.step("C", PreVoteResponse("B", "C", 4, 5, True))
    story.persist("C")
    story.drop()
    assert (story["C"].status.role, story["C"].status.term) == ("candidate", 5)
    story.step("A", Campaign())
    assert story.deliver(PreVote, to="C") == 1
    assert [answer.term for answer in story.sent(PreVoteResponse, to="A")] == [5]
    story.elect("A", "AC")
    assert story["C"].status.leader == "A"
