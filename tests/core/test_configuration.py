"""Members, by name."""

import pytest

from rafty_core import Configuration, Member


def test_order_of_naming_does_not_matter() -> None:
    assert Configuration.of("B", "A") == Configuration.of("A", "B")
    assert Configuration.of("B", "A").voter_ids == ("A", "B")


def test_members_of_a_joint_configuration_are_named_once() -> None:
    configuration = Configuration(
        voters=(Member("B"), Member("C")),
        outgoing=(Member("A"), Member("B")),
        learners=(Member("E"),),
        learners_next=(Member("A"),),
    )
    assert configuration.outgoing_ids == ("A", "B")
    assert configuration.all_voter_ids == ("A", "B", "C")
    assert [member.id for member in configuration.members] == ["A", "B", "C", "E"]
    assert [configuration.is_voter(name) for name in "ABCE"] == [True, True, True, False]


def test_member_named_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="voters name a member twice: A, A"):
        Configuration.of("A", "A")


@pytest.mark.parametrize("name", ["", "x" * 65, "a b", "ä", "a\n", 7, None])
def test_illegal_id_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="node id"):
        Configuration(voters=(Member(name),))
