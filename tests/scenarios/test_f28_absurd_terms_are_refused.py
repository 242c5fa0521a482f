"""A term that no cluster can have reached is damage, and is not believed.

One message claims term 2**64 - 1. A node that adopted it could never campaign again, nor could any other.
"""

import pytest

from rafty_core import AppendEntries, Heartbeat, HeartbeatResponse, PreVote, PreVoteResponse, RequestVote
from tests.scenarios.story import Story

ABSURD = [2**64 - 1, 2**63, 2**63 - 1, 2**40, -1]


@pytest.mark.parametrize("term", ABSURD)
def test_absurd_term_is_not_adopted(term: int) -> None:
    story = Story("ABC", terms={"": 4})
    story.now = 1.0
    before = story["B"].status
    for message in (
        AppendEntries("A", "B", term, 0, 0, 0),
        Heartbeat("A", "B", term, 0, 1),
        HeartbeatResponse("A", "B", term, 1),
        RequestVote("A", "B", term, 0, 0),
        PreVote("A", "B", term, 0, 0),
        PreVoteResponse("A", "B", term, 5, True),
    ):
        output = story.step("B", message)
        assert (output.messages, output.write, len(output.notices)) == ([], None, 1)
    assert story["B"].status.term == before.term
    assert story["B"].status.violations == 6


def test_absurd_index_of_a_log_wins_no_vote() -> None:
    story = Story("ABC", terms={"": 4})
    story.now = 1.0
    story.step("B", RequestVote("A", "B", 5, 2**63, 4))
    assert (story["B"].status.term, story["B"].status.vote) == (4, None)


def test_large_but_possible_term_is_adopted() -> None:
    story = Story("ABC", terms={"": 4})
    story.step("B", Heartbeat("A", "B", 2**32, 0, 1))
    assert story["B"].status.term == 2**32
