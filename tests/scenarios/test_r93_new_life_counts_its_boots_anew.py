"""A node that comes back under its name with an empty data directory is in boot 1, and its proposals are accepted.

The leader remembers requests of the node's earlier life, which was started many times. By these the new life's requests
would look like old ones, and every one of its proposals would end as unknown.
"""

from rafty_core import Change, ChangeMembership, ForwardedProposal, Member
from tests.scenarios.story import Story


def test_r93_proposal_of_a_new_life_is_accepted() -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    term = story["A"].status.term
    story.step("A", ForwardedProposal("C", "A", term, 9, 1, [b"old life"]))
    story.settle("AB")
    story.change("A", ("remove", "C"))
    story.settle("AB")
    story.step("A", ChangeMembership("back", [Change("add_learner", Member("C", "", "new life"))]))
    story.settle("AB")
    story.step("A", ForwardedProposal("C", "A", term, 1, 1, [b"new life"]))
    story.settle("AB")
    assert story["A"].applied == [b"old life", b"new life"]
