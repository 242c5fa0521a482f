"""A learner comes back from its restart as a learner: from its log, and from its snapshot."""

import pytest

from rafty_core import Campaign
from tests.scenarios.story import Story


@pytest.mark.parametrize("compacted", [False, True])
def test_restarted_learner(compacted: bool) -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    story.join("D")
    story.change("A", ("add_learner", "D"))
    story.beat("A", "ABCD", 3)
    story.propose("A", b"x")
    story.settle("ABCD")
    if compacted:
        story.take_snapshot("D")
        story.persist("D")
    story.crash("D")
    status = story["D"].status
    assert (status.snapshot_index > 0) is compacted
    assert [learner.id for learner in status.configuration.learners] == ["D"]
    assert status.configuration.voter_ids == ("A", "B", "C")
    story.wait(100.0, "D")
    story.step("D", Campaign())
    assert story["D"].status.role == "follower"
    story.elect("A", "ABCD")
    assert story["D"].status.commit_index == story["A"].status.commit_index
