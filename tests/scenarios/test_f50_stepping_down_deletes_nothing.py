"""A leader steps down; what it had not committed may stand on a majority, and must stay where it is.

A's entry is durable on A and B, and B's acknowledgement is lost. A steps down for want of a quorum. If it deleted the
entry, C could win with A's vote and undo what B, had it been heard, would have made committed.
"""

from rafty_core import AppendEntriesResponse
from tests.scenarios.story import Story


def test_uncommitted_entry_on_a_majority_outlives_the_leadership() -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    story.propose("A", b"x")
    story.persist("A")
    story.deliver(to="B")
    story.persist("B")
    assert story.drop(AppendEntriesResponse)
    story.wait(1.0, "A")
    assert story["A"].status.role == "follower"
    assert (story["A"].log, story["A"].status.commit_index) == ([1, 1], 1)
    story.elect("A", "AC")
    assert story["C"].applied == [b"x"]
