"""A voter that was restarted may have promised, by answering a heartbeat, not to vote yet; and it has forgotten that.

A leads and serves reads on the strength of B's answers. B restarts at once and is asked by C for its vote. B gives
none, and asks for none, until one minimal election timeout has passed.
"""

import pytest

from rafty_core import (
    Campaign,
    ChangeMembership,
    Lease,
    PreVote,
    PreVoteResponse,
    RequestVote,
    RequestVoteResponse,
    TimeoutNow,
)
from tests.scenarios.story import Story


def test_restarted_voter_grants_nothing_for_an_election_timeout() -> None:
    story = Story("ABC", terms={"": 4})
    story.now = 10.0
    story.crash("B")
    story.now = 10.4
    story.step("B", PreVote("C", "B", 5, 0, 0), RequestVote("C", "B", 5, 0, 0), RequestVote("C", "B", 4, 0, 0))
    story.step("B", Campaign())
    story.persist("B")
    assert [answer.vote_granted for answer in story.sent(PreVoteResponse)] == [False]
    assert story.sent(RequestVoteResponse) == []
    assert (story["B"].status.term, story["B"].status.vote, story["B"].status.role) == (4, None, "follower")
    story.now = 10.5
    story.step("B", RequestVote("C", "B", 5, 0, 0))
    story.persist("B")
    assert story.sent(RequestVoteResponse) == [RequestVoteResponse("B", "C", 5, True)]


def test_new_node_need_not_wait() -> None:
    story = Story("ABC")
    story.step("B", RequestVote("C", "B", 1, 0, 0))
    assert story["B"].status.vote == "C"


@pytest.mark.parametrize(("lease", "wait"), [(0.2, 0.5), (2.0, 2.0)])
def test_restarted_voter_waits_for_as_long_as_the_longer_of_timeout_and_lease(lease: float, wait: float) -> None:
    story = Story("ABC", terms={"": 4}, lease=Lease(lease, 0.0))
    story.now = 10.0
    story.crash("B")
    story.now = 10.0 + wait - 0.01
    story.step("B", PreVote("C", "B", 5, 0, 0), RequestVote("C", "B", 5, 0, 0), Campaign(), TimeoutNow("C", "B", 4))
    story.persist("B")
    assert [answer.vote_granted for answer in story.sent(PreVoteResponse)] == [False]
    assert (story["B"].status.term, story["B"].status.vote, story["B"].status.role) == (4, None, "follower")
    story.now = 10.0 + wait
    story.step("B", RequestVote("A", "B", 5, 0, 0))
    assert story["B"].status.vote == "A"


def test_lease_that_stands_in_the_log_binds_a_restarted_voter() -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    story.step("A", ChangeMembership("lease", [], lease=Lease(2.0, 0.0)))
    story.settle("ABC")
    story.crash("B")
    story.wait(1.9)
    story.step("B", RequestVote("C", "B", 5, 9, 1))
    assert story["B"].status.vote == "A"
    story.wait(0.2)
    story.step("B", RequestVote("C", "B", 5, 9, 1))
    assert story["B"].status.vote == "C"
