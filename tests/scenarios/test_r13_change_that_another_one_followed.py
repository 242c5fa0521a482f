"""A change was done, and another followed before its asker heard of either: the answer is about the first.

A asks for a learner L and is cut off; B goes on, adds L, and removes it again. A hears of all of that at once, and said
"undone", though L had been a member; a caller that trusts this may do harm. Found by review.
"""

import pytest

from rafty_core import OutcomeUnknown
from tests.scenarios.story import Story


def done_and_followed() -> Story:
    story = Story("ABC")
    story.elect("A", "ABC")
    story.change("A", ("add_learner", "L"), token="first")
    story.persist("A")
    story.deliver(to="B")
    story.persist("B")
    story.drop()
    story.elect("B", "BC")
    story.change("B", ("remove", "L"), token="second")
    story.settle("BC")
    assert story["B"].answer("second").error is None
    assert story["A"].answers == []
    return story


@pytest.mark.parametrize("installed", [False, True])
def test_answer_is_about_the_change_that_was_asked_for(installed: bool) -> None:
    story = done_and_followed()
    if installed:  # the history is gone, and what remains does not tell
        story.beat("B", "BC", 8)
        story.take_snapshot("B")
        story.persist("B")
    story.beat("B", "ABC", 4)
    assert (story["A"].status.snapshot_index > 0) is installed
    answer = story["A"].answer("first")
    if installed:
        assert isinstance(answer.error, OutcomeUnknown)
    else:
        assert answer.error is None
        assert answer.configuration.member("L") is not None
