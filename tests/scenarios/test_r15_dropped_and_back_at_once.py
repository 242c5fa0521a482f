"""A member is dropped and comes back with an empty disk before its leader has forgotten it: it begins anew.

The leader kept the old match index. The empty node refuses what would follow that, the leader never goes below it, and
so the newcomer was never caught up and the change never ended. Found by review.
"""

from rafty_core import Change, ChangeMembership, Member, Snapshot
from tests.scenarios.story import Disk, Node, Story


def test_replaced_disk_under_the_same_name_is_caught_up_from_nothing() -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    for number in range(5):
        story.propose("A", b"%d" % number)
    story.settle("ABC")
    story.change("A", ("remove", "C"), token="remove")
    story.settle("AB")
    story.beat("A", "AB", 2)
    assert story["A"].answer("remove").error is None
    assert [peer.id for peer in story["A"].status.peers] == ["B", "C"]
    story.nodes["C"] = Node("C", Disk(0, Snapshot(), ()), {"incarnation": "new"}, story["C"].chance, story.now)
    story.step("A", ChangeMembership("add", [Change("add_voter", Member("C", "", "new"))]))
    assert [peer.match_index for peer in story["A"].status.peers if peer.id == "C"] == [0]
    story.beat("A", "ABC", 10)
    assert story["A"].answer("add").error is None
    assert story["C"].applied == [b"%d" % number for number in range(5)]


def test_learner_that_was_given_up_and_is_tried_again_begins_anew() -> None:
    story = Story("AB")
    story.elect("A", "AB")
    story.change("A", ("add_voter", "D"), token="first")
    story.settle("AB")
    story.beat("A", "AB", 51)
    assert story["A"].answer("first").error.reason == "undone"
    story.join("D")
    story.change("A", ("add_voter", "D"), token="second")
    story.beat("A", "ABD")
    assert story["A"].answer("second").error is None
    assert [peer.id for peer in story["A"].status.peers] == ["B", "D"]
