"""However long the conflicting ends are, leader and follower find where they agree in a few messages.

A and B agree on entry 1 and disagree on the sixty that follow. One step back per message would take sixty rounds, and
a hint that is always "my last index" would take for ever.
"""

import pytest

from rafty_core import AppendEntriesResponse
from tests.scenarios.story import Story

ENDS = [([2] * 60, [3] * 60), ([5] * 60, [2] * 60), ([2] * 30 + [4] * 30, [3] * 60), ([3] * 60, [])]


@pytest.mark.parametrize(("of_follower", "of_leader"), ENDS, ids=["older", "newer", "mixed", "longer"])
def test_sixty_conflicting_entries_take_a_few_refusals(of_follower: list[int], of_leader: list[int]) -> None:
    story = Story("ABC", logs={"A": [1, *of_leader], "B": [1, *of_follower], "C": [1]}, terms={"": 5})
    story.elect("A", "AC", settle=False)
    story.drop(to="C")
    refusals = 0
    for _ in range(10):
        story.deliver(to="B")
        story.persist("B")
        refusals += sum(not answer.success for answer in story.sent(AppendEntriesResponse))
        story.deliver(to="A")
    assert story["B"].log == story["A"].log
    assert refusals <= 3
