"""A voter that was restarted may have promised, by answering a heartbeat, not to vote yet; and it has forgotten that.

A leads and serves reads on the strength of B's answers. B restarts at once and is asked by C for its vote. B gives
none, and asks for none, until one minimal election timeout has passed.
"""

from rafty_core import Campaign, PreVote, PreVoteResponse, RequestVote, RequestVoteResponse
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
