"""A follower acknowledges what was proven to agree with the leader, not whatever it has.

B holds [1 1 1 1] of which only entry 1 is in the log of the leader of term 2. An acknowledgement of 4 would count
B's own old entries as copies of the leader's.
"""

from rafty_core import AppendEntries, AppendEntriesResponse, Batch
from tests.scenarios.story import Story


def test_old_end_of_the_log_is_not_acknowledged() -> None:
    story = Story("ABC", logs={"B": [1, 1, 1, 1]}, terms={"": 2})
    story.step("B", AppendEntries("A", "B", 2, 1, 1, 0))
    assert story.sent(AppendEntriesResponse) == [AppendEntriesResponse("B", "A", 2, True, 1)]
    story.drop()
    story.step("B", AppendEntries("A", "B", 2, 0, 0, 0, Batch(1, 1, [b"\x011 of term 1", b"\x012 of term 1"])))
    assert story.sent(AppendEntriesResponse) == [AppendEntriesResponse("B", "A", 2, True, 2)]


def test_proof_of_one_leader_is_no_proof_for_the_next() -> None:
    story = Story("ABC", terms={"": 1})
    story.step("B", AppendEntries("A", "B", 1, 0, 0, 0, Batch(1, 1, [b"\x01a", b"\x01b", b"\x01c"])))
    story.persist("B")
    story.drop()
    story.step("B", AppendEntries("C", "B", 2, 1, 1, 0))
    story.persist("B")
    assert story.sent(AppendEntriesResponse) == [AppendEntriesResponse("B", "C", 2, True, 1)]
