"""A TimeoutNow of an earlier term arrives late and starts nothing.

A's transfer to C came to nothing, and B leads by now, or nobody does: the term has gone on either way.
"""

from rafty_core import RequestVote, TimeoutNow, TransferLeadership
from tests.scenarios.story import Story


def test_timeout_now_of_an_earlier_term() -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    story.step("A", TransferLeadership("t", "C"))
    (late,) = story.drop(TimeoutNow)
    story.drop()
    story.elect("B", "ABC")
    story.step("C", late)
    assert (story["C"].status.role, story["C"].status.term) == ("follower", 2)
    story.step("C", RequestVote("A", "C", 3, 9, 2, True))  # a term that has no leader yet
    story.step("C", late)
    assert (story["C"].status.role, story["C"].status.term) == ("follower", 3)


def test_timeout_now_twice_starts_one_election() -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    message = TimeoutNow("A", "C", 1)
    story.step("C", message)
    story.step("C", message)
    assert (story["C"].status.role, story["C"].status.term) == ("candidate", 2)
    story.settle("ABC")
    story.step("C", message)
    assert (story["C"].status.role, story["C"].status.term) == ("leader", 2)
