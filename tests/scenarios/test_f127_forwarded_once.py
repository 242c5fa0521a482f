"""A proposal is forwarded once; who is asked and does not lead says so.

B believes that C leads, and C believes that B does. Each forwarding to the other, they would pass one proposal to and
fro for ever.
"""

from rafty_core import ForwardedProposal, ForwardedProposalResponse, Heartbeat, NotLeader
from tests.scenarios.story import Story


def test_two_nodes_with_stale_leaders_do_not_pass_a_proposal_around() -> None:
    story = Story("ABC", terms={"": 4})
    story.step("B", Heartbeat("C", "B", 5, 0, 1))
    story.step("C", Heartbeat("B", "C", 6, 0, 1))
    story.drop()
    story.propose("B", b"x", token="x")
    forwarded = 0
    for _ in range(10):
        forwarded += len(story.sent(ForwardedProposal))
        story.deliver()
    assert forwarded == 1
    error = story["B"].answer("x").error
    assert isinstance(error, NotLeader)
    assert error.leader == "B"
    assert story.sent(ForwardedProposalResponse) == []


def test_leader_of_another_term_refuses_what_was_not_meant_for_it() -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    story.propose("B", b"x", token="x")
    forwarded = story.drop(ForwardedProposal)
    story.elect("C", "AC")
    story.elect("A", "AC")
    story.step("A", *forwarded)
    story.deliver(ForwardedProposalResponse)
    assert isinstance(story["B"].answer("x").error, NotLeader)
    assert b"x" not in story["A"].applied
