"""Reads that begin later see what was committed later, though they are confirmed by the same answer.

The first read's round is lost. Then entry 2 is committed, and a second read comes. One answer confirms both rounds; the
second read waits for entry 2, which is not applied yet, and the first does not.
"""

from rafty_core import Heartbeat, HeartbeatResponse, Read
from tests.scenarios.story import Story


def test_reads_of_different_times_have_different_indexes() -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    story.step("A", Read("first"))
    story.drop(Heartbeat)
    story.propose("A", b"x")
    story.settle("ABC", apply=False)
    assert (story["A"].status.commit_index, story["A"].status.applied_index) == (2, 1)
    story.step("A", Read("second"))
    assert story.sent(Heartbeat) == []
    story.wait(0.1, "A")
    story.deliver(Heartbeat)
    story.deliver(HeartbeatResponse)
    assert [answer.token for answer in story["A"].answers] == ["first"]
    story.apply("A")
    assert story["A"].answer("second").index == 2


def test_read_does_not_join_a_round_that_has_begun() -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    story.step("A", Read("first"))
    story.step("A", Read("second"))
    assert len(story.sent(Heartbeat)) == 2
    story.deliver(Heartbeat)
    story.step("A", story.drop(HeartbeatResponse)[0])
    assert [answer.token for answer in story["A"].answers] == ["first"]
