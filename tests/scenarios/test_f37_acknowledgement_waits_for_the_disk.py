"""An acknowledged entry is on disk.

All three nodes acknowledge an entry that is in memory only; the power fails; the entry was committed and is gone. So
an acknowledgement waits for the entries, and for the term in which it is given.
"""

from rafty_core import AppendEntries, AppendEntriesResponse, Batch, Committed
from tests.scenarios.story import Story


def test_acknowledgement_leaves_when_the_entries_are_durable() -> None:
    story = Story("ABC", terms={"": 1})
    story.step("B", AppendEntries("A", "B", 1, 0, 0, 0, Batch(1, 1, [b"\x01a", b"\x01b"])))
    story.wait(0.1, "B")
    assert {answer.match_index for answer in story.sent(AppendEntriesResponse)} <= {0}
    story.drop()
    story.persist("B")
    assert story.sent(AppendEntriesResponse) == [AppendEntriesResponse("B", "A", 1, True, 2)]


def test_acknowledgement_waits_for_its_term_too() -> None:
    story = Story("ABC", logs={"B": [1, 1]}, terms={"": 1})
    story.step("B", AppendEntries("A", "B", 2, 2, 1, 0))
    assert story.sent(AppendEntriesResponse) == []
    story.persist("B")
    assert story.sent(AppendEntriesResponse) == [AppendEntriesResponse("B", "A", 2, True, 2)]


def test_follower_applies_only_what_is_durable() -> None:
    story = Story("ABC", terms={"": 1})
    story.step("B", AppendEntries("A", "B", 1, 0, 0, 2, Batch(1, 1, [b"\x01a", b"\x01b"])))
    assert (story["B"].status.commit_index, story["B"].committed) == (2, [])
    story.persist("B")
    assert [given.commands() for given in story["B"].committed if isinstance(given, Committed)] == [[b"a", b"b"]]


def test_of_held_acknowledgements_only_the_newest_leaves() -> None:
    story = Story("ABC", terms={"": 1})
    for index in (1, 2, 3):
        batch = Batch(index, 1, [b"\x01%d" % index])
        story.step("B", AppendEntries("A", "B", 1, index - 1, min(1, index - 1), 0, batch))
    assert {answer.match_index for answer in story.sent(AppendEntriesResponse)} <= {0}
    story.drop()
    story.persist("B")
    assert story.sent(AppendEntriesResponse) == [AppendEntriesResponse("B", "A", 1, True, 3)]
