"""What a follower acknowledged to an earlier leadership says nothing about this one.

A led term 1 and sent B entries 2 and 3. It lost the leadership and its end of the log, and leads again, in term 3,
with other entries there. Only now B's acknowledgement of term 1 arrives.
"""

from rafty_core import AppendEntriesResponse, Persisted
from tests.scenarios.story import Story


def test_acknowledgement_of_an_earlier_term_is_not_counted() -> None:
    story = Story("ABCDE")
    story.elect("A", "ABCDE")
    story.propose("A", b"x")
    story.propose("A", b"y")
    story.deliver(to="B")
    story.persist("B")
    late = story.drop(AppendEntriesResponse, sender="B")
    story.elect("C", "CDE")
    story.wait(0.1, "C")
    story.settle("ACDE")
    story.elect("A", "ACDE", settle=False)
    story.propose("A", b"z")
    story.drop()
    assert story["A"].log == [1, 2, 3, 3]
    before = story["A"].status
    story.step("A", *late)
    assert story["A"].status == before
    assert story["A"].status.peers[0].match_index == 0


def test_own_write_of_an_earlier_leadership_is_not_counted() -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    story.propose("A", b"x")
    story.propose("A", b"y")
    stale = story["A"].writes[-1].seq
    story.drop()
    story.elect("C", "BC")
    story.wait(0.1, "C")
    story.air = [message for message in story.air if message.to == "A"]
    while story.deliver(to="A"):
        story.deliver(sender="A", to="C")
    assert story["A"].log == story["C"].log == [1, 2]
    story.step("A", Persisted(stale))
    assert story["A"].status.durable_index == 1
