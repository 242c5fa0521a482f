"""True is an int to Python and 1.0 equals 1; neither is a term or an index.

A codec of somebody else's passes a bool, a float, a negative or a huge number. None of them may get into a node's
state, from where it would go to disk and to all others.
"""

import pytest

from rafty_core import AppendEntries, Batch, Heartbeat, RequestVote
from tests.scenarios.story import Story

WRONG = [True, 1.0, -1, 2**63, "1", None]


@pytest.mark.parametrize("number", WRONG, ids=repr)
def test_wrong_number_is_dropped_wherever_it_stands(number: int) -> None:
    story = Story("ABC")
    story.now = 1.0
    before = story["B"].status
    messages = (
        RequestVote("A", "B", number, 0, 0),
        RequestVote("A", "B", 1, number, 0),
        Heartbeat("A", "B", 1, 0, number),
        AppendEntries("A", "B", 1, number, 0, 0),
        AppendEntries("A", "B", 1, 0, 0, 0, Batch(number, 1, [b"\x01a"])),
        AppendEntries("A", "B", 1, 0, 0, 0, Batch(1, number, [b"\x01a"])),
    )
    for message in messages:
        output = story.step("B", message)
        assert (output.messages, output.write) == ([], None)
    assert story["B"].status.violations == len(messages)
    assert (story["B"].status.term, story["B"].status.vote) == (before.term, before.vote)
    assert story["B"].log == []
