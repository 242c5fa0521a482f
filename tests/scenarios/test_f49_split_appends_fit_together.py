"""What is too large for one append is split, and the parts make the same log again.

Sixty commands, proposed at once, go to a follower that lacks an earlier term too, in appends of at most fifty bytes.
"""

from rafty_core import AppendEntries
from tests.scenarios.story import Story


def test_log_sent_in_small_parts_is_the_same_log() -> None:
    story = Story("ABC", logs={"A": [1, 1, 2, 2], "B": [1]}, terms={"": 2}, settings={"max_batch_bytes": 50})
    story.elect("A", "ABC", settle=False)
    story.propose("A", *(b"command %d" % number for number in range(60)))
    parts = []
    for _ in range(20):
        story.persist("A")
        parts += [append.batch for append in story.sent(AppendEntries, to="B") if append.batch is not None]
        story.deliver()
        story.persist("B")
        story.persist("C")
    assert story["B"].raft.entries(1, 65) == story["A"].raft.entries(1, 65)
    assert max(part.weight for part in parts) <= 50
    assert len(parts) >= 13


def test_entry_larger_than_a_part_goes_alone() -> None:
    story = Story("ABC", settings={"max_batch_bytes": 50})
    story.elect("A", "ABC")
    story.propose("A", b"a", b"b" * 80, b"c")
    story.settle("ABC")
    assert story["B"].applied == [b"a", b"b" * 80, b"c"]
