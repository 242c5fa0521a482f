"""Every wrong call is refused before its first effect, with a sentence that says what is wrong."""

from typing import Any

import pytest

from rafty_core import (
    Applied,
    Change,
    ChangeMembership,
    Heartbeat,
    Member,
    PeerUnreachable,
    Persisted,
    Propose,
    Read,
    SnapshotReceived,
    SnapshotTaken,
    TransferLeadership,
)
from rafty_core.calls import CHECKS, LOCAL_EVENTS
from rafty_core.entries import LARGEST
from rafty_core.events import Campaign, SnapshotFailed
from tests.core.contents import contents
from tests.scenarios.behind import begin_to_fetch, left_behind
from tests.scenarios.story import Story

ANY: Any = "anything"
NAN = float("nan")


def leading() -> Story:
    """A leads; entries 1 (a no-op), 2 and 3 (commands) were handed out, and entry 1 is applied."""
    story = Story("ABC")
    story.elect("A", "ABC")
    story.propose("A", b"x", b"y", token=1)
    story.settle("ABC", apply=False)
    return story


WRONG: list[tuple[Any, type[Exception], str]] = [
    (Persisted(99), ValueError, "write 99 was never asked for"),
    (Persisted(ANY), ValueError, "write anything was never asked for"),
    (Persisted(True), ValueError, "never asked for"),
    (Applied(0), ValueError, "applied index 0 is not between 1 and 3"),
    (Applied(4), ValueError, "applied index 4 is not between 1 and 3, the last index that was handed out"),
    (Applied(2.0), ValueError, "applied index 2.0 is not between"),  # type: ignore[arg-type]
    (Applied(3, [b"one"]), ValueError, "1 results for 2 commands"),
    (Applied(3, [b"one"] * 3), ValueError, "3 results for 2 commands"),
    (Propose(1, ["text"]), TypeError, "commands are bytes"),  # type: ignore[list-item]
    (Read(1, "quick"), ValueError, "a read is one of linearizable, lease, at_least, not 'quick'"),
    (Read(1, "at_least", -1), ValueError, "no log has the index -1"),
    (Read(1, "at_least", LARGEST + 1), ValueError, "no log has the index"),
    (Read(1, "at_least", 1.0), ValueError, "no log has the index 1.0"),  # type: ignore[arg-type]
    (ChangeMembership(1, [ANY]), TypeError, "a change of membership is a sequence of `Change`"),
    (TransferLeadership(1, 7), TypeError, "the target of a transfer is named by its id"),  # type: ignore[arg-type]
    (TransferLeadership(1, "B", -1.0), ValueError, "a transfer cannot take -1.0 s"),
    (TransferLeadership(1, "B", float("inf")), ValueError, "a transfer cannot take inf s"),
    (TransferLeadership(1, "B", NAN), ValueError, "a transfer cannot take nan s"),
    (PeerUnreachable(7), TypeError, "a peer is named by its id"),  # type: ignore[arg-type]
    (SnapshotTaken(2), ValueError, "a snapshot of index 2 cannot be taken: 1 is applied"),
    (SnapshotTaken(-1), ValueError, "a snapshot of index -1 cannot be taken"),
    (SnapshotTaken(1.0), ValueError, "a snapshot of index 1.0 cannot be taken"),  # type: ignore[arg-type]
    (SnapshotTaken(1, -2), ValueError, "no log can be compacted up to -2"),
    (SnapshotTaken(1, ANY), ValueError, "no log can be compacted up to 'anything'"),
    ("Persisted", TypeError, "str is no event"),
    (None, TypeError, "NoneType is no event"),
]


@pytest.mark.parametrize(
    ("event", "error", "text"), WRONG, ids=[f"{text} {at}" for at, (_, _, text) in enumerate(WRONG)]
)
def test_wrong_call_raises_before_any_effect(event: Any, error: type[Exception], text: str) -> None:
    story = leading()
    story.step("A", Applied(1))
    before = contents(story["A"].raft._state)
    with pytest.raises(error, match=text.replace("(", r"\(")):
        story["A"].raft.step(story.now + 0.01, Heartbeat("C", "A", 9, 0, 1), Read("before"), event)
    assert contents(story["A"].raft._state) == before


@pytest.mark.parametrize("now", [-1.0, 0.59, NAN])
def test_time_does_not_run_backwards(now: float) -> None:
    story = leading()
    with pytest.raises(ValueError, match="time runs backwards"):
        story["A"].raft.step(now)


def test_events_of_one_step_are_checked_one_after_the_other() -> None:
    story = leading()
    story.step("A", Applied(2, [b"1"]), Applied(3, [b"2"]), SnapshotTaken(3))
    assert story["A"].answer(1).results == [b"1", b"2"]
    assert story["A"].status.snapshot_index == 3


def test_results_of_entries_that_a_snapshot_has_replaced_are_not_counted() -> None:
    story = left_behind()
    begin_to_fetch(story)
    story.propose("A", b"x")
    story["C"].raft._state.log.append(1, [b"\x01", b"\x01", b"\x01"])
    story["C"].raft._state.log.commit_to(3)
    story.persist("C")
    story.step("C")
    story.persist("C")
    story.receive_snapshot("C")
    story.step("C", Applied(3, [b"of the first alone"]))
    assert story["C"].status.applied_index == 3


def test_every_local_event_is_checked_or_holds_nothing_that_could_be_wrong() -> None:
    free = {Campaign, SnapshotReceived, SnapshotFailed}
    assert {*CHECKS, Applied, SnapshotTaken, *free} == LOCAL_EVENTS


def test_right_calls_pass() -> None:
    story = leading()
    change = Change("add_learner", Member("D"))
    story.step("A", Persisted(0), Applied(1), Applied(1), Read(1, "at_least", LARGEST), PeerUnreachable("X"))
    story.step(
        "A", ChangeMembership(2, (change,)), TransferLeadership(3, "B", 0), SnapshotTaken(0), SnapshotTaken(1, 9)
    )
    assert story["A"].status.snapshot_index == 1
