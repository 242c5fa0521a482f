"""Where an entry conflicts, it goes, and all behind it goes too.

B holds [1 1 1]; the leader of term 2 sends its entry 2. B's old entry 3 must not stay behind the new entry 2: no
leader ever had a log like that.
"""

from rafty_core import AppendEntries, Batch
from tests.scenarios.story import Story


def test_all_behind_a_conflict_is_deleted() -> None:
    story = Story("ABC", logs={"B": [1, 1, 1]}, terms={"": 2})
    story.step("B", AppendEntries("A", "B", 2, 1, 1, 0, Batch(2, 2, [b"\x01new"])))
    assert story["B"].log == [1, 2]
    story.persist("B")
    story.crash("B")
    assert story["B"].log == [1, 2]


def test_conflict_in_the_middle_of_an_append_is_found() -> None:
    story = Story("ABC", logs={"B": [1, 2, 2, 2]}, terms={"": 3})
    story.step("B", AppendEntries("A", "B", 3, 0, 0, 0, Batch(1, 1, [b"\x011 of term 1", b"\x01b", b"\x01c"])))
    assert story["B"].log == [1, 1, 1]
    assert [entry.data for entry in story["B"].raft.entries(1, 3)] == [b"1 of term 1", b"b", b"c"]
