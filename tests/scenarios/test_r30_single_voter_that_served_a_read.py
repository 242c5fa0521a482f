"""A leader that was alone when it served a read still loses its leadership when it loses its later followers.

A round of heartbeats for the read of a leader without followers set its timer; then nobody noticed that followers came,
and nobody ever looked whether they were still heard. A would have led, and taken proposals, alone for ever. And alone
it woke up for nobody, again and again. Found by review.
"""

import math

from rafty_core import Read
from tests.scenarios.story import Story


def test_leader_that_was_alone_notices_that_its_followers_are_silent() -> None:
    story = Story("A")
    story.elect("A", "A")
    story.step("A", Read("alone"))
    story.join("B")
    story.change("A", ("add_voter", "B"))
    for _ in range(8):
        story.settle("AB")
        story.wait(0.1, "A")
    assert story["A"].status.configuration.voter_ids == ("A", "B")
    for _ in range(8):
        story.drop()
        story.wait(0.1, "A")
    assert story["A"].status.role == "follower"


def test_leader_without_followers_sleeps_after_a_read() -> None:
    story = Story("A")
    story.elect("A", "A")
    story.step("A", Read("alone"))
    assert story["A"].answer("alone").error is None
    assert story["A"].raft.deadline == math.inf


def test_leader_that_is_alone_again_sleeps() -> None:
    story = Story("AB")
    story.elect("A", "AB")
    story.change("A", ("remove", "B"))
    for _ in range(8):
        story.settle("AB")
        story.wait(0.1, "A")
        assert story["A"].raft.deadline > story.now
    assert story["A"].status.configuration.voter_ids == ("A",)
    assert story["A"].status.peers == ()
