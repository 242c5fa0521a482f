"""A node answers what comes too late from an earlier term with the term that it is in, and with nothing else.

A leads term 1, is deposed, and leads a later term. Its heartbeats of term 1 are still on their way; whoever gets one by
then tells of the later term. The number of a round of term 1, echoed in that answer, would pass for an answer to a
round of the later term: A would serve reads, and count its lease, without any majority. Likewise the index of an append
that was refused, and that of a snapshot. Found by the simulator, which saw an answer to a round that had not begun.
"""

import pytest

from rafty_core import (
    AppendEntries,
    AppendEntriesResponse,
    Heartbeat,
    HeartbeatResponse,
    InstallSnapshot,
    InstallSnapshotResponse,
    Message,
    Read,
    TimeoutNow,
)
from tests.scenarios.story import Story


def test_late_heartbeat_of_an_earlier_term_confirms_no_read() -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    for _ in range(5):
        story.wait(0.1, "A")
    beats = [message for message in story.drop(Heartbeat, to="B") if isinstance(message, Heartbeat)]
    late = next(beat for beat in beats if beat.round == 3)
    story.wait(2, *"BC")
    story.elect("B", "BC")
    story.wait(0.1, "B")
    story.settle("ABC")
    story.step("A", TimeoutNow("B", "A", story["A"].status.term))
    story.persist("A")
    story.settle("ABC")
    assert story["A"].status.role == "leader"
    answers = story.step("B", late).messages
    assert answers == [HeartbeatResponse("B", "A", story["B"].status.term, 0)]
    story.drop()
    for _ in range(5):
        story.step("A", Read("stale"))
        story.wait(0.01, "A")
    story.drop()
    story.step("A", *answers)
    assert story["A"].answers == []


@pytest.mark.parametrize(
    ("late", "answer"),
    [
        (AppendEntries("A", "B", 1, 7, 1, 0, None), AppendEntriesResponse("B", "A", 2, False, 0)),
        (Heartbeat("A", "B", 1, 0, 9), HeartbeatResponse("B", "A", 2, 0)),
    ],
)
def test_answer_to_an_earlier_term_says_nothing_but_the_term(late: Message, answer: Message) -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    story.wait(2, *"BC")
    story.elect("B", "BC")
    assert story.step("B", late).messages == [answer]


def test_answer_to_a_snapshot_of_an_earlier_term_fails_no_later_one() -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    story.wait(2, *"BC")
    story.elect("B", "BC")
    late = InstallSnapshot("A", "B", 1, 9, 1, story["B"].raft.committed_configuration)
    assert story.step("B", late).messages == [InstallSnapshotResponse("B", "A", 2, 0)]
