"""A vote binds for its own term only.

B voted for A in term 4. In term 5 its vote is free again; if it still counted as given, a cluster full of stale votes
could elect nobody.
"""

from rafty_core import Heartbeat, RequestVote
from tests.scenarios.story import Story


def test_voter_of_an_old_term_votes_for_another_node_in_the_next() -> None:
    story = Story("ABC", terms={"": 3})
    story.now = 1.0
    story.step("B", RequestVote("A", "B", 4, 0, 0))
    assert story["B"].status.vote == "A"
    story.step("B", RequestVote("C", "B", 5, 0, 0))
    assert (story["B"].status.term, story["B"].status.vote) == (5, "C")


def test_new_term_of_a_leader_begins_without_a_vote() -> None:
    story = Story("ABC", terms={"": 3})
    story.now = 1.0
    story.step("B", RequestVote("A", "B", 4, 0, 0))
    story.step("B", Heartbeat("C", "B", 5, 0, 1))
    assert (story["B"].status.term, story["B"].status.vote) == (5, None)
