"""What a leader has accepted and not committed is bounded, and the count of it comes back to nothing.

A alone accepts entries until it is full, loses its leadership and those entries, and leads again. Bytes counted for
entries that are gone, or committed, would stop its proposals for ever.
"""

from rafty_core import Overloaded
from tests.scenarios.story import Story

SETTINGS = {"max_uncommitted_bytes": 1000}


def fill(story: Story, name: str) -> int:
    """Propose until refused; returns how many were accepted."""
    for count in range(20):
        story.propose(name, b"x" * 100, token=("fill", story.now, count))
        if story[name].answers and isinstance(story[name].answers[-1].error, Overloaded):
            return count
    raise AssertionError("nothing was ever refused")


def test_committed_entries_make_room() -> None:
    story = Story("ABC", settings=SETTINGS)
    story.elect("A", "ABC")
    first = fill(story, "A")
    story.settle("ABC")
    story.now += 0.01
    assert fill(story, "A") == first
    story.settle("ABC")
    story.propose("A", b"y" * 930, token="large")
    assert all(answer.token != "large" for answer in story["A"].answers)


def test_entries_of_a_lost_leadership_do_not_count_in_the_next() -> None:
    story = Story("ABC", settings=SETTINGS)
    story.elect("A", "ABC")
    accepted = fill(story, "A")
    story.drop()
    story.elect("C", "BC")
    for _ in range(3):
        story.wait(0.1, "C")
        story.settle("ABC")
    story.elect("A", "ABC")
    assert fill(story, "A") == accepted
