"""Logs are compared by their last term first, and by length only where the last terms are equal.

A and B hold [1 2], of which everything is committed; C holds [1 1 1], longer and older. C must not win. The other way
round, A with [1 2] must win over B with [1 1 1] while C is down, although A's log is the shorter one.
"""

import pytest

from rafty_core import Campaign, RequestVote, RequestVoteResponse
from tests.scenarios.story import Story


def test_longer_log_of_an_older_term_does_not_win() -> None:
    story = Story("ABC", logs={"A": [1, 2], "B": [1, 2], "C": [1, 1, 1]}, terms={"": 2})
    story.now = 1.0
    story.step("C", Campaign())
    story.settle("ABC")
    assert story["C"].status.role == "follower"
    story.step("A", RequestVote("C", "A", 3, 3, 1))
    story.persist("A")
    assert story.sent(RequestVoteResponse) == [RequestVoteResponse("A", "C", 3, False)]


def test_shorter_log_of_a_newer_term_wins() -> None:
    story = Story("ABC", logs={"A": [1, 2], "B": [1, 1, 1], "C": []}, terms={"": 2})
    story.elect("A", "AB")
    assert story["B"].log == [1, 2, 3]


@pytest.mark.parametrize(
    ("last_index", "last_term", "granted"),
    [(3, 2, True), (4, 2, True), (2, 2, False), (1, 3, True), (9, 1, False), (3, 1, False), (0, 0, False)],
)
def test_vote_depends_on_term_then_index(last_index: int, last_term: int, granted: bool) -> None:
    story = Story("AB", logs={"": [1, 1, 2]}, terms={"": 4})
    story.now = 1.0
    story.step("B", RequestVote("A", "B", 5, last_index, last_term))
    story.persist("B")
    assert story.sent(RequestVoteResponse) == [RequestVoteResponse("B", "A", 5, granted)]
