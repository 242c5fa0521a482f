"""A voter has one vote, however often the network delivers it.

Of five nodes only B votes for A. The network repeats B's answer; counted twice it would make A leader with two votes
of five, beside another leader with three.
"""

from rafty_core import Campaign, PreVote, PreVoteResponse, RequestVoteResponse
from tests.scenarios.story import Story


def candidate() -> Story:
    story = Story("ABCDE", terms={"": 4})
    story.now = 1.0
    story.step("A", Campaign())
    story.deliver(PreVote)
    story.deliver(PreVoteResponse)
    story.persist("A")
    return story


def test_vote_delivered_twice_is_one_vote() -> None:
    story = candidate()
    for _ in range(4):
        story.step("A", RequestVoteResponse("B", "A", 5, True))
    assert story["A"].status.role == "candidate"
    story.step("A", RequestVoteResponse("C", "A", 5, True))
    assert story["A"].status.role == "leader"


def test_pre_vote_delivered_twice_is_one_answer() -> None:
    story = Story("ABCDE", terms={"": 4})
    story.now = 1.0
    story.step("A", Campaign())
    for _ in range(4):
        story.step("A", PreVoteResponse("B", "A", 4, 5, True))
    assert story["A"].status.role == "pre_candidate"


def test_refusal_delivered_twice_is_one_refusal() -> None:
    story = candidate()
    for _ in range(4):
        story.step("A", RequestVoteResponse("B", "A", 5, False))
    assert story["A"].status.role == "candidate"
