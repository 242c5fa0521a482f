"""Reads by read index, by lease, and at least at an index."""

from rafty_core import Campaign, ChangeMembership, Heartbeat, HeartbeatResponse, Lease, Read, ReadAnswer
from tests.scenarios.story import Chance, Story


def test_read_at_the_leader_waits_for_a_round_that_begins_after_it() -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    story.step("A", Read("r"))
    assert len(story.sent(Heartbeat)) == 2
    assert story["A"].answers == []
    story.deliver(Heartbeat, to="B")
    story.deliver(HeartbeatResponse, sender="B")
    assert story["A"].answers == [ReadAnswer("r", 1)]


def test_read_at_a_follower_asks_the_leader() -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    story.propose("A", b"x")
    story.settle("ABC")
    story.step("B", Read("one"), Read("two"))
    story.settle("ABC")
    assert story["B"].answers == [ReadAnswer("one", 2), ReadAnswer("two", 2)]


def test_lease_answers_at_once_where_the_configuration_has_one() -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    story.step("A", ChangeMembership("c", [], lease=Lease(0.4, 0.01)))
    story.settle("ABC")
    story.wait(0.1, "A")
    story.settle("ABC")
    story.step("A", Read("r", "lease"))
    assert story["A"].answer("r") == ReadAnswer("r", 2)
    story.now += 0.4
    story.step("A", Read("late", "lease"))
    assert not any(answer.token == "late" for answer in story["A"].answers)


def test_a_voter_that_promised_a_lease_does_not_stand_either_though_its_timeout_was_drawn_before() -> None:
    """B's timer was set to 0.5 s when there was no lease; the promise is 2 s, and A relies on it."""
    story = Story("ABC", chances={"B": Chance(0.0)})
    story.elect("A", "ABC")
    story.step("A", ChangeMembership("c", [], lease=Lease(2.0, 0.0)))
    story.settle("ABC")
    story.wait(0.1, "A")
    story.settle("ABC")
    story.wait(0.4, "A")
    story.settle("AC")
    story.wait(0.2, "B")
    assert story["B"].status.role == "follower"
    assert story["B"].raft.deadline > story.now
    story.step("B", Campaign())
    assert story["B"].status.role == "follower"
    story.step("A", Read("r", "lease"))
    assert story["A"].answer("r").error is None
    story.wait(1.5, "B")
    assert story["B"].status.role == "pre_candidate"
