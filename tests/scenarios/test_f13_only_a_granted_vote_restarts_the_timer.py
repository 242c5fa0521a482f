"""An election timer starts anew for a leader heard and for a vote given, and for nothing else.

C's log is too old to win, and its timer is short. If its vain requests restarted the timers of A and B, neither would
ever campaign, and nobody would lead.
"""

import pytest

from rafty_core import AppendEntries, Heartbeat, Message, PreVote, RequestVote
from tests.scenarios.story import Chance, Story

VAIN: list[Message] = [
    RequestVote("C", "B", 5, 0, 0),
    PreVote("C", "B", 6, 0, 0),
    PreVote("A", "B", 6, 9, 9),
    AppendEntries("C", "B", 4, 0, 0, 0),
    Heartbeat("C", "B", 4, 0, 1),
]


@pytest.mark.parametrize("message", VAIN, ids=repr)
def test_timer_runs_on_whatever_comes_in_vain(message: Message) -> None:
    story = Story("ABC", logs={"": [1, 2]}, terms={"": 5}, chances={"B": Chance(0.9, 0.95)})
    story.now = 0.6
    before = story["B"].raft.deadline
    story.step("B", message)
    assert story["B"].raft.deadline == before
    story.now = before
    story.step("B")
    assert story["B"].status.role == "pre_candidate"


def test_timer_starts_anew_for_a_vote_given() -> None:
    story = Story("ABC", terms={"": 5}, chances={"B": Chance(0.9)})
    story.now = 0.6
    story.step("B", RequestVote("A", "B", 5, 0, 0))
    assert story["B"].raft.deadline == pytest.approx(0.6 + 0.95)
