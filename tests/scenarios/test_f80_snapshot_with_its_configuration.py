"""A snapshot carries the configuration of its own index, not the one in force when it is taken or stored.

A has applied its no-op. It adds a learner: that configuration stands at index 2, is committed, and is not applied yet.
A snapshot taken now is of index 1 and of three members, also when the disk has it later.
"""

import pytest

from rafty_core import SnapshotTaken
from rafty_core.log import Compacted
from tests.scenarios.behind import begin_to_fetch, left_behind
from tests.scenarios.story import Story


def with_a_change_behind() -> Story:
    story = Story("ABC")
    story.elect("A", "ABC")
    story.change("A", ("add_learner", "D"))
    story.settle("ABC", apply=False)
    assert (story["A"].status.applied_index, story["A"].status.commit_index) == (1, 2)
    return story


def test_snapshot_is_of_the_applied_index() -> None:
    story = with_a_change_behind()
    snapshot = story["A"].raft.snapshot()
    assert (snapshot.index, snapshot.term) == (1, 1)
    assert [member.id for member in snapshot.configuration.members] == ["A", "B", "C"]
    story.apply("A")
    snapshot = story["A"].raft.snapshot()
    assert (snapshot.index, [member.id for member in snapshot.configuration.members]) == (2, ["A", "B", "C", "D"])


def test_configuration_that_changed_while_the_image_was_written_is_not_in_it() -> None:
    story = with_a_change_behind()
    story.apply("A")
    output = story.step("A", SnapshotTaken(1))
    assert output.write is not None
    assert output.write.snapshot is not None
    assert [member.id for member in output.write.snapshot.configuration.members] == ["A", "B", "C"]
    story["A"].images[1] = []
    story.persist("A")
    story.crash("A")
    assert [member.id for member in story["A"].status.configuration.members] == ["A", "B", "C", "D"]
    assert story["A"].status.configuration_index == 2


def test_no_snapshot_is_taken_of_a_state_machine_that_is_being_restored() -> None:
    story = left_behind()
    begin_to_fetch(story)
    story.receive_snapshot("C")
    story.persist("C")
    with pytest.raises(Compacted):
        story["C"].raft.snapshot()
    story.apply("C")
    assert story["C"].raft.snapshot().index == 6
