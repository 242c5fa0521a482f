"""Two of four are no majority.

Four nodes are cut into two halves. If two were enough, both halves would elect a leader, and both would commit.
"""

from rafty_core import Campaign
from tests.scenarios.story import Story


def test_no_half_of_four_nodes_elects_a_leader() -> None:
    story = Story("ABCD", terms={"": 4})
    story.now = 1.0
    for name, half in (("A", "AB"), ("C", "CD")):
        story.step(name, Campaign())
        story.settle(half)
    assert "leader" not in {story[name].status.role for name in "ABCD"}


def test_half_of_four_nodes_commits_nothing() -> None:
    story = Story("ABCD")
    story.elect("A", "ABCD")
    committed = story["A"].status.commit_index
    story.propose("A", b"x")
    story.settle("AB")
    assert story["B"].status.last_index == committed + 1
    assert story["A"].status.commit_index == committed
    story.wait(0.3)
    story.step("A")
    story.settle("ABC")
    assert story["A"].status.commit_index == committed + 1
