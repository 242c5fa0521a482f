"""A confirmed read is answered when the state machine here has applied its index, not before.

At the leader, at a follower that is behind, and at one whose state comes from a snapshot.
"""

from rafty_core import Heartbeat, HeartbeatResponse, Read, ReadAnswer, ReadIndexRequest, ReadIndexResponse
from tests.scenarios.behind import begin_to_fetch, left_behind
from tests.scenarios.story import Story


def test_leader_waits_for_its_own_state_machine() -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    story.propose("A", b"x")
    story.settle("ABC", apply=False)
    story.step("A", Read("read"), Read("least", "at_least", 2), Read("any", "at_least", 1))
    story.deliver(Heartbeat)
    story.deliver(HeartbeatResponse)
    assert [answer.token for answer in story["A"].answers] == ["any"]
    story.apply("A")
    assert [answer.token for answer in story["A"].answers if isinstance(answer, ReadAnswer)] == ["any", "least", "read"]


def test_follower_waits_until_it_has_applied_what_its_leader_had_committed() -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    story.propose("A", b"x")
    story.settle("AC")
    story.step("B", Read("read"))
    story.deliver(ReadIndexRequest)
    story.deliver(Heartbeat, to="C")
    story.deliver(HeartbeatResponse)
    assert [answer.read_index for answer in story.sent(ReadIndexResponse)] == [2]
    story.deliver(ReadIndexResponse)
    assert story["B"].answers == []
    story.wait(0.1, "A")
    story.settle("ABC")
    assert story["B"].answers == [ReadAnswer("read", 2)]
    assert story["B"].applied == [b"x"]


def test_follower_that_is_restored_from_a_snapshot_answers_then() -> None:
    story = left_behind()
    begin_to_fetch(story)
    story.step("C", Read("read"))
    story.deliver(ReadIndexRequest)
    story.deliver(Heartbeat, to="B")
    story.deliver(HeartbeatResponse)
    story.deliver(ReadIndexResponse)
    story.receive_snapshot("C")
    story.persist("C")
    assert story["C"].answers == []
    story.apply("C")
    assert story["C"].answers == [ReadAnswer("read", 6)]
