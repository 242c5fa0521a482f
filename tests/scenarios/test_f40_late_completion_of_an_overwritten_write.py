"""A write that completes proves what it wrote, not what stands there now.

B writes entry 1 of term 2; before that write is done it is told to put entry 1 of term 3 there, and then entry 1 of
term 4. The first write completes: an entry 1 is on disk, but not the one that is in B's log.
"""

from rafty_core import AppendEntries, AppendEntriesResponse, Batch, Persisted
from tests.scenarios.story import Story


def test_completion_of_an_overwritten_entry_makes_nothing_durable() -> None:
    story = Story("ABCD", terms={"": 1})
    for term, leader in ((2, "A"), (3, "C"), (4, "D")):
        story.step("B", AppendEntries(leader, "B", term, 0, 0, 0, Batch(1, term, [b"\x01%d" % term])))
        story.drop()
    for write in story["B"].writes[:2]:
        story["B"].disk.write(write)
        story.step("B", Persisted(write.seq))
        assert story["B"].status.durable_index == 0
        assert (story.sent(AppendEntriesResponse), story["B"].committed) == ([], [])
    story.persist("B")
    assert story.sent(AppendEntriesResponse) == [AppendEntriesResponse("B", "D", 4, True, 1)]


def test_completion_counts_for_the_part_that_was_not_overwritten() -> None:
    story = Story("ABC", terms={"": 1})
    story.step("B", AppendEntries("A", "B", 2, 0, 0, 0, Batch(1, 2, [b"\x01a", b"\x01b", b"\x01c"])))
    story.step("B", AppendEntries("C", "B", 3, 1, 2, 0, Batch(2, 3, [b"\x01d"])))
    story.drop()
    first, second = story["B"].writes
    story.step("B", Persisted(first.seq))
    assert story["B"].status.durable_index == 1
    story.step("B", Persisted(second.seq))
    assert story["B"].status.durable_index == 2


def test_durable_entries_that_are_overwritten_are_not_durable_any_more() -> None:
    story = Story("ABC", logs={"B": [1, 2, 2]}, terms={"": 2})
    story.step("B", AppendEntries("C", "B", 3, 1, 1, 0, Batch(2, 3, [b"\x01d", b"\x01e"])))
    assert story["B"].status.durable_index == 1
    story.persist("B")
    assert story["B"].status.durable_index == 3
