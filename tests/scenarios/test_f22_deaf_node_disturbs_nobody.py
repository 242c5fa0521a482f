"""A node that can send and not hear campaigns for ever, and must be harmless.

C is deaf: no heartbeat reaches it, so it starts election after election. Its questions reach A, the leader, and B.
They must not grant it anything, and neither its term nor theirs may move.
"""

from rafty_core import Heartbeat, HeartbeatResponse, PreVote, PreVoteResponse, RequestVote
from tests.scenarios.story import Chance, Story


def test_leader_keeps_its_term_while_a_deaf_node_campaigns() -> None:
    story = Story("ABC", chances={"C": Chance(0.0)})
    story.elect("A", "ABC")
    term = story["A"].status.term
    for _ in range(40):
        story.wait(0.1, "A", "C")
        story.drop(to="C")
        story.deliver(Heartbeat)
        story.deliver(HeartbeatResponse)
        story.deliver(sender="C")
    assert {story[name].status.term for name in "ABC"} == {term}
    assert (story["A"].status.role, story["B"].status.leader) == ("leader", "A")
    assert story["C"].status.role == "pre_candidate"


def test_request_of_a_higher_term_is_not_looked_at_while_a_leader_is_heard() -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    for name in "AB":
        before = story[name].status
        assert story.step(name, RequestVote("C", name, 9, 9, 8)).messages == []
        assert story[name].status == before


def test_pre_vote_is_refused_while_a_leader_is_heard() -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    for name in "AB":
        story.step(name, PreVote("C", name, 2, 9, 1))
    assert [answer.vote_granted for answer in story.sent(PreVoteResponse, to="C")] == [False, False]
