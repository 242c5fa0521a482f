"""A snapshot decides about every proposal that it covers, in whatever order this node accepted them.

A led term 1 and accepted a proposal at index 5; its log was cut to index 2; it led term 3 and accepted one at index 4.
A snapshot at index 4 or 5 of a later term takes the place of its log. The older proposal stands further behind and came
first; the younger one was forgotten behind it, and when the next entry was applied the node looked for an entry that
was gone, and stopped. Found by review.
"""

import pytest

from rafty_core import InstallSnapshot, OutcomeUnknown, SnapshotReceived, Superseded
from rafty_core.entries import Batch
from rafty_core.messages import AppendEntries
from tests.scenarios.story import Story


def led_twice() -> Story:
    """A waits for the outcome of `old`, at 6 in term 1, and of `young`, at 4 in a later term."""
    story = Story("ABC")
    story.elect("A", "ABC")
    story.propose("A", b"1", b"2", b"3", b"4")
    story.propose("A", b"old", token="old")
    story.persist("A")
    story.drop()
    story.step("A", AppendEntries("B", "A", 2, 1, 1, 1, Batch(2, 2, [b"\x00"])))
    story.persist("A")
    story.drop()
    story.elect("A", "AC", settle=False)
    story.propose("A", b"young", token="young")
    assert [entry.term for entry in story["A"].raft.entries(1, 4)] == [1, 2, 3, 3]
    story.persist("A")
    story.drop()
    return story


@pytest.mark.parametrize("index", [4, 5, 6])
def test_every_covered_proposal_is_answered_once(index: int) -> None:
    story = led_twice()
    configuration = story["A"].status.configuration
    story.step("A", InstallSnapshot("B", "A", 4, index, 4, configuration))
    story["A"].images[index] = [b"state"]
    story.step("A", SnapshotReceived(index, 4))
    story.persist("A")
    story.apply("A")
    assert isinstance(story["A"].answer("young").error, OutcomeUnknown)
    assert isinstance(story["A"].answer("old").error, Superseded if index < 6 else OutcomeUnknown)
    assert story["A"].status.pending_proposals == 0
