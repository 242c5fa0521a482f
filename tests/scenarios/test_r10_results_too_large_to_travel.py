"""The results of a forwarded proposal are larger than a message may be: the origin is told at once that it is unknown.

The answer was built, refused by the transport for its size, and never sent; the caller waited for its deadline. Found
by review.
"""

from rafty_core import OutcomeUnknown
from tests.scenarios.story import Story


def test_origin_is_told_unknown_at_once() -> None:
    story = Story("ABC", settings={"max_result_bytes": 10})
    story.elect("A", "ABC")
    story.propose("B", b"x" * 6, token=1)  # the story's machine doubles a command
    story.settle("ABC")
    answer = story["B"].answer(1)
    assert isinstance(answer.error, OutcomeUnknown)
    assert "the limit is 10" in str(answer.error)
    story.propose("B", b"x" * 5, token=2)
    story.settle("ABC")
    assert story["B"].answer(2).results == [b"x" * 10]
