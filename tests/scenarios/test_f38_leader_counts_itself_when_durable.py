"""The leader's own copy counts when it is on its disk, like everybody's.

A appends an entry, and B acknowledges it faster than A's disk. With A's copy still in memory there is one durable copy
of three: no majority.
"""

from tests.scenarios.story import Story


def test_one_follower_and_a_slow_leader_are_no_majority() -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    story.propose("A", b"x", token=1)
    story.drop(to="C")
    story.deliver(to="B")
    story.persist("B")
    story.deliver(to="A")
    assert story["A"].status.peers[0].match_index == 2
    assert (story["A"].status.durable_index, story["A"].status.commit_index) == (1, 1)
    story.persist("A")
    assert story["A"].status.commit_index == 2


def test_two_followers_are_a_majority_without_the_leader() -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    story.propose("A", b"x", token=1)
    story.deliver()
    story.persist("B")
    story.persist("C")
    story.deliver(to="A")
    assert (story["A"].status.durable_index, story["A"].status.commit_index) == (1, 2)
    assert story["A"].committed == []
