"""A leader may be the very learner that is to be a voter: it was one before, and leads by the earlier configuration.

B was demoted, and is promoted again. With the first step of that in all logs everybody restarts, so that nobody knows
what is committed, and B still holds itself for a voter. It wins, commits, and goes on with the change: itself it need
not wait for.
"""

from rafty_core import AppendEntries
from tests.scenarios.story import Story


def test_r103_leader_promotes_itself() -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    story.change("A", ("add_learner", "B"), token="demote")
    story.settle("ABC")
    story.change("A", ("add_voter", "B"), token="promote")
    story.persist("A")
    story.deliver(AppendEntries)
    story.persist("B")
    story.persist("C")
    assert story["B"].status.configuration.goal is not None
    story.crash("A", "B", "C")
    story.now += 2.0
    story.elect("B", "ABC")
    assert story["B"].status.role == "leader"
    assert story["B"].status.configuration.voter_ids == ("A", "B", "C")
    assert story["B"].status.configuration.at_rest
