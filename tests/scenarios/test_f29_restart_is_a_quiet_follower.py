"""A node starts as a follower and gives the others one whole election timeout before it disturbs them.

A led term 5 when its power failed. It comes back knowing its term and nothing of its leadership; another may lead by
now. It campaigns neither at once, nor only after an age.
"""

import pytest

from tests.scenarios.story import Chance, Story


@pytest.mark.parametrize("chance", [0.0, 0.5, 0.99])
def test_restarted_leader_waits_a_whole_timeout_as_a_follower(chance: float) -> None:
    story = Story("ABC", terms={"": 4}, chances={"A": Chance(chance)})
    story.elect("A", "ABC")
    story.now = 50.0
    story.crash("A")
    status = story["A"].status
    assert (status.role, status.term, status.vote, status.leader) == ("follower", 5, "A", None)
    story.step("A")
    story.wait(0.499, "A")
    assert story["A"].status.role == "follower"
    story.wait(0.502, "A")
    assert story["A"].status.role == "pre_candidate"


def test_first_timeout_after_a_restart_is_drawn() -> None:
    story = Story("ABC", chances={"A": Chance(0.2, 0.7)})
    story.crash("A")
    assert story["A"].raft.deadline == pytest.approx(0.5 * 1.7)
