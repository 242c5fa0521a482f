"""What is too large for one append is split, and the parts make the same log again.

A hundred entries of two terms go to an empty follower in appends of at most fifty bytes.
"""

from rafty_core import AppendEntries
from tests.scenarios.story import Story


def test_log_sent_in_small_parts_is_the_same_log() -> None:
    story = Story("ABC", logs={"A": [1] * 37 + [2] * 63}, terms={"": 2}, settings={"max_batch_bytes": 50})
    story.elect("A", "ABC", settle=False)
    most, parts = 0, 0
    for _ in range(20):
        story.persist("A")
        for append in story.sent(AppendEntries, to="B"):
            if append.batch is not None:
                most, parts = max(most, append.batch.weight), parts + 1
        story.deliver()
        story.persist("B")
        story.persist("C")
    assert story["B"].raft.entries(1, 101) == story["A"].raft.entries(1, 101)
    assert most <= 50
    assert parts >= 25


def test_entry_larger_than_a_part_goes_alone() -> None:
    story = Story("ABC", settings={"max_batch_bytes": 50})
    story.elect("A", "ABC")
    story.propose("A", b"a", b"b" * 80, b"c")
    story.settle("ABC")
    assert story["B"].applied == [b"a", b"b" * 80, b"c"]
