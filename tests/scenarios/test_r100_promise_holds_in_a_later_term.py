"""Who heard a leader a moment ago votes for nobody, also when it has learned of a later term meanwhile.

C won a pre-vote while A was silent, and its request for B's vote is late. A is heard again, and by B's answer its lease
holds. Then B learns C's term from an answer to an old question, so that the late request is of B's own term: no rule
about terms keeps it away. If B voted now, C would lead and commit while A still serves reads from its lease.
"""

from rafty_core import Campaign, Heartbeat, HeartbeatResponse, Lease, PreVote, PreVoteResponse, Read, RequestVote
from tests.scenarios.story import Story


def late_request() -> Story:
    """A leads and holds a lease by B; B has come to C's term; C's request for its vote is in the air."""
    story = Story("ABC", lease=Lease(0.5, 0.0))
    story.step("B", Campaign())
    old = story.drop(PreVote, "B", "C")
    story.air.clear()
    story.elect("A", "ABC")
    story.wait(0.1, "A")
    story.deliver(Heartbeat)
    answers = story.drop(HeartbeatResponse)
    story.wait(0.35, "A")
    story.air = list(answers)
    story.deliver()  # late: A goes on, for it has just heard both
    story.air.clear()
    story.wait(0.2)
    story.step("C", Campaign())
    story.deliver(PreVote, to="B")
    story.deliver(PreVoteResponse, to="C")
    story.drop(PreVote)
    story.persist("C")
    assert len(story.sent(RequestVote, "C", "B")) == 1
    story.step("A")
    story.deliver(Heartbeat, to="B")
    story.deliver(HeartbeatResponse, to="A")
    story.air.extend(old)
    story.deliver(PreVote, to="C")
    story.deliver(PreVoteResponse, "C", "B")
    assert story["B"].status.term == story["C"].status.term == 2
    return story


def test_r100_no_vote_within_the_term_of_the_request() -> None:
    story = late_request()
    story.step("A", Read("lease", mode="lease"))
    assert story["A"].answer("lease").error is None
    story.drop(to="A")
    story.settle("BC")
    assert story["C"].status.role != "leader"
    assert story["B"].status.vote is None


def test_r100_vote_when_the_promise_is_over() -> None:
    story = late_request()
    story.wait(0.5, "B")
    story.settle("BC")
    assert story["C"].status.role == "leader"
