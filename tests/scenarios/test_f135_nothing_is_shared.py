"""What was given to the core, or handed out by it, does not change behind anybody's back.

In memory, a message that one node sends is the object that another receives, and the store keeps the lists it was
given. If a node went on appending to such a list, entries would reach a log, or a disk, that nobody sent them to.
"""

import copy
from typing import Any

from rafty_core import AppendEntries, Batch
from tests.scenarios.story import Story


class Keeper:
    """Keeps things together with a copy of what they were."""

    def __init__(self) -> None:
        self.kept: list[tuple[Any, Any]] = []

    def keep(self, thing: Any) -> None:
        self.kept.append((thing, copy.deepcopy(thing)))

    def check(self) -> None:
        for thing, then in self.kept:
            assert thing == then


def test_lists_that_were_handed_out_never_change() -> None:
    keeper = Keeper()
    story = Story("ABC")
    story.elect("A", "ABC", settle=False)
    for number in range(5):
        keeper.keep(story.propose("A", b"x%d" % number))
        for _ in range(4):
            for name in "ABC":
                story.persist(name)
                keeper.keep(list(story[name].committed))
                story.apply(name)
            for message in story.drop():
                keeper.keep(message)
                keeper.keep(story.step(message.to, message))
        keeper.keep(story["A"].status)
        keeper.check()
    assert story["B"].applied == [b"x%d" % number for number in range(5)]


def test_list_that_was_given_is_neither_changed_nor_kept() -> None:
    story = Story("ABC", terms={"": 1})
    entries = [b"\x01a", b"\x01b"]
    story.step("B", AppendEntries("A", "B", 1, 0, 0, 0, Batch(1, 1, entries)))
    story.step("B", AppendEntries("A", "B", 1, 2, 1, 0, Batch(3, 1, [b"\x01c"])))
    assert entries == [b"\x01a", b"\x01b"]
    assert [entry.data for entry in story["B"].raft.entries(1, 3)] == [b"a", b"b", b"c"]


def test_truncation_leaves_a_batch_that_was_handed_out_as_it_was() -> None:
    story = Story("ABC", terms={"": 1})
    first = Batch(1, 1, [b"\x01a", b"\x01b"])
    story.step("B", AppendEntries("A", "B", 1, 0, 0, 0, first))
    (write,) = story["B"].writes
    story.step("B", AppendEntries("C", "B", 2, 0, 0, 0, Batch(1, 2, [b"\x01c"])))
    assert first == Batch(1, 1, [b"\x01a", b"\x01b"])
    assert write.batches == [Batch(1, 1, [b"\x01a", b"\x01b"])]
