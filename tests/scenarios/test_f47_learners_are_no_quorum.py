"""Only voters make a majority, however many learners hold the entry.

Voters A, B, C; learners D, E. The leader's entries reach both learners and no voter but itself.
"""

from rafty_core import AppendEntriesResponse
from tests.scenarios.story import Story


def test_acknowledgements_of_learners_commit_nothing() -> None:
    story = Story("ABC", learners="DE")
    story.elect("A", "ABC", settle=False)
    story.drop()
    story.persist("A")
    story.step("A", *(AppendEntriesResponse(learner, "A", 1, True, 1) for learner in "DE"))
    assert [peer.match_index for peer in story["A"].status.peers] == [0, 0, 1, 1]
    assert story["A"].status.commit_index == 0
    story.step("A", AppendEntriesResponse("B", "A", 1, True, 1))
    assert story["A"].status.commit_index == 1


def test_leader_that_hears_learners_alone_steps_down() -> None:
    story = Story("ABC", learners="DE")
    story.elect("A", "ABC")
    for _ in range(6):
        story.wait(0.1, "A")
        story.settle("ADE")
    assert story["A"].status.role == "follower"
