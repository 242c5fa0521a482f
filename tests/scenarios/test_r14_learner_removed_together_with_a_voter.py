"""A learner and a voter are removed in one change, and both are gone for ever.

The learner is dropped when the joint configuration is entered, and was not seen any more when that was left: it stood
nowhere among the removed, was never told, and could have come back with its old disk. Found by review.
"""

from rafty_core import Removed
from tests.scenarios.story import Story


def test_learner_and_voter_are_both_among_the_removed() -> None:
    story = Story("ABC", learners="L")
    story.elect("A", "ABCL")
    story.change("A", ("remove", "C"), ("remove", "L"))
    story.beat("A", "ABCL", 3)
    assert [gone.id for gone in story["A"].status.configuration.removed] == ["L", "C"]
    for name in "CL":
        assert Removed in map(type, story[name].notices)
    story.change("A", ("add_learner", "L"), token="back")
    assert story["A"].answer("back").error.reason == "removed"
