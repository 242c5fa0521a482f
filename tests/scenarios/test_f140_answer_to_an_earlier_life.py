"""A request is named by its node, its boot and its number; an answer to an earlier life is for nobody.

B forwards its request 1, restarts, and forwards another request 1. The answer to the first, late, must not be taken
for the answer to the second; and the leader must not take the second for a repetition of the first.
"""

from rafty_core import (
    ForwardedProposal,
    ForwardedProposalResponse,
    Heartbeat,
    HeartbeatResponse,
    Read,
    ReadAnswer,
    ReadIndexRequest,
    ReadIndexResponse,
)
from tests.scenarios.story import Story


def restarted_after_a_request() -> Story:
    """B of boot 1 asked for `old`, which A has applied; B of boot 2 follows A; the answer is still in the air."""
    story = Story("ABC")
    story.elect("A", "ABC")
    story.propose("B", b"old", token="old")
    story.deliver(ForwardedProposal)
    for _ in range(4):
        for name in "ABC":
            story.persist(name)
            story.apply(name)
        for kind in {type(message) for message in story.air} - {ForwardedProposalResponse}:
            story.deliver(kind)
    (answer,) = story.sent(ForwardedProposalResponse)
    story.crash("B")
    story.wait(0.1, "A")
    story.settle("ABC")
    story.air.append(answer)
    return story


def test_late_answer_is_not_taken_for_the_new_request() -> None:
    story = restarted_after_a_request()
    story.propose("B", b"new", token="new")
    story.deliver(ForwardedProposalResponse)
    assert story["B"].answers == []
    story.settle("ABC")
    assert story["B"].answer("new").results == [b"newnew"]


def test_request_of_a_new_life_is_no_repetition() -> None:
    story = restarted_after_a_request()
    story.drop()
    story.propose("B", b"new", token="new")
    story.settle("ABC")
    assert story["A"].applied == [b"old", b"new"]


def test_late_answer_does_not_confirm_a_read_of_a_new_life() -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    story.step("B", Read("old"))
    story.deliver(ReadIndexRequest)
    story.deliver(Heartbeat, to="C")
    story.deliver(HeartbeatResponse)
    (late,) = story.drop(ReadIndexResponse)
    story.crash("B")
    story.wait(0.1, "A")
    story.settle("ABC")
    story.propose("A", b"x")
    story.settle("AC")
    story.step("B", Read("new"))
    story.step("B", late)
    story.wait(0.1, "A")
    assert story["B"].answers == []
    story.deliver(ReadIndexRequest)
    story.settle("ABC")
    assert story["B"].answers == [ReadAnswer("new", 2)]
