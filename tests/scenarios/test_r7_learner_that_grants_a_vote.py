"""A learner may grant a vote (its configuration may be behind), but never stands for election itself.

Granting restarts the election timer; a learner has none, and that gave it one. It campaigned, and won. Found by review.
"""

from rafty_core import RequestVote
from tests.scenarios.story import Story


def test_learner_does_not_campaign_after_it_granted_a_vote() -> None:
    story = Story("ABC", learners="L", terms=dict.fromkeys("ABCL", 1), settings={"election_timeout": 0.5})
    story.wait(5.0)
    story.step("L", RequestVote("A", "L", 2, 9, 1))
    story.persist("L")
    story.wait(5000.0, "L")
    assert story["L"].status.vote == "A"
    assert story["L"].status.role == "follower"
    assert story["L"].raft.deadline == float("inf")
