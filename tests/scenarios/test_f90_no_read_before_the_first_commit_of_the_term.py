"""A new leader does not know yet what is committed, so it answers no read before an entry of its own term is.

A has committed and acknowledged entry 3; B holds it and thinks that 2 is the end. B is elected. A read of B's served at
its commit index would not see entry 3, though it was answered long before.
"""

import pytest

from rafty_core import ChangeMembership, Heartbeat, HeartbeatResponse, Lease, Read, ReadIndexRequest, ReadIndexResponse
from tests.scenarios.story import Story


def newly_elected() -> Story:
    story = Story("ABC")
    story.elect("A", "ABC")
    story.step("A", ChangeMembership("lease", [], lease=Lease(0.4, 0.0)))
    story.settle("ABC")
    story.propose("A", b"x", token="x")
    while story["A"].status.commit_index < 3:
        for name in "AB":
            story.persist(name)
        story.deliver()
        if story["A"].status.commit_index == 3:
            story.drop()
    story.apply("A")
    assert story["A"].answer("x").error is None
    assert story["B"].status.commit_index == 2
    story.elect("B", "BC", settle=False)
    return story


@pytest.mark.parametrize("mode", ["linearizable", "lease"])
def test_new_leader_waits_for_its_own_entry(mode: str) -> None:
    story = newly_elected()
    story.step("B", Read("read", mode), ReadIndexRequest("C", "B", 2, 1, 1, mode == "lease"))
    for _ in range(3):
        story.wait(0.1, "B")
        story.deliver(Heartbeat)
        story.deliver(HeartbeatResponse)
    assert story["B"].answers == []
    assert story.sent(ReadIndexResponse) == []
    story.settle("BC")
    assert story["B"].answer("read").index >= 3
    assert story["B"].applied[-1] == b"x"


def test_reads_that_can_never_be_confirmed_are_refused_in_time() -> None:
    story = newly_elected()
    story.step("B", Read("read"), ReadIndexRequest("C", "B", 2, 1, 1, False))
    for _ in range(51):  # C answers heartbeats, and its disk is too slow to acknowledge anything
        story.wait(0.1, "B")
        story.persist("B")
        story.deliver(Heartbeat)
        story.deliver(HeartbeatResponse)
    assert str(story["B"].answer("read").error) == "no entry of this term could be committed in time"
    assert ReadIndexResponse("B", "C", 2, 1, 1, 0) in story.sent(ReadIndexResponse)
