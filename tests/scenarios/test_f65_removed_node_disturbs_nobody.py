"""C was removed while it was cut off, never heard of it, and asks for votes for ever: nobody is disturbed.

It asks whether it would win, and learns that it would not. Even a request of a far later term, as an implementation
without that question would send it, moves no node that hears its leader.
"""

from rafty_core import PreVote, RequestVote
from tests.scenarios.story import Chance, Story


def test_removed_node_that_never_heard_of_it() -> None:
    story = Story("ABC", chances={"C": Chance(0.0)})
    story.elect("A", "ABC")
    story.change("A", ("remove", "C"))
    story.settle("AB")
    for _ in range(60):  # after that it is told no more
        story.wait(0.1, "A")
        story.settle("AB")
    assert story["C"].status.configuration.voter_ids == ("A", "B", "C")
    asked = 0
    for attempt in range(30):
        story.wait(0.1, "A", "C")
        asked += len(story.sent(PreVote, sender="C"))
        for to in "AB":
            story.step(to, PreVote("C", to, 2, 1, 1), RequestVote("C", to, 100 + attempt, 1000, 99))
        story.settle("ABC")
        assert [story[name].status.role for name in "AB"] == ["leader", "follower"]
        assert [story[name].status.term for name in "ABC"] == [1, 1, 1]
    assert asked >= 8
