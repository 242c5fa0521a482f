"""A follower commits what the leader has committed *and* this leader has proven it to hold, whichever is less.

B holds [1 9 9 9 9], an end that no leader after term 9 shares. The leader of term 10 proves entry 1 and says that it
has committed up to 5. B's entries 2 to 5 are not what was committed.
"""

from rafty_core import AppendEntries, Batch
from tests.scenarios.story import Story


def test_commit_stops_at_the_last_proven_entry() -> None:
    story = Story("ABC", logs={"B": [1, 9, 9, 9, 9]}, terms={"": 10})
    story.step("B", AppendEntries("A", "B", 10, 1, 1, 5))
    assert story["B"].status.commit_index == 1


def test_commit_stops_at_the_last_entry_of_the_message() -> None:
    story = Story("ABC", logs={"B": [1, 9, 9, 9, 9]}, terms={"": 10})
    story.step("B", AppendEntries("A", "B", 10, 0, 0, 5, Batch(1, 1, [b"\x011 of term 1"])))
    assert story["B"].status.commit_index == 1
    story.step("B", AppendEntries("A", "B", 10, 1, 1, 5, Batch(2, 10, [b"\x01a"])))
    story.step("B", AppendEntries("A", "B", 10, 2, 10, 5, Batch(3, 10, [b"\x01b", b"\x01c", b"\x01d", b"\x01e"])))
    assert (story["B"].status.commit_index, story["B"].log) == (5, [1, 10, 10, 10, 10, 10])
