"""Members, by name."""

import pytest

from rafty_core import Configuration, Lease, Member


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


WHOLE = Configuration(
    voters=(Member("A", "a:1", "life-1"), Member("B")),
    outgoing=(Member("A", "a:1", "life-1"), Member("C")),
    learners=(Member("L", "l:1"),),
    learners_next=(Member("C"),),
    goal=Configuration(voters=(Member("A"), Member("D", "d:1")), lease=Lease(0.5, 0.1)),
    newcomers=("D",),
    removed=(Member("X", "", "life-9"),),
    lease=Lease(2, 0),
)


@pytest.mark.parametrize("configuration", [Configuration(), Configuration.of("B", "A"), WHOLE])
def test_configuration_survives_being_written_down(configuration: Configuration) -> None:
    assert Configuration.decode(configuration.encode()) == configuration
    assert Configuration.decode(configuration.encode()).encode() == configuration.encode()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no json",
        b"[]",
        b"\xff",
        b'{"members":[]}',
        b'{"voters":[["A"],["A"]]}',
        b'{"voters":[["A",7]]}',
        b'{"voters":[["A","",7]]}',
        b'{"voters":[["A","","","more"]]}',
        b'{"voters":[["a b"]]}',
        b'{"voters":7}',
        b'{"newcomers":[7]}',
        b'{"goal":{"goal":{"goal":{}}}}',
        b'{"lease":[1]}',
        b'{"lease":[0,0]}',
        b'{"lease":[1,1]}',
        b'{"lease":["1",0]}',
        b"[" * 100_000,
    ],
)
def test_bytes_that_are_no_configuration(data: bytes) -> None:
    with pytest.raises(ValueError, match="these bytes are no configuration"):
        Configuration.decode(data)


def test_at_rest_joint_and_members() -> None:
    assert (Configuration.of("A").at_rest, WHOLE.at_rest, WHOLE.is_joint) == (True, False, True)
    assert [member.id for member in WHOLE.members] == ["A", "B", "C", "L"]
    assert WHOLE.member("L") == Member("L", "l:1")
    assert WHOLE.member("D") is None
