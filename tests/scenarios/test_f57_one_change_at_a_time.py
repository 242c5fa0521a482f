"""A second change while one is not committed, or not at its end, is refused, and leaves no entry.

The one under way may be the leader's own, or one that it has taken over.
"""

import pytest

from tests.scenarios.story import Story


@pytest.mark.parametrize("first", ["add_learner", "add_voter"])
def test_second_change_while_the_first_entry_is_not_committed(first: str) -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    story.change("A", (first, "D"), token="first")
    last = story["A"].status.last_index
    story.change("A", ("add_learner", "E"), token="second")
    assert story["A"].answer("second").error.reason == "in_progress"
    assert story["A"].status.last_index == last
    story.join("D")
    story.beat("A", "ABCD")
    assert story["A"].answer("first").error is None


def test_second_change_at_each_later_step_of_the_first() -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    story.join("D")
    story.change("A", ("add_voter", "D"), token="first")
    asked = 0

    def done() -> bool:
        nonlocal asked
        if any(answer.token == "first" for answer in story["A"].answers):
            return True
        asked += 1
        story.change("A", ("remove", "C"), token=asked)
        assert story["A"].answer(asked).error.reason == "in_progress"
        return False

    story.until(done, "ABCD")
    assert asked > 10
    assert story["A"].answer("first").error is None
    assert story["A"].status.configuration.voter_ids == ("A", "B", "C", "D")


def test_second_change_while_a_successor_goes_on_with_the_first() -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    story.change("A", ("add_voter", "D"))
    story.settle("ABC")
    story.beat("A", "ABC", 1)
    story.elect("B", "BC")
    assert story["B"].status.configuration.goal is not None
    story.change("B", ("remove", "C"))
    assert story["B"].answer("change").error.reason == "in_progress"
