"""A leader that has asked another to take over serves no read from its lease in that term: the request may be late.

A's transfer to C ends without success, and A goes on. The request reaches C long after; C passes over all stickiness,
wins and commits. A read from A's lease would then be stale.
"""

from rafty_core import Lease, Read, TimeoutNow, TransferFailed, TransferLeadership
from tests.scenarios.story import Story


def leased() -> Story:
    story = Story("ABC")
    story.elect("A", "ABC")
    story.change("A", lease=Lease(0.5, 0.0))
    story.beat("A", "ABC", 2)
    assert story["A"].answer("change").error is None
    return story


def test_lease_read_after_a_transfer_that_failed_asks_the_majority() -> None:
    story = leased()
    story.step("A", Read("before", mode="lease"))
    assert story["A"].answer("before").error is None
    story.step("A", TransferLeadership("t", "C"))
    late = story.drop(TimeoutNow)[:1]
    for _ in range(6):
        story.wait(0.1, "A")
        story.drop(TimeoutNow)
        story.settle("ABC")
    assert isinstance(story["A"].answer("t").error, TransferFailed)
    story.air.extend(late)
    story.deliver(TimeoutNow)
    story.settle("BC")
    story.propose("C", b"x")
    story.settle("BC")
    assert story["C"].applied == [b"x"]
    story.step("A", Read("after", mode="lease"))
    assert [answer.token for answer in story["A"].answers if answer.token == "after"] == []


def test_lease_holds_again_in_a_later_term() -> None:
    story = leased()
    story.step("A", TransferLeadership("t", "C"))
    story.settle("ABC")
    story.step("C", TransferLeadership("t", "A"))
    story.settle("ABC")
    assert story["A"].status.role == "leader"
    story.beat("A", "ABC", 2)
    story.step("A", Read("r", mode="lease"))
    assert story["A"].answer("r").error is None
