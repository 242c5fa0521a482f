"""A program asks for a change that no entry can hold: it is told at once, and the cluster is as it was.

An address that is no text was appended and sent; every follower dropped the message as a violation, so that the leader
could commit nothing any more. Found by review.
"""

from typing import Any

import pytest

from rafty_core import Change, ChangeMembership, Member
from tests.scenarios.story import Story


@pytest.mark.parametrize("member", [Member("D", 7), Member("D", b"d:1"), Member("D", "", 7)])  # type: ignore[arg-type]
def test_address_or_incarnation_that_is_no_text(member: Member) -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    with pytest.raises(TypeError, match="are text"):
        story.step("A", ChangeMembership("c", [Change("add_learner", member)]))
    story.propose("A", b"x", token="x")
    story.settle("ABC")
    assert (story["A"].answer("x").error, story["A"].status.last_index) == (None, 2)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"lease": "for ever"}, TypeError),
        ({"lease": 0.5}, TypeError),
        ({"based_on": -1}, ValueError),
        ({"based_on": True}, ValueError),
    ],
)
def test_other_values_that_make_no_sense(options: dict[str, Any], error: type[Exception]) -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    with pytest.raises(error):
        story.change("A", ("remove", "C"), **options)
    assert story["A"].status.last_index == 1
