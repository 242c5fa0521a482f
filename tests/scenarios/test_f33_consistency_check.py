"""Entries are taken only behind an entry that is proven to be the leader's.

B holds [1 1 1]. The leader of term 3 has [1 2 3] and sends its entry 3, behind an entry 2 that B has in another term:
refused. An append whose preceding entry lies below what B has committed, or below its snapshot, proves nothing new
about those entries, but it is no conflict either: committed entries stay.
"""

import pytest

from rafty_core import AppendEntries, AppendEntriesResponse, Batch, SnapshotTaken
from tests.scenarios.story import Story

NEW = [b"\x01new"]


def test_append_behind_another_entry_is_refused() -> None:
    story = Story("ABC", logs={"B": [1, 1, 1]}, terms={"": 3})
    output = story.step("B", AppendEntries("A", "B", 3, 2, 2, 0, Batch(3, 3, NEW)))
    assert output.messages == [AppendEntriesResponse("B", "A", 3, False, 2, 2, 1)]
    assert story["B"].log == [1, 1, 1]


def test_append_behind_a_missing_entry_is_refused() -> None:
    story = Story("ABC", logs={"B": [1]}, terms={"": 3})
    output = story.step("B", AppendEntries("A", "B", 3, 5, 1, 0, Batch(6, 3, NEW)))
    assert output.messages == [AppendEntriesResponse("B", "A", 3, False, 5, 1, 1)]
    assert story["B"].log == [1]


def test_append_from_below_the_snapshot_deletes_nothing() -> None:
    story = Story("ABC", snapshot=(5, 2), logs={"B": [2, 2]}, terms={"": 3})
    entries = [b"\x013", b"\x014", b"\x015", b"\x016 of term 2", b"\x017 of term 2", b"\x018"]
    story.step("B", AppendEntries("A", "B", 3, 2, 2, 0, Batch(3, 2, entries)))
    story.persist("B")
    assert story["B"].log == [2, 2, 2]
    assert story.sent(AppendEntriesResponse)[-1] == AppendEntriesResponse("B", "A", 3, True, 8)


def test_append_below_the_snapshot_is_acknowledged_as_far_as_it_reaches() -> None:
    story = Story("ABC", snapshot=(5, 2), logs={"B": [2, 2]}, terms={"": 3})
    story.step("B", AppendEntries("A", "B", 3, 2, 2, 0, Batch(3, 2, NEW)))
    story.persist("B")
    assert story.sent(AppendEntriesResponse) == [AppendEntriesResponse("B", "A", 3, True, 3)]
    assert story["B"].log == [2, 2]


def test_leader_with_another_committed_entry_is_not_obeyed() -> None:
    story = Story("ABC", logs={"": [1, 1]})
    story.elect("A", "ABC")
    committed = story["B"].log
    story.step("B", AppendEntries("C", "B", 9, 0, 0, 0, Batch(1, 5, NEW)))
    story.step("B", AppendEntries("C", "B", 9, 2, 2, 0, Batch(3, 5, NEW)))
    assert story["B"].log == committed
    assert story["B"].status.violations == 2


def test_commit_index_behind_another_committed_entry_is_not_obeyed() -> None:
    story = Story("ABC", logs={"": [1, 1]})
    story.elect("A", "ABC")
    story.step("B", AppendEntries("C", "B", 9, 2, 2, 0))
    assert story["B"].status.violations == 1


def with_trailing_entries() -> Story:
    """B's snapshot holds entries 1 to 6; entries 4 to 6 are still in its log, and 7 behind them; all are of term 2."""
    story = Story("ABC", logs={"B": [2] * 7}, terms={"": 3})
    story.step("B", AppendEntries("A", "B", 3, 7, 2, 7))
    story.apply("B")
    story.step("B", SnapshotTaken(6, 3))
    story.persist("B")
    story.drop()
    assert (story["B"].status.first_index, story["B"].status.snapshot_index) == (4, 6)
    return story


@pytest.mark.parametrize("prev", [1, 2, 3, 4, 5, 6, 7])
def test_append_from_anywhere_in_what_is_committed_goes_on_behind_it(prev: int) -> None:
    story = with_trailing_entries()
    entries = [b"\x01%d" % index for index in range(prev + 1, 10)]
    story.step("B", AppendEntries("A", "B", 3, prev, 2, 0, Batch(prev + 1, 2, entries)))
    story.persist("B")
    assert story.sent(AppendEntriesResponse)[-1] == AppendEntriesResponse("B", "A", 3, True, 9)
    assert [entry.index for entry in story["B"].raft.entries(4, 9)] == [4, 5, 6, 7, 8, 9]
    assert story["B"].status.violations == 0


@pytest.mark.parametrize("prev", [3, 4, 5, 6, 7])
def test_leader_with_another_entry_among_the_trailing_ones_is_not_obeyed(prev: int) -> None:
    story = with_trailing_entries()
    story.step("B", AppendEntries("A", "B", 3, prev, 1, 0))
    story.step("B", AppendEntries("A", "B", 3, 2, 1, 0, Batch(3, 1, [b"\x01"] * (prev - 2))))
    assert story["B"].status.violations == 2
