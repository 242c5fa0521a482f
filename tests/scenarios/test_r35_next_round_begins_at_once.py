"""Reads that waited while a round was under way begin the next one when that is confirmed, not a heartbeat later.

With one of three nodes down no other message came to wake the leader, and each such read took a heartbeat interval.
Likewise reads that waited for the first commit of the term. Found by review.
"""

from rafty_core import AppendEntries, AppendEntriesResponse, Heartbeat, HeartbeatResponse, Read
from tests.scenarios.story import Story


def test_reads_that_waited_for_a_round_begin_the_next() -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    story.step("A", Read("first"))
    story.drop(to="C")
    story.step("A", Read("second"))
    assert len(story.sent(Heartbeat)) == 1
    story.deliver(Heartbeat)
    story.deliver(HeartbeatResponse)
    assert [answer.token for answer in story["A"].answers] == ["first"]
    story.drop(to="C")
    story.deliver(Heartbeat)
    story.deliver(HeartbeatResponse)
    assert [answer.token for answer in story["A"].answers] == ["first", "second"]


def test_reads_that_waited_for_the_first_commit_begin_a_round_with_it() -> None:
    story = Story("ABC")
    story.elect("A", "AB", settle=False)
    story.step("A", Read("early"))
    assert story.sent(Heartbeat) == []
    story.persist("A")
    story.deliver(AppendEntries, to="B")
    story.persist("B")
    story.deliver(AppendEntriesResponse)
    assert len(story.sent(Heartbeat, to="B")) == 1
