"""The steps of a change, as pure functions: where they lead, and what is refused."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from rafty_core import Change, Configuration, Lease, Member
from rafty_core.changes import (
    Unchangeable,
    changes_voters,
    enter_joint,
    leave_joint,
    newcomers,
    target_of,
    unknown_to,
    with_learners,
    without_learners,
)

ABC = Configuration.of("A", "B", "C")
WITH_L = replace(ABC, learners=(Member("L", "l:1", "life-1"),))
JOINT = enter_joint(ABC, Configuration.of("A", "B", "D"))


def change(kind: str, *member: str) -> Change:
    return Change(kind, Member(*member))  # type: ignore[arg-type]


def picture(configuration: Configuration) -> str:
    """Voters, outgoing voters, learners, learners-to-be, by the letters of their ids."""
    groups = (configuration.voters, configuration.outgoing, configuration.learners, configuration.learners_next)
    return " ".join("".join(member.id for member in group) or "-" for group in groups)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ([], "ABC - L -"),
        ([change("add_voter", "D")], "ABCD - L -"),
        ([change("add_voter", "L")], "ABCL - - -"),
        ([change("add_voter", "A")], "ABC - L -"),
        ([change("add_learner", "D")], "ABC - DL -"),
        ([change("add_learner", "C")], "AB - CL -"),
        ([change("remove", "C")], "AB - L -"),
        ([change("remove", "L")], "ABC - - -"),
        ([change("remove", "X")], "ABC - L -"),
        ([change("update", "X", "x:1")], "ABC - L -"),
        ([change("remove", "C"), change("add_voter", "D")], "ABD - L -"),
        ([change("add_voter", "D"), change("remove", "D")], "ABC - L -"),
        ([change("add_learner", "A"), change("add_voter", "A")], "ABC - L -"),
    ],
)
def test_target_of(changes: list[Change], expected: str) -> None:
    assert picture(target_of(WITH_L, changes)) == expected


@pytest.mark.parametrize(
    ("configuration", "changes", "reason"),
    [
        (JOINT, [change("add_learner", "L")], "in_progress"),
        (with_learners(ABC, Configuration.of("A", "B", "C", "D")), [], "in_progress"),
        (ABC, [change("remove", name) for name in "ABC"], "no_voters_left"),
        (ABC, [change("add_learner", name) for name in "ABC"], "no_voters_left"),
        (Configuration(), [], "no_voters_left"),
        (WITH_L, [change("add_learner", "L", "l:1", "life-2")], "exists"),
        (WITH_L, [change("update", "L", "", "life-2")], "exists"),
        (WITH_L, [change("add_voter", "D", "l:1")], "address"),
        (WITH_L, [change("update", "A", "l:1")], "address"),
        (WITH_L, [change("add_voter", "D", "d:1"), change("add_voter", "E", "d:1")], "address"),
        (target_of(WITH_L, [change("remove", "L")]), [change("add_voter", "L", "", "life-1")], "removed"),
    ],
)
def test_change_that_must_not_be_made(configuration: Configuration, changes: list[Change], reason: str) -> None:
    with pytest.raises(Unchangeable) as refusal:
        target_of(configuration, changes)
    assert refusal.value.reason == reason
    assert len(str(refusal.value)) > 20


def test_address_and_incarnation_are_filled_in_and_never_forgotten() -> None:
    configuration = target_of(ABC, [change("update", "A", "a:1")])
    assert configuration.member("A") == Member("A", "a:1")
    configuration = target_of(configuration, [change("update", "A", "", "life-1")])
    assert configuration.member("A") == Member("A", "a:1", "life-1")
    configuration = target_of(configuration, [change("add_voter", "A", "a:2")])
    assert configuration.member("A") == Member("A", "a:2", "life-1")
    assert configuration.voter_ids == ("A", "B", "C")


def test_address_of_a_member_that_goes_is_free_again() -> None:
    target = target_of(WITH_L, [change("remove", "L"), change("add_voter", "D", "l:1")])
    assert target.member("D") == Member("D", "l:1")


def test_lease_is_kept_set_or_taken_back() -> None:
    leased = target_of(ABC, [], lease=Lease(1.0, 0.01))
    assert leased.lease == Lease(1.0, 0.01)
    assert target_of(leased, [change("add_learner", "L")]).lease == Lease(1.0, 0.01)
    assert target_of(leased, [], lease=None).lease is None
    assert not changes_voters(ABC, leased)


def test_way_of_a_voter_that_is_replaced() -> None:
    target = target_of(WITH_L, [change("add_voter", "D"), change("add_voter", "L"), change("add_learner", "C")])
    assert changes_voters(WITH_L, target)
    assert newcomers(WITH_L, target) == ("D", "L")
    learning = with_learners(WITH_L, target)
    assert picture(learning) == "ABC - DL -"
    assert (learning.newcomers, learning.at_rest) == (("D",), False)
    assert without_learners(learning) == WITH_L
    assert learning.goal is not None
    joint = enter_joint(learning, learning.goal)
    assert picture(joint) == "ABDL ABC - C"
    assert (joint.goal, joint.newcomers, joint.at_rest) == (None, (), False)
    assert picture(leave_joint(joint)) == "ABDL - C -"
    assert leave_joint(joint) == target


def test_who_is_gone_is_remembered_at_the_step_at_which_it_goes() -> None:
    target = target_of(WITH_L, [change("remove", "L"), change("remove", "C")])
    assert [gone.id for gone in target.removed] == ["C", "L"]
    joint = enter_joint(WITH_L, target)
    assert [gone.id for gone in joint.removed] == ["L"]
    assert [gone.id for gone in leave_joint(joint).removed] == ["L", "C"]


def test_learner_that_was_given_up_is_not_among_the_removed() -> None:
    learning = with_learners(ABC, Configuration.of("A", "B", "C", "D"))
    assert without_learners(learning).removed == ()


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        (lambda: enter_joint(JOINT, ABC), "already_joint"),
        (lambda: enter_joint(Configuration(), ABC), "empty_config"),
        (lambda: enter_joint(ABC, Configuration()), "no_voters_left"),
        (lambda: leave_joint(ABC), "not_joint"),
    ],
)
def test_step_out_of_order_is_refused(step: Callable[[], Configuration], reason: str) -> None:
    with pytest.raises(Unchangeable) as refusal:
        step()
    assert refusal.value.reason == reason


@pytest.mark.parametrize(
    ("changes", "unknown"),
    [
        ([change("remove", "X")], "X"),
        ([change("update", "X", "x:1")], "X"),
        ([change("add_voter", "X"), change("remove", "X")], None),
        ([change("remove", "L"), change("update", "A", "a:1")], None),
    ],
)
def test_unknown_to(changes: list[Change], unknown: str | None) -> None:
    assert unknown_to(WITH_L, changes) == unknown


def test_change_of_an_unknown_kind_or_of_nobody() -> None:
    with pytest.raises(ValueError, match="a change is one of"):
        change("promote", "A")
    with pytest.raises(ValueError, match="node id"):
        change("add_voter", "")


def test_a_bootstrapped_member_is_removed_under_the_incarnation_that_is_known_then() -> None:
    """Otherwise its data directory could come back under its old name (fault F73)."""
    before = Configuration.of("a", "b", "c")
    target = target_of(before, [Change("remove", Member("c", "", "life of c")), Change("add_voter", Member("d"))])
    assert target.removed == (Member("c", "", "life of c"),)
    learning = with_learners(before, target)
    assert learning.goal is not None
    left = leave_joint(enter_joint(learning, learning.goal))
    assert left.removed == (Member("c", "", "life of c"),)
    assert left.voter_ids == ("a", "b", "d")
