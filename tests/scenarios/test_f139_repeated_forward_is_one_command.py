"""A forwarded proposal that the network delivers twice is appended once.

Nobody retried anything: the message from B to A was repeated on the way, once at once and once after the answer.
"""

from rafty_core import ForwardedProposal, ForwardedProposalResponse
from tests.scenarios.story import Story


def test_command_is_applied_once_however_often_it_arrives() -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    story.propose("B", b"x", token="x")
    (forwarded,) = story.drop(ForwardedProposal)
    story.step("A", forwarded, forwarded)
    story.settle("ABC")
    story.step("A", forwarded)
    assert story.sent(ForwardedProposalResponse) == []
    story.settle("ABC")
    assert story["A"].applied == [b"x"]
    assert story["B"].answer("x").results == [b"xx"]


def test_request_that_was_refused_is_not_accepted_later() -> None:
    story = Story("ABC", settings={"max_pending_proposals": 1})
    story.elect("A", "ABC")
    story.propose("A", b"first")
    story.propose("B", b"x", token="x")
    (forwarded,) = story.drop(ForwardedProposal)
    story.step("A", forwarded)
    story.settle("ABC")
    story.step("A", forwarded)
    story.settle("ABC")
    assert story["A"].applied == [b"first"]
