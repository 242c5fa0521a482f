"""A proposal is answered for its own entry: index and term, after it was applied.

A appends x at index 2 of term 1 and loses the leadership; C's y is committed at index 2 in term 2. Matched by its
index alone, y's result would be told to the client of x.
"""

from rafty_core import Superseded
from tests.scenarios.story import Story


def test_proposal_whose_place_was_taken_gets_no_result() -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    story.propose("A", b"x", token="x")
    story.settle("A")
    story.elect("C", "BC")
    story.propose("C", b"y", token="y")
    for _ in range(3):
        story.wait(0.1, "C")
        story.settle("ABC")
    assert story["A"].applied == [b"y"]
    assert isinstance(story["A"].answer("x").error, Superseded)
    assert (story["A"].answer("x").applied, story["A"].answer("x").results) == (0, [])
    assert story["C"].answer("y").results == [b"yy"]


def test_proposal_is_answered_when_it_was_applied_and_not_before() -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    story.propose("A", b"x", b"y", token=1)
    assert story["A"].answers == []
    story.settle("ABC", apply=False)
    assert (story["A"].status.commit_index, story["A"].answers) == (3, [])
    story.apply("A")
    assert story["A"].answer(1).results == [b"xx", b"yy"]


def test_proposal_of_a_deposed_leader_that_survives_is_answered_with_its_result() -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    story.propose("A", b"x", token="x")
    story.persist("A")
    story.deliver(to="B")
    story.persist("B")
    story.elect("B", "BC")
    assert story["A"].answers == []
    for _ in range(3):
        story.wait(0.1, "B")
        story.settle("ABC")
    assert (story["A"].answer("x").results, story["A"].answer("x").error) == ([b"xx"], None)
