"""A node with a higher term and an old log cannot win, and must not be deaf to the leader that can.

B comes back with term 9, from elections that it lost while it was cut off; A leads term 5. B's answers carry its term;
A steps down, is elected above it, and B follows with all of the log.
"""

from rafty_core import AppendEntries, Heartbeat
from tests.scenarios.story import Story


def test_node_behind_in_the_log_and_ahead_in_the_term_rejoins() -> None:
    story = Story("ABC", logs={"": [4]}, terms={"A": 4, "B": 9, "C": 4})
    story.elect("A", "AC")
    story.propose("A", b"x")
    story.settle("AC")
    story.wait(0.1, "A")
    story.settle("ABC")
    assert story["A"].status.role == "follower"
    story.elect("A", "ABC")
    assert story["A"].status.term == 10
    assert story["B"].applied[-1:] == [b"x"]


def test_each_message_of_an_older_leader_is_answered_with_the_newer_term() -> None:
    story = Story("ABC", terms={"B": 9})
    for message in (Heartbeat("A", "B", 5, 0, 1), AppendEntries("A", "B", 5, 0, 0, 0)):
        output = story.step("B", message)
        assert [answer.term for answer in output.messages] == [9]
