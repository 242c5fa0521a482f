"""A learner that was given up and is added again is the same node, and what it asked before is not new.

D forwards a command, and the network repeats it late. Meanwhile D was silent, was given up, and came back in the same
life, so that nothing keeps the late copy away but the leader's memory of it.
"""

from rafty_core import Change, ChangeMembership, ForwardedProposal, Member
from tests.scenarios.story import Story

D = [Change("add_voter", Member("D", "", "life of D"))]


def test_r101_late_copy_is_not_accepted_again() -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    story.join("D")
    story.step("A", ChangeMembership("first", D))
    story.settle("ABC")
    request = ForwardedProposal("D", "A", story["A"].status.term, 1, 1, [b"once"])
    story.step("A", request)
    story.settle("ABC")
    story.beat("A", "ABC", 60)
    assert story["A"].answer("first").error is not None
    assert story["A"].status.configuration.member("D") is None
    story.step("A", ChangeMembership("again", D))
    story.settle("ABC")
    story.step("A", request)
    story.settle("ABC")
    assert story["A"].applied == [b"once"]
