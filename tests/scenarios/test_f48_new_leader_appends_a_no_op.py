"""A new leader commits what it inherited without waiting for a proposal.

All three hold entries of term 1, and nobody knows them to be committed. The new leader may not count them, so it
appends an entry of its own behind them.
"""

from rafty_core import Read, ReadAnswer, ReadIndexRequest
from tests.scenarios.story import Story


def test_inherited_entries_commit_while_nobody_proposes() -> None:
    story = Story("ABC", logs={"": [1, 1]})
    story.elect("B", "ABC")
    for name in "ABC":
        assert story[name].applied == [b"1 of term 1", b"2 of term 1"]
    assert [entry.kind for entry in story["B"].raft.entries(1, 3)] == ["command", "command", "no-op"]


def test_read_at_a_new_leader_does_not_wait_for_a_proposal() -> None:
    story = Story("ABC", logs={"": [1, 1]})
    story.elect("B", "ABC", settle=False)
    story.step("B", Read("early"), ReadIndexRequest("C", "B", 2, 1, 1, False))
    story.settle("ABC")
    story.step("B", Read("late"))
    story.settle("ABC")
    assert story["B"].answers == [ReadAnswer("early", 3), ReadAnswer("late", 3)]
