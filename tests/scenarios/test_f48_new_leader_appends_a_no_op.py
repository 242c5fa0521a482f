"""A new leader commits what it inherited without waiting for a proposal.

All three hold entries of term 1, and nobody knows them to be committed. The new leader may not count them, so it
appends an entry of its own behind them.
"""

from tests.scenarios.story import Story


def test_inherited_entries_commit_while_nobody_proposes() -> None:
    story = Story("ABC", logs={"": [1, 1]})
    story.elect("B", "ABC")
    for name in "ABC":
        assert story[name].applied == [b"1 of term 1", b"2 of term 1"]
    assert [entry.kind for entry in story["B"].raft.entries(1, 3)] == ["command", "command", "no-op"]
