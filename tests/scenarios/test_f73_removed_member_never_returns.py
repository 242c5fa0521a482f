"""A member is a name and an incarnation; once removed, the pair never returns, and the name only with a new life.

D was removed. Its disk is as it was, and it must stay away; an empty disk under the same name is a new member, which
is caught up from nothing before it votes.
"""

import pytest

from rafty_core import Change, ChangeMembership, Configuration, Member, Snapshot
from rafty_core.changes import Unchangeable, enter_joint, leave_joint, target_of
from rafty_core.configuration import MOST_REMOVED
from tests.scenarios.story import Disk, Node, Story


def removed() -> Story:
    """D, in its first life, was a voter of {A, B, D}, and is removed."""
    story = Story("AB")
    story.elect("A", "AB")
    story.join("D")
    story.step("A", ChangeMembership("add", [Change("add_voter", Member("D", "", "life-1"))]))
    story.beat("A", "ABD")
    assert story["A"].answer("add").error is None
    story.propose("A", b"x")
    story.settle("ABD")
    story.change("A", ("remove", "D"))
    story.settle("AB")
    story.beat("A", "AB", 2)
    return story


def add(story: Story, incarnation: str, token: str = "again") -> None:
    story.step("A", ChangeMembership(token, [Change("add_voter", Member("D", "", incarnation))]))


@pytest.mark.parametrize("kind", ["add_voter", "add_learner"])
def test_removed_pair_is_refused(kind: str) -> None:
    story = removed()
    story.step("A", ChangeMembership("again", [Change(kind, Member("D", "", "life-1"))]))  # type: ignore[arg-type]
    assert story["A"].answer("again").error.reason == "removed"


def test_removed_pair_is_refused_after_a_snapshot_and_a_restart() -> None:
    story = removed()
    for name in "AB":
        story.apply(name)
        story.take_snapshot(name)
        story.persist(name)
    story.crash("A", "B")
    story.elect("A", "AB")
    add(story, "life-1")
    assert story["A"].answer("again").error.reason == "removed"


def test_same_name_in_a_new_life_is_a_new_member() -> None:
    story = removed()
    story.nodes["D"] = Node("D", Disk(0, Snapshot(), ()), {"incarnation": "life-2"}, story["D"].chance, story.now)
    add(story, "life-2")
    (peer,) = (peer for peer in story["A"].status.peers if peer.id == "D")
    assert peer.match_index == 0
    assert story["A"].status.configuration.voter_ids == ("A", "B")
    story.beat("A", "ABD")
    assert story["A"].answer("again").error is None
    assert story["D"].status.configuration.member("D") == Member("D", "", "life-2")
    assert story["D"].applied == [b"x"]


def test_another_life_does_not_take_the_place_of_a_member() -> None:
    story = Story("AB")
    story.elect("A", "AB")
    add(story, "life-1", "first")
    story.join("D")
    story.beat("A", "ABD")
    add(story, "life-2")
    assert story["A"].answer("again").error.reason == "exists"


def test_newest_thousand_of_the_removed_are_remembered() -> None:
    configuration = Configuration.of("A")
    for number in range(MOST_REMOVED + 1):
        member = Member("L", "", f"life-{number}")
        configuration = target_of(configuration, [Change("add_learner", member)])
        configuration = target_of(configuration, [Change("remove", member)])
    assert len(configuration.removed) == MOST_REMOVED
    target_of(configuration, [Change("add_learner", Member("L", "", "life-0"))])
    with pytest.raises(Unchangeable, match="never returns"):
        target_of(configuration, [Change("add_learner", Member("L", "", "life-1"))])


def test_removed_voter_is_remembered_when_the_joint_configuration_is_left() -> None:
    before = Configuration.of("A", "B")
    joint = enter_joint(before, target_of(before, [Change("remove", Member("B"))]))
    assert joint.removed == ()
    assert leave_joint(joint).removed == (Member("B"),)
