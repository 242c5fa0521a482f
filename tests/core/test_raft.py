"""The door: wrong calls are refused before their first effect, and `deadline` says when to come back."""

from typing import Any

import pytest

from rafty_core import (
    Applied,
    Batch,
    Config,
    Configuration,
    Heartbeat,
    Persisted,
    PreVote,
    Propose,
    Raft,
    RequestVote,
    Snapshot,
    Stable,
)
from tests.core.contents import contents
from tests.scenarios.story import Chance, Story


def leading() -> Story:
    """A leads; entries 1 (a no-op) and 2 and 3 (commands) were handed out, and entry 1 is applied."""
    story = Story("ABC")
    story.elect("A", "ABC")
    story.propose("A", b"x", b"y", token=1)
    story.settle("ABC", apply=False)
    return story


NOT_BYTES: Any = ["text"]
WRONG: list[tuple[Any, type[Exception], str]] = [
    (Persisted(99), ValueError, "write 99 was never asked for"),
    (Persisted(-1), ValueError, "never asked for"),
    (Applied(0), ValueError, "applied index 0 is not between"),
    (Applied(4), ValueError, "applied index 4 is not between"),
    (Applied(3, [b"only one"]), ValueError, "1 results for 2 commands"),
    (Propose(1, NOT_BYTES), TypeError, "commands are bytes"),
    ("Persisted", TypeError, "str is no event"),
]


@pytest.mark.parametrize(("event", "error", "text"), WRONG, ids=[text for _, _, text in WRONG])
def test_wrong_event_raises_before_any_effect(event: Any, error: type[Exception], text: str) -> None:
    story = leading()
    before = contents(story["A"].raft._state)
    with pytest.raises(error, match=text):
        story["A"].raft.step(story.now + 0.01, Heartbeat("C", "A", 9, 0, 1), event)
    assert contents(story["A"].raft._state) == before


def test_time_does_not_run_backwards() -> None:
    story = leading()
    with pytest.raises(ValueError, match="time runs backwards"):
        story["A"].raft.step(story.now - 0.01)
    story.step("A")


@pytest.mark.parametrize("results", [[b"1", b"2"], []])
def test_results_are_of_commands_alone(results: list[bytes]) -> None:
    story = Story("A")
    story.elect("A", "A", settle=False)
    story.propose("A", b"x", b"y", token=1)
    story.persist("A")
    story.step("A", Applied(3, results))
    assert (story["A"].answer(1).applied, list(story["A"].answer(1).results)) == (2, results)


def test_results_for_a_part_and_then_the_rest() -> None:
    story = leading()
    story.step("A", Applied(2, [b"first"]))
    assert story["A"].answers == []
    story.step("A", Applied(3, [b"second"]), Applied(3))
    assert story["A"].answer(1).results == [b"first", b"second"]


def test_log_beyond_the_stored_term_is_refused() -> None:
    configuration = Snapshot(0, 0, Configuration.of("A"))
    with pytest.raises(ValueError, match="the log ends in term 3, but the stored term is 2"):
        Raft(Config(id="A"), Stable(2, None, configuration, [Batch(1, 3, [b"\x01"])]), random=Chance(0.5), now=0.0)


def test_log_with_a_hole_is_refused() -> None:
    stable = Stable(2, None, Snapshot(), [Batch(1, 1, [b"\x01"]), Batch(3, 2, [b"\x01"])])
    with pytest.raises(ValueError, match="cannot put"):
        Raft(Config(id="A"), stable, random=Chance(0.5), now=0.0)


def test_entries_below_the_snapshot_are_ignored() -> None:
    entries = [b"\x01%d" % index for index in range(1, 6)]
    stable = Stable(2, None, Snapshot(3, 1), [Batch(1, 1, entries[:2]), Batch(3, 1, entries[2:])])
    raft = Raft(Config(id="A"), stable, random=Chance(0.5), now=0.0)
    assert [entry.data for entry in raft.entries(4, 5)] == [b"4", b"5"]
    with pytest.raises(LookupError):
        raft.entries(3, 5)


def test_deadline_of_a_follower_is_its_election_timeout() -> None:
    story = Story("ABC", chances={"A": Chance(0.5)})
    assert story["A"].raft.deadline == 0.75


def test_deadline_of_a_leader_is_its_next_heartbeat() -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    for _ in range(3):
        assert story["A"].raft.deadline == pytest.approx(story.now + 0.1)
        story.now = story["A"].raft.deadline
        assert {type(message) for message in story.step("A").messages} == {Heartbeat}
        story.settle("ABC")


def test_deadline_of_a_leader_that_is_alone_never_comes() -> None:
    story = Story("A")
    story.elect("A", "A")
    assert story["A"].raft.deadline == float("inf")


def test_step_at_the_deadline_moves_the_deadline() -> None:
    story = Story("ABC", chances={"A": Chance(0.0)})
    for _ in range(5):
        deadline = story["A"].raft.deadline
        story.now = deadline
        assert {type(message) for message in story.step("A").messages} == {PreVote}
        assert story["A"].raft.deadline > deadline


def test_candidate_that_loses_follows() -> None:
    story = Story("ABC", logs={"A": [1], "B": [1, 1], "C": [1, 1]})
    story.now = 1.0
    story.step("A", RequestVote("C", "A", 2, 2, 1))
    story.persist("A")
    story.drop()
    story.step("A", PreVote("B", "A", 3, 2, 1))
    assert story["A"].status.role == "follower"
    story.elect("B", "ABC")
    assert story["A"].log == [1, 1, 3]
