"""An answer to a round that began before the read proves nothing, however late it comes or how often.

A may have been deposed and not know it; answers to its earlier rounds are still on their way, some of them twice.
Likewise an answer to an earlier question of a follower does not answer its later reads.
"""

from rafty_core import Heartbeat, HeartbeatResponse, Read, ReadIndexRequest, ReadIndexResponse
from tests.scenarios.story import Story


def test_answers_to_earlier_rounds_confirm_nothing() -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    story.step("A", Read("one"))
    story.deliver(Heartbeat)
    story.wait(0.1, "A")
    story.deliver(Heartbeat)
    echoes = story.drop(HeartbeatResponse)
    assert len(echoes) == 4
    story.step("A", Read("late"))
    story.step("A", *echoes, *echoes)
    assert [answer.token for answer in story["A"].answers] == ["one"]


def test_repeated_answer_is_counted_for_its_own_round_alone() -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    story.step("A", Read("one"))
    story.deliver(Heartbeat, to="B")
    (echo,) = story.sent(HeartbeatResponse)
    story.deliver(HeartbeatResponse)
    story.drop()
    story["A"].answer("one")
    story.step("A", Read("two"))
    story.step("A", echo, echo)
    assert [answer.token for answer in story["A"].answers] == ["one"]


def test_answer_to_an_earlier_question_does_not_answer_later_reads() -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    story.step("B", Read("one"))
    story.deliver(ReadIndexRequest)
    story.deliver(Heartbeat, to="C")
    story.deliver(HeartbeatResponse, sender="C")
    (late,) = story.drop(ReadIndexResponse)
    story.drop()
    story.propose("A", b"x")
    story.settle("AC")
    story.wait(0.3, "A")
    story.settle("ABC")
    story.wait(0.3, "A", "B")  # B asks again
    story.step("B", Read("two"))
    story.drop()
    story.step("B", late)
    assert story["B"].answers == []
    for _ in range(8):
        story.wait(0.1, *"AB")
        story.settle("ABC")
    assert [story["B"].answer(token).index for token in ("one", "two")] == [2, 2]
