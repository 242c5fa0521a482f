"""Leadership transfer: the target takes over as soon as its log is complete."""

import pytest

from rafty_core import (
    NotApplied,
    NotLeader,
    OutcomeUnknown,
    TimeoutNow,
    TransferAnswer,
    TransferFailed,
    TransferLeadership,
)
from tests.scenarios.story import Story


def test_leadership_goes_to_the_named_voter() -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    story.step("A", TransferLeadership("t", "C"))
    assert len(story.sent(TimeoutNow, to="C")) == 1
    assert isinstance(story.propose("A", b"x", token="p").answers[0].error, NotApplied)
    story.settle("ABC")
    assert story["C"].status.role == "leader"
    assert story["A"].answer("t") == TransferAnswer("t", "C")


def test_transfer_that_is_not_done_in_time_ends_and_proposals_go_on() -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    story.step("A", TransferLeadership("t", "C"))
    story.drop()
    story.wait(0.3, "A")
    story.settle("AB")
    story.wait(0.3, "A")
    assert isinstance(story["A"].answer("t").error, TransferFailed)
    story.propose("A", b"x")
    story.settle("AB")
    assert story["A"].applied == [b"x"]


def led_by_a(learners: str = "") -> Story:
    story = Story("ABC", learners=learners)
    story.elect("A", "ABC" + learners)
    return story


def test_transfer_asked_of_who_does_not_lead() -> None:
    story = led_by_a()
    story.step("B", TransferLeadership("t", "C"))
    answer = story["B"].answer("t")
    assert (type(answer.error), answer.leader) == (NotLeader, "A")


def test_transfer_to_the_leader_itself_is_done() -> None:
    story = led_by_a()
    story.step("A", TransferLeadership("t", "A"))
    assert story["A"].answer("t") == TransferAnswer("t", "A")


@pytest.mark.parametrize(
    ("target", "text"), [("X", "X is no voter"), ("L", "L is no voter"), ("C", "C has not been heard")]
)
def test_target_that_cannot_take_over_is_refused(target: str, text: str) -> None:
    story = led_by_a("L")
    story.beat("A", "ABL", 6)
    story.step("A", TransferLeadership("t", target))
    answer = story["A"].answer("t")
    assert (type(answer.error), answer.leader) == (TransferFailed, "A")
    assert text in str(answer.error)
    assert story["A"].status.transferring_to is None


def test_second_transfer_while_one_is_under_way_is_refused() -> None:
    story = led_by_a()
    story.step("A", TransferLeadership("one", "C"), TransferLeadership("two", "B"))
    assert "already" in str(story["A"].answer("two").error)
    story.settle("ABC")
    assert story["A"].answer("one").error is None


def test_most_up_to_date_is_chosen_when_nobody_is_named() -> None:
    story = led_by_a()
    story.propose("A", b"x")
    story.settle("AC")
    story.step("A", TransferLeadership("t"))
    story.settle("ABC")
    assert story["A"].answer("t") == TransferAnswer("t", "C")


def test_nobody_else_can_take_over_from_a_single_voter() -> None:
    story = Story("A", learners="L")
    story.elect("A", "AL")
    story.step("A", TransferLeadership("t"))
    assert "no other voter" in str(story["A"].answer("t").error)


def test_another_node_is_elected_instead() -> None:
    story = led_by_a()
    story.step("A", TransferLeadership("t", "C", 10.0))
    story.drop()
    story.elect("B", "ABC")
    answer = story["A"].answer("t")
    assert (type(answer.error), answer.leader) == (TransferFailed, "B")


def test_leader_that_is_alone_afterwards_cannot_tell_who_leads() -> None:
    story = led_by_a()
    story.step("A", TransferLeadership("t", "C", 1.0))
    story.drop()
    story.wait(0.9, "A")
    assert (story["A"].status.role, story["A"].answers) == ("follower", [])
    while not story["A"].answers:
        assert story["A"].raft.deadline <= story.now + 1.0
        story.wait(0.1, "A")
    assert story.now < 3.0
    assert isinstance(story["A"].answer("t").error, OutcomeUnknown)
