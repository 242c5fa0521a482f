"""Within its term a vote is never forgotten, whatever a node becomes.

B voted for A in term 5, hears A's heartbeat, loses sight of A and is asked by C, still in term 5. A vote cleared by
the heartbeat would be given twice.
"""

from rafty_core import Heartbeat, RequestVote, RequestVoteResponse
from tests.scenarios.story import Story


def test_heartbeat_of_the_same_term_does_not_free_the_vote() -> None:
    story = Story("ABC", terms={"": 4})
    story.now = 1.0
    story.step("B", RequestVote("A", "B", 5, 0, 0))
    story.persist("B")
    story.drop()
    story.step("B", Heartbeat("A", "B", 5, 0, 1))
    story.wait(1.0)
    story.step("B", RequestVote("C", "B", 5, 9, 5))
    story.persist("B")
    assert story["B"].status.vote == "A"
    assert story.sent(RequestVoteResponse) == [RequestVoteResponse("B", "C", 5, False)]


def test_candidate_that_gives_way_to_a_leader_keeps_its_own_vote() -> None:
    story = Story("ABC", terms={"": 4})
    story.now = 1.0
    story.elect("B", "ABC", settle=False)
    story.wait(1.0, "B")  # nobody answers, so it steps down
    assert (story["B"].status.role, story["B"].status.vote) == ("follower", "B")
    story.drop()
    story.step("B", RequestVote("C", "B", 5, 9, 5))
    story.persist("B")
    assert story.sent(RequestVoteResponse) == [RequestVoteResponse("B", "C", 5, False)]
