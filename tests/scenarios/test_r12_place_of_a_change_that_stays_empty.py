"""A change is lost with its leader, and nothing ever comes into its place in the log: its asker is told all the same.

A has appended four entries in term 1, the last of them a change. B's term 2 has one entry in their place and then
nobody proposes anything. Nothing of term 1 can follow. The asker waited for ever, and A, leading again, refused every
other change as the second. Found by review.
"""

from tests.scenarios.story import Story


def test_change_is_superseded_by_a_later_term_before_its_place() -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    story.propose("A", b"x", b"y", b"z")
    story.change("A", ("remove", "C"), token="lost")
    story.persist("A")
    story.drop()
    story.elect("B", "BC")
    story.beat("B", "ABC", 2)
    assert story["A"].status.commit_index == story["A"].status.last_index == 2
    assert type(story["A"].answer("lost").error).__name__ == "Superseded"
    story.elect("A", "ABC")
    story.change("A", ("remove", "C"), token="again")
    story.beat("A", "ABC", 2)
    assert story["A"].answer("again").error is None
