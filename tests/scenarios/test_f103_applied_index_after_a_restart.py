"""A state machine that keeps its own state comes back ahead of the commit index that its node remembers.

What was applied was committed, and is never handed out again; what was committed is applied without a new write.
"""

import pytest

from rafty_core import Config, Raft
from tests.scenarios.story import Chance, Story


def ran() -> Story:
    story = Story("ABC")
    story.elect("A", "ABC")
    for command in (b"x", b"y", b"z"):
        story.propose("A", command)
    story.settle("ABC")
    return story


@pytest.mark.parametrize("applied", range(5))
def test_machine_with_a_state_of_its_own_goes_on_where_it_was(applied: int) -> None:
    story = ran()
    story.crash("B")
    node = story["B"]
    raft = Raft(Config(id="B", boot=2), node.disk.load(), random=Chance(1000.0), now=story.now, applied=applied)
    node.raft = raft
    assert (raft.status().commit_index, raft.applied_index) == (applied, applied)
    story.elect("A", "ABC")
    assert node.applied == [b"x", b"y", b"z"][max(applied - 1, 0) :]
    assert raft.applied_index == story["A"].status.commit_index


def test_machine_that_has_applied_what_the_log_has_lost_is_refused() -> None:
    story = ran()
    with pytest.raises(ValueError, match="this log has lost"):
        Raft(Config(id="B", boot=2), story["B"].disk.load(), random=Chance(0.0), now=story.now, applied=5)


def test_whole_cluster_applies_everything_again_without_a_write() -> None:
    story = ran()
    story.crash(*"ABC")
    assert [story[name].applied for name in "ABC"] == [[]] * 3
    story.elect("B", "ABC")
    assert [story[name].applied for name in "ABC"] == [[b"x", b"y", b"z"]] * 3
