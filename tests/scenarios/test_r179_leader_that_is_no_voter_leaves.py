"""A leader that finds out that it is no voter leaves, though it has just gone on with a change.

B was demoted, and D is to be promoted. With the first step of that in all logs everybody restarts, so that nobody knows
what is committed, and B still holds itself for a voter. It wins, commits, and takes the next step of the change: D is
close. It must not lead any longer: by what is committed now it is no voter.
"""

from rafty_core import AppendEntries, AppendEntriesResponse
from tests.scenarios.story import Story


def test_r179_learner_does_not_lead_to_the_end_of_a_change_of_others() -> None:
    story = Story("ABCD")
    story.elect("A", "ABCD")
    story.change("A", ("add_learner", "B"), ("add_learner", "D"), token="demote")
    story.settle("ABCD")
    story.change("A", ("add_voter", "D"), token="promote")
    story.persist("A")
    story.deliver(AppendEntries)
    for name in "BCD":
        story.persist(name)
    assert story["B"].status.configuration.goal is not None
    story.crash(*"ABCD")
    story.now += 2.0
    story.elect("B", "ABCD", settle=False)
    story.persist("B")
    story.deliver(AppendEntries)
    for name in "DAC":
        story.persist(name)
        story.deliver(AppendEntriesResponse, sender=name)
    assert story["B"].status.commit_index > 0
    assert story["B"].status.configuration.voter_ids == ("A", "C", "D")
    assert story["B"].status.role == "follower"
    story.settle("ABCD")
    leader = next(name for name in "ACD" if story[name].status.role == "leader")
    story.beat(leader, "ABCD", 3)
    assert story[leader].status.configuration.voter_ids == ("A", "C", "D")
    assert story[leader].status.configuration.at_rest
