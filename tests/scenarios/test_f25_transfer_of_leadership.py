"""Leadership is handed over: too early, to nobody, for ever, or against an older log (faults F25 a to f)."""

import pytest

from rafty_core import (
    AppendEntries,
    NotApplied,
    PreVote,
    RequestVote,
    RequestVoteResponse,
    TimeoutNow,
    TransferAnswer,
    TransferFailed,
    TransferLeadership,
)
from tests.scenarios.story import Story


def led_by_a(names: str = "ABC", learners: str = "") -> Story:
    story = Story(names, learners=learners)
    story.elect("A", names + learners)
    return story


def test_a_target_is_told_only_when_it_has_all_of_the_log() -> None:
    story = led_by_a()
    story.propose("A", b"x")
    lost = story.drop(AppendEntries, to="C")
    for token in "tu":
        story.step("A", TransferLeadership(token, "C", 5.0))
        assert story.sent(TimeoutNow) == []
        story.wait(0.1, "A")
        assert story.sent(TimeoutNow) == []
        story.settle("AB")
    assert story["A"].status.transferring_to == "C"
    story.air.extend(lost)
    story.until(lambda: bool(story.sent(TimeoutNow)), "ABC")
    story.settle("ABC")
    assert story["C"].status.role == "leader"


def test_b_leader_that_was_deposed_while_handing_over_takes_proposals_when_it_leads_again() -> None:
    story = led_by_a()
    story.step("A", TransferLeadership("t", "C", 100.0))
    story.drop()
    story.elect("B", "ABC")
    assert isinstance(story["A"].answer("t").error, TransferFailed)
    story.elect("A", "ABC")
    story.propose("A", b"x", token="x")
    story.step("A", TransferLeadership("again", "C", 100.0))
    story.settle("ABC")
    assert story["A"].answer("x").error is None
    assert story["A"].answer("again") == TransferAnswer("again", "C")


def test_c_target_that_cannot_lead_is_refused() -> None:
    story = led_by_a(learners="L")
    for target in "LX":
        story.step("A", TransferLeadership(target, target))
        assert f"{target} is no voter" in str(story["A"].answer(target).error)
    story.propose("A", b"x", token="x")
    story.settle("ABC")
    assert story["A"].answer("x").error is None


@pytest.mark.parametrize("kind", ["remove", "add_learner"])
def test_c_target_that_is_about_to_be_removed_or_demoted_is_refused(kind: str) -> None:
    story = led_by_a()
    story.change("A", (kind, "C"))
    story.step("A", TransferLeadership("t", "C", 100.0))
    assert "C is no voter" in str(story["A"].answer("t").error)
    story.settle("ABC")
    assert story["A"].status.configuration.voter_ids == ("A", "B")


def test_c_members_do_not_change_while_leadership_is_handed_over() -> None:
    story = led_by_a()
    story.step("A", TransferLeadership("t", "C"))
    story.change("A", ("remove", "C"))
    assert story["A"].answer("change").error.reason == "transfer"


def test_d_transfer_ends_after_its_time() -> None:
    story = led_by_a()
    story.step("A", TransferLeadership("t", "C"))
    assert isinstance(story.propose("A", b"x", token="x").answers[0].error, NotApplied)
    for _ in range(6):
        story.drop(TimeoutNow)
        story.wait(0.1, "A")
        story.drop(TimeoutNow)
        story.settle("ABC")
    assert isinstance(story["A"].answer("t").error, TransferFailed)
    story.propose("A", b"y", token="y")
    story.settle("ABC")
    assert story["A"].answer("y").error is None


def test_e_target_asks_for_votes_at_once_while_all_hear_the_leader() -> None:
    story = led_by_a()
    story.wait(0.1, "A")
    story.settle("ABC")
    story.step("A", TransferLeadership("t", "C"))
    story.deliver(TimeoutNow)
    story.persist("C")
    assert story.sent(PreVote) == []
    story.wait(0.1, "A")  # one more round of heartbeats, which must not call the target back
    story.deliver(sender="A")
    story.settle("BC")
    assert story["C"].status.role == "leader"


def test_f_voters_still_look_at_the_log() -> None:
    story = led_by_a()
    story.propose("A", b"x")
    story.settle("AB")
    output = story.step("B", RequestVote("C", "B", 2, 1, 1, True))
    assert output.messages == [RequestVoteResponse("B", "C", 2, False)]
