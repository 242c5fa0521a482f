"""A leader that leaves office because it is a member no more refuses the reads that it cannot confirm any more.

They were to be asked for elsewhere with the next step, and a node that was removed has no next step: no timer of its
own, and nobody who talks to it. Found by review.
"""

from rafty_core import Heartbeat, HeartbeatResponse, Read
from tests.scenarios.story import Story


def test_reads_of_a_removed_leader_are_answered_in_the_step_in_which_it_leaves() -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    story.change("A", ("remove", "A"))
    asked = 0
    for _ in range(20):
        for name in "ABC":
            story.persist(name)
            story.apply(name)
        if story["A"].status.role != "leader":
            break
        story.step("A", Read(asked))
        asked += 1
        story.drop(Heartbeat)
        story.drop(HeartbeatResponse)
        story.deliver()
    assert story["A"].status.role == "follower"
    assert asked > 0
    assert story["A"].status.pending_reads == 0
    assert [answer.token for answer in story["A"].answers if answer.token in range(asked)] == list(range(asked))
