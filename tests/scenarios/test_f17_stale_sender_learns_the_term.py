"""A node at a higher term answers the others with it, or all of them are stuck.

C sits at term 9 with an old log: it can win nothing, and it obeys no leader of term 5. The leader's messages, and the
questions of the others, must be answered with term 9, so that the cluster moves above it and takes C back in.
"""

import pytest

from rafty_core import AppendEntries, Heartbeat, Message, PreVote, RequestVote
from tests.scenarios.story import Story

STALE: list[Message] = [
    AppendEntries("A", "C", 5, 3, 5, 3),
    Heartbeat("A", "C", 5, 0, 7),
    PreVote("A", "C", 6, 3, 5),
    RequestVote("A", "C", 6, 3, 5),
]


@pytest.mark.parametrize("message", STALE, ids=repr)
def test_message_of_a_lower_term_is_answered_with_the_higher(message: Message) -> None:
    story = Story("ABC", terms={"": 9})
    story.now = 1.0
    (answer,) = story.step("C", message).messages
    assert (answer.to, answer.term) == ("A", 9)


def test_stuck_node_is_taken_back_in() -> None:
    story = Story("ABC", logs={"A": [1, 2], "B": [1, 2], "C": [1]}, terms={"A": 4, "B": 4, "C": 9})
    story.elect("A", "AB")
    story.wait(0.1, "A")
    story.settle("ABC")
    assert story["A"].status.role == "follower"
    assert story["A"].status.term == 9
    story.elect("A", "ABC")
    assert story["C"].log == story["A"].log
