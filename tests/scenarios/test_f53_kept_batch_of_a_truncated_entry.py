"""A batch that is kept for sending goes when its entries go.

A builds a batch for index 3 in term 1, loses that entry to the leader of term 2, and leads again. What it sends E for
index 3 must be what is in its log, not the batch it once built for that index.
"""

from tests.scenarios.story import Story


def test_append_after_a_truncation_carries_the_log_as_it_is() -> None:
    story = Story("ABCDE")
    story.elect("A", "ABCDE")
    story.propose("A", b"lost")
    story.propose("A", b"lost too")
    story.persist("A")
    story.drop()
    story.elect("C", "BCDE")
    story.propose("C", b"kept")
    story.settle("BCD")
    story.crash("C")
    story.elect("C", "BCD")  # and sends what it has of term 2 in one batch now
    story.wait(0.1, "C")
    story.settle("ABCD")
    story.elect("A", "ABC")
    story.wait(0.1, "A")
    story.settle("ABE")
    log = story["E"].raft.entries(1, 5)
    assert [(entry.term, entry.data) for entry in log] == [(1, b""), (2, b""), (2, b"kept"), (3, b""), (4, b"")]
