"""Leadership transfer: the target takes over as soon as its log is complete."""

from rafty_core import NotApplied, TimeoutNow, TransferAnswer, TransferFailed, TransferLeadership
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
