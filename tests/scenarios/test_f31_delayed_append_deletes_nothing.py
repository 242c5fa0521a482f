"""An append that brings nothing new deletes nothing.

B holds entries 1 to 3 and has acknowledged them. The network delivers once more the leader's first append, which held
entry 1 alone. What lies behind it agrees with the leader's log, and may be committed by now.
"""

from rafty_core import AppendEntries, Batch
from tests.scenarios.story import Story

ENTRIES = [b"\x01one", b"\x01two", b"\x01three"]


def test_repeated_first_append_leaves_the_later_entries() -> None:
    story = Story("ABC", terms={"": 1})
    story.step("B", AppendEntries("A", "B", 1, 0, 0, 0, Batch(1, 1, ENTRIES)))
    story.persist("B")
    output = story.step("B", AppendEntries("A", "B", 1, 0, 0, 0, Batch(1, 1, ENTRIES[:1])))
    assert [entry.data for entry in story["B"].raft.entries(1, 3)] == [b"one", b"two", b"three"]
    assert output.write is None
    assert story["B"].status.durable_index == 3


def test_append_that_overlaps_adds_only_its_end() -> None:
    story = Story("ABC", terms={"": 1})
    story.step("B", AppendEntries("A", "B", 1, 0, 0, 0, Batch(1, 1, ENTRIES[:2])))
    story.persist("B")
    output = story.step("B", AppendEntries("A", "B", 1, 1, 1, 0, Batch(2, 1, ENTRIES[1:])))
    assert output.write is not None
    assert output.write.batches == [Batch(3, 1, ENTRIES[2:])]


def test_append_of_an_old_term_leaves_entries_of_a_newer_one() -> None:
    story = Story("ABC", logs={"B": [1, 1, 2]}, terms={"": 2})
    entry = story["B"].raft.entries(1, 1)[0]
    story.step("B", AppendEntries("A", "B", 2, 0, 0, 0, Batch(1, 1, [b"\x01" + entry.data])))
    assert story["B"].log == [1, 1, 2]
