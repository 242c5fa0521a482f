"""Every read is answered, once, whatever is lost, whoever leads: confirmed, or refused with the reason.

Nobody leads; the leader cannot say; the question or the answer is lost; the leader changes or steps down; too many
wait. Time passes, and no token is left without its answer.
"""

import pytest

from rafty_core import (
    AppendEntries,
    Heartbeat,
    HeartbeatResponse,
    NotLeader,
    Overloaded,
    Read,
    ReadAnswer,
    ReadIndexRequest,
    ReadIndexResponse,
)
from tests.scenarios.story import Story


def led(**settings: int) -> Story:
    story = Story("ABC", settings=settings)
    story.elect("A", "ABC")
    return story


def test_read_without_a_leader_is_refused_at_once() -> None:
    story = Story("ABC")
    (answer,) = story.step("B", Read("read")).answers
    assert isinstance(answer.error, NotLeader)
    assert str(answer.error) == "no leader is known that could confirm a read"


@pytest.mark.parametrize("lost", [ReadIndexRequest, ReadIndexResponse])
def test_lost_question_or_answer_is_repeated(lost: type) -> None:
    story = led()
    story.step("B", Read("read"))
    story.deliver(ReadIndexRequest if lost is ReadIndexResponse else AppendEntries)
    story.deliver(Heartbeat)
    story.deliver(HeartbeatResponse)
    assert story.drop(lost)
    for _ in range(6):
        story.settle("ABC")
        story.wait(0.1, "A", "B")
        assert story["B"].raft.deadline > story.now
    story.settle("ABC")
    assert story["B"].answer("read") == ReadAnswer("read", 1)


def test_read_whose_leader_never_answers_is_refused_in_time() -> None:
    story = led()
    story.step("B", Read("read"))
    for _ in range(60):
        story.wait(0.1, "A", "B")
        story.deliver(Heartbeat)
        story.deliver(HeartbeatResponse)
        story.drop()
        assert story["B"].raft.deadline > story.now
    assert isinstance(story["B"].answer("read").error, NotLeader)
    assert story["B"].answer("read").error.leader == "A"
    assert story["B"].status.pending_reads == 0


def test_who_does_not_lead_says_so() -> None:
    story = led()
    output = story.step("C", ReadIndexRequest("B", "C", 1, 1, 7, False))
    assert output.messages == [ReadIndexResponse("C", "B", 1, 1, 7, 0)]
    story.step("B", Read("read"))
    (request,) = story.drop(ReadIndexRequest)
    assert isinstance(request, ReadIndexRequest)
    story.step("B", ReadIndexResponse("A", "B", 1, 1, request.sequence, 0))
    assert (
        str(story["B"].answer("read").error)
        == "A does not lead, has too many reads to confirm, or could not confirm these in time"
    )
    assert story.step("B", ReadIndexResponse("A", "B", 1, 1, request.sequence, 5)).answers == []


def test_answer_of_somebody_else_is_not_taken() -> None:
    story = led()
    story.step("B", Read("read"))
    (request,) = story.drop(ReadIndexRequest)
    assert isinstance(request, ReadIndexRequest)
    story.step("B", ReadIndexResponse("C", "B", 1, 1, request.sequence, 1))
    assert story["B"].answers == []


def test_reads_follow_a_change_of_leader() -> None:
    story = led()
    story.step("B", Read("of a follower"))
    story.step("A", Read("of the leader"))
    story.drop()
    story.elect("C", "BC")
    assert isinstance(story["B"].answer("of a follower").error, NotLeader) or story["B"].answer("of a follower").index
    story.step("A", AppendEntries("C", "A", story["C"].status.term, 1, 1, 1))
    story.wait(0.1, "C")
    story.settle("ABC")
    assert story["A"].answer("of the leader").error is None
    assert story["A"].answer("of the leader").index >= 1


def test_deposed_leader_refuses_what_it_cannot_hand_on() -> None:
    story = led()
    story.step("A", Read("begun"), Read("begun too"))
    story.drop()
    story.step("A", Read("waiting"))
    story.wait(1.0, "A")
    assert story["A"].status.role == "follower"
    assert [answer.token for answer in story["A"].answers] == ["begun", "begun too", "waiting"]
    assert all(isinstance(answer.error, NotLeader) for answer in story["A"].answers)
    assert story["A"].status.pending_reads == 0


def test_reads_asked_of_a_leader_are_confirmed_by_this_node_when_it_leads() -> None:
    story = led()
    story.step("B", Read("read"))
    story.drop()
    story.elect("B", "BC")
    for _ in range(8):
        story.wait(0.1, "B")
        story.settle("BC")
        assert story["B"].raft.deadline > story.now
    assert story["B"].answer("read") is not None
    assert story["B"].status.pending_reads == 0


def test_reads_of_a_follower_travel_together_and_later_ones_wait() -> None:
    story = led()
    story.step("B", Read(1), Read(2))
    story.step("B", Read(3), Read(4))
    assert len(story.sent(ReadIndexRequest)) == 1
    story.settle("ABC")
    assert [answer.token for answer in story["B"].answers] == [1, 2, 3, 4]
    assert {answer.error for answer in story["B"].answers} == {None}


def test_bound_refuses_and_forgets_nobody() -> None:
    story = led(max_pending_reads=3)
    output = story.step("A", Read(1), ReadIndexRequest("B", "A", 1, 1, 1, False), Read(2), Read(3))
    assert [answer.token for answer in output.answers] == [3]
    assert isinstance(story["A"].answer(3).error, Overloaded)
    assert str(story["A"].answer(3).error) == "3 reads are waiting already"
    output = story.step("A", ReadIndexRequest("C", "A", 1, 1, 1, False))
    assert output.messages == [ReadIndexResponse("A", "C", 1, 1, 1, 0)]
    story.settle("ABC")
    assert sorted(answer.token for answer in story["A"].answers) == [1, 2, 3]
    assert story.step("A", Read(4)).answers == []
