"""What may still be applied is never reported as failed.

B forwards a proposal to A, which appends it; A's answer is lost. When B stops waiting it does not know what became of
the proposal, and says so. In fact it is applied.
"""

import pytest

from rafty_core import ForwardedProposal, ForwardedProposalResponse, NotApplied, OutcomeUnknown
from tests.scenarios.story import Story


def test_forwarded_proposal_without_an_answer_is_unknown() -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    story.propose("B", b"x", token="x")
    assert story["B"].raft.deadline == pytest.approx(story.now + 5.0)
    story.deliver(ForwardedProposal)
    for _ in range(5):
        story.persist("A")
        story.apply("A")
        story.drop(ForwardedProposalResponse)
        story.deliver()
        story.persist("B")
        story.persist("C")
    assert (story["A"].applied, story["B"].answers) == ([b"x"], [])
    story.wait(5.0, "B")
    assert isinstance(story["B"].answer("x").error, OutcomeUnknown)
    assert not isinstance(story["B"].answer("x").error, NotApplied)


def test_leader_that_was_restarted_cannot_say_that_it_refused() -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    story.propose("B", b"x", token="x")
    (forwarded,) = story.sent(ForwardedProposal)
    story.deliver(ForwardedProposal)
    story.drop()
    story.crash("A")
    story.step("A", forwarded)
    story.deliver(ForwardedProposalResponse)
    assert isinstance(story["B"].answer("x").error, OutcomeUnknown)


def test_proposal_of_a_leader_that_steps_down_stays_open() -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    story.propose("A", b"x", token="x")
    story.wait(1.0, "A")
    assert (story["A"].status.role, story["A"].answers, story["A"].status.pending_proposals) == ("follower", [], 1)


def test_word_of_a_deposed_leader_is_waited_for_a_short_time() -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    story.propose("B", b"x", token="x")
    story.drop()
    story.elect("C", "BC")
    story.wait(0.05, "B")
    assert story["B"].answers == []
    story.wait(0.6, "B")
    assert isinstance(story["B"].answer("x").error, OutcomeUnknown)
