"""A read at a leader is refused in time, also where appends and their answers pass and no heartbeat does.

The acknowledgements keep the leader in office; but they say nothing of rounds, so that no read is ever confirmed.
"""

from rafty_core import Heartbeat, NotLeader, Read, ReadIndexRequest, ReadIndexResponse
from tests.scenarios.story import Story


def without_heartbeats(seconds: float) -> Story:
    story = Story("ABC")
    story.elect("A", "ABC")
    story.step("A", Read("read"))
    story.step("A", ReadIndexRequest("B", "A", 1, 1, 1, False))
    for number in range(round(seconds * 10)):
        story.wait(0.1, "A")
        story.propose("A", b"%d" % number)
        for _ in range(3):
            story.drop(Heartbeat)
            for name in "ABC":
                story.persist(name)
                story.apply(name)
            kept = story.drop(ReadIndexResponse)
            story.deliver()
            story.air.extend(kept)
    assert story["A"].status.role == "leader"
    return story


def test_r106_read_is_refused_in_time() -> None:
    story = without_heartbeats(5.2)
    assert isinstance(story["A"].answer("read").error, NotLeader)
    assert [message.read_index for message in story.sent(ReadIndexResponse, "A", "B")] == [0]
    assert story["A"].status.pending_reads == 0


def test_r106_read_is_not_refused_before() -> None:
    story = without_heartbeats(4.8)
    assert [answer for answer in story["A"].answers if answer.token == "read"] == []
    story.beat("A", "ABC", 1)
    assert story["A"].answer("read").error is None
