"""What is committed stays, whoever comes back with less, or leads with a guess.

The commit index of a new leader is what it knows of, and its first heartbeats name 0 for followers that it has not
heard of yet; neither lowers anything. A node whose log was shortened wins no election, and a leader that has other
entries is not obeyed.
"""

from rafty_core import AppendEntries, Batch, Campaign, Heartbeat, PreVote
from tests.scenarios.story import Story


def committed() -> Story:
    story = Story("ABC")
    story.elect("A", "ABC")
    for command in (b"x", b"y"):
        story.propose("A", command)
    story.settle("ABC")
    story.beat("A", "ABC", 1)
    return story


def test_commit_index_never_falls() -> None:
    story = committed()
    for message in (Heartbeat("A", "B", 1, 0, 9), AppendEntries("A", "B", 1, 1, 1, 1)):
        story.step("B", message)
        assert story["B"].status.commit_index == 3
    story.step("B", AppendEntries("C", "B", 2, 1, 1, 1, Batch(2, 2, [b"\x00"])))
    assert (story["B"].log, story["B"].status.violations) == ([1, 1, 1], 1)


def test_node_that_comes_back_with_less_is_no_leader_and_gets_all_again() -> None:
    story = committed()
    del story["B"].disk.entries[1:]
    story.crash("B")
    story.wait(1.0)
    story.step("B", Campaign())
    assert story.deliver(PreVote) == 2
    story.settle("ABC")
    assert story["B"].status.role != "leader"
    story.elect("C", "ABC")
    assert [story[name].log for name in "ABC"] == [[1, 1, 1, 2]] * 3
    assert story["A"].applied == story["B"].applied == [b"x", b"y"]
