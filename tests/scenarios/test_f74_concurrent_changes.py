"""Two ask for changes at once: one is done, whole, and the other is told that it was not; the end is at rest."""

from rafty_core import Configuration
from tests.scenarios.story import Story


def test_two_changes_in_one_step() -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    story.join("D")
    story.change("A", ("add_voter", "D"), token="one")
    story.change("A", ("remove", "C"), token="two")
    story.beat("A", "ABCD")
    assert (story["A"].answer("one").error, story["A"].answer("two").error.reason) == (None, "in_progress")
    assert story["A"].status.configuration == Configuration.of("A", "B", "C", "D")


def test_change_while_a_committed_step_of_another_waits_for_a_learner() -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    story.change("A", ("add_voter", "D"), token="one")
    story.settle("ABC")
    story.crash("A")
    story.elect("A", "ABC")  # it has forgotten who asked for what
    assert story["A"].raft.committed_configuration == story["A"].status.configuration
    story.change("A", ("remove", "C"), token="two")
    assert story["A"].answer("two").error.reason == "in_progress"
    story.join("D")
    story.beat("A", "ABCD")
    assert story["A"].status.configuration == Configuration.of("A", "B", "C", "D")


def test_change_made_against_an_older_configuration() -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    story.change("A", ("remove", "C"), token="one")
    story.beat("A", "ABC", 2)
    index = story["A"].status.configuration_index
    story.change("A", ("remove", "B"), token="two", based_on=index - 1)
    assert story["A"].answer("two").error.reason == "based_on"
    story.change("A", ("remove", "B"), token="three", based_on=index)
    story.beat("A", "AB", 2)
    assert story["A"].answer("three").error is None
