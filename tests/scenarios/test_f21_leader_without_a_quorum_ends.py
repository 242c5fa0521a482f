"""A leader that no majority answers stops leading, and falls silent.

A of five reaches B alone. It can commit nothing, yet its heartbeats keep B from voting for the candidate that C, D and
E could elect with it.
"""

from rafty_core import AppendEntries, Heartbeat
from tests.scenarios.story import Story


def test_leader_heard_by_a_minority_steps_down_and_sends_nothing() -> None:
    story = Story("ABCDE")
    story.elect("A", "ABCDE")
    for _ in range(6):
        story.wait(0.1, "A")
        story.settle("AB")
    assert story["A"].status.role == "follower"
    story.wait(0.3, "A")
    assert story.sent(Heartbeat) + story.sent(AppendEntries) == []


def test_leader_heard_by_a_majority_goes_on() -> None:
    story = Story("ABCDE")
    story.elect("A", "ABCDE")
    for _ in range(20):
        story.wait(0.1, "A")
        story.settle("ABC")
    assert (story["A"].status.role, story["A"].status.term) == ("leader", 1)
    assert [peer.reachable for peer in story["A"].status.peers] == [True, True, False, False]


def test_leader_that_slept_ends_before_it_serves_anything() -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    story.wait(30.0, "A")
    assert story["A"].status.role == "follower"
    assert story.sent(Heartbeat) == []
