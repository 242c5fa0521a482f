"""A read that waits for an index is answered some time, even if that index is never applied here.

Reads "at least" at an index far beyond the log, and reads of a node that was cut off after the leader's word, waited
for ever; so many of them, and the node refused every further read as overloaded. Found by review.
"""

from rafty_core import NotApplied, Read, ReadAnswer
from tests.scenarios.story import Story


def test_read_of_an_index_far_away_is_refused_in_time() -> None:
    story = Story("ABC", settings={"max_pending_reads": 2})
    story.step("B", Read("far", "at_least", 1000), Read("farther", "at_least", 2000), Read("no room", "at_least", 1))
    story.wait(4.9, "B")
    assert [answer.token for answer in story["B"].answers] == ["no room"]
    assert story["B"].raft.deadline == story.now + 0.1
    story.wait(0.2, "B")
    assert [answer.token for answer in story["B"].answers] == ["no room", "far", "farther"]
    assert isinstance(story["B"].answer("far").error, NotApplied)
    assert str(story["B"].answer("far").error) == "B has not applied entry 1000 in time, it is at 0"
    assert story["B"].raft.deadline > story.now
    story.step("B", Read("again", "at_least", 0))
    assert story["B"].answer("again") == ReadAnswer("again", 0)


def test_read_of_a_node_that_was_cut_off_after_the_answer_is_refused_in_time() -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    story.propose("A", b"x")
    story.settle("AC")
    story.step("B", Read("read"))
    for _ in range(3):
        story.drop(sender="A", to="C")
        story.deliver()
    story.drop()
    assert story["B"].answers == []
    story.wait(6.0, "B")
    assert isinstance(story["B"].answer("read").error, NotApplied)
    assert story["B"].status.pending_reads == 0
