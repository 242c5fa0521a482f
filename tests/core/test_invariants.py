"""Each local invariant fires when the state is bent: a check that cannot fail protects nothing."""

from collections.abc import Callable

import pytest

from rafty_core import Batch, Stable, Write
from rafty_core.history import Image, InvariantViolation
from rafty_core.invariants import NodeInvariants, state_of
from rafty_core.state import Candidate, Leader, State
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
