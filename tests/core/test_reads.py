"""Reads by read index, by lease, and at least at an index."""

from rafty_core import (
    Campaign,
    ChangeMembership,
    Heartbeat,
    HeartbeatResponse,
    Lease,
    Read,
    ReadAnswer,
    ReadIndexRequest,
    ReadIndexResponse,
    TransferLeadership,
)
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


def test_read_at_least_asks_nobody() -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    output = story.step("B", Read("now", "at_least", 1), Read("later", "at_least", 2))
    assert (output.answers, output.messages) == ([ReadAnswer("now", 1)], [])
    story.propose("A", b"x")
    story.settle("ABC")
    assert story["B"].answer("later") == ReadAnswer("later", 2)


def test_reads_are_answered_in_the_order_of_their_indexes() -> None:
    story = Story("ABC")
    story.step("B", *(Read(index, "at_least", index) for index in (3, 1, 2)))
    story.elect("A", "ABC")
    for number in range(2):
        story.propose("A", b"%d" % number)
        story.settle("ABC")
    assert [answer.token for answer in story["B"].answers] == [1, 2, 3]


def test_lease_of_the_leader_is_good_enough_for_a_follower_that_says_so() -> None:
    story = Story("ABC", lease=Lease(0.4, 0.0))
    story.elect("A", "ABC")
    story.wait(0.1, "A")
    story.settle("ABC")
    output = story.step("A", ReadIndexRequest("B", "A", 1, 1, 1, True))
    assert output.messages == [ReadIndexResponse("A", "B", 1, 1, 1, 1)]
    output = story.step("A", ReadIndexRequest("B", "A", 1, 1, 2, False))
    assert [type(message) for message in output.messages] == [Heartbeat, Heartbeat]
    story.drop()
    story.step("B", Read(1, "lease"))
    story.step("C", Read(2, "lease"), Read(3))
    assert [request.lease for request in story.sent(ReadIndexRequest)] == [True, False]


def test_leader_that_has_handed_over_has_no_lease() -> None:
    story = Story("ABC", lease=Lease(0.4, 0.0))
    story.elect("A", "ABC")
    story.wait(0.1, "A")
    story.settle("ABC")
    story.step("A", TransferLeadership("t", "B", 0.05))
    story.drop()
    story.wait(0.06, "A")
    assert story["A"].status.transferring_to is None
    assert story.step("A", Read("read", "lease")).answers == []


def test_expired_reads_leave_nothing_behind() -> None:
    story = Story("ABC")
    for token in range(100):
        story.step("B", Read(token, "at_least", 1000 - token))
    story.wait(3.0)
    story.step("B", Read("last", "at_least", 7))
    story.wait(2.5, "B")
    assert [answer.token for answer in story["B"].answers] == list(range(100))
    assert (story["B"].status.pending_reads, len(story["B"].raft._state.reads._by_index)) == (1, 1)
    story.wait(3.0, "B")
    assert story["B"].status.pending_reads == 0


def test_some_expired_reads_are_passed_over() -> None:
    story = Story("ABC")
    story.step("B", Read("old", "at_least", 1))
    story.wait(3.0)
    story.step("B", Read("new", "at_least", 1), Read("newer", "at_least", 2))
    story.wait(2.5, "B")
    assert [answer.token for answer in story["B"].answers] == ["old"]
    story.elect("A", "ABC")
    assert [answer.token for answer in story["B"].answers] == ["old", "new"]
