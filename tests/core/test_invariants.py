"""Each local invariant fires when the state is bent: a check that cannot fail protects nothing."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from rafty_core import Batch, Configuration, Snapshot, Stable, Write
from rafty_core.configuration_invariants import ConfigurationInvariants, intersect
from rafty_core.history import Ghost, Image, InvariantViolation
from rafty_core.invariants import NodeInvariants, state_of
from rafty_core.roles import Candidate, Leader
from rafty_core.state import State
from tests.scenarios.story import Story


def leading() -> Story:
    """A leads term 1; three commands are committed and applied everywhere."""
    story = Story("ABC", learners="L")
    story.elect("A", "ABC")
    for number in range(3):
        story.propose("A", b"%d" % number)
        story.settle("ABC")
    return story


def lower_term(state: State) -> None:
    state.term -= 1


def change_vote(state: State) -> None:
    state.vote = "C"


def apply_beyond_commit(state: State) -> None:
    state.log.commit -= 1
    state.applying.handed_out += 1


def durable_beyond_the_log(state: State) -> None:
    state.writes.index += 5


def count_too_much(state: State) -> None:
    assert isinstance(state.role, Leader)
    state.role.appended(99, 1)


def next_below_match(state: State) -> None:
    assert isinstance(state.role, Leader)
    state.role.progress["B"].next = 1


def match_falls(state: State) -> None:
    assert isinstance(state.role, Leader)
    state.role.progress["B"].match = 1


def too_much_in_flight(state: State) -> None:
    assert isinstance(state.role, Leader)
    inflights = state.role.progress["B"].inflights
    inflights.most_messages = 10**6
    for _ in range(state.config.max_inflight_messages + 1):
        inflights.add(4, 1)


def change_an_entry(state: State) -> None:
    state.log._entries[-1] = b"\x01other"


@pytest.mark.parametrize(
    ("bend", "number"),
    [
        (lower_term, "I6"),
        (change_vote, "I6"),
        (apply_beyond_commit, "I6"),
        (durable_beyond_the_log, "I7"),
        (count_too_much, "I24"),
        (next_below_match, "I12"),
        (match_falls, "I12"),
        (too_much_in_flight, "I24"),
        (change_an_entry, "I2"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_bent_leader_is_noticed(bend: Callable[[State], None], number: str) -> None:
    raft = leading()["A"].raft
    invariants = NodeInvariants(raft)
    invariants.check(raft)
    invariants.check(raft)
    bend(state_of(raft))
    with pytest.raises(InvariantViolation, match=f"^{number}: "):
        invariants.check(raft)


def test_applied_beyond_commit_is_noticed() -> None:
    raft = leading()["B"].raft
    invariants = NodeInvariants(raft)
    state_of(raft).applying.handed_out += 1
    with pytest.raises(InvariantViolation, match=r"^I7: "):
        invariants.check(raft)


def test_learner_that_stands_for_election_is_noticed() -> None:
    raft = leading()["L"].raft
    invariants = NodeInvariants(raft)
    state_of(raft).role = Candidate(1.0)
    with pytest.raises(InvariantViolation, match=r"^I14: "):
        invariants.check(raft)


@pytest.mark.parametrize(
    ("write", "number"),
    [
        (Write(1, 4, None), "I6"),
        (Write(1, 5, "B"), "I6"),
        (Write(1, 5, "A", [Batch(3, 5, [b"\x01x"])]), "I7"),
    ],
    ids=["term falls", "vote changes", "hole in the log"],
)
def test_write_that_breaks_what_is_durable_is_noticed(write: Write, number: str) -> None:
    image = Image(Stable(5, "A"))
    with pytest.raises(InvariantViolation, match=f"^{number}: "):
        image.write(write)


def test_image_carries_out_snapshots() -> None:
    members = Configuration.of("A")
    image = Image(Stable(1, None, Snapshot(0, 0, members), [Batch(1, 1, [b"\x01a", b"\x01b", b"\x01c"])]))
    before = image.hash(3)
    image.write(Write(1, 1, None, (), Snapshot(2, 1, members), compact_to=2))
    assert (image.snapshot.index, image.compactable, image.hash(3)) == (2, 2, before)
    image.write(Write(2, 2, None, [Batch(9, 2, [b"\x01i"])], Snapshot(8, 2, members), installs=True))
    assert (image.base, image.last, image.term(9), image.hash(3)) == (8, 9, 2, None)


@pytest.mark.parametrize(
    ("write", "number"),
    [
        (Write(2, 1, None, (), Snapshot(1, 1, Configuration.of("A"))), "I6"),
        (Write(2, 1, None, (), Snapshot(5, 1, Configuration.of("A"))), "I7"),
        (Write(2, 1, None, (), compact_to=3), "I7"),
        (Write(2, 1, None, [Batch(2, 1, [b"\x01x"])]), "I7"),
    ],
    ids=["older snapshot", "log ends before it", "compacted beyond it", "entries it holds"],
)
def test_write_that_breaks_the_snapshot_is_noticed(write: Write, number: str) -> None:
    members = Configuration.of("A")
    image = Image(Stable(1, None, Snapshot(0, 0, members), [Batch(1, 1, [b"\x01a", b"\x01b", b"\x01c"])]))
    image.write(Write(1, 1, None, (), Snapshot(2, 1, members)))
    with pytest.raises(InvariantViolation, match=f"^{number}: "):
        image.write(write)


def ghost_of(*entries: bytes) -> Ghost:
    ghost = Ghost()
    ghost.bootstrap(Configuration.of("A", "B"))
    for entry in entries:
        ghost.commit(1, entry, 1)
    return ghost


def test_ghost_knows_the_configuration_at_each_index() -> None:
    later = Configuration.of("A", "B", "C")
    ghost = ghost_of(b"\x00", b"\x02" + later.encode(), b"\x01x")
    assert ghost.configuration_at(1) == Configuration.of("A", "B")
    assert ghost.configuration_at(2) == ghost.configuration_at(3) == later
    assert ghost.check_snapshot(Snapshot(3, 1, later), "A") == ghost.hash(3)
    for wrong in (Snapshot(3, 1, Configuration.of("A", "B")), Snapshot(3, 2, later), Snapshot(4, 1, later)):
        with pytest.raises(InvariantViolation, match=r"^I19: "):
            ghost.check_snapshot(wrong, "A")


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("ABC", "ABC", True),
        ("ABC", "ABCD", True),
        ("ABCD", "ABC", True),
        ("ABC", "CDE", False),
        ("ABCDE", "ABC", False),
        ("A", "B", False),
    ],
)
def test_quorums_intersect_or_not(one: str, other: str, expected: bool) -> None:
    assert intersect(Configuration.of(*one), Configuration.of(*other)) is expected


def test_quorums_of_a_joint_configuration_intersect_with_both_halves() -> None:
    joint = replace(Configuration.of(*"DEF"), outgoing=Configuration.of(*"ABC").voters)
    assert intersect(joint, Configuration.of(*"ABC"))
    assert intersect(joint, Configuration.of(*"DEF"))
    assert not intersect(joint, Configuration.of(*"ADG"))


JOINT = replace(Configuration.of("B"), outgoing=Configuration.of("A", "B").voters)


@pytest.mark.parametrize(
    ("entries", "term", "configurations"),
    [
        ([Configuration.of("A", "B", "C")], 1, 1),  # other voters, and not joint
        ([JOINT, Configuration.of("B")], 1, 1),  # left before it is committed
        ([JOINT], 2, 1),  # no entry of term 2 is committed
        ([replace(Configuration.of("B"), outgoing=Configuration.of("A").voters)], 1, 1),  # joint with another one
        ([JOINT, Configuration.of("A")], 1, 2),  # left to another half
    ],
    ids=["not joint", "left too early", "before a commit", "joint with another", "left to another"],
)
def test_configuration_that_must_not_follow_is_noticed(
    entries: list[Configuration], term: int, configurations: int
) -> None:
    """`configurations`: as many of them, the first one included, are committed."""
    encoded = [b"\x02" + configuration.encode() for configuration in entries]
    ghost = ghost_of(b"\x00", *encoded[: configurations - 1])
    history = ghost.shared()
    history.terms, history.hashes = list(history.terms), list(history.hashes)
    history.replace_from(ghost.last + 1, term, encoded[configurations - 1 :])
    standing = [(0, Configuration.of("A", "B")), *enumerate(entries, 2)]
    invariants = ConfigurationInvariants(ghost)
    with pytest.raises(InvariantViolation, match=r"^I13: "):
        invariants.check("A", history, standing)
