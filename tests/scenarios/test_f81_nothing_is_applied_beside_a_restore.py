"""The state machine is restored in its turn: after what it was given before, before anything behind the snapshot.

C was handed entries 2 and 3 when the snapshot at 6 arrives. Nothing more is handed out; the snapshot is, once it is
durable; what the machine confirms late changes nothing; entry 7 comes after the snapshot.
"""

from rafty_core import AppendEntries, Applied, Batch, Committed, Persisted, ReadAnswer, Restore
from rafty_core.events import Read
from tests.scenarios.behind import begin_to_fetch, left_behind
from tests.scenarios.story import Story


def installing() -> Story:
    """C applies 2 and 3 and has just received the snapshot at 6; the write that installs it is open."""
    story = left_behind()
    begin_to_fetch(story)
    story.step("C", AppendEntries("A", "C", 1, 1, 1, 3, Batch(2, 1, [b"\x011", b"\x012", b"\x013"])))
    story.persist("C")
    assert [portion.last for portion in story["C"].committed] == [3]
    story.receive_snapshot("C")
    return story


def test_machine_is_restored_once_the_snapshot_is_durable() -> None:
    story = installing()
    assert [portion.last for portion in story["C"].committed] == [3]
    output = story.step("C", AppendEntries("A", "C", 1, 6, 1, 7, Batch(7, 1, [b"\x01more"])))
    assert output.apply == []
    story.step("C", Applied(3, [b"", b""]), Read("read", "at_least", 7))
    assert story["C"].status.applied_index == 3
    story.persist("C")
    story.step("C")
    assert story["C"].committed[1:] == [Restore(6, 1), Committed(7, [b"\x01more"])]
    story["C"].committed.pop(0)
    story.apply("C")
    assert story["C"].applied == [*story["A"].applied, b"more"]
    assert story["C"].answers == [ReadAnswer("read", 7)]


def test_late_completion_of_an_earlier_write_restores_nothing() -> None:
    story = installing()
    story.step("C", AppendEntries("A", "C", 1, 6, 1, 7, Batch(7, 1, [b"\x01more"])))
    (installs, _) = story["C"].writes
    output = story.step("C", Persisted(installs.seq - 1))
    assert output.apply == []
    output = story.step("C", Persisted(installs.seq))
    assert output.apply == [Restore(6, 1)]


def test_machine_that_is_restored_is_not_given_anything_twice() -> None:
    story = installing()
    story.persist("C")
    assert story["C"].committed[-1] == Restore(6, 1)
    for _ in range(3):
        assert story.step("C").apply == []
