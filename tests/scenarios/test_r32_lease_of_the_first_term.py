"""A heartbeat's answer promises something only if the voter will remember after a restart that it may have promised.

The cluster was created with a lease. B answers the first leader's heartbeats before its disk holds the first term. It
is restarted, knows of no term and so of no promise, and votes at once for C, which has not heard A for long: so A may
not have counted on B. Found by review.
"""

from rafty_core import Campaign, Heartbeat, HeartbeatResponse, Lease, Read
from tests.scenarios.story import Story


def lease_answers(story: Story) -> bool:
    story.step("A", Read("read", "lease"))
    return any(answer.token == "read" for answer in story["A"].answers)


def test_voter_whose_disk_does_not_hold_the_term_gives_no_lease() -> None:
    story = Story("ABC", lease=Lease(0.5, 0.0))
    story.elect("A", "AC")
    story.drop()
    for _ in range(9):
        story.wait(0.1, "A")
        story.deliver(Heartbeat, to="B")
        story.deliver(HeartbeatResponse, sender="B")
        story.drop()
    assert story["B"].disk.term == 0
    story.crash("B")
    story.step("C", Campaign())
    story.settle("BC")
    assert story["C"].status.role == "leader"
    assert not lease_answers(story)


def test_voter_that_has_acknowledged_an_entry_gives_the_lease() -> None:
    story = Story("ABC", lease=Lease(0.5, 0.0))
    story.elect("A", "ABC")
    story.wait(0.1, "A")
    story.settle("AB")
    assert lease_answers(story)
    story.crash("B")
    story.wait(0.45)
    story.step("C", Campaign())
    story.settle("BC")
    assert story["C"].status.role != "leader"
